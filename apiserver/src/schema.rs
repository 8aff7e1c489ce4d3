//! The facts about every type of the Kubernetes API, from one checked-in table, and the decoding they drive.
//!
//! The table is read once, on first use. Strict decoding works on it before anything is typed: it drops what the
//! API does not know, says where, and brings values into the form in which they are stored.

mod decode;
mod finding;
pub(crate) mod path;
mod scalar;
mod syntax;
mod table;
mod types;
mod untyped;
mod visitor;

pub use decode::{DecodeError, Decoded, LARGEST_DEPTH, decode, normalize};
pub use finding::{Finding, LARGEST_FINDINGS, Overlooked, StrictError, nearest_of, yaml_errors};
pub use types::{Field, Form, Kind, Leaf, ListType, Patch, Schema, Scope, Type};
pub use untyped::untyped;

use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| table::parse(include_str!("schema/table.txt")));

/// The schema of the built-in kinds.
pub fn builtin() -> &'static Schema {
    &SCHEMA
}
