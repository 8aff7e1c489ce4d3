//! Rolls each Deployment's template out: one ReplicaSet per template, the newest growing while the others shrink.

mod conditions;
mod proportional;
mod revision;
mod rolling;
mod status;
mod template;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::cache::Change;
use api::event::Severity;
use api::object::DecodeError;
use api::resource::{DEPLOYMENTS, PODS, REPLICA_SETS};
use api::selector::LabelSelector;
use api::{Cache, Key, Object};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::framework::{Action, Controller, Create, Target, Watch};
use crate::owner::{self, Claim, ORPHANS};
use crate::pod;
use crate::typed::Typed;
use rolling::{Bounds, Counts};

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "deployment-controller",
    watches: &[
        Watch::Of(DEPLOYMENTS, |_, change, add| add(Target::of(&DEPLOYMENTS, change.object()))),
        Watch::Of(REPLICA_SETS, concerned),
        Watch::Of(PODS, concerned_by_pod),
    ],
    reads: &[(REPLICA_SETS, Some(ORPHANS))],
    decide: |view, target| {
        let state = observe(view.cache, target)?;
        Ok(state.map_or(vec![], |state| reconcile(&state, view.now)))
    },
    workers: 16,
    pace: Duration::from_millis(5),
};

/// A Deployment and the ReplicaSets that are its own or could be.
pub struct State {
    /// The Deployment.
    pub deployment: Typed<Deployment>,
    /// What it selects; nothing if its selector is wrong.
    pub selector: LabelSelector,
    /// Its ReplicaSets, and those it selects that nobody controls.
    pub sets: Vec<Typed<ReplicaSet>>,
    /// Whether the name its new ReplicaSet would get is taken.
    pub name_taken: bool,
    /// The uids of ReplicaSets that still have pods; only if it recreates.
    pub running: Vec<String>,
}

/// Whom a changed ReplicaSet concerns: its owners before and after, or those that could adopt it.
fn concerned(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    owner::controllers(change, &DEPLOYMENTS, add);
    let Some(set) = change.new.as_ref().filter(|set| set.controller_uid().is_none()) else {
        return;
    };
    for deployment in cache.snapshot(&DEPLOYMENTS).in_namespace(set.namespace()) {
        if selector_of(deployment).matches(set.metadata().labels.as_ref()) {
            add(Target::of(&DEPLOYMENTS, deployment));
        }
    }
}

/// One that recreates waits for the last old pod to go.
fn concerned_by_pod(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    let pod = change.object();
    let Some(set) = owner::controller_of(pod) else {
        return;
    };
    let set = cache.get(&REPLICA_SETS, &Key::new(pod.namespace(), set.name.as_str()));
    let Some(owner) = set.as_ref().and_then(owner::controller_of) else {
        return;
    };
    let key = Key::new(pod.namespace(), owner.name.as_str());
    let deployment = cache.get(&DEPLOYMENTS, &key);
    let deployment = deployment.as_ref().and_then(|object| object.typed::<Deployment>().ok());
    let ended = |object: &Object| object.typed::<Pod>().is_ok_and(pod::is_finished);
    if deployment.is_some_and(recreates) && change.new.as_ref().is_none_or(ended) {
        add(Target::new(&DEPLOYMENTS, key));
    }
}

fn recreates(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate"))
}

fn selector_of(deployment: &Object) -> LabelSelector {
    let typed = deployment.typed::<Deployment>().ok();
    let selector = typed.and_then(|typed| LabelSelector::from_api(Some(&typed.spec.as_ref()?.selector)).ok());
    // One that selects everything would take every ReplicaSet of the namespace.
    selector.filter(|selector| !selector.is_everything()).unwrap_or_else(LabelSelector::nothing)
}

/// Looks up the Deployment and its ReplicaSets.
pub fn observe(cache: &Cache, target: &Target) -> Result<Option<State>, DecodeError> {
    let Some(object) = cache.get(&DEPLOYMENTS, &target.key) else {
        return Ok(None);
    };
    let selector = selector_of(&object);
    let deployment = Typed::<Deployment>::new(object)?;
    let snapshot = cache.snapshot(&REPLICA_SETS);
    let sets: Vec<Typed<ReplicaSet>> =
        owner::candidates(&snapshot, deployment.object(), &selector).filter_map(Typed::one_of_many).collect();
    let new = sets.iter().any(|set| template::is_same(&deployment, set));
    let name = Key::new(&*target.key.namespace, template::set_name(&deployment));
    let name_taken = !new && snapshot.get(&name).is_some();
    let running = if recreates(&deployment) { running(cache, &sets) } else { vec![] };
    Ok(Some(State { deployment, selector, sets, name_taken, running }))
}

