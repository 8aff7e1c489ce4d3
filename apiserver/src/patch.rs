//! Changes to parts of an object: lists of operations, and trees laid over it, blindly or by the schema.

pub mod apply;
mod json;
mod merge;
pub mod strategic;

use serde_json::Value;

use json::MOST_OPERATIONS;
pub use merge::merge;

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not one.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// Too many operations.
    #[error(
        "Request entity too large: The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {0}"
    )]
    TooManyOperations(usize),
    /// An operation failed.
    #[error("{operation} operation {index} at {path:?}: {why}")]
    Failed {
        /// Its place in the list.
        index: usize,
        /// Its name.
        operation: &'static str,
        /// Where it was to work.
        path: String,
        /// What was wrong there.
        why: String,
    },
    /// A strategic merge patch makes no sense.
    #[error(transparent)]
    Refused(#[from] strategic::Refusal),
}

/// Applies a list of operations (RFC 6902), all or none.
pub fn apply_operations(document: Value, patch: &Value) -> Result<Value, PatchError> {
    json::apply(document, patch)
}
