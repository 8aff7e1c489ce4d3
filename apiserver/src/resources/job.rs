//! Jobs: run pods until enough of them have succeeded. Their selector is made by the server, unless they ask for none.

pub mod check;
mod columns;
mod update;

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::JOBS;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::template;
use crate::builtin::{Builtin, Column, Definition, Dependents};
use crate::tree;

/// The labels by which a job knows its pods; the second of each pair is for older clients.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// So often a failed pod is replaced, unless the job says otherwise.
const BACKOFF_LIMIT: i32 = 6;

/// The kind Job.
pub struct Jobs;

impl Builtin for Jobs {
    type Typed = Job;

    const RESOURCE: Resource = JOBS;

    const DEFINITION: Definition = Definition {
        categories: &["all"],
        subresources: &["status"],
        generation: &["spec"],
        fields: &["status.successful"],
        dependents: Dependents::Orphaned,
        ..Definition::new("job")
    };

    fn set_defaults(job: &mut Value) {
        let spec = tree::object(job, "spec");
        if spec.get("parallelism").is_none() {
            // A job that says nothing runs one pod; one that says how many at a time only, as many as it takes.
            tree::set_default(spec, "completions", 1);
        }
        tree::set_default(spec, "parallelism", 1);
        let per_index = spec.get("backoffLimitPerIndex").is_some();
        tree::set_default(spec, "backoffLimit", if per_index { i32::MAX } else { BACKOFF_LIMIT });
        tree::set_default_text(spec, "completionMode", "NonIndexed");
        tree::set_default(spec, "suspend", false);
        tree::set_default(spec, "manualSelector", false);
        tree::set_default(spec, "podReplacementPolicy", "TerminatingOrFailed");
        template::set_defaults(spec);
    }

    fn prepare_create(job: &mut Value) {
        tree::set(job, "status", Some(json!({})));
        if job["spec"]["manualSelector"] != true {
            select_own_pods(job);
        }
        label_as_template(job);
    }

    fn prepare_update(new: &mut Value, _old: &Value) {
        label_as_template(new);
    }

    fn check(job: &Job, errors: &mut Vec<FieldError>) {
        check::check(job, errors);
    }

    fn check_status(job: &Job, errors: &mut Vec<FieldError>) {
        check::check_status(job, errors);
    }

    fn check_create(job: &Job, errors: &mut Vec<FieldError>) {
        check::check_create(job, errors);
    }

    fn check_update(new: &Job, old: &Job, errors: &mut Vec<FieldError>) {
        update::check(new, old, errors);
    }

    fn field<'a>(job: &'a Job, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "status.successful" => {
                let succeeded = job.status.as_ref().and_then(|status| status.succeeded);
                Some(succeeded.unwrap_or(0).to_string().into())
            }
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(job: &Job, now: Timestamp) -> Vec<Value> {
        columns::row(job, now)
    }
}

/// Labels the template by the uid and the name of the job, and selects by the uid. What the user has put there stays,
/// to be refused if it is something else.
fn select_own_pods(job: &mut Value) {
    let uid = job["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let spec = tree::object(job, "spec");
    let labels = tree::object(tree::object(tree::object(spec, "template"), "metadata"), "labels");
    for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
        for key in keys {
            tree::set_default(labels, key, value.as_str());
        }
    }
    let selected = tree::object(tree::object(spec, "selector"), "matchLabels");
    tree::set_default(selected, UID_LABELS[0], uid);
}

/// A job without labels has those of its pods.
fn label_as_template(job: &mut Value) {
    let empty = |labels: &Value| labels.as_object().is_none_or(|labels| labels.is_empty());
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    if empty(&job["metadata"]["labels"]) && !empty(labels) {
        let labels = labels.clone();
        tree::set(tree::object(job, "metadata"), "labels", Some(labels));
    }
}
