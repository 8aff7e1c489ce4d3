//! What a client wants an object to become, found from what it sent and the current state.

use std::borrow::Cow;

use api::backend::{Body, FieldValidation};
use api::status::Reason;
use api::{Resource, Status};
use serde_json::Value;

use super::Place;
use super::decode::{self, Incoming};
use super::patch::{Sent, Way, unfit};
use crate::patch::strategic::{self, Refusal};
use crate::patch::{self, PatchError};
use crate::schema::{Decoded, LARGEST_FINDINGS};
use crate::{schema, subresources, tree};

const NO_STRATEGY: &str =
    "strategic merge patch is not supported for this kind; use application/merge-patch+json";

/// What is to be done to the current state.
pub(super) enum Change {
    /// Becomes this.
    Replace(Incoming),
    /// Is changed by this.
    Patch(Sent),
    /// Has what this manager applied before replaced by this.
    Apply(Decoded),
}

impl Change {
    /// Whether it may say something of the owners of fields.
    pub fn concerns_owners(&self) -> bool {
        let has = |tree: &Value| tree["metadata"].get("managedFields").is_some();
        match self {
            Self::Replace(_) | Self::Apply(_) => false,
            Self::Patch(Sent { way: Way::Merge | Way::Strategic, tree, .. }) => {
                has(tree) || tree.get("metadata").is_some_and(Value::is_null)
            }
            Self::Patch(Sent { way: Way::Operations, tree, .. }) => {
                let mut operations = tree.as_array().into_iter().flatten();
                operations.any(|operation| {
                    let path = |field| operation[field].as_str().unwrap_or("-");
                    let concerns = |path: &str| {
                        ["", "/metadata"].contains(&path) || path.starts_with("/metadata/managedFields")
                    };
                    concerns(path("path")) || concerns(path("from"))
                })
            }
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
    let sent = match change {
        Change::Replace(Incoming { value, warnings }) => {
            return Ok(Incoming { value: value.clone(), warnings: warnings.clone() });
        }
        Change::Patch(sent) => sent,
        // It has a way of its own.
        Change::Apply(_) => return Err(Status::internal("a configuration is no patch")),
    };
    let shown = || match sent.way {
        Way::Strategic => Ok(strategic::shown(&sent.tree)),
        Way::Merge | Way::Operations => Ok(strategic::cut(patched(place, sent, old)?.to_string())),
    };
    let body = Body::Value(patched(place, sent, old)?);
    let decoded = match place.part {
        "scale" => decode::decoded(&document(place), body),
        _ => decode::decoded_in_version(&place.version, body),
    };
    let Decoded { value, findings } = match decoded {
        Err(status) if status.code == 400 => return Err(unfit(shown()?, &status.message)),
        decoded => decoded?,
    };
    let findings = sent.findings.iter().cloned().chain(findings).take(LARGEST_FINDINGS).collect();
    match decode::finish(Decoded { value, findings }, validation) {
        Ok(incoming) => Ok(incoming),
        Err(error) => Err(unfit(shown()?, &error.to_string())),
    }
}

/// What a patch makes of the object, before that is read.
fn patched(place: &Place, sent: &Sent, old: &Value) -> Result<Value, Status> {
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
    match sent.way {
        Way::Merge => {
            let mut document = changeable();
            patch::merge(&mut document, sent.tree.clone());
            Ok(without_rest(document))
        }
        Way::Strategic => {
            let known = |of: &Resource| schema::builtin().kind(&of.group, &of.version, &of.kind);
            // The lists of an older version have the keys they have today.
            let of = known(&document(place)).or_else(|| known(place.resource()));
            // Kubernetes' answer too for a kind without a schema in the program.
            let of = of.ok_or_else(|| Status::new(Reason::UnsupportedMediaType, NO_STRATEGY))?;
            let merged = strategic::merge(changeable(), sent.tree.clone(), of);
            merged.map(without_rest).map_err(not_patched)
        }
        Way::Operations => patch::apply_operations(seen().into_owned(), &sent.tree).map_err(not_patched),
    }
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
        PatchError::TooManyOperations(_) => Status::new(Reason::RequestEntityTooLarge, words),
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
