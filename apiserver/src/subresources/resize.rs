//! Resizing a pod: the amounts of cpu and memory that its containers have, and nothing else.

use std::collections::BTreeMap;

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What can be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

type Amounts = BTreeMap<String, Quantity>;

/// Why a pod cannot be resized at all.
pub fn obstacle(new: &PodSpec, old: &PodSpec) -> Option<&'static str> {
    let has_own = |spec: &PodSpec| {
        let lists = spec.resources.iter().flat_map(|own| [&own.requests, &own.limits]).flatten();
        lists.into_iter().any(|amounts| !amounts.is_empty())
    };
    if has_own(old) || has_own(new) {
        return Some("pods with pod-level resources cannot be resized");
    }
    let is_windows = old.os.as_ref().is_some_and(|os| os.name == "windows");
    is_windows.then_some("windows pods cannot be resized")
}

/// What is wrong with the next state of a pod that is resized; `class` is the quality that its new amounts give it.
pub fn check(new: &PodSpec, class: &str, pod: &Pod, old: &PodSpec, old_class: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if class != old_class {
        let words = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid("spec", old_class, words));
    }
    if !can_resize(pod) {
        errors.push(FieldError::forbidden("spec", "Pod running on node without support for resize"));
    }
    let containers = ("containers", new.containers.as_slice(), old.containers.as_slice());
    let init = (
        "initContainers",
        new.init_containers.as_deref().unwrap_or_default(),
        old.init_containers.as_deref().unwrap_or_default(),
    );
    let before = errors.len();
    for (list, new, old) in [containers, init] {
        check_order(&format!("spec.{list}"), new, old, &mut errors);
    }
    // What follows takes them for the same containers.
    if errors.len() > before {
        return errors;
    }
    for (list, new, old) in [init, containers] {
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            let is_resized = list == "containers" || is_sidecar(old);
            if is_resized {
                check_removed(&format!("spec.{list}[{index}].resources"), new, old, &mut errors);
            }
        }
    }
    for (new, old) in containers.1.iter().zip(containers.2) {
        if differs_otherwise(new, old) {
            errors.push(fixed("only cpu and memory resources are mutable"));
        }
    }
    for (new, old) in init.1.iter().zip(init.2) {
        if is_sidecar(new) && differs_otherwise(new, old) {
            errors.push(fixed("only cpu and memory resources for sidecar containers are mutable"));
        } else if !is_sidecar(new) && new != old {
            errors.push(fixed("resources for non-sidecar init containers are immutable"));
        }
    }
    errors
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn fixed(words: &str) -> FieldError {
    FieldError::forbidden("spec", words)
}

/// Whether the node that runs the pod tells what its containers have, as those do that can change it.
fn can_resize(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let runs = |status: &&ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    statuses.into_iter().flatten().find(runs).is_none_or(|status| status.resources.is_some())
}

fn check_order(path: &str, new: &[Container], old: &[Container], errors: &mut Vec<FieldError>) {
    if new.len() != old.len() {
        errors.push(FieldError::forbidden(path, "containers may not be added or removed on resize"));
        return;
    }
    let renamed = new.iter().zip(old).enumerate().filter(|(_, (new, old))| new.name != old.name);
    for (index, _) in renamed {
        let words = "containers may not be renamed or reordered on resize";
        errors.push(FieldError::forbidden(format!("{path}[{index}].name"), words));
    }
}

/// An amount that was said stays said.
fn check_removed(path: &str, new: &Container, old: &Container, errors: &mut Vec<FieldError>) {
    let amounts = |container: &Container| {
        let own = container.resources.clone().unwrap_or_default();
        [("requests", own.requests.unwrap_or_default()), ("limits", own.limits.unwrap_or_default())]
    };
    for ((name, new), (_, old)) in amounts(new).iter().zip(amounts(old)) {
        if old.keys().any(|resource| !new.contains_key(resource)) {
            let words = format!("resource {name} cannot be removed");
            errors.push(FieldError::forbidden(format!("{path}.{name}"), words));
        }
    }
}

fn differs_otherwise(new: &Container, old: &Container) -> bool {
    as_before(new, old) != as_before(old, old)
}

/// A container with the amounts that can be resized as they were.
fn as_before(container: &Container, old: &Container) -> Container {
    let own = container.resources.clone().unwrap_or_default();
    let before = old.resources.clone().unwrap_or_default();
    let resources = ResourceRequirements {
        claims: own.claims.filter(|claims| !claims.is_empty()),
        limits: amounts_as_before(own.limits, before.limits),
        requests: amounts_as_before(own.requests, before.requests),
    };
    Container { resources: Some(resources), ..container.clone() }
}

fn amounts_as_before(given: Option<Amounts>, before: Option<Amounts>) -> Option<Amounts> {
    let (mut amounts, before) = (given.unwrap_or_default(), before.unwrap_or_default());
    amounts.retain(|name, _| !RESIZABLE.contains(&name.as_str()));
    amounts.extend(before.into_iter().filter(|(name, _)| RESIZABLE.contains(&name.as_str())));
    (!amounts.is_empty()).then_some(amounts)
}
