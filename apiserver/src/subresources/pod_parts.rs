//! The parts of a pod's specification that change though the rest is fixed: containers for debugging, and resources.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};
use serde::Deserialize;
use serde_json::Value;

use crate::path::Path;
use crate::resources::pod::quality;
use crate::resources::pod_spec::{check_ephemeral, check_pod_spec};
use crate::tree;

/// Pods that a node made by itself have this annotation.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What can be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Whether this subresource is one of these parts.
pub fn is_one(part: &str) -> bool {
    matches!(part, "ephemeralcontainers" | "resize")
}

/// The pod with the part changed that may be changed here.
pub fn project(part: &str, given: &Value, old: &Value) -> Value {
    let mut new = old.clone();
    let spec = tree::object(&mut new, "spec");
    match part {
        "ephemeralcontainers" => {
            tree::set(spec, "ephemeralContainers", given["spec"].get("ephemeralContainers").cloned());
        }
        _ => {
            for list in ["containers", "initContainers"] {
                resize(spec, list, &given["spec"][list]);
            }
        }
    }
    new
}

/// Takes over the resources of a list of containers; another list than before is left for the check to refuse.
fn resize(spec: &mut Value, list: &str, given: &Value) {
    let names = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|container| container["name"].clone()).collect()
    };
    if names(&spec[list]) != names(given) {
        tree::set(spec, list, Some(given.clone()).filter(|given| !given.is_null()));
        return;
    }
    let given = given.as_array().into_iter().flatten();
    for (container, given) in spec[list].as_array_mut().into_iter().flatten().zip(given) {
        for field in ["resources", "resizePolicy"] {
            tree::set(container, field, given.get(field).cloned());
        }
    }
}

/// What is wrong with the next state of a pod of which such a part changed.
pub fn check(part: &str, new: &Value, old: &Value) -> Result<Vec<FieldError>, serde_json::Error> {
    let (typed, before) = (Pod::deserialize(new)?, Pod::deserialize(old)?);
    let (Some(spec), Some(was)) = (&typed.spec, &before.spec) else {
        return Ok(vec![FieldError::required("spec.containers", "")]);
    };
    let is_mirror = before.metadata.annotations.as_ref().is_some_and(|known| known.contains_key(MIRROR));
    let mut errors = Vec::new();
    check_pod_spec(spec, &Path::new("spec"), &mut errors);
    match part {
        "ephemeralcontainers" if is_mirror => {
            return Ok(vec![FieldError::forbidden("", "static pods do not support ephemeral containers")]);
        }
        "ephemeralcontainers" => {
            check_ephemeral(spec, &Path::new("spec"), &mut errors);
            check_additions(spec, was, &mut errors);
        }
        _ if is_mirror => {
            return Ok(vec![FieldError::forbidden("", "static pods cannot be resized")]);
        }
        _ => check_resize(new, old, &before, spec, was, &mut errors),
    }
    Ok(errors)
}

/// Containers for debugging come and stay.
fn check_additions(new: &PodSpec, old: &PodSpec, errors: &mut Vec<FieldError>) {
    let find = |name: &str| {
        let mut known = new.ephemeral_containers.iter().flatten();
        known.find(|container: &&EphemeralContainer| container.name == name)
    };
    for before in old.ephemeral_containers.iter().flatten() {
        let words = match find(&before.name) {
            None => format!("existing ephemeral containers {:?} may not be removed\n", before.name),
            Some(now) if now != before => {
                format!("existing ephemeral containers {:?} may not be changed\n", before.name)
            }
            Some(_) => continue,
        };
        errors.push(FieldError::forbidden("spec.ephemeralContainers", words));
    }
}

fn check_resize(
    new: &Value,
    old: &Value,
    before: &Pod,
    spec: &PodSpec,
    was: &PodSpec,
    errors: &mut Vec<FieldError>,
) {
    if quality::class(&new["spec"]) != quality::class(&old["spec"]) {
        let words = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid("spec", quality::class(&old["spec"]), words));
    }
    if !can_resize(before) {
        errors.push(FieldError::forbidden("spec", "Pod running on node without support for resize"));
    }
    let init = |spec: &PodSpec| spec.init_containers.clone().unwrap_or_default();
    check_list("spec.containers", &spec.containers, &was.containers, errors);
    check_list("spec.initContainers", &init(spec), &init(was), errors);
}

/// Whether the node that runs the pod tells what its containers have, as those do that can change it.
fn can_resize(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let runs = |status: &&k8s_openapi::api::core::v1::ContainerStatus| {
        status.state.as_ref().is_some_and(|state| state.running.is_some())
    };
    statuses.into_iter().flatten().find(runs).is_none_or(|status| status.resources.is_some())
}

fn check_list(path: &str, new: &[Container], old: &[Container], errors: &mut Vec<FieldError>) {
    if new.len() != old.len() {
        errors.push(FieldError::forbidden(path, "containers may not be added or removed on resize"));
        return;
    }
    for (index, (new, old)) in new.iter().zip(old).enumerate() {
        let path = format!("{path}[{index}]");
        if new.name != old.name {
            let words = "containers may not be renamed or reordered on resize";
            errors.push(FieldError::forbidden(path, words));
            continue;
        }
        let (new, old) =
            (new.resources.clone().unwrap_or_default(), old.resources.clone().unwrap_or_default());
        let lists = [("limits", &new.limits, &old.limits), ("requests", &new.requests, &old.requests)];
        for (field, new, old) in lists {
            let path = format!("{path}.resources.{field}");
            let empty = Default::default();
            let (new, old) = (new.as_ref().unwrap_or(&empty), old.as_ref().unwrap_or(&empty));
            if old.keys().any(|name| RESIZABLE.contains(&name.as_str()) && !new.contains_key(name)) {
                errors.push(FieldError::forbidden(path, format!("resource {field} cannot be removed")));
            }
            let others = |list: &std::collections::BTreeMap<String, _>| -> Vec<(String, _)> {
                let kept = list.iter().filter(|(name, _)| !RESIZABLE.contains(&name.as_str()));
                kept.map(
                    |(name, amount): (&String, &k8s_openapi::apimachinery::pkg::api::resource::Quantity)| {
                        (name.clone(), amount.clone())
                    },
                )
                .collect()
            };
            if others(new) != others(old) {
                errors.push(FieldError::forbidden("spec", "only cpu and memory resources are mutable"));
            }
        }
    }
}
