//! Which objects are meant: selectors over labels and over fields, and what labels may look like.

mod field;
mod label;
mod parse;
mod qualified;

pub use field::{FieldRequirement, FieldSelector, FieldSelectorError};
pub use label::{LabelSelector, Operator, Requirement};
pub use parse::SelectorError;
pub use qualified::{check_label_key, check_label_value, is_dns_subdomain};

#[cfg(test)]
mod tests;
