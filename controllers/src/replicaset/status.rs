//! What a ReplicaSet's status says.

use api::event::seconds;
use api::resource::REPLICA_SETS;
use api::{Object, Status};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};

use crate::framework::Action;
use crate::pod;
use crate::typed::Typed;

/// The condition of a ReplicaSet that cannot get its pods.
pub(crate) const FAILURE: &str = "ReplicaFailure";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    replicas: i32,
    fully_labeled: i32,
    ready: i32,
    available: i32,
    observed_generation: i64,
}

/// The change of the status, if it says something else by now.
pub(super) fn change(set: &Typed<ReplicaSet>, active: &[&Typed<Pod>], now: Timestamp) -> Option<Action> {
    let old = set.status.as_ref().map(counts_in);
    let new = count(set, active, now);
    let recovered = recovered(set, active.len());
    if old == Some(new) && recovered.is_none() {
        return None;
    }
    let old = old.unwrap_or_default();
    let mut status = Map::new();
    status.insert("replicas".into(), new.replicas.into());
    let mut put = |name: &str, old: i64, new: i64| {
        if old != new {
            // Absent and nought are the same, and absent is how it is written.
            let value = if new == 0 { Value::Null } else { new.into() };
            status.insert(name.into(), value);
        }
    };
    put("fullyLabeledReplicas", old.fully_labeled.into(), new.fully_labeled.into());
    put("readyReplicas", old.ready.into(), new.ready.into());
    put("availableReplicas", old.available.into(), new.available.into());
    put("observedGeneration", old.observed_generation, new.observed_generation);
    if let Some(conditions) = recovered {
        status.insert("conditions".into(), conditions);
    }
    let merge = json!({"status": status});
    Some(Action::patch(&REPLICA_SETS, set.object(), "status", merge))
}

/// The conditions without that of a failure, once there are as many pods as asked for.
fn recovered(set: &ReplicaSet, active: usize) -> Option<Value> {
    let conditions = conditions(set);
    if active < super::wanted(set) || !conditions.iter().any(is_failure) {
        return None;
    }
    let others: Vec<Value> = conditions
        .iter()
        .filter(|condition| !is_failure(condition))
        .map(|condition| json!(condition))
        .collect();
    Some(if others.is_empty() { Value::Null } else { others.into() })
}

fn conditions(set: &ReplicaSet) -> &[ReplicaSetCondition] {
    let status = set.status.as_ref();
    status.and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn is_failure(condition: &ReplicaSetCondition) -> bool {
    condition.type_ == FAILURE
}

/// Says that a pod was refused, unless that is said already.
pub(super) fn refused(set: &Object, status: &Status, now: Timestamp) -> Option<Action> {
    let conditions = conditions(set.typed::<ReplicaSet>().ok()?);
    if conditions.iter().any(is_failure) {
        return None;
    }
    let others = conditions.iter().map(|condition| json!(condition));
    let failure = json!({
        "type": FAILURE, "status": "True", "reason": "FailedCreate", "message": status.message,
        "lastTransitionTime": seconds(now),
    });
    let merge = json!({"status": {"conditions": others.chain([failure]).collect::<Vec<Value>>()}});
    Some(Action::patch(&REPLICA_SETS, set, "status", merge))
}

fn counts_in(status: &ReplicaSetStatus) -> Counts {
    Counts {
        replicas: status.replicas,
        fully_labeled: status.fully_labeled_replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        observed_generation: status.observed_generation.unwrap_or(0),
    }
}

fn count(set: &ReplicaSet, active: &[&Typed<Pod>], now: Timestamp) -> Counts {
    let min_ready_seconds = min_ready_seconds(set);
    let mut counts =
        Counts { observed_generation: set.metadata.generation.unwrap_or(0), ..Counts::default() };
    for pod in active {
        let from = pod::available_from(pod, min_ready_seconds);
        counts.replicas += 1;
        counts.fully_labeled += i32::from(has_all_labels(set, pod));
        counts.ready += i32::from(from.is_some());
        counts.available += i32::from(from.is_some_and(|from| is_past(from, now, min_ready_seconds)));
    }
    counts
}

/// Without a number of seconds to wait, being ready is enough, whatever the clock says.
fn is_past(from: Timestamp, now: Timestamp, min_ready_seconds: i32) -> bool {
    min_ready_seconds <= 0 || from <= now
}

fn min_ready_seconds(set: &ReplicaSet) -> i32 {
    let spec = set.spec.as_ref();
    spec.and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
}

fn has_all_labels(set: &ReplicaSet, pod: &Typed<Pod>) -> bool {
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let metadata = template.and_then(|template| template.metadata.as_ref());
    let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
    labels.into_iter().flatten().all(|(key, value)| pod.object().label(key) == Some(value))
}

/// When the next ready pod becomes available, if one is waiting for that.
pub(super) fn next_available(set: &ReplicaSet, active: &[&Typed<Pod>], now: Timestamp) -> Option<Timestamp> {
    let min_ready_seconds = min_ready_seconds(set);
    if min_ready_seconds <= 0 {
        return None;
    }
    let times = active.iter().filter_map(|pod| pod::available_from(pod, min_ready_seconds));
    times.filter(|from| *from > now).min()
}
