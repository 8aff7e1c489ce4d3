//! How fast the number of pods may change, each way.

use api::field::FieldError;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use serde_json::{Value, json};

use crate::path::Path;
use crate::tree;

const SELECTIONS: [&str; 3] = ["Disabled", "Max", "Min"];
const POLICIES: [&str; 2] = ["Percent", "Pods"];

/// An hour: nobody looks back further.
const LONGEST_WINDOW: i32 = 3600;

/// Half an hour.
const LONGEST_PERIOD: i32 = 1800;

/// Fills in the rules of both ways, if there are any.
pub(super) fn set_defaults(behavior: &mut Value) {
    if !behavior.is_object() {
        return;
    }
    let up = json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]});
    let down = json!({"selectPolicy": "Max", "policies": [
        {"type": "Percent", "value": 100, "periodSeconds": 15}]});
    for (way, rules) in [("scaleUp", up), ("scaleDown", down)] {
        let given = tree::object(behavior, way);
        for (field, value) in rules.as_object().into_iter().flatten() {
            tree::set_default(given, field, value.clone());
        }
    }
}

/// Checks the rules of both ways.
pub(super) fn check(
    behavior: &HorizontalPodAutoscalerBehavior,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for (way, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
        if let Some(rules) = rules {
            check_rules(rules, &path.child(way), errors);
        }
    }
}

fn check_rules(rules: &HPAScalingRules, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(seconds) = rules.stabilization_window_seconds {
        let path = path.child("stabilizationWindowSeconds");
        if seconds < 0 {
            let words = "must be greater than or equal to zero";
            errors.push(FieldError::invalid(path, seconds, words));
        } else if seconds > LONGEST_WINDOW {
            let words = format!("must be less than or equal to {LONGEST_WINDOW}");
            errors.push(FieldError::invalid(path, seconds, words));
        }
    }
    if let Some(selection) = rules.select_policy.as_deref().filter(|policy| !SELECTIONS.contains(policy)) {
        errors.push(FieldError::unsupported(path.child("selectPolicy"), selection, &SELECTIONS));
    }
    let policies = path.child("policies");
    if rules.policies.as_ref().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(policies, "must specify at least one Policy"));
    }
    for (index, policy) in rules.policies.iter().flatten().enumerate() {
        check_policy(policy, &policies.index(index), errors);
    }
    if let Some(tolerance) = rules.tolerance.as_ref().filter(|tolerance| tolerance.0.starts_with('-')) {
        let words = "must be greater than or equal to zero";
        errors.push(FieldError::invalid(path.child("tolerance"), tolerance.0.as_str(), words));
    }
}

fn check_policy(policy: &HPAScalingPolicy, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !POLICIES.contains(&policy.type_.as_str()) {
        errors.push(FieldError::unsupported(path.child("type"), policy.type_.as_str(), &POLICIES));
    }
    for (field, number) in [("value", policy.value), ("periodSeconds", policy.period_seconds)] {
        if number <= 0 {
            errors.push(FieldError::invalid(path.child(field), number, "must be greater than zero"));
        }
    }
    if policy.period_seconds > LONGEST_PERIOD {
        let words = format!("must be less than or equal to {LONGEST_PERIOD}");
        errors.push(FieldError::invalid(path.child("periodSeconds"), policy.period_seconds, words));
    }
}
