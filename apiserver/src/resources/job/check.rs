//! What users get wrong in jobs.

use std::collections::{BTreeMap, BTreeSet};

use api::field::FieldError;
use api::selector::LabelSelector;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use super::{NAME_LABELS, UID_LABELS};
use crate::names::{Form, NOT_NEGATIVE};
use crate::path::Path;
use crate::resources::template;

const MODES: [&str; 2] = ["Indexed", "NonIndexed"];
const REPLACEMENTS: [&str; 2] = ["Failed", "TerminatingOrFailed"];

/// Every index of a job is kept track of, so there cannot be too many at a time.
const MOST_PARALLEL_INDEXES: i32 = 100_000;

const LONGEST_MANAGER: usize = 63;

/// Checks one state of a job.
pub(super) fn check(job: &Job, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let Some(spec) = &job.spec else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    check_spec(spec, &path, errors);
    let Some(selector) = &spec.selector else {
        errors.push(FieldError::required(path.child("selector"), ""));
        return;
    };
    let check = template::Check { selector, template: Some(&spec.template) };
    if let Some(pods) = check.check_pods("Job", &path, errors) {
        check_ending(pods, &path, errors);
    }
}

/// Checks the jobs to be made from a template, whose selectors are made with them.
pub fn check_template(spec: &JobSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_spec(spec, path, errors);
    if let Some(pods) = template::check_template(&spec.template, &path.child("template"), errors) {
        check_ending(pods, path, errors);
    }
    if let Some(selector) = &spec.selector {
        let selector = serde_json::to_value(selector).unwrap_or_default();
        let words = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(path.child("selector"), selector, words));
    }
    if spec.manual_selector == Some(true) {
        errors.push(FieldError::unsupported(path.child("manualSelector"), true, &["nil", "false"]));
    }
}

fn check_spec(spec: &JobSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let counts = [
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
    ];
    template::check_counts(path, &counts, errors);
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| *seconds < 0) {
        errors.push(FieldError::invalid(path.child("activeDeadlineSeconds"), seconds, NOT_NEGATIVE));
    }
    if let Some(mode) = spec.completion_mode.as_deref() {
        check_mode(mode, spec, path, errors);
    }
    refuse_what_is_not_done(spec, path, errors);
    if let Some(manager) = &spec.managed_by {
        check_manager(manager, path.child("managedBy"), errors);
    }
    if let Some(policy) =
        spec.pod_replacement_policy.as_deref().filter(|policy| !REPLACEMENTS.contains(policy))
    {
        errors.push(FieldError::unsupported(path.child("podReplacementPolicy"), policy, &REPLACEMENTS));
    }
}

fn check_mode(mode: &str, spec: &JobSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match mode {
        "NonIndexed" => {}
        "Indexed" => {
            if spec.completions.is_none() {
                let words = "when completion mode is Indexed";
                errors.push(FieldError::required(path.child("completions"), words));
            }
            if let Some(count) = spec.parallelism.filter(|count| *count > MOST_PARALLEL_INDEXES) {
                let words = format!(
                    "must be less than or equal to {MOST_PARALLEL_INDEXES} when completion mode is Indexed"
                );
                errors.push(FieldError::invalid(path.child("parallelism"), count, words));
            }
        }
        other => errors.push(FieldError::unsupported(path.child("completionMode"), other, &MODES)),
    }
}

/// A promise that would not be kept is refused: a job that looks accepted must do what it says.
fn refuse_what_is_not_done(spec: &JobSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let fields = [
        ("podFailurePolicy", spec.pod_failure_policy.is_some()),
        ("successPolicy", spec.success_policy.is_some()),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.is_some()),
        ("maxFailedIndexes", spec.max_failed_indexes.is_some()),
    ];
    for (field, _) in fields.iter().filter(|(_, given)| *given) {
        errors.push(FieldError::forbidden(path.child(field), "is not supported yet"));
    }
}

/// A controller's name is a domain and a path, such as `kubernetes.io/job-controller`.
fn check_manager(manager: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let named = manager.split_once('/');
    if named.is_none_or(|(domain, name)| domain.is_empty() || name.is_empty()) {
        let words = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(path, manager, words));
    } else if let Some((domain, _)) = named {
        let mistakes = Form::Subdomain.mistakes(domain).into_iter();
        errors.extend(mistakes.map(|words| FieldError::invalid(path, manager, words)));
    }
    if manager.len() > LONGEST_MANAGER {
        errors.push(FieldError::too_long(path, LONGEST_MANAGER));
    }
}

