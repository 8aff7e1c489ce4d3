//! ReplicationControllers: keep a number of equal pods, as ReplicaSets do; their selector is labels alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use api::Resource;
use api::field::FieldError;
use api::resource::REPLICATION_CONTROLLERS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerSpec};
use serde_json::{Value, json};

use super::{replicated, template};
use crate::builtin::{Builtin, Column, Definition, Dependents};
use crate::cells;
use crate::path::Path;
use crate::tree;

/// The kind ReplicationController.
pub struct ReplicationControllers;

impl Builtin for ReplicationControllers {
    type Typed = ReplicationController;

    const RESOURCE: Resource = REPLICATION_CONTROLLERS;

    const DEFINITION: Definition = Definition {
        short_names: &["rc"],
        categories: &["all"],
        subresources: &["status", "scale"],
        generation: &["spec"],
        fields: &["status.replicas"],
        dependents: Dependents::Orphaned,
        ..Definition::new("replicationcontroller")
    };

    fn set_defaults(controller: &mut Value) {
        let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
        if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
            let empty = |value: &Value| value.as_object().is_none_or(|fields| fields.is_empty());
            if empty(&controller["spec"]["selector"]) {
                tree::set(tree::object(controller, "spec"), "selector", Some(labels.clone()));
            }
            if empty(&controller["metadata"]["labels"]) {
                tree::set(tree::object(controller, "metadata"), "labels", Some(labels));
            }
        }
        let spec = tree::object(controller, "spec");
        tree::set_default(spec, "replicas", 1);
        if spec["template"].is_object() {
            template::set_defaults(spec);
        }
    }

    fn prepare_create(controller: &mut Value) {
        tree::set(controller, "status", Some(json!({"replicas": 0})));
    }

    fn check(controller: &ReplicationController, errors: &mut Vec<FieldError>) {
        match &controller.spec {
            Some(spec) => check_spec(spec, &Path::new("spec"), errors),
            None => errors.push(FieldError::required("spec", "")),
        }
    }

    fn check_status(controller: &ReplicationController, errors: &mut Vec<FieldError>) {
        let Some(status) = &controller.status else { return };
        let parts = [
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        let path = Path::new("status");
        template::check_counts(&path, &[("replicas", Some(status.replicas))], errors);
        template::check_counts(&path, &parts, errors);
        template::check_parts(status.replicas, &parts, errors);
    }

    fn field<'a>(controller: &'a ReplicationController, field: &str) -> Option<Cow<'a, str>> {
        let replicas = controller.status.as_ref().map_or(0, |status| status.replicas);
        (field == "status.replicas").then(|| replicas.to_string().into())
    }

    const COLUMNS: &'static [Column] = replicated::COLUMNS;

    fn row(controller: &ReplicationController, now: Timestamp) -> Vec<Value> {
        let spec = controller.spec.as_ref();
        let status = controller.status.as_ref();
        let counts = [
            spec.and_then(|spec| spec.replicas),
            status.map(|status| status.replicas),
            status.and_then(|status| status.ready_replicas),
        ];
        let template = spec.and_then(|spec| spec.template.as_ref());
        let selector = cells::labels(spec.and_then(|spec| spec.selector.as_ref()));
        replicated::row(&controller.metadata, counts, template, selector, now)
    }
}

fn check_spec(spec: &ReplicationControllerSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let none = BTreeMap::new();
    let selector = spec.selector.as_ref().unwrap_or(&none);
    template::check_counts(path, &[("minReadySeconds", spec.min_ready_seconds)], errors);
    if selector.is_empty() {
        errors.push(FieldError::required(path.child("selector"), ""));
    }
    template::check_counts(path, &[("replicas", spec.replicas)], errors);
    let path = path.child("template");
    match &spec.template {
        Some(template) => {
            template::check_labelled("ReplicationController", selector, template, &path, errors);
        }
        None => errors.push(FieldError::required(path, "")),
    }
}
