//! Keeps as many pods running as each ReplicaSet asks for.

mod rank;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use api::cache::Change;
use api::object::DecodeError;
use api::resource::{PODS, REPLICA_SETS};
use api::selector::LabelSelector;
use api::{Cache, Object};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::framework::{Action, Controller, Create, Refusal, Report, Target, Watch};
use crate::owner::{self, Claim, ORPHANS};
use crate::pod;
use crate::typed::Typed;
pub(crate) use rank::most_dispensable;
pub(crate) use status::FAILURE;

/// Pods created or deleted per look at most, so that a huge number is worked off in steps that can be changed.
const BURST: usize = 1000;

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "replicaset-controller",
    watches: &[
        Watch::Of(REPLICA_SETS, |_, change, add| add(Target::of(&REPLICA_SETS, change.object()))),
        Watch::Of(PODS, concerned),
    ],
    reads: &[(PODS, Some(ORPHANS))],
    decide: |view, target| {
        let state = observe(view.cache, target)?;
        Ok(state.map_or(vec![], |state| reconcile(&state, view.now)))
    },
    workers: 16,
    pace: Duration::from_millis(5),
};

/// A ReplicaSet and the pods that are its own or could be.
pub struct State {
    /// The ReplicaSet.
    pub set: Typed<ReplicaSet>,
    /// What it selects; nothing if its selector is wrong.
    pub selector: LabelSelector,
    /// Its pods, and those it selects that nobody controls.
    pub pods: Vec<Typed<Pod>>,
    /// How many active pods of it and its siblings each node has; only when there are pods to spare.
    pub crowd: BTreeMap<String, usize>,
}

/// Whom a changed pod concerns: its owners before and after, or those that could adopt it.
fn concerned(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    owner::controllers(change, &REPLICA_SETS, add);
    let Some(pod) = change.new.as_ref().filter(|pod| pod.controller_uid().is_none()) else {
        return;
    };
    for set in cache.snapshot(&REPLICA_SETS).in_namespace(pod.namespace()) {
        if selector_of(set).matches(pod.metadata().labels.as_ref()) {
            add(Target::of(&REPLICA_SETS, set));
        }
    }
}

fn selector_of(set: &Object) -> LabelSelector {
    let typed = set.typed::<ReplicaSet>().ok();
    let selector = typed.and_then(|set| LabelSelector::from_api(Some(&set.spec.as_ref()?.selector)).ok());
    selector.unwrap_or_else(LabelSelector::nothing)
}

/// Looks up the ReplicaSet and its pods.
pub fn observe(cache: &Cache, target: &Target) -> Result<Option<State>, DecodeError> {
    let Some(object) = cache.get(&REPLICA_SETS, &target.key) else {
        return Ok(None);
    };
    let selector = selector_of(&object);
    let set = Typed::<ReplicaSet>::new(object)?;
    let snapshot = cache.snapshot(&PODS);
    let pods: Vec<Typed<Pod>> =
        owner::candidates(&snapshot, set.object(), &selector).filter_map(Typed::one_of_many).collect();
    let crowd = if pods.len() > wanted(&set) { crowd(cache, &set) } else { BTreeMap::new() };
    Ok(Some(State { set, selector, pods, crowd }))
}

/// Counts the active pods per node of all ReplicaSets with the same owner.
fn crowd(cache: &Cache, set: &Typed<ReplicaSet>) -> BTreeMap<String, usize> {
    let sets = cache.snapshot(&REPLICA_SETS);
    let pods = cache.snapshot(&PODS);
    let uids: Vec<&str> = match set.object().controller_uid() {
        Some(owner) => sets.owned_by(owner).map(Object::uid).collect(),
        None => vec![set.object().uid()],
    };
    let mut crowd = BTreeMap::new();
    let owned = uids.iter().flat_map(|uid| pods.owned_by(uid));
    for pod in owned.filter_map(|pod| pod.typed::<Pod>().ok()) {
        if pod::is_active(pod) {
            *crowd.entry(pod::node_name(pod).to_owned()).or_default() += 1;
        }
    }
    crowd
}

fn wanted(set: &ReplicaSet) -> usize {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
    usize::try_from(replicas.unwrap_or(1)).unwrap_or(0)
}

/// Decides what to do about a ReplicaSet.
///
/// The status tells of the pods as they are before what is decided here, and comes first: it must be told even if
/// creating pods fails. What was done shows in the next look.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    let set = state.set.object();
    let mut actions = Vec::new();
    let mut active = Vec::new();
    for pod in state.pods.iter().filter(|pod| pod::is_active(pod)) {
        match owner::claim(set, &state.selector, pod.object()) {
            Claim::Owned => active.push(pod),
            Claim::Adopt => {
                actions.push(owner::adopt(&REPLICA_SETS, set, &PODS, pod.object()));
                active.push(pod);
            }
            Claim::Release => actions.push(owner::release(set.uid(), &PODS, pod.object())),
            Claim::None => {}
        }
    }
    actions.extend(status::change(&state.set, &active, now));
    if !set.is_terminating() && !state.selector.is_nothing() {
        actions.extend(scale(state, &active, now));
    }
    actions.extend(status::next_available(&state.set, &active, now).map(Action::WakeAt));
    actions
}

fn scale(state: &State, active: &[&Typed<Pod>], now: Timestamp) -> Vec<Action> {
    let wanted = wanted(&state.set);
    let report = || Some(Report::of(state.set.object(), "pod"));
    if active.len() < wanted {
        return vec![Action::Create(Create {
            resource: PODS,
            namespace: state.set.object().namespace().to_owned(),
            value: new_pod(&state.set),
            times: (wanted - active.len()).min(BURST),
            report: report(),
            refusal: Some(Refusal { owner: state.set.object().clone(), answer: status::refused }),
        })];
    }
    let surplus = (active.len() - wanted).min(BURST);
    most_dispensable(active, &state.crowd, now)
        .take(surplus)
        .map(|pod| Action::delete(&PODS, pod.object(), report()))
        .collect()
}

/// A pod of the template. Goes by the JSON, so that nothing is lost that the types do not know.
fn new_pod(set: &Typed<ReplicaSet>) -> Value {
    let template = &set.object().value()["spec"]["template"];
    let mut metadata = json!({
        "generateName": format!("{}-", set.object().name()),
        "ownerReferences": [owner::controller_reference(&REPLICA_SETS, set.object())],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}
