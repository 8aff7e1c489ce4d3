//! Looks up an object, its owners, and what is waited for below it.

use api::{Cache, Key, Object, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{Owner, Standing, State, waits, waits_in_foreground};
use crate::framework::Target;
use crate::kinds::{Kinds, UNSEEN};

/// Where an owner would be.
pub(super) fn place(resource: &Resource, namespace: &str, reference: &OwnerReference) -> Target {
    let namespace = if resource.namespaced { namespace } else { "" };
    Target::new(resource, Key::new(namespace, reference.name.as_str()))
}

/// What names the object as an owner.
pub(super) fn dependents(cache: &Cache, owner: &Object) -> Vec<(Resource, Object)> {
    let mut dependents = Vec::new();
    cache.each(|resource, snapshot| {
        let owned = snapshot.owned_by(owner.uid()).filter(|_| !UNSEEN.contains(resource));
        dependents.extend(owned.map(|object| (resource.clone(), object.clone())));
    });
    dependents
}

/// Looks up an object, its owners, and what is waited for below it.
pub fn observe(cache: &Cache, kinds: &Kinds, target: &Target) -> Option<State> {
    let object = cache.get(&target.resource, &target.key)?;
    let references = object.metadata().owner_references.iter().flatten();
    let owners = references.map(|reference| look_up(cache, kinds, object.namespace(), reference));
    let owners: Vec<Owner> = owners.collect();
    let is_waited_for = owners.iter().any(|owner| owner.standing == Standing::Waiting);
    let dependents = if waits(&object) || is_waited_for { dependents(cache, &object) } else { vec![] };
    let is_complete = cache.has_read_all();
    Some(State { owners, dependents, is_complete, resource: target.resource.clone(), object })
}

/// Looks up an owner that an object of a namespace names.
pub(super) fn look_up(cache: &Cache, kinds: &Kinds, namespace: &str, reference: &OwnerReference) -> Owner {
    let owner = |standing, is_elsewhere| Owner { reference: reference.clone(), standing, is_elsewhere };
    let resource = kinds.find(cache, &reference.api_version, &reference.kind);
    let is_elsewhere = |resource: &Resource| {
        let snapshot = resource.namespaced.then(|| cache.snapshot(resource));
        snapshot.is_some_and(|objects| objects.iter().any(|object| object.uid() == reference.uid))
    };
    match resource {
        // Which of its namesakes it means cannot be said.
        Some(resource) if resource.namespaced && namespace.is_empty() => {
            owner(Standing::Unknown, is_elsewhere(&resource))
        }
        _ if kinds.is_gone(&reference.uid, namespace) => owner(Standing::Absent(None), false),
        None => owner(Standing::Unknown, false),
        Some(resource) => {
            let target = place(&resource, namespace, reference);
            match cache.get(&resource, &target.key).filter(|object| object.uid() == reference.uid) {
                Some(object) if waits_in_foreground(&object) => owner(Standing::Waiting, false),
                Some(_) => owner(Standing::Present, false),
                None => owner(Standing::Absent(Some(target)), is_elsewhere(&resource)),
            }
        }
    }
}
