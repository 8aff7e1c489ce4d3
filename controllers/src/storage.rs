//! Facts about claims, volumes and classes that several controllers and the scheduler go by.

use std::collections::BTreeMap;

use api::Object;
use api::quantity::Quantity;
use api::resource::PERSISTENT_VOLUME_CLAIMS;
use api::storage::{BIND_COMPLETED, CLASS};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The class a claim asks for; empty for none.
pub fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let spec = claim.spec.as_ref();
    let field = spec.and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&claim.metadata, CLASS).or(field).unwrap_or_default()
}

/// The class a volume belongs to; empty for none.
pub fn class_of_volume(volume: &PersistentVolume) -> &str {
    let spec = volume.spec.as_ref();
    let field = spec.and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&volume.metadata, CLASS).or(field).unwrap_or_default()
}

/// Whether a claim was bound to a volume. It may have lost it since.
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let names = claim.spec.as_ref().is_some_and(|spec| spec.volume_name.is_some());
    names && annotation(&claim.metadata, BIND_COMPLETED).is_some()
}

/// Whether a class's volumes are chosen or made only when a pod needs them.
pub fn waits_for_pod(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

/// Whether a class makes volumes on a node with these labels.
pub fn is_offered_on(class: &StorageClass, labels: &BTreeMap<String, String>) -> bool {
    let mut terms = class.allowed_topologies.iter().flatten().peekable();
    terms.peek().is_none()
        || terms.any(|term| {
            let mut expressions = term.match_label_expressions.iter().flatten();
            expressions.all(|one| labels.get(&one.key).is_some_and(|label| one.values.contains(label)))
        })
}

/// The amount of storage in a list of resources.
pub fn size(amounts: Option<&BTreeMap<String, ApiQuantity>>) -> Quantity {
    let storage = amounts.and_then(|amounts| amounts.get("storage"));
    storage.and_then(|storage| Quantity::try_from(storage).ok()).unwrap_or_default()
}

/// How much a claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> Quantity {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    size(resources.and_then(|resources| resources.requests.as_ref()))
}

/// How much a volume holds.
pub fn capacity(volume: &PersistentVolume) -> Quantity {
    size(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()))
}

/// How a volume names its claim.
pub fn reference(claim: &Object) -> Value {
    json!({
        "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version(), "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        "namespace": claim.namespace(), "name": claim.name(), "uid": claim.uid(),
        "resourceVersion": claim.revision().to_string(),
    })
}
