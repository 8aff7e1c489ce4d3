//! DaemonSets: keep one pod on every node that is meant.

use api::Resource;
use api::field::FieldError;
use api::resource::DAEMON_SETS;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetStatus, RollingUpdateDaemonSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::{share, template};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::names::NOT_NEGATIVE;
use crate::path::Path;
use crate::tree;

const STRATEGIES: [&str; 2] = ["RollingUpdate", "OnDelete"];

/// The annotation that counts the templates, a field in versions before `apps/v1`.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The kind DaemonSet.
pub struct DaemonSets;

impl Builtin for DaemonSets {
    type Typed = DaemonSet;

    const RESOURCE: Resource = DAEMON_SETS;

    const DEFINITION: Definition = Definition {
        short_names: &["ds"],
        categories: &["all"],
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("daemonset")
    };

    fn set_defaults(daemon_set: &mut Value) {
        let spec = tree::object(daemon_set, "spec");
        tree::set_default(spec, "revisionHistoryLimit", 10);
        let strategy = tree::object(spec, "updateStrategy");
        tree::set_default_text(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate" {
            let rolling = tree::object(strategy, "rollingUpdate");
            tree::set_default(rolling, "maxUnavailable", 1);
            tree::set_default(rolling, "maxSurge", 0);
        }
        template::set_defaults(spec);
    }

    fn prepare_create(daemon_set: &mut Value) {
        let counts =
            ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];
        let status: serde_json::Map<_, _> =
            counts.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
        tree::set(daemon_set, "status", Some(status.into()));
        let asked = template_generation(daemon_set);
        count_template(daemon_set, asked.max(1));
    }

    fn prepare_update(new: &mut Value, old: &Value) {
        let changed = new["spec"]["template"] != old["spec"]["template"];
        count_template(new, template_generation(old) + i64::from(changed));
    }

    fn check(daemon_set: &DaemonSet, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let Some(spec) = &daemon_set.spec else {
            errors.push(FieldError::required(path, ""));
            return;
        };
        let check = template::Check { selector: &spec.selector, template: Some(&spec.template) };
        check.run("DaemonSet", &path, errors);
        let counts = [
            ("minReadySeconds", spec.min_ready_seconds),
            ("revisionHistoryLimit", spec.revision_history_limit),
        ];
        template::check_counts(&path, &counts, errors);
        check_strategy(spec, &path.child("updateStrategy"), errors);
    }

    fn check_status(daemon_set: &DaemonSet, errors: &mut Vec<FieldError>) {
        let Some(status) = &daemon_set.status else { return };
        let path = Path::new("status");
        let counts = [
            ("currentNumberScheduled", Some(status.current_number_scheduled)),
            ("numberMisscheduled", Some(status.number_misscheduled)),
            ("desiredNumberScheduled", Some(status.desired_number_scheduled)),
            ("numberReady", Some(status.number_ready)),
            ("updatedNumberScheduled", status.updated_number_scheduled),
            ("numberAvailable", status.number_available),
            ("numberUnavailable", status.number_unavailable),
            ("collisionCount", status.collision_count),
        ];
        template::check_counts(&path, &counts, errors);
        if let Some(generation) = status.observed_generation.filter(|generation| *generation < 0) {
            errors.push(FieldError::invalid(path.child("observedGeneration"), generation, NOT_NEGATIVE));
        }
    }

    fn check_update(new: &DaemonSet, old: &DaemonSet, errors: &mut Vec<FieldError>) {
        if let (Some(new), Some(old)) = (&new.spec, &old.spec) {
            template::check_selector_stays(&new.selector, &old.selector, errors);
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        number("Desired", "How many nodes are to have a pod."),
        number("Current", "How many of these have a pod."),
        number("Ready", "How many of these have a pod that is ready."),
        number("Up-to-date", "How many of these have a pod made from the current template."),
        number("Available", "How many of these have a pod that has been ready for long enough."),
        text("Node Selector", "Labels of the nodes that are to have a pod."),
        cells::AGE,
        cells::CONTAINERS,
        cells::IMAGES,
        cells::SELECTOR,
    ];

    fn row(daemon_set: &DaemonSet, now: Timestamp) -> Vec<Value> {
        let spec = daemon_set.spec.as_ref();
        let status = daemon_set.status.as_ref();
        let count = |of: fn(&DaemonSetStatus) -> i32| status.map_or(0, of);
        let [containers, images] = cells::template(spec.map(|spec| &spec.template));
        let pod = spec.and_then(|spec| spec.template.spec.as_ref());
        vec![
            cells::name(&daemon_set.metadata),
            count(|status| status.desired_number_scheduled).into(),
            count(|status| status.current_number_scheduled).into(),
            count(|status| status.number_ready).into(),
            count(|status| status.updated_number_scheduled.unwrap_or(0)).into(),
            count(|status| status.number_available.unwrap_or(0)).into(),
            cells::labels(pod.and_then(|pod| pod.node_selector.as_ref())),
            cells::age(&daemon_set.metadata, now),
            containers,
            images,
            cells::selector(spec.map(|spec| &spec.selector)),
        ]
    }
}

fn template_generation(daemon_set: &Value) -> i64 {
    let annotations = &daemon_set["metadata"]["annotations"];
    tree::text(annotations, TEMPLATE_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn count_template(daemon_set: &mut Value, generation: i64) {
    let annotations = tree::object(tree::object(daemon_set, "metadata"), "annotations");
    tree::set(annotations, TEMPLATE_GENERATION, Some(generation.to_string().into()));
}

fn check_strategy(spec: &DaemonSetSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(strategy) = &spec.update_strategy else {
        return;
    };
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", Some(rolling)) => check_rolling(rolling, &path.child("rollingUpdate"), errors),
        ("RollingUpdate", None) => errors.push(FieldError::required(path.child("rollingUpdate"), "")),
        (other, _) => errors.push(FieldError::unsupported(path.child("type"), other, &STRATEGIES)),
    }
}

fn check_rolling(rolling: &RollingUpdateDaemonSet, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    for (field, share) in [("maxUnavailable", unavailable), ("maxSurge", surge)] {
        share::check(share, &path.child(field), errors);
        share::check_at_most_all(share, &path.child(field), errors);
    }
    match (share::is_zero(unavailable), share::is_zero(surge)) {
        (false, false) => {
            let words = "may not be set when maxUnavailable is non-zero";
            errors.push(FieldError::invalid(path.child("maxSurge"), share::as_value(surge), words));
        }
        (true, true) => {
            let words = "cannot be 0 when maxSurge is 0";
            errors.push(FieldError::required(path.child("maxUnavailable"), words));
        }
        _ => {}
    }
}
