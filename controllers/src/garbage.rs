//! Deletes what has lost its owners, and sees to what goes first when an owner is deleted.
//!
//! - background (the default): the owner goes, then what it owned.
//! - foreground: the owner waits, with the finalizer `foregroundDeletion`, until those that block it are gone.
//! - orphan: the owner waits, with the finalizer `orphan`, until nothing names it as an owner any more.

#[cfg(test)]
mod tests;

use std::time::Duration;

use api::backend::{DeleteOptions, Propagation};
use api::cache::Change;
use api::{Cache, Key, Object, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use crate::framework::{Action, Controller, Target, Watch};
use crate::owner;

/// The finalizer of an owner that waits for what it owns.
const FOREGROUND: &str = "foregroundDeletion";

/// The finalizer of an owner that leaves what it owns behind.
const ORPHAN: &str = "orphan";

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "generic-garbage-collector",
    watches: &[Watch::Every(concerned)],
    reads: &[],
    decide: |view, target| Ok(observe(view.cache, target).map_or(vec![], |state| reconcile(&state))),
    // Each works on one dependent: together they make the groups that the store commits.
    workers: 128,
    pace: Duration::ZERO,
};

/// An object with those above and below it.
pub struct State {
    /// The object.
    pub object: Object,
    /// Its resource.
    pub resource: Resource,
    /// Its owners, and what became of them.
    pub owners: Vec<(OwnerReference, Standing)>,
    /// What it owns; only if it is being deleted and waits for that.
    pub dependents: Vec<(Resource, Object)>,
}

/// What became of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Present,
    /// It waits, in the foreground, for what it owns.
    Waiting,
    /// It is not there.
    Absent(Target),
    /// It cannot be looked up, so it counts as there.
    Unknown,
}

fn has_finalizer(object: &Object, name: &str) -> bool {
    let finalizers = object.metadata().finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|finalizer| finalizer == name)
}

fn waits(object: &Object) -> bool {
    object.is_terminating() && (has_finalizer(object, FOREGROUND) || has_finalizer(object, ORPHAN))
}

fn owners(object: Option<&Object>) -> &[OwnerReference] {
    let owners = object.and_then(|object| object.metadata().owner_references.as_deref());
    owners.unwrap_or_default()
}

/// Whom a change concerns: an object with an owner that is not there, one that waits, those below one that goes, and those
/// above one that went.
fn concerned(cache: &Cache, resource: &Resource, change: &Change, add: &mut dyn FnMut(Target)) {
    let (before, after) = (owners(change.old.as_ref()), owners(change.new.as_ref()));
    let namespace = change.object().namespace();
    let fine = |owner: &OwnerReference| {
        matches!(standing(cache, namespace, owner), Standing::Present | Standing::Unknown)
    };
    if before != after && !after.iter().all(fine) || change.new.as_ref().is_some_and(waits) {
        add(Target::of(resource, change.object()));
    }
    let went = change.new.is_none();
    let now_waits = |object: &Object| waits(object) && !change.old.as_ref().is_some_and(waits);
    if went || change.new.as_ref().is_some_and(now_waits) {
        for (resource, object) in dependents(cache, change.object()) {
            add(Target::of(&resource, &object));
        }
    }
    if before != after {
        for owner in before {
            if let Some(target) = target_of(cache, namespace, owner)
                && cache.get(&target.resource, &target.key).as_ref().is_some_and(waits)
            {
                add(target);
            }
        }
    }
}

/// The place an owner reference names; none if the cache does not hold such objects.
fn target_of(cache: &Cache, namespace: &str, owner: &OwnerReference) -> Option<Target> {
    let named = |resource: &&Resource| owner::is_of(resource, &owner.api_version, &owner.kind);
    let resource = cache.resources().find(named)?;
    let namespace = if resource.namespaced { namespace } else { "" };
    Some(Target::new(resource, Key::new(namespace, owner.name.as_str())))
}

fn dependents(cache: &Cache, owner: &Object) -> Vec<(Resource, Object)> {
    let mut dependents = Vec::new();
    for resource in cache.resources() {
        let snapshot = cache.snapshot(resource);
        let owned = snapshot.owned_by(owner.uid());
        dependents.extend(owned.map(|object| (resource.clone(), object.clone())));
    }
    dependents
}

