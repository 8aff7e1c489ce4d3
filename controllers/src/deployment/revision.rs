//! The history of a Deployment: numbered ReplicaSets, of which so many old ones are kept.

use api::Object;
use api::resource::{DEPLOYMENTS, REPLICA_SETS};
use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Map, Value, json};

use super::{Rollout, counts};
use crate::framework::Action;
use crate::typed::Typed;

/// The number of a rollout.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The numbers a ReplicaSet had before it was rolled out again.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";

/// How many replicas the Deployment wanted when the ReplicaSet got its size.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";

/// How many it allowed at most.
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations that a ReplicaSet does not take over from its Deployment.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
];

/// How many old ReplicaSets are kept unless it is said.
const HISTORY_LIMIT: i32 = 10;

/// Old numbers are forgotten when they take more bytes than this, as in Kubernetes.
const HISTORY_BYTES: usize = 2000;

/// The number an annotation of a ReplicaSet holds.
pub(super) fn noted(set: &ReplicaSet, name: &str) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get(name)?.parse().ok()
}

fn number(object: &Object) -> i64 {
    let number = object.annotation(REVISION);
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The number of the current rollout: one more than that of any old ReplicaSet.
fn current(rollout: &Rollout<'_>) -> i64 {
    let old = rollout.old.iter().map(|set| number(set.object()));
    let next = old.max().unwrap_or(0) + 1;
    rollout.new.map_or(next, |new| number(new.object()).max(next))
}

/// The annotations of a ReplicaSet made now.
pub(super) fn of_new_set(rollout: &Rollout<'_>) -> Value {
    let mut annotations = copied(rollout);
    annotations.insert(REVISION.into(), current(rollout).to_string().into());
    annotations.extend(sizes(rollout));
    annotations.into()
}

fn copied(rollout: &Rollout<'_>) -> Map<String, Value> {
    let annotations = rollout.deployment.metadata.annotations.iter().flatten();
    let copied = annotations.filter(|(name, _)| !OWN.contains(&name.as_str()));
    copied.map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

fn sizes(rollout: &Rollout<'_>) -> [(String, Value); 2] {
    let text = |number: i32| Value::from(number.to_string());
    [(DESIRED.to_owned(), text(rollout.bounds.desired)), (MOST.to_owned(), text(rollout.bounds.most()))]
}

/// What is to be changed of an existing ReplicaSet: its size with the note of it, and for the new one what it takes over
/// from the Deployment and its number.
pub(super) fn refresh(
    rollout: &Rollout<'_>,
    set: &Typed<ReplicaSet>,
    is_new: bool,
    replicas: Option<i32>,
) -> Option<Value> {
    let mut annotations = Map::new();
    let mut merge = json!({});
    if is_new && !rollout.is_paused() {
        annotations.extend(copied(rollout));
        annotations.extend(renumbered(rollout, set.object()));
        let seconds = |given: Option<i32>| given.unwrap_or(0);
        let wanted = seconds(rollout.deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds));
        if wanted != seconds(set.spec.as_ref().and_then(|spec| spec.min_ready_seconds)) {
            merge["spec"]["minReadySeconds"] = wanted.into();
        }
    }
    if is_new || replicas.is_some() {
        annotations.extend(sizes(rollout));
    }
    if let Some(replicas) = replicas.filter(|replicas| *replicas != counts(set).replicas) {
        merge["spec"]["replicas"] = replicas.into();
    }
    annotations.retain(|name, value| set.object().annotation(name) != value.as_str());
    if !annotations.is_empty() {
        merge["metadata"]["annotations"] = annotations.into();
    }
    (merge != json!({})).then_some(merge)
}

/// The new number of a ReplicaSet that is rolled out again, with the ones it had.
fn renumbered(rollout: &Rollout<'_>, set: &Object) -> Vec<(String, Value)> {
    let (old, new) = (number(set), current(rollout));
    if old >= new {
        return vec![];
    }
    let mut annotations = vec![(REVISION.to_owned(), Value::from(new.to_string()))];
    if old > 0 {
        let mut numbers: Vec<&str> = set.annotation(HISTORY).map_or(vec![], |text| text.split(',').collect());
        let number = old.to_string();
        if !numbers.contains(&number.as_str()) {
            numbers.push(&number);
            while numbers.iter().map(|number| number.len() + 1).sum::<usize>() > HISTORY_BYTES {
                numbers.remove(0);
            }
            annotations.push((HISTORY.to_owned(), numbers.join(",").into()));
        }
    }
    annotations
}

/// Writes the number of the current rollout to the Deployment.
pub(super) fn renumber(rollout: &Rollout<'_>) -> Option<Action> {
    let starts = rollout.new.is_some() || !rollout.is_paused() && !rollout.is_rescaled();
    let current = current(rollout);
    let object = rollout.deployment.object();
    (starts && number(object) != current).then(|| {
        let merge = json!({"metadata": {"annotations": {REVISION: current.to_string()}}});
        Action::patch(&DEPLOYMENTS, object, "", merge)
    })
}

/// Deletes the oldest of the ReplicaSets that nothing runs of, beyond those to be kept.
pub(super) fn clean_up(rollout: &Rollout<'_>) -> Vec<Action> {
    let spec = rollout.deployment.spec.as_ref();
    let limit = spec.and_then(|spec| spec.revision_history_limit).unwrap_or(HISTORY_LIMIT);
    let kept = usize::try_from(limit).unwrap_or(0);
    let mut old: Vec<&Typed<ReplicaSet>> = rollout.old.clone();
    old.retain(|set| !set.object().is_terminating());
    let surplus = old.len().saturating_sub(kept);
    old.sort_by_key(|set| number(set.object()));
    let oldest = old.into_iter().take(surplus).filter(|set| is_empty(set));
    oldest.map(|set| Action::delete(&REPLICA_SETS, set.object(), None)).collect()
}

fn is_empty(set: &ReplicaSet) -> bool {
    let status = set.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation) >= set.metadata.generation;
    seen && counts(set).replicas == 0 && status.is_none_or(|status| status.replicas == 0)
}
