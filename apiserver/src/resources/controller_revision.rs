//! ControllerRevisions: the states a controller has rolled out, which it can go back to.

use api::Resource;
use api::field::FieldError;
use api::resource::CONTROLLER_REVISIONS;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::names::{IMMUTABLE, NOT_NEGATIVE};

/// The kind ControllerRevision.
pub struct ControllerRevisions;

impl Builtin for ControllerRevisions {
    type Typed = ControllerRevision;

    const RESOURCE: Resource = CONTROLLER_REVISIONS;

    const DEFINITION: Definition = Definition::new("controllerrevision");

    fn check(revision: &ControllerRevision, errors: &mut Vec<FieldError>) {
        if revision.data.as_ref().is_none_or(|data| data.0.is_null()) {
            errors.push(FieldError::required("data", "data is mandatory"));
        }
        if revision.revision < 0 {
            errors.push(FieldError::invalid("revision", revision.revision, NOT_NEGATIVE));
        }
    }

    fn check_update(new: &ControllerRevision, old: &ControllerRevision, errors: &mut Vec<FieldError>) {
        if new.data != old.data {
            let data = new.data.as_ref().map(|data| data.0.clone()).unwrap_or_default();
            errors.push(FieldError::invalid("data", data, IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Controller", "Whose state it is."),
        number("Revision", "The place of the state in the order of states."),
        cells::AGE,
    ];

    fn row(revision: &ControllerRevision, now: Timestamp) -> Vec<Value> {
        let owners = revision.metadata.owner_references.iter().flatten();
        let controller = owners.into_iter().find(|owner| owner.controller == Some(true)).map(shown);
        vec![
            cells::name(&revision.metadata),
            controller.as_deref().unwrap_or(cells::NONE).into(),
            revision.revision.into(),
            cells::age(&revision.metadata, now),
        ]
    }
}

/// An owner as in `statefulset.apps/web`.
fn shown(owner: &OwnerReference) -> String {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let dot = if group.is_empty() { "" } else { "." };
    format!("{}{dot}{group}/{}", owner.kind.to_lowercase(), owner.name)
}