fn running(cache: &Cache, sets: &[Typed<ReplicaSet>]) -> Vec<String> {
    let pods = cache.snapshot(&PODS);
    let lives = |pod: &Object| pod.typed::<Pod>().is_ok_and(|pod| !pod::is_finished(pod));
    let uids = sets.iter().map(|set| set.object().uid());
    uids.filter(|uid| pods.owned_by(uid).any(lives)).map(str::to_owned).collect()
}

/// A Deployment's ReplicaSets, sorted out.
struct Rollout<'a> {
    deployment: &'a Typed<Deployment>,
    bounds: Bounds,
    /// The one with the Deployment's template.
    new: Option<&'a Typed<ReplicaSet>>,
    /// The others, oldest first.
    old: Vec<&'a Typed<ReplicaSet>>,
}

/// What happens to one ReplicaSet.
struct Resize<'a> {
    set: &'a Typed<ReplicaSet>,
    replicas: i32,
}

impl<'a> Rollout<'a> {
    fn new(deployment: &'a Typed<Deployment>, mut sets: Vec<&'a Typed<ReplicaSet>>) -> Self {
        sets.sort_by_key(|set| (created(set), set.object().name()));
        let new = sets.iter().position(|set| template::is_same(deployment, set));
        let new = new.map(|position| sets.remove(position));
        let bounds = Bounds::of(deployment);
        Self { deployment, bounds, new, old: sets }
    }

    fn all(&self) -> impl Iterator<Item = &'a Typed<ReplicaSet>> {
        self.old.iter().copied().chain(self.new)
    }

    fn is_paused(&self) -> bool {
        let spec = self.deployment.spec.as_ref();
        spec.and_then(|spec| spec.paused).unwrap_or(false)
    }

    /// Whether the number of replicas was changed since it was written to the ReplicaSets.
    fn is_rescaled(&self) -> bool {
        let live = self.all().filter(|set| counts(set).replicas > 0);
        let mut noted = live.filter_map(|set| revision::noted(set, revision::DESIRED));
        noted.any(|noted| noted != self.bounds.desired)
    }

    /// The ReplicaSets that get another size in this step.
    fn resizes(&self, running: &[String]) -> Vec<Resize<'a>> {
        if self.is_paused() || self.is_rescaled() {
            return proportional::resizes(self);
        }
        let old: Vec<Counts> = self.old.iter().map(|set| counts(set)).collect();
        let new = self.new.map(|set| counts(set));
        let step = if recreates(self.deployment) {
            let gone = !self.old.iter().any(|set| running.iter().any(|uid| uid == set.object().uid()));
            rolling::recreate(&self.bounds, new, &old, gone)
        } else {
            rolling::roll(&self.bounds, new, &old)
        };
        let new = step.new.and_then(|replicas| Some(Resize { set: self.new?, replicas }));
        let old =
            step.old.into_iter().map(|(position, replicas)| Resize { set: self.old[position], replicas });
        new.into_iter().chain(old).collect()
    }

    /// How large the new ReplicaSet is made; none if it is not its time.
    fn initial_size(&self, running: &[String]) -> Option<i32> {
        if self.new.is_some() || self.is_paused() || self.is_rescaled() {
            return None;
        }
        let old: Vec<Counts> = self.old.iter().map(|set| counts(set)).collect();
        if recreates(self.deployment) {
            let waits = self.old.iter().any(|set| running.iter().any(|uid| uid == set.object().uid()));
            let shrinks = old.iter().any(|counts| counts.replicas > 0);
            return (!waits && !shrinks).then_some(self.bounds.desired);
        }
        Some(rolling::grow(&self.bounds, 0, &old))
    }
}

fn created(set: &ReplicaSet) -> Timestamp {
    let created = set.metadata.creation_timestamp.as_ref();
    created.map_or(Timestamp::MIN, |time| time.0)
}

/// What a ReplicaSet is asked for and has. It may still count pods that it is to lose, so no more than it is asked for.
fn counts(set: &ReplicaSet) -> Counts {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let available = set.status.as_ref().and_then(|status| status.available_replicas);
    Counts { replicas, available: available.unwrap_or(0).min(replicas) }
}

