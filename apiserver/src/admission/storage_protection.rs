//! Gives new claims and volumes the finalizers that keep them as long as they are used. Controllers take these away.

use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES};
use api::storage::{CLAIM_PROTECTION, VOLUME_PROTECTION};
use serde_json::{Value, json};

use super::Attributes;
use crate::tree;

/// Adds the finalizer, if the object is of a kind that has one.
pub(super) fn protect(attributes: &mut Attributes<'_>) {
    let finalizer = if attributes.is_of(&PERSISTENT_VOLUME_CLAIMS) {
        CLAIM_PROTECTION
    } else if attributes.is_of(&PERSISTENT_VOLUMES) {
        VOLUME_PROTECTION
    } else {
        return;
    };
    let Some(object) = attributes.object.as_deref_mut() else { return };
    let metadata = tree::object(object, "metadata");
    match metadata.get_mut("finalizers") {
        Some(Value::Array(known)) if known.iter().any(|name| name == finalizer) => {}
        Some(Value::Array(known)) => known.push(finalizer.into()),
        _ => tree::set(metadata, "finalizers", Some(json!([finalizer]))),
    }
}
