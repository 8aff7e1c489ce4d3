//! HorizontalPodAutoscalers: change how many pods there are by what is measured.

mod behavior;
mod columns;
mod metrics;

use api::Resource;
use api::field::FieldError;
use api::resource::HORIZONTAL_POD_AUTOSCALERS;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};
use serde_json::{Value, json};

use super::template;
use crate::builtin::{Builtin, Column, Definition};
use crate::path::Path;
use crate::tree;

/// The kind HorizontalPodAutoscaler.
pub struct HorizontalPodAutoscalers;

impl Builtin for HorizontalPodAutoscalers {
    type Typed = HorizontalPodAutoscaler;

    const RESOURCE: Resource = HORIZONTAL_POD_AUTOSCALERS;

    const DEFINITION: Definition = Definition {
        short_names: &["hpa"],
        categories: &["all"],
        subresources: &["status"],
        ..Definition::new("horizontalpodautoscaler")
    };

    fn set_defaults(autoscaler: &mut Value) {
        let spec = tree::object(autoscaler, "spec");
        tree::set_default(spec, "minReplicas", 1);
        if spec["metrics"].as_array().is_none_or(Vec::is_empty) {
            let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 80}}});
            tree::set(spec, "metrics", Some(json!([cpu])));
        }
        if let Some(behavior) = tree::field(spec, "behavior") {
            behavior::set_defaults(behavior);
        }
    }

    fn prepare_create(autoscaler: &mut Value) {
        let status = json!({"currentMetrics": null, "desiredReplicas": 0});
        tree::set(autoscaler, "status", Some(status));
    }

    fn check(autoscaler: &HorizontalPodAutoscaler, errors: &mut Vec<FieldError>) {
        let none = HorizontalPodAutoscalerSpec::default();
        check_spec(autoscaler.spec.as_ref().unwrap_or(&none), &Path::new("spec"), errors);
    }

    fn check_status(autoscaler: &HorizontalPodAutoscaler, errors: &mut Vec<FieldError>) {
        let Some(status) = &autoscaler.status else { return };
        let counts = [
            ("currentReplicas", status.current_replicas),
            ("desiredReplicas", Some(status.desired_replicas)),
        ];
        template::check_counts(&Path::new("status"), &counts, errors);
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(autoscaler: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
        columns::row(autoscaler, now)
    }
}

fn check_spec(spec: &HorizontalPodAutoscalerSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let least = spec.min_replicas.unwrap_or(1);
    if least < 1 {
        let words = "must be greater than or equal to 1";
        errors.push(FieldError::invalid(path.child("minReplicas"), least, words));
    }
    let most = spec.max_replicas;
    if most < 1 {
        errors.push(FieldError::invalid(path.child("maxReplicas"), most, "must be greater than 0"));
    }
    if most < least {
        let words = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid(path.child("maxReplicas"), most, words));
    }
    metrics::check_reference(&spec.scale_target_ref, &path.child("scaleTargetRef"), errors);
    let at_metrics = path.child("metrics");
    for (index, metric) in spec.metrics.iter().flatten().enumerate() {
        metrics::check(metric, &at_metrics.index(index), errors);
    }
    if let Some(behavior) = &spec.behavior {
        behavior::check(behavior, &path.child("behavior"), errors);
    }
}
