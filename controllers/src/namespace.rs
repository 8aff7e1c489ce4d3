//! Empties a namespace that is being deleted, and then lets it go.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use api::event::seconds;
use api::object::DecodeError;
use api::resource::NAMESPACES;
use api::{Cache, Object, Resource};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use serde_json::{Value, json};

use crate::framework::{Action, Controller, Target, Watch};
use crate::kinds::UNSEEN;
use crate::typed::Typed;

/// The finalizer of a namespace's spec that stands for its content.
const FINALIZER: &str = "kubernetes";

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "namespace-controller",
    watches: &[Watch::Every(|cache, _, resource, change, add| {
        if *resource == NAMESPACES {
            return add(Target::of(&NAMESPACES, change.object()));
        }
        let inside = api::Key::cluster(change.object().namespace());
        if is_seen(resource)
            && cache.get(&NAMESPACES, &inside).is_some_and(|namespace| namespace.is_terminating())
        {
            add(Target::new(&NAMESPACES, inside));
        }
    })],
    reads: &[(NAMESPACES, None)],
    decide: |view, target| {
        let state = observe(view.cache, target)?;
        Ok(state.map_or(vec![], |state| reconcile(&state, view.now)))
    },
    workers: 8,
    // The content goes piece by piece, and what remains is counted each time.
    pace: Duration::from_millis(50),
};

/// A namespace that is being deleted, with its content.
pub struct State {
    /// The namespace.
    pub namespace: Typed<Namespace>,
    /// All in it, but what is deleted unseen.
    pub content: Vec<(Resource, Object)>,
}

/// Looks up the namespace and, if it is being deleted, what is in it.
pub fn observe(cache: &Cache, target: &Target) -> Result<Option<State>, DecodeError> {
    let namespace = cache.get(&NAMESPACES, &target.key);
    let Some(object) = namespace.filter(Object::is_terminating) else {
        return Ok(None);
    };
    let mut content = Vec::new();
    cache.each(|resource, snapshot| {
        let objects = snapshot.in_namespace(object.name()).filter(|_| is_seen(resource));
        content.extend(objects.map(|object| (resource.clone(), object.clone())));
    });
    let namespace = Typed::new(object)?;
    Ok(Some(State { namespace, content }))
}

/// Whether a resource is content that is deleted piece by piece.
fn is_seen(resource: &Resource) -> bool {
    resource.namespaced && !UNSEEN.contains(resource)
}

/// Decides what to delete, and when the namespace may go.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    let finalizers = state.namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
    if !finalizers.is_some_and(|finalizers| finalizers.iter().any(|name| name == FINALIZER)) {
        return vec![];
    }
    if state.content.is_empty() {
        return finish(&state.namespace);
    }
    let remaining = state.content.iter().filter(|(_, object)| !object.is_terminating());
    let mut actions: Vec<Action> =
        remaining.map(|(resource, object)| Action::delete(resource, object, None)).collect();
    if actions.is_empty() {
        actions.extend(tell(state, now));
    }
    actions
}

/// Nothing is left that was seen: what is never seen goes, and then the finalizer.
fn finish(namespace: &Typed<Namespace>) -> Vec<Action> {
    let object = namespace.object();
    let unseen = UNSEEN.iter().map(|resource| Action::DeleteAll {
        resource: resource.clone(),
        namespace: object.name().to_owned(),
    });
    let mut value = object.value().clone();
    if let Some(finalizers) = value["spec"]["finalizers"].as_array_mut() {
        finalizers.retain(|name| name != FINALIZER);
    }
    let target = Target::of(&NAMESPACES, object);
    let replace = Action::Replace { target, subresource: "finalize", value };
    unseen.chain([replace]).collect()
}

/// Tells what the namespace waits for, if it does not say so yet.
fn tell(state: &State, now: Timestamp) -> Option<Action> {
    let old = state.namespace.status.as_ref().and_then(|status| status.conditions.as_deref());
    let old = old.unwrap_or_default();
    let new: Vec<Value> = conditions(state)
        .into_iter()
        .map(|(kind, status, reason, message)| {
            let same =
                |condition: &&NamespaceCondition| condition.type_ == kind && condition.status == status;
            let since = old.iter().find(same).and_then(|old| old.last_transition_time.as_ref());
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": seconds(since.map_or(now, |since| since.0))})
        })
        .collect();
    let said = &state.namespace.object().value()["status"]["conditions"];
    let merge = json!({"status": {"conditions": new}});
    (*said != merge["status"]["conditions"])
        .then(|| Action::patch(&NAMESPACES, state.namespace.object(), "status", merge))
}

/// Type, status, reason and message of each condition.
type Condition = (&'static str, &'static str, &'static str, String);

fn conditions(state: &State) -> Vec<Condition> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for (resource, object) in &state.content {
        *kinds.entry(resource.group_resource()).or_default() += 1;
        for finalizer in object.metadata().finalizers.iter().flatten() {
            *finalizers.entry(finalizer).or_default() += 1;
        }
    }
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{kind} has {count} resource instances")).collect();
    let remain = format!("Some resources are remaining: {}", kinds.join(", "));
    let held: Vec<String> =
        finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    let held_by = match held.is_empty() {
        true => ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned()),
        false => {
            let message =
                format!("Some content in the namespace has finalizers remaining: {}", held.join(", "));
            ("True", "SomeFinalizersRemain", message)
        }
    };
    let fine = |kind, reason, message: &str| (kind, "False", reason, message.to_owned());
    vec![
        fine(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", remain),
        ("NamespaceFinalizersRemaining", held_by.0, held_by.1, held_by.2),
    ]
}
