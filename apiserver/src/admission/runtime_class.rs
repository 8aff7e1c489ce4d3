//! Adds to pods what their RuntimeClass costs, and where it can run.

use api::{Key, Resource, Status};
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::{Value, json};

use super::Surroundings;
use crate::builtin::Builtin;
use crate::resources::amounts;
use crate::resources::runtime_class::RuntimeClasses;
use crate::store::{Collection, StoreKey};
use crate::tree;

/// Adds the overhead and the scheduling of the class to a new pod.
pub(super) fn admit(
    around: &Surroundings<'_>,
    resource: &Resource,
    key: &Key,
    pod: &mut Value,
) -> Result<(), Status> {
    let refuse = |words: &str| Status::forbidden(resource, &key.name, words);
    let spec = tree::object(pod, "spec");
    let class = match tree::text(spec, "runtimeClassName") {
        None => None,
        Some(name) => {
            let words = format!("pod rejected: RuntimeClass {name:?} not found");
            Some(find(around, name).ok_or_else(|| refuse(&words))?)
        }
    };
    let class = class.unwrap_or_default();
    set_overhead(&class, spec).map_err(refuse)?;
    set_scheduling(&class, spec).map_err(|words| refuse(&words))
}

fn find(around: &Surroundings<'_>, name: &str) -> Option<RuntimeClass> {
    let collection = Collection::from(&RuntimeClasses::RESOURCE);
    let object = around.store.get(&StoreKey { collection, key: Key::cluster(name) })?;
    object.typed::<RuntimeClass>().ok().cloned()
}

fn set_overhead(class: &RuntimeClass, spec: &mut Value) -> Result<(), &'static str> {
    let overhead = class.overhead.as_ref().and_then(|overhead| overhead.pod_fixed.as_ref());
    let overhead = overhead.map(|overhead| json!(overhead));
    let given = spec.get("overhead").filter(|given| given.as_object().is_some_and(|given| !given.is_empty()));
    match (given, overhead) {
        (None, Some(overhead)) => tree::set(spec, "overhead", Some(overhead)),
        (None, None) => {}
        (Some(_), None) => {
            return Err("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
        }
        (Some(given), Some(overhead)) if amounts::of_value(given) != amounts::of_value(&overhead) => {
            return Err("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
        }
        (Some(_), Some(_)) => {}
    }
    Ok(())
}

fn set_scheduling(class: &RuntimeClass, spec: &mut Value) -> Result<(), String> {
    let Some(scheduling) = &class.scheduling else { return Ok(()) };
    for (label, value) in scheduling.node_selector.iter().flatten() {
        let selector = tree::object(spec, "nodeSelector");
        match selector.get(label).and_then(Value::as_str) {
            Some(other) if other != value => {
                return Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{label}] = {value}; \
                     pod.spec.nodeSelector[{label}] = {other}"
                ));
            }
            _ => tree::set(selector, label, Some(value.as_str().into())),
        }
    }
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for toleration in scheduling.tolerations.iter().flatten().map(|toleration| json!(toleration)) {
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    if !tolerations.is_empty() {
        tree::set(spec, "tolerations", Some(tolerations.into()));
    }
    Ok(())
}
