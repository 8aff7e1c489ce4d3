//! The specification of pods, alone or in a template: what is filled in, and what users commonly get wrong.
//!
//! Everything Kubernetes allows is allowed here; what this version cannot run is refused by the node, with an event.

mod affinity;
pub mod amounts;
mod containers;
mod defaults;
mod environment;
mod ephemeral;
mod probes;
mod resolution;
mod restart_rules;
pub mod scheduling;
mod security;
mod volumes;

use api::field::FieldError;
use k8s_openapi::api::core::v1::PodSpec;

pub use defaults::{set_pod_defaults, set_source_defaults, set_spec_defaults};
pub use ephemeral::check_ephemeral;

use crate::names::{Form, NOT_NEGATIVE};
use crate::path::Path;

/// The protocols of ports.
pub const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

const RESTART_POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
const PREEMPTION_POLICIES: [&str; 2] = ["Never", "PreemptLowerPriority"];
const SYSTEMS: [&str; 2] = ["linux", "windows"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];

/// Checks a pod's specification at `path`.
pub fn check_pod_spec(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let volumes = volumes::check(spec.volumes.as_deref(), &path.child("volumes"), errors);
    containers::check(spec, &volumes, path, errors);
    one_of(spec.restart_policy.as_deref(), &RESTART_POLICIES, path.child("restartPolicy"), errors);
    one_of(spec.dns_policy.as_deref(), &DNS_POLICIES, path.child("dnsPolicy"), errors);
    if let Some(seconds) = spec.termination_grace_period_seconds.filter(|seconds| *seconds < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errors.push(FieldError::invalid(path, seconds, NOT_NEGATIVE));
    }
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let path = path.child("activeDeadlineSeconds");
        errors.push(FieldError::invalid(path, seconds, "must be between 1 and 2147483647, inclusive"));
    }
    let names = [
        ("hostname", &spec.hostname, Form::Label),
        ("subdomain", &spec.subdomain, Form::Label),
        ("nodeName", &spec.node_name, Form::Subdomain),
        ("serviceAccountName", &spec.service_account_name, Form::Subdomain),
        ("runtimeClassName", &spec.runtime_class_name, Form::Subdomain),
        ("priorityClassName", &spec.priority_class_name, Form::Subdomain),
    ];
    for (field, name, form) in names {
        if let Some(name) = name.as_deref().filter(|name| !name.is_empty()) {
            check_name(name, form, path.child(field), errors);
        }
    }
    scheduling::check(spec, path, errors);
    affinity::check(spec, path, errors);
    security::check(spec, path, errors);
    resolution::check(spec, path, errors);
    one_of(spec.preemption_policy.as_deref(), &PREEMPTION_POLICIES, path.child("preemptionPolicy"), errors);
    if let Some(os) = &spec.os {
        let path = path.child("os");
        match os.name.as_str() {
            "" => errors.push(FieldError::required(path.child("name"), "cannot be empty")),
            name => one_of(Some(name), &SYSTEMS, path.child("name"), errors),
        }
    }
}

/// Checks the form of a name.
fn check_name(name: &str, form: Form, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let mistakes = form.mistakes(name).into_iter();
    errors.extend(mistakes.map(|words| FieldError::invalid(path, name, words)));
}

/// A name that must be given, in its form.
fn require_name(name: &str, form: Form, path: Path<'_>, errors: &mut Vec<FieldError>) {
    match name {
        "" => errors.push(FieldError::required(path, "")),
        name => check_name(name, form, path, errors),
    }
}

/// A text that must be given.
fn require(text: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if text.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
}

/// A text that is one of a few; absent ones were filled in or do not matter.
fn one_of(text: Option<&str>, allowed: &[&str], path: Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(text) = text.filter(|text| !allowed.contains(text)) {
        errors.push(FieldError::unsupported(path, text, allowed));
    }
}
