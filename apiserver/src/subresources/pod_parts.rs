//! The parts of a pod's specification that change though the rest is fixed: containers for debugging, and resources.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod, PodSpec};
use serde::Deserialize;
use serde_json::Value;

use super::resize;
use crate::path::Path;
use crate::resources::pod::quality;
use crate::resources::pod_spec::{check_ephemeral, check_pod_spec};
use crate::tree;

/// Pods that a node made by itself have this annotation.
const MIRROR: &str = "kubernetes.io/config.mirror";

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
                take_resources(spec, list, &given["spec"][list]);
            }
        }
    }
    new
}

/// Takes over the resources of a list of containers; another list than before is left for the check to refuse.
fn take_resources(spec: &mut Value, list: &str, given: &Value) {
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
        _ => {
            let of_mirrors = is_mirror.then_some("static pods cannot be resized");
            if let Some(words) = resize::obstacle(spec, was).or(of_mirrors) {
                return Ok(vec![FieldError::forbidden("", words)]);
            }
            let class = quality::class(&new["spec"]);
            let was_class = tree::text(&old["status"], "qosClass");
            let was_class = was_class.unwrap_or_else(|| quality::class(&old["spec"]));
            errors.extend(resize::check(spec, class, &before, was, was_class));
        }
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
