//! Deletes what has lost its owners, and sees to what goes first when an owner is deleted.
//!
//! - background (the default): the owner goes, then what it owned.
//! - foreground: the owner waits, with the finalizer `foregroundDeletion`, until those that block it are gone.
//! - orphan: the owner waits, with the finalizer `orphan`, until nothing names it as an owner any more.

mod observe;
mod reconcile;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::cache::Change;
use api::{Cache, Object, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::framework::{Controller, Target, Watch};
use crate::kinds::{Kinds, UNSEEN};
pub use observe::observe;
use observe::{dependents, look_up, place};
pub use reconcile::reconcile;

/// The finalizer of an owner that waits for what it owns.
const FOREGROUND: &str = "foregroundDeletion";

/// The finalizer of an owner that leaves what it owns behind.
const ORPHAN: &str = "orphan";

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "generic-garbage-collector",
    watches: &[Watch::Every(concerned)],
    reads: &[],
    decide: |view, target| {
        let state = observe(view.cache, view.kinds, target);
        Ok(state.map_or(vec![], |state| reconcile(&state, view.now)))
    },
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
    pub owners: Vec<Owner>,
    /// What it owns; only if something waits for that.
    pub dependents: Vec<(Resource, Object)>,
    /// Whether all kinds were read, so that there are no other dependents.
    pub is_complete: bool,
}

/// An owner as an object names it.
pub struct Owner {
    /// By these words.
    pub reference: OwnerReference,
    /// What became of it.
    pub standing: Standing,
    /// Whether it lives in a namespace where it cannot own the object.
    pub is_elsewhere: bool,
}

/// What became of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Present,
    /// It waits, in the foreground, for what it owns.
    Waiting,
    /// It is not there; and who is to be asked before that is acted on, unless it was seen to go.
    Absent(Option<Target>),
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

fn waits_in_foreground(object: &Object) -> bool {
    object.is_terminating() && has_finalizer(object, FOREGROUND)
}

fn owners(object: Option<&Object>) -> &[OwnerReference] {
    let owners = object.and_then(|object| object.metadata().owner_references.as_deref());
    owners.unwrap_or_default()
}

/// Whom a change concerns: an object with an owner that is not there, one that waits, those below one that goes, and those
/// above one that went.
fn concerned(
    cache: &Cache,
    kinds: &Kinds,
    resource: &Resource,
    change: &Change,
    add: &mut dyn FnMut(Target),
) {
    if UNSEEN.contains(resource) {
        return;
    }
    let (before, after) = (owners(change.old.as_ref()), owners(change.new.as_ref()));
    let object = change.object();
    let is_fine = |reference: &OwnerReference| {
        let owner = look_up(cache, kinds, object.namespace(), reference);
        matches!(owner.standing, Standing::Present | Standing::Unknown) && !owner.is_elsewhere
    };
    if before != after && !after.iter().all(is_fine) || change.new.as_ref().is_some_and(waits) {
        add(Target::of(resource, object));
    }
    let went = change.new.is_none();
    let now_waits = |object: &Object| waits(object) && !change.old.as_ref().is_some_and(waits);
    if went || change.new.as_ref().is_some_and(now_waits) {
        let dependents = dependents(cache, object);
        if went && !dependents.is_empty() {
            kinds.note_gone(object.uid(), object.namespace());
        }
        for (resource, object) in dependents {
            add(Target::of(&resource, &object));
        }
    }
    if before != after {
        for reference in before {
            let owner = kinds.find(cache, &reference.api_version, &reference.kind);
            if let Some(resource) = owner
                && let target = place(&resource, object.namespace(), reference)
                && cache.get(&resource, &target.key).as_ref().is_some_and(waits)
            {
                add(target);
            }
        }
    }
}
