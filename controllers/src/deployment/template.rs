//! Which ReplicaSet belongs to a template, and what it is called.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::typed::Typed;

/// The label that keeps the pods of one ReplicaSet from those of its siblings.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Letters and digits that make no words and are not mistaken for each other.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Whether the ReplicaSet has the Deployment's template.
pub(super) fn is_same(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let Some(wanted) = deployment.spec.as_ref().map(|spec| &spec.template) else {
        return false;
    };
    let has = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    has.is_some_and(|has| wanted.spec == has.spec && metadata(wanted) == metadata(has))
}

/// The template's metadata without the label that tells ReplicaSets apart, and with nothing and emptiness the same.
fn metadata(template: &PodTemplateSpec) -> ObjectMeta {
    let mut metadata = template.metadata.clone().unwrap_or_default();
    if let Some(labels) = &mut metadata.labels {
        labels.remove(HASH_LABEL);
    }
    metadata.labels = metadata.labels.filter(|labels| !labels.is_empty());
    metadata.annotations = metadata.annotations.filter(|annotations| !annotations.is_empty());
    metadata
}

/// The name of the ReplicaSet for the Deployment's template.
pub(super) fn set_name(deployment: &Typed<Deployment>) -> String {
    format!("{}-{}", deployment.object().name(), hash(deployment))
}

/// A short text for the template, another one after a collision. It need not be the same in later versions: which
/// ReplicaSet has the template is decided by comparing, not by the name.
pub(super) fn hash(deployment: &Deployment) -> String {
    let spec = deployment.spec.as_ref();
    let template = spec.and_then(|spec| serde_json::to_vec(&spec.template).ok());
    let status = deployment.status.as_ref();
    let collisions = status.and_then(|status| status.collision_count).unwrap_or(0);
    let template = template.unwrap_or_default();
    let hash = template.iter().chain(&collisions.to_be_bytes()).fold(0x811c_9dc5_u32, fnv);
    let digits = hash.to_string();
    let letter = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
    digits.bytes().map(letter).collect()
}

/// One step of FNV-1a.
fn fnv(hash: u32, byte: &u8) -> u32 {
    (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
}
