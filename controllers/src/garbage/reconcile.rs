//! Decides what becomes of an object that lost its owners, or that others are to go before.

use std::time::Duration;

use api::backend::{DeleteOptions, Propagation};
use api::clock::add;
use api::event::Severity;
use api::{Object, Resource};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use super::{FOREGROUND, ORPHAN, Owner, Standing, State, has_finalizer, waits, waits_in_foreground};
use crate::framework::{Action, Target};

/// What waits for its dependents is looked at again so much later, as long as there may be some that are not known.
const UNTIL_READ: Duration = Duration::from_secs(1);

/// Decides what to do about an object.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    let told = invalid_namespace(state);
    told.into_iter().chain(next(state, now)).collect()
}

fn next(state: &State, now: Timestamp) -> Vec<Action> {
    if !state.object.is_terminating() {
        return lose_owners(state);
    }
    if waits(&state.object) && !state.is_complete {
        return vec![Action::WakeAt(add(now, UNTIL_READ))];
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

/// Tells of an owner that lives where it cannot own the object.
fn invalid_namespace(state: &State) -> Option<Action> {
    let owner = state.owners.iter().find(|owner| owner.is_elsewhere)?;
    let OwnerReference { api_version, kind, name, uid, .. } = &owner.reference;
    let namespace = state.object.namespace();
    let message = format!(
        "ownerRef [{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}] does not exist in namespace \
         {namespace:?}"
    );
    Some(Action::event(&state.object, Severity::Warning, "OwnerRefInvalidNamespace", message))
}

/// Whether the object's deletion waits for this one.
fn blocks(state: &State, dependent: &Object) -> bool {
    let mut owners = dependent.metadata().owner_references.iter().flatten();
    owners.any(|owner| owner.uid == state.object.uid() && owner.block_owner_deletion == Some(true))
}

fn lose_owners(state: &State) -> Vec<Action> {
    let is = |wanted: fn(&Standing) -> bool| state.owners.iter().any(|owner| wanted(&owner.standing));
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
        .filter_map(|owner| match &owner.standing {
            Standing::Absent(Some(target)) => {
                Some(Action::ExpectAbsent { target: target.clone(), uid: owner.reference.uid.clone() })
            }
            _ => None,
        })
        .collect();
    if stays {
        let kept = |reference: &OwnerReference| {
            let owner = state.owners.iter().find(|owner| owner.reference.uid == reference.uid);
            owner.is_some_and(|owner| matches!(owner.standing, Standing::Present | Standing::Unknown))
        };
        actions.push(keep_owners(&state.resource, &state.object, kept));
    } else if waited_for && is_in_a_circle(state) {
        actions.push(unblock(state));
    } else {
        actions.push(delete(state, waited_for));
    }
    actions
}

/// Whether what is waited for may itself wait for those above: they would wait for each other for ever.
fn is_in_a_circle(state: &State) -> bool {
    let blocks = |owner: &Owner| owner.reference.block_owner_deletion == Some(true);
    state.owners.iter().any(blocks) && state.dependents.iter().any(|(_, object)| waits_in_foreground(object))
}

/// Has no owner wait for the object any more.
fn unblock(state: &State) -> Action {
    let owners = state
        .owners
        .iter()
        .map(|owner| OwnerReference { block_owner_deletion: Some(false), ..owner.reference.clone() });
    let owners: Vec<OwnerReference> = owners.collect();
    let merge = json!({"metadata": {"ownerReferences": owners}});
    Action::patch_unchanged(&state.resource, &state.object, "", merge)
}

/// Deletes in the foreground what is itself waited for, so that the whole tree goes from its leaves up; else as the object
/// says itself. If it changed meanwhile, it may have found another owner, and is looked at again.
fn delete(state: &State, waited_for: bool) -> Action {
    let propagation = if waited_for && !state.dependents.is_empty() {
        Propagation::Foreground
    } else if has_finalizer(&state.object, ORPHAN) {
        Propagation::Orphan
    } else if has_finalizer(&state.object, FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    Action::Delete {
        target: Target::of(&state.resource, &state.object),
        options: DeleteOptions {
            uid: Some(state.object.uid().to_owned()),
            revision: Some(state.object.revision()),
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
    let owners = if owners.is_empty() { Value::Null } else { json!(owners) };
    Action::patch_unchanged(resource, object, "", json!({"metadata": {"ownerReferences": owners}}))
}

fn without_finalizer(state: &State, name: &str) -> Action {
    let finalizers = state.object.metadata().finalizers.iter().flatten();
    let finalizers: Vec<&String> = finalizers.filter(|finalizer| *finalizer != name).collect();
    let finalizers = if finalizers.is_empty() { Value::Null } else { json!(finalizers) };
    let merge = json!({"metadata": {"finalizers": finalizers}});
    Action::patch_unchanged(&state.resource, &state.object, "", merge)
}
