//! Pods: what runs. Once made, little of a pod's specification can change.

mod columns;
pub(crate) mod quality;

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::PODS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Toleration};
use serde_json::{Value, json};

use super::pod_spec::{check_pod_spec, set_pod_defaults};
use crate::builtin::{Builtin, Column, Definition};
use crate::path::Path;
use crate::tree;

const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// The kind Pod.
pub struct Pods;

impl Builtin for Pods {
    type Typed = Pod;

    const RESOURCE: Resource = PODS;

    const DEFINITION: Definition = Definition {
        short_names: &["po"],
        categories: &["all"],
        subresources: &["status", "binding", "ephemeralcontainers", "eviction", "resize"],
        generation: &["spec"],
        fields: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "spec.host",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ..Definition::new("pod")
    };

    fn set_defaults(pod: &mut Value) {
        set_pod_defaults(tree::object(pod, "spec"));
    }

    fn prepare_create(pod: &mut Value) {
        let class = quality::class(&pod["spec"]);
        tree::set(pod, "status", Some(json!({"phase": "Pending", "qosClass": class})));
    }

    fn check(pod: &Pod, errors: &mut Vec<FieldError>) {
        match &pod.spec {
            Some(spec) => check_pod_spec(spec, &Path::new("spec"), errors),
            None => errors.push(FieldError::required("spec.containers", "")),
        }
    }

    fn check_create(pod: &Pod, errors: &mut Vec<FieldError>) {
        let given = pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_ref());
        if given.is_some_and(|containers| !containers.is_empty()) {
            errors.push(FieldError::forbidden("spec.ephemeralContainers", "cannot be set on create"));
        }
    }

    fn check_update(new: &Pod, old: &Pod, errors: &mut Vec<FieldError>) {
        let (Some(new), Some(old)) = (&new.spec, &old.spec) else {
            return;
        };
        check_counts_stay(new, old, errors);
        check_deadline(new, old, errors);
        check_tolerations(new, old, errors);
        check_gates(new, old, errors);
        if allowed_to_differ(new, old) != *old {
            errors.push(FieldError::forbidden("spec", FIXED));
        }
    }

    fn field<'a>(pod: &'a Pod, field: &str) -> Option<Cow<'a, str>> {
        let spec = pod.spec.as_ref()?;
        let status = pod.status.as_ref();
        let text = match field {
            "spec.nodeName" | "spec.host" => &spec.node_name,
            "spec.restartPolicy" => &spec.restart_policy,
            "spec.schedulerName" => &spec.scheduler_name,
            "spec.serviceAccountName" => &spec.service_account_name,
            "spec.hostNetwork" => {
                return Some(if spec.host_network == Some(true) { "true".into() } else { "false".into() });
            }
            "status.phase" => &status?.phase,
            "status.podIP" => &status?.pod_ip,
            "status.podIPs" => {
                let ips = status?.pod_ips.iter().flatten().map(|ip| ip.ip.as_str());
                return Some(ips.collect::<Vec<_>>().join(",").into());
            }
            "status.nominatedNodeName" => &status?.nominated_node_name,
            _ => return None,
        };
        text.as_deref().map(Cow::from)
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(pod: &Pod, now: Timestamp) -> Vec<Value> {
        columns::row(pod, now)
    }
}

fn check_counts_stay(new: &PodSpec, old: &PodSpec, errors: &mut Vec<FieldError>) {
    if new.containers.len() != old.containers.len() {
        errors.push(FieldError::forbidden("spec.containers", "pod updates may not add or remove containers"));
    }
    let count = |spec: &PodSpec| spec.init_containers.as_ref().map_or(0, Vec::len);
    if count(new) != count(old) {
        let words = "pod updates may not add or remove containers";
        errors.push(FieldError::forbidden("spec.initContainers", words));
    }
}

/// A deadline may come, and come closer.
fn check_deadline(new: &PodSpec, old: &PodSpec, errors: &mut Vec<FieldError>) {
    let path = "spec.activeDeadlineSeconds";
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), Some(old)) if new > old => {
            let words = "must be less than or equal to previous value";
            errors.push(FieldError::invalid(path, new, words));
        }
        (None, Some(_)) => {
            let words = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(path, Value::Null, words));
        }
        _ => {}
    }
}

/// A pod may tolerate more; of what it tolerates only the time may change.
fn check_tolerations(new: &PodSpec, old: &PodSpec, errors: &mut Vec<FieldError>) {
    let timeless = |toleration: &Toleration| Toleration { toleration_seconds: None, ..toleration.clone() };
    let new: Vec<Toleration> = new.tolerations.iter().flatten().map(timeless).collect();
    let kept = old.tolerations.iter().flatten().all(|old| new.contains(&timeless(old)));
    if !kept {
        let words = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden("spec.tolerations", words));
    }
}

/// A pod that waits at gates may only lose them.
fn check_gates(new: &PodSpec, old: &PodSpec, errors: &mut Vec<FieldError>) {
    let known = old.scheduling_gates.as_deref().unwrap_or_default();
    for gate in new.scheduling_gates.iter().flatten().filter(|gate| !known.contains(gate)) {
        let words = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
        errors.push(FieldError::forbidden("spec.schedulingGates", words));
    }
}

/// The new specification with the old values of everything that may differ.
fn allowed_to_differ(new: &PodSpec, old: &PodSpec) -> PodSpec {
    let with_images = |new: &[Container], old: &[Container]| {
        let images = old.iter().map(|container| container.image.clone());
        let containers = new.iter().zip(images);
        containers.map(|(container, image)| Container { image, ..container.clone() }).collect::<Vec<_>>()
    };
    let mut spec = new.clone();
    spec.containers = with_images(&new.containers, &old.containers);
    spec.init_containers = match (&new.init_containers, &old.init_containers) {
        (Some(new), Some(old)) => Some(with_images(new, old)),
        (new, _) => new.clone(),
    };
    spec.active_deadline_seconds = old.active_deadline_seconds;
    spec.tolerations.clone_from(&old.tolerations);
    spec.scheduling_gates.clone_from(&old.scheduling_gates);
    if old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && new.termination_grace_period_seconds == Some(1)
    {
        spec.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    spec
}

/// How long a pod may take to end: what was asked for, else what it says itself; nothing if it does not run.
pub fn grace_seconds(pod: &Value, asked: Option<u64>) -> u64 {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if ended || tree::text(&pod["spec"], "nodeName").is_none() {
        return 0;
    }
    let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    asked.unwrap_or_else(|| if own < 0 { 1 } else { own.unsigned_abs() })
}
