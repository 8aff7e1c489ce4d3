//! Facts about pods that several controllers go by.

use api::Object;
use api::clock::add;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodCondition};
use std::time::Duration;

/// The value of a condition, if the pod has it.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// The phase; empty if nobody said one.
pub fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status.and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Whether all its containers have ended for good.
pub fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether its deletion was asked for.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether it counts as one of its owner's replicas.
pub fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && !is_terminating(pod)
}

/// The name it answers to among the endpoints of a service, if its subdomain is that service.
pub fn hostname_at(pod: &Pod, service: &str) -> Option<String> {
    let spec = pod.spec.as_ref().filter(|spec| spec.subdomain.as_deref() == Some(service))?;
    spec.hostname.clone().filter(|name| !name.is_empty())
}

/// How endpoints refer to it.
pub fn reference(pod: &Object) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace().to_owned()),
        name: Some(pod.name().to_owned()),
        uid: Some(pod.uid().to_owned()),
        ..ObjectReference::default()
    }
}

/// The node it was given to; empty before.
pub fn node_name(pod: &Pod) -> &str {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// Whether it is ready.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Since when it is ready; none if it is not.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    let since = ready.last_transition_time.as_ref().map(|time| time.0);
    Some(since.unwrap_or(Timestamp::MIN))
}

/// From when on it counts as available, having been ready for long enough; none if it is not ready.
pub fn available_from(pod: &Pod, min_ready_seconds: i32) -> Option<Timestamp> {
    let seconds = u64::try_from(min_ready_seconds).unwrap_or(0);
    Some(add(ready_since(pod)?, Duration::from_secs(seconds)))
}

/// When it was made.
pub fn created(pod: &Pod) -> Timestamp {
    let created = pod.metadata.creation_timestamp.as_ref();
    created.map_or(Timestamp::MIN, |time| time.0)
}

/// How often the containers restarted, of all together.
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref());
    statuses.flatten().map(|status| status.restart_count).sum()
}
