//! Fields of its own object that a container may ask for.

use k8s_openapi::api::core::v1::Pod;

use super::Surroundings;
use crate::volumes::metadata_field;

/// The value of the field at `path`; none if it is not one of those that can be asked for.
pub(super) fn value(pod: &Pod, path: &str, around: &Surroundings<'_>) -> Option<String> {
    match path {
        "spec.nodeName" => Some(around.node_name.to_owned()),
        "spec.serviceAccountName" => {
            let name = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
            Some(name.unwrap_or_default())
        }
        "status.podIP" | "status.podIPs" => Some(around.pod_address.to_string()),
        "status.hostIP" | "status.hostIPs" => Some(around.host_address.to_string()),
        _ => metadata_field(pod, path),
    }
}