/// Pods of jobs end: one that always restarts would not.
fn check_ending(pods: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    // Policies no pod can have are reported there.
    if pods.restart_policy.as_deref().is_none_or(|policy| matches!(policy, "" | "Always")) {
        let path = path.child("template");
        let path = path.child("spec");
        let words = r#"valid values: "OnFailure", "Never""#;
        errors.push(FieldError::required(path.child("restartPolicy"), words));
    }
}

/// Checks what the server has made of a new job.
pub(super) fn check_create(job: &Job, errors: &mut Vec<FieldError>) {
    let Some(spec) = &job.spec else { return };
    check_generated(job, spec, errors);
    check_host_names(job, spec, errors);
}

/// The labels and the selector that are made are as they are made, whatever the user has put there.
fn check_generated(job: &Job, spec: &JobSpec, errors: &mut Vec<FieldError>) {
    if spec.manual_selector == Some(true) {
        return;
    }
    let (uid, name) = (job.metadata.uid.as_deref(), job.metadata.name.as_deref());
    let path = Path::new("spec");
    let template = path.child("template");
    let metadata = template.child("metadata");
    let path = metadata.child("labels");
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    for (keys, wanted) in [(UID_LABELS, uid), (NAME_LABELS, name)] {
        for key in keys {
            let found = labels.and_then(|labels| labels.get(key));
            if found.map(String::as_str) != wanted {
                let words = format!("must be '{}'", wanted.unwrap_or_default());
                let labels = serde_json::to_value(labels).unwrap_or_default();
                errors.push(FieldError::invalid(path.key(key), labels, words));
            }
        }
    }
    let made = [(UID_LABELS, uid), (NAME_LABELS, name)]
        .into_iter()
        .flat_map(|(keys, value)| keys.map(|key| (key.to_owned(), value.unwrap_or_default().to_owned())));
    let made: BTreeMap<String, String> = made.collect();
    if let Some(selector) = &spec.selector
        && LabelSelector::try_from(selector).is_ok_and(|selector| !selector.matches(Some(&made)))
    {
        let selector = serde_json::to_value(selector).unwrap_or_default();
        errors.push(FieldError::invalid("spec.selector", selector, "`selector` not auto-generated"));
    }
}

/// Pods with an index are named after it on the network.
fn check_host_names(job: &Job, spec: &JobSpec, errors: &mut Vec<FieldError>) {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let Some(last) = spec.completions.filter(|count| *count > 0).map(|count| count - 1) else {
        return;
    };
    if spec.completion_mode.as_deref() == Some("Indexed") {
        let host = format!("{name}-{last}");
        if !Form::Label.mistakes(&host).is_empty() {
            let words = format!("will not able to create pod with invalid DNS label: {host}");
            errors.push(FieldError::invalid("metadata.name", name, words));
        }
    }
}

/// Checks what a controller says of a job.
pub(super) fn check_status(job: &Job, errors: &mut Vec<FieldError>) {
    let Some(status) = &job.status else { return };
    let path = Path::new("status");
    let counts = [
        ("active", status.active),
        ("ready", status.ready),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("terminating", status.terminating),
    ];
    template::check_counts(&path, &counts, errors);
    if let Some(uncounted) = &status.uncounted_terminated_pods {
        let path = path.child("uncountedTerminatedPods");
        let mut seen = BTreeSet::new();
        for (field, uids) in [("succeeded", &uncounted.succeeded), ("failed", &uncounted.failed)] {
            let path = path.child(field);
            for (index, uid) in uids.iter().flatten().enumerate() {
                if uid.is_empty() {
                    errors.push(FieldError::invalid(path.index(index), "", "must not be empty"));
                } else if !seen.insert(uid) {
                    errors.push(FieldError::duplicate(path.index(index), uid.as_str()));
                }
            }
        }
    }
    let holds = |kind: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions.any(|condition| condition.type_ == kind && condition.status == "True")
    };
    if holds("Complete") && holds("Failed") {
        let words = "cannot set Complete=True and Failed=true conditions";
        let conditions: Value = serde_json::to_value(&status.conditions).unwrap_or_default();
        errors.push(FieldError::invalid(path.child("conditions"), conditions, words));
    }
}