/// Looks up an object, its owners, and what it waits for.
pub fn observe(cache: &Cache, target: &Target) -> Option<State> {
    let object = cache.get(&target.resource, &target.key)?;
    let references = object.metadata().owner_references.iter().flatten();
    let owners = references.map(|owner| (owner.clone(), standing(cache, object.namespace(), owner)));
    Some(State {
        owners: owners.collect(),
        dependents: if waits(&object) { dependents(cache, &object) } else { vec![] },
        resource: target.resource.clone(),
        object,
    })
}

fn standing(cache: &Cache, namespace: &str, owner: &OwnerReference) -> Standing {
    let Some(target) = target_of(cache, namespace, owner) else {
        return Standing::Unknown;
    };
    match cache.get(&target.resource, &target.key) {
        Some(object) if object.uid() != owner.uid => Standing::Absent(target),
        Some(object) if object.is_terminating() && has_finalizer(&object, FOREGROUND) => Standing::Waiting,
        Some(_) => Standing::Present,
        None => Standing::Absent(target),
    }
}

/// Decides what to do about an object.
pub fn reconcile(state: &State) -> Vec<Action> {
    if !state.object.is_terminating() {
        return lose_owners(state);
    }
    if has_finalizer(&state.object, ORPHAN) {
        return orphan(state);
    }
    if has_finalizer(&state.object, FOREGROUND)
        && !state.dependents.iter().any(|(_, object)| blocks(state, object))
    {
        return vec![without_finalizer(state, FOREGROUND)];
    }
    vec![]
}

/// Whether the object's deletion waits for this one.
fn blocks(state: &State, dependent: &Object) -> bool {
    let mut owners = dependent.metadata().owner_references.iter().flatten();
    owners.any(|owner| owner.uid == state.object.uid() && owner.block_owner_deletion == Some(true))
}

fn lose_owners(state: &State) -> Vec<Action> {
    let is = |wanted: fn(&Standing) -> bool| state.owners.iter().any(|(_, standing)| wanted(standing));
    let stays = is(|standing| matches!(standing, Standing::Present | Standing::Unknown));
    let lost = is(|standing| matches!(standing, Standing::Absent(_)));
    let waited_for = is(|standing| matches!(standing, Standing::Waiting));
    if !lost && !waited_for {
        return vec![];
    }
    // The cache may show an object before its owner: what is thought absent is asked for.
    let mut actions: Vec<Action> = state
        .owners
        .iter()
        .filter_map(|(owner, standing)| match standing {
            Standing::Absent(target) => {
                Some(Action::ExpectAbsent { target: target.clone(), uid: owner.uid.clone() })
            }
            _ => None,
        })
        .collect();
    if stays {
        let kept = |owner: &OwnerReference| {
            let standing = state.owners.iter().find(|(other, _)| other.uid == owner.uid);
            standing.is_some_and(|(_, standing)| matches!(standing, Standing::Present | Standing::Unknown))
        };
        actions.push(keep_owners(&state.resource, &state.object, kept));
    } else {
        actions.push(delete(state, waited_for));
    }
    actions
}

/// Deletes in the foreground what is itself waited for, so that the whole tree goes from its leaves up.
fn delete(state: &State, waited_for: bool) -> Action {
    let propagation = if has_finalizer(&state.object, ORPHAN) {
        Propagation::Orphan
    } else if waited_for || has_finalizer(&state.object, FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    Action::Delete {
        target: Target::of(&state.resource, &state.object),
        options: DeleteOptions {
            uid: Some(state.object.uid().to_owned()),
            propagation: Some(propagation),
            ..DeleteOptions::default()
        },
        report: None,
    }
}

fn orphan(state: &State) -> Vec<Action> {
    if state.dependents.is_empty() {
        return vec![without_finalizer(state, ORPHAN)];
    }
    let left = state.dependents.iter();
    left.map(|(resource, object)| keep_owners(resource, object, |owner| owner.uid != state.object.uid()))
        .collect()
}

fn keep_owners(resource: &Resource, object: &Object, kept: impl Fn(&OwnerReference) -> bool) -> Action {
    let owners = object.metadata().owner_references.iter().flatten();
    let owners: Vec<&OwnerReference> = owners.filter(|owner| kept(owner)).collect();
    Action::patch_unchanged(resource, object, "", json!({"metadata": {"ownerReferences": owners}}))
}

fn without_finalizer(state: &State, name: &str) -> Action {
    let finalizers = state.object.metadata().finalizers.iter().flatten();
    let finalizers: Vec<&String> = finalizers.filter(|finalizer| *finalizer != name).collect();
    let merge = json!({"metadata": {"finalizers": finalizers}});
    Action::patch_unchanged(&state.resource, &state.object, "", merge)
}
