//! Patches as clients send them: read, and what is said of those that lead to no object.

use std::fmt::Display;

use api::Status;
use api::backend::Body;
use api::field::FieldError;
use api::status::{Cause, Details, Reason};
use serde_json::Value;

use super::decode;
use crate::schema::{self, Decoded, Finding, LARGEST_FINDINGS, Overlooked};

/// How a patch changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is laid over the object.
    Merge,
    /// It is laid over the object as the schema says, with its directives.
    Strategic,
    /// It is a list of operations.
    Operations,
}

/// A patch, and what is overlooked in it.
pub(super) struct Sent {
    /// How it changes an object.
    pub way: Way,
    /// What it says.
    pub tree: Value,
    /// In the order of the text.
    pub findings: Vec<Finding>,
}

/// The fields of an operation.
const OPERATION: [&str; 4] = ["from", "op", "path", "value"];

/// What Go reads a list of operations into, as its messages name it.
const OPERATIONS: &str = "[]handlers.jsonPatchOp";

/// Reads a patch; one that is none is refused in Kubernetes' words.
pub(super) fn read(way: Way, body: Body) -> Result<Sent, Status> {
    let Decoded { value: tree, findings } = match body {
        Body::Json(json) => schema::untyped(&json).map_err(|error| not_decoded(way, &error))?,
        Body::Value(value) => Decoded { value, findings: Vec::new() },
        Body::Yaml(value, again) => {
            Decoded { value, findings: again.into_iter().map(Finding::from).collect() }
        }
    };
    let (fits, target) = match way {
        Way::Operations => (tree.is_array(), OPERATIONS),
        Way::Merge | Way::Strategic => (tree.is_object(), decode::TREE),
    };
    if tree.is_null() {
        return Err(Status::bad_request("Invalid JSON Patch"));
    }
    if !fits {
        return Err(not_decoded(way, &decode::cannot_unmarshal(&tree, target)));
    }
    let findings = if way == Way::Operations { in_operations(&tree, findings) } else { findings };
    Ok(Sent { way, tree, findings })
}

fn not_decoded(way: Way, error: &dyn Display) -> Status {
    Status::bad_request(match way {
        Way::Strategic => error.to_string(),
        Way::Merge | Way::Operations => format!("error decoding patch: {error}"),
    })
}

/// What is overlooked in a list of operations, one operation after the other.
fn in_operations(operations: &Value, duplicates: Vec<Finding>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut duplicates = duplicates.into_iter().peekable();
    for (index, operation) in operations.as_array().into_iter().flatten().enumerate() {
        let names = operation.as_object().into_iter().flatten().map(|(name, _)| name);
        let unknown = names.filter(|name| !OPERATION.contains(&name.as_str()));
        findings.extend(unknown.map(|name| Finding {
            what: Overlooked::UnknownInOperation,
            path: format!("[{index}].{name}"),
            suggestion: None,
        }));
        let place = format!("[{index}]");
        while let Some(twice) = duplicates.next_if(|twice| twice.path.starts_with(&place)) {
            findings.push(Finding { what: Overlooked::DuplicateInOperation, ..twice });
        }
        if findings.len() >= LARGEST_FINDINGS {
            break;
        }
    }
    findings.truncate(LARGEST_FINDINGS);
    findings
}

/// What a patch led to is no object of the kind, or overlooks something that a strict client minds: Kubernetes' words, which
/// show what it led to, or the patch.
pub(super) fn unfit(shown: String, why: &str) -> Status {
    let error = FieldError::invalid("patch", shown, why);
    let details = Details { causes: vec![Cause::from(&error)], ..Details::default() };
    // Kubernetes leaves out the kind and the name, too.
    let words = format!(" \"\" is invalid: {error}");
    Status { details: Some(Box::new(details)), ..Status::new(Reason::Invalid, words) }
}
