//! How kubectl shows what volumes and claims have in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::cells;

/// The access modes there are, and their short forms in the order in which they are shown.
pub const ACCESS_MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

/// What stands where a class or a mode was not chosen.
pub const UNSET: &str = "<unset>";

/// The annotation that named the class before there was a field.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Access modes in short, as in `RWO,ROX`.
pub fn access_modes(modes: Option<&Vec<String>>) -> Value {
    let has = |mode: &str| modes.is_some_and(|modes| modes.iter().any(|given| given == mode));
    let shown = ACCESS_MODES.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short);
    cells::joined(shown, "").into()
}

/// The phase, or that it ends.
pub fn phase(metadata: &ObjectMeta, phase: Option<&str>) -> Value {
    if metadata.deletion_timestamp.is_some() {
        "Terminating".into()
    } else {
        phase.unwrap_or_default().into()
    }
}

/// The name of the class.
pub fn class(metadata: &ObjectMeta, class: Option<&str>) -> Value {
    let annotated = metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLASS));
    annotated.map(String::as_str).or(class).unwrap_or_default().into()
}