/// Decides what to do about a Deployment.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    let object = state.deployment.object();
    let (mut actions, mut own) = (Vec::new(), Vec::new());
    for set in &state.sets {
        match owner::claim(object, &state.selector, set.object()) {
            Claim::Owned => own.push(set),
            Claim::Adopt => {
                actions.push(owner::adopt(&DEPLOYMENTS, object, &REPLICA_SETS, set.object()));
                own.push(set);
            }
            Claim::Release => actions.push(owner::release(object.uid(), &REPLICA_SETS, set.object())),
            Claim::None => {}
        }
    }
    // What was adopted or released is looked at again before its size is changed.
    let rollout = Rollout::new(&state.deployment, own);
    let settled = actions.is_empty() && !object.is_terminating() && !state.selector.is_nothing();
    let step = if settled { step(state, &rollout) } else { vec![] };
    let creates = step.iter().any(|action| matches!(action, Action::Create(_)));
    actions.extend(step);
    if settled && state.name_taken && rollout.initial_size(&state.running).is_some() {
        actions.push(status::count_collision(&state.deployment));
        return actions;
    }
    actions.extend(status::change(&rollout, creates, now));
    actions.extend(conditions::deadline(&rollout, now).map(Action::WakeAt));
    actions
}

/// One step of the rollout: what is created, resized, renumbered and cleaned up.
fn step(state: &State, rollout: &Rollout<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(replicas) = rollout.initial_size(&state.running) {
        if !state.name_taken {
            actions.extend(create(rollout, replicas));
        }
        return actions;
    }
    let resizes = rollout.resizes(&state.running);
    let (mut patches, mut events) = (Vec::new(), Vec::new());
    for set in rollout.all() {
        let resize = resizes.iter().find(|resize| resize.set.object().is_same(set.object()));
        let before = counts(set).replicas;
        let after = resize.map_or(before, |resize| resize.replicas);
        let is_new = rollout.new.is_some_and(|new| new.object().is_same(set.object()));
        if let Some(merge) = revision::refresh(rollout, set, is_new, resize.map(|resize| resize.replicas)) {
            patches.push(Action::patch(&REPLICA_SETS, set.object(), "", merge));
        }
        if before != after {
            events.push(scaled(rollout.deployment.object(), set.object().name(), before, after));
        }
    }
    let resized = !events.is_empty();
    actions.extend(patches);
    actions.extend(revision::renumber(rollout));
    actions.extend(events);
    if !resized && (rollout.is_paused() || status::is_complete(rollout)) {
        actions.extend(revision::clean_up(rollout));
    }
    actions
}

fn create(rollout: &Rollout<'_>, replicas: i32) -> Vec<Action> {
    let deployment = rollout.deployment.object();
    let value = new_set(rollout, replicas);
    let name = template::set_name(rollout.deployment);
    let create = Action::Create(Create::one(&REPLICA_SETS, deployment.namespace(), value));
    let mut actions = vec![create];
    if replicas > 0 {
        actions.push(scaled(deployment, &name, 0, replicas));
    }
    actions.extend(revision::renumber(rollout));
    actions
}

/// The ReplicaSet of the Deployment's template. Goes by the JSON, so that nothing is lost that the types do not know.
fn new_set(rollout: &Rollout<'_>, replicas: i32) -> Value {
    let object = rollout.deployment.object();
    let spec = &object.value()["spec"];
    let hash = template::hash(rollout.deployment);
    let (mut selector, mut template) = (spec["selector"].clone(), spec["template"].clone());
    selector["matchLabels"][template::HASH_LABEL] = hash.as_str().into();
    template["metadata"]["labels"][template::HASH_LABEL] = hash.as_str().into();
    json!({
        "apiVersion": REPLICA_SETS.api_version(),
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": template::set_name(rollout.deployment),
            "labels": template["metadata"]["labels"],
            "annotations": revision::of_new_set(rollout),
            "ownerReferences": [owner::controller_reference(&DEPLOYMENTS, object)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec["minReadySeconds"].as_i64().unwrap_or(0),
            "selector": selector,
            "template": template,
        },
    })
}

fn scaled(deployment: &Object, set: &str, before: i32, after: i32) -> Action {
    let direction = if after > before { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {set} from {before} to {after}");
    Action::event(deployment, Severity::Normal, "ScalingReplicaSet", message)
}
