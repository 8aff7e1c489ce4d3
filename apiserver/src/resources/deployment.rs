//! Deployments: roll a template out over ReplicaSets.

use api::Resource;
use api::field::FieldError;
use api::resource::DEPLOYMENTS;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStatus, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::{share, template};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::path::Path;
use crate::tree;

const STRATEGIES: [&str; 2] = ["Recreate", "RollingUpdate"];

/// The kind Deployment.
pub struct Deployments;

impl Builtin for Deployments {
    type Typed = Deployment;

    const RESOURCE: Resource = DEPLOYMENTS;

    const DEFINITION: Definition = Definition {
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &["status", "scale"],
        generation: &["spec"],
        ..Definition::new("deployment")
    };

    fn set_defaults(deployment: &mut Value) {
        let spec = tree::object(deployment, "spec");
        tree::set_default(spec, "replicas", 1);
        tree::set_default(spec, "revisionHistoryLimit", 10);
        tree::set_default(spec, "progressDeadlineSeconds", 600);
        let strategy = tree::object(spec, "strategy");
        tree::set_default_text(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate" {
            let rolling = tree::object(strategy, "rollingUpdate");
            tree::set_default(rolling, "maxSurge", "25%");
            tree::set_default(rolling, "maxUnavailable", "25%");
        }
        template::set_defaults(spec);
    }

    fn prepare_create(deployment: &mut Value) {
        tree::set(deployment, "status", Some(json!({})));
    }

    fn check(deployment: &Deployment, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let Some(spec) = &deployment.spec else {
            errors.push(FieldError::required(path, ""));
            return;
        };
        let counts = [
            ("replicas", spec.replicas),
            ("minReadySeconds", spec.min_ready_seconds),
            ("revisionHistoryLimit", spec.revision_history_limit),
            ("progressDeadlineSeconds", spec.progress_deadline_seconds),
        ];
        template::check_counts(&path, &counts, errors);
        let check = template::Check { selector: &spec.selector, template: Some(&spec.template) };
        check.run("Deployment", &path, errors);
        check_strategy(spec, &path, errors);
        let ready = spec.min_ready_seconds.unwrap_or(0);
        if let Some(deadline) = spec.progress_deadline_seconds.filter(|deadline| *deadline <= ready) {
            let words = "must be greater than minReadySeconds";
            errors.push(FieldError::invalid(path.child("progressDeadlineSeconds"), deadline, words));
        }
    }

    fn check_update(new: &Deployment, old: &Deployment, errors: &mut Vec<FieldError>) {
        if let (Some(new), Some(old)) = (&new.spec, &old.spec) {
            template::check_selector_stays(&new.selector, &old.selector, errors);
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Ready", "How many of the wanted pods are ready."),
        number("Up-to-date", "How many pods are made from the current template."),
        number("Available", "How many pods have been ready for long enough."),
        cells::AGE,
        cells::CONTAINERS,
        cells::IMAGES,
        cells::SELECTOR,
    ];

    fn row(deployment: &Deployment, now: Timestamp) -> Vec<Value> {
        let spec = deployment.spec.as_ref();
        let status = deployment.status.as_ref();
        let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(0);
        let count = |of: fn(&DeploymentStatus) -> Option<i32>| status.and_then(of).unwrap_or(0);
        let [containers, images] = cells::template(spec.map(|spec| &spec.template));
        vec![
            cells::name(&deployment.metadata),
            format!("{}/{wanted}", count(|status| status.ready_replicas)).into(),
            count(|status| status.updated_replicas).into(),
            count(|status| status.available_replicas).into(),
            cells::age(&deployment.metadata, now),
            containers,
            images,
            cells::selector(spec.map(|spec| &spec.selector)),
        ]
    }
}

fn check_strategy(spec: &DeploymentSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("strategy");
    let Some(strategy) = &spec.strategy else {
        return;
    };
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            let words = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(path.child("rollingUpdate"), words));
        }
        ("Recreate", None) => {}
        ("RollingUpdate", Some(rolling)) => {
            check_rolling(rolling, &path.child("rollingUpdate"), errors);
        }
        ("RollingUpdate", None) => {
            let words = "this should be defaulted and never be nil";
            errors.push(FieldError::required(path.child("rollingUpdate"), words));
        }
        (other, _) => errors.push(FieldError::unsupported(path.child("type"), other, &STRATEGIES)),
    }
}

fn check_rolling(rolling: &RollingUpdateDeployment, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    let path_of_unavailable = path.child("maxUnavailable");
    share::check(unavailable, &path_of_unavailable, errors);
    share::check(surge, &path.child("maxSurge"), errors);
    if share::is_zero(unavailable) && share::is_zero(surge) {
        let words = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(path_of_unavailable, share::as_value(unavailable), words));
    }
    share::check_at_most_all(unavailable, &path_of_unavailable, errors);
}
