//! Fields of its own object that a container may ask for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::Surroundings;

/// The value of the field at `path`; none if it is not one of those that can be asked for.
pub(super) fn value(pod: &Pod, path: &str, around: &Surroundings<'_>) -> Option<String> {
    let metadata = &pod.metadata;
    let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
    match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "spec.nodeName" => Some(around.node_name.to_owned()),
        "spec.serviceAccountName" => {
            let name = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
            Some(name.unwrap_or_default())
        }
        "status.podIP" | "status.podIPs" => Some(around.pod_address.to_string()),
        "status.hostIP" | "status.hostIPs" => Some(around.host_address.to_string()),
        _ => {
            let subscript = |field| path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']");
            let of = |map: &Option<BTreeMap<String, String>>, key| {
                let value = map.as_ref().and_then(|map| map.get(key));
                value.cloned().unwrap_or_default()
            };
            let label = subscript("metadata.labels").map(|key| of(&metadata.labels, key));
            label.or_else(|| subscript("metadata.annotations").map(|key| of(&metadata.annotations, key)))
        }
    }
}
