//! What a client wants an object to become, found from what it sent and the current state.

use std::borrow::Cow;

use api::backend::{Body, FieldValidation};
use api::status::Reason;
use api::{Resource, Status};
use serde_json::Value;

use super::Place;
use super::decode::{self, Incoming};
use crate::patch::strategic::Refusal;
use crate::patch::{self, PatchError};
use crate::{schema, subresources, tree};

const NO_STRATEGY: &str =
    "strategic merge patch is not supported for this kind; use application/merge-patch+json";

/// What is to be done to the current state. Made anew for each attempt.
pub(super) enum Change {
    /// Becomes this.
    Replace(Incoming),
    /// Has this laid over it.
    Merge(Value),
    /// Has this laid over it as the schema says, with its directives.
    Strategic(Value),
    /// Has these operations applied.
    Operations(Value),
    /// Has what this manager applied before replaced by this.
    Apply(Value),
}

impl Change {
    /// Whether it may say something of the owners of fields.
    pub fn concerns_owners(&self) -> bool {
        let has = |tree: &Value| tree["metadata"].get("managedFields").is_some();
        match self {
            Self::Replace(_) | Self::Apply(_) => false,
            Self::Merge(tree) | Self::Strategic(tree) => {
                has(tree) || tree.get("metadata").is_some_and(Value::is_null)
            }
            Self::Operations(operations) => operations.as_array().into_iter().flatten().any(|operation| {
                let path = |field| operation[field].as_str().unwrap_or("-");
                let concerns = |path: &str| {
                    ["", "/metadata"].contains(&path) || path.starts_with("/metadata/managedFields")
                };
                concerns(path("path")) || concerns(path("from"))
            }),
        }
    }
}

/// What is read and written at this place: the object, or the document that stands for its subresource.
pub(super) fn document(place: &Place) -> Resource {
    match place.part {
        "scale" => subresources::scale::RESOURCE,
        _ => place.version.resource().clone(),
    }
}

/// Reads what is written at this place.
pub(super) fn read(place: &Place, body: Body, validation: FieldValidation) -> Result<Incoming, Status> {
    match place.part {
        "scale" => decode::object(&document(place), body, validation),
        _ => decode::in_version(&place.version, body, validation),
    }
}

/// The document the client wants there to be.
pub(super) fn requested(
    place: &Place,
    change: &Change,
    old: &Value,
    validation: FieldValidation,
) -> Result<Incoming, Status> {
    let seen = || match place.part {
        "scale" => Cow::Owned(subresources::scale::of_value(&place.kind, old)),
        _ => in_version(place, old),
    };
    // The rest is not changed here, and copying it is most of the work.
    let changeable = || match place.part {
        "status" => only(&seen(), &["apiVersion", "kind", "metadata", "status"]),
        _ => seen().into_owned(),
    };
    let without_rest = |mut document| {
        if place.part == "status" {
            tree::set(&mut document, "spec", None);
        }
        document
    };
    let patched = match change {
        Change::Replace(incoming) => {
            return Ok(Incoming { value: incoming.value.clone(), warnings: incoming.warnings.clone() });
        }
        Change::Merge(tree) => {
            let mut document = changeable();
            patch::merge(&mut document, tree.clone());
            without_rest(document)
        }
        Change::Strategic(tree) => {
            let known = |of: &Resource| schema::builtin().kind(&of.group, &of.version, &of.kind);
            // The lists of an older version have the keys they have today.
            let of = known(&document(place)).or_else(|| known(place.resource()));
            // Kubernetes' answer too for a kind without a schema in the program.
            let of = of.ok_or_else(|| Status::new(Reason::UnsupportedMediaType, NO_STRATEGY))?;
            without_rest(patch::strategic::merge(changeable(), tree.clone(), of).map_err(not_patched)?)
        }
        // It has a way of its own.
        Change::Apply(_) => return Err(Status::internal("a configuration is no patch")),
        Change::Operations(operations) => {
            patch::apply_operations(seen().into_owned(), operations).map_err(not_patched)?
        }
    };
    read(place, Body::Value(patched), validation)
}

/// The object in the version that was asked for.
pub(super) fn in_version<'a>(place: &Place, object: &'a Value) -> Cow<'a, Value> {
    let Some(other) = place.version.other() else {
        return Cow::Borrowed(object);
    };
    let mut object = object.clone();
    other.bring_out(&mut object);
    Cow::Owned(object)
}

fn not_patched(error: PatchError) -> Status {
    let words = error.to_string();
    match error {
        PatchError::Malformed(_) => Status::bad_request(words),
        PatchError::Failed { .. } | PatchError::Refused(Refusal::ListOfLists) => {
            Status::new(Reason::Invalid, words)
        }
        PatchError::Refused(_) => Status::bad_request(words),
    }
}

/// A copy of some fields.
fn only(object: &Value, fields: &[&str]) -> Value {
    let kept = fields.iter().filter_map(|field| Some(((*field).to_owned(), object.get(field)?.clone())));
    Value::Object(kept.collect())
}
