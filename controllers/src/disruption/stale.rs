//! Takes back the note that a pod is to be evicted, if nothing comes of it.

use std::time::Duration;

use api::Object;
use api::clock::add;
use api::event::seconds;
use api::resource::PODS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::framework::Action;
use crate::pod;
use crate::typed::Typed;

/// The type of the condition.
const TARGET: &str = "DisruptionTarget";

/// What the node itself intends may take any time.
const BY_NODE: &str = "TerminationByKubelet";

/// The note holds for so long, as in Kubernetes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Whether a pod may be noted so. It is asked of every state of every pod, so the pod is not decoded for it.
pub(super) fn may_be(pod: &Object) -> bool {
    let (json, target) = (&pod.json()[..], TARGET.as_bytes());
    json.windows(target.len()).any(|window| window == target)
}

/// Since when a pod is to go that does not begin to.
pub(super) fn since(pod: &Pod) -> Option<Timestamp> {
    let condition = pod::condition(pod, TARGET).filter(|condition| condition.status == "True")?;
    let is_waiting = pod::is_active(pod) && condition.reason.as_deref() != Some(BY_NODE);
    let since = condition.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    is_waiting.then_some(since)
}

/// Decides whether the note is to be taken back, or when.
pub(super) fn reconcile(pod: &Typed<Pod>, now: Timestamp) -> Vec<Action> {
    let Some(end) = since(pod).map(|since| add(since, TIMEOUT)) else { return vec![] };
    if end > now {
        return vec![Action::WakeAt(end)];
    }
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let conditions = conditions.map(|condition| match condition.type_ == TARGET {
        true => json!({"type": TARGET, "status": "False", "lastTransitionTime": seconds(now)}),
        false => json!(condition),
    });
    let conditions: Vec<Value> = conditions.collect();
    let merge = json!({"status": {"conditions": conditions}});
    vec![Action::patch_unchanged(&PODS, pod.object(), "status", merge)]
}
