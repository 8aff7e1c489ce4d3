//! Events of `events.k8s.io` are those of the core group, in other words.

use api::field::FieldError;
use serde_json::Value;

/// The names of fields here, and in the core group.
const NAMES: [(&str, &str); 7] = [
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
];

/// The same for the fields selectors may ask for.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("regarding.kind", "involvedObject.kind"),
    ("regarding.namespace", "involvedObject.namespace"),
    ("regarding.name", "involvedObject.name"),
    ("regarding.uid", "involvedObject.uid"),
    ("regarding.apiVersion", "involvedObject.apiVersion"),
    ("regarding.resourceVersion", "involvedObject.resourceVersion"),
    ("regarding.fieldPath", "involvedObject.fieldPath"),
    ("reportingController", "reportingComponent"),
];

pub(super) fn take_in(event: &mut Value) -> Result<(), FieldError> {
    NAMES.into_iter().for_each(|(here, there)| rename(event, here, there));
    Ok(())
}

pub(super) fn bring_out(event: &mut Value) {
    NAMES.into_iter().for_each(|(here, there)| rename(event, there, here));
}

/// Gives a field another name.
pub(super) fn rename(object: &mut Value, from: &str, to: &str) {
    if let Value::Object(fields) = object
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}
