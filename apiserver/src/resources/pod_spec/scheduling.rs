//! What restricts the nodes a pod may run on: selectors, tolerations, required affinity; and the taints of nodes.

use std::collections::BTreeSet;

use api::field::FieldError;
use api::selector::{check_label_key, check_label_value};
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, PodSpec, Taint, Toleration};

use crate::path::Path;

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
const TOLERATION_OPERATORS: [&str; 2] = ["Equal", "Exists"];
const NODE_OPERATORS: [&str; 6] = ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"];

/// Checks what a pod's specification says of nodes.
pub fn check(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let selector = path.child("nodeSelector");
    for (key, value) in spec.node_selector.iter().flatten() {
        check_label(key, value, &selector, errors);
    }
    let tolerations = path.child("tolerations");
    for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
        check_toleration(toleration, &tolerations.index(index), errors);
    }
    check_node_affinity(spec, path, errors);
}

fn check_label(key: &str, value: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(check_label_key(key).into_iter().map(|words| FieldError::invalid(*path, key, words)));
    errors.extend(check_label_value(value).into_iter().map(|words| FieldError::invalid(*path, value, words)));
}

fn check_toleration(toleration: &Toleration, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (key, value) = (given(&toleration.key), given(&toleration.value));
    let (effect, operator) = (given(&toleration.effect), given(&toleration.operator));
    if let Some(key) = &key {
        let mistakes = check_label_key(key).into_iter();
        errors.extend(mistakes.map(|words| FieldError::invalid(path.child("key"), key.as_str(), words)));
    }
    if key.is_none() && operator.as_deref() != Some("Exists") {
        let words =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(FieldError::invalid(path.child("operator"), operator.clone(), words));
    }
    if toleration.toleration_seconds.is_some() && effect.as_deref() != Some("NoExecute") {
        let words = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(FieldError::invalid(path.child("effect"), effect.clone(), words));
    }
    match (operator.as_deref(), &value) {
        (None | Some("Equal"), Some(value)) => {
            let mistakes = check_label_value(value).into_iter();
            errors.extend(
                mistakes.map(|words| FieldError::invalid(path.child("value"), value.as_str(), words)),
            );
        }
        (Some("Exists"), Some(value)) => {
            let words = "value must be empty when `operator` is 'Exists'";
            errors.push(FieldError::invalid(path.child("operator"), value.as_str(), words));
        }
        (Some(other), _) if !TOLERATION_OPERATORS.contains(&other) => {
            errors.push(FieldError::unsupported(path.child("operator"), other, &TOLERATION_OPERATORS));
        }
        _ => {}
    }
    if let Some(effect) = effect.as_deref().filter(|effect| !EFFECTS.contains(effect)) {
        errors.push(FieldError::unsupported(path.child("effect"), effect, &EFFECTS));
    }
}

fn check_node_affinity(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let Some(affinity) = affinity else { return };
    let path = path.child("affinity");
    let path = path.child("nodeAffinity");
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        let path = path.child("nodeSelectorTerms");
        if required.node_selector_terms.is_empty() {
            errors.push(FieldError::required(path, "must have at least one node selector term"));
        }
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            let path = path.index(index);
            check_requirements(term.match_expressions.as_deref(), &path.child("matchExpressions"), errors);
        }
    }
    let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    let terms = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, term) in terms.enumerate() {
        let path = preferred.index(index);
        if !(1..=100).contains(&term.weight) {
            errors.push(FieldError::invalid(path.child("weight"), term.weight, "must be in the range 1-100"));
        }
        let path = path.child("preference");
        let expressions = term.preference.match_expressions.as_deref();
        check_requirements(expressions, &path.child("matchExpressions"), errors);
    }
}

fn check_requirements(
    requirements: Option<&[NodeSelectorRequirement]>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for (index, requirement) in requirements.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let mistakes = check_label_key(&requirement.key).into_iter();
        errors.extend(
            mistakes.map(|words| FieldError::invalid(path.child("key"), requirement.key.as_str(), words)),
        );
        let values = requirement.values.as_ref().map_or(0, Vec::len);
        let at_values = path.child("values");
        match requirement.operator.as_str() {
            "In" | "NotIn" if values == 0 => {
                let words = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(at_values, words));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(at_values, words));
            }
            "Gt" | "Lt" if values != 1 => {
                let words = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(at_values, words));
            }
            known if NODE_OPERATORS.contains(&known) => {}
            other => {
                errors.push(FieldError::unsupported(path.child("operator"), other, &NODE_OPERATORS));
            }
        }
    }
}

/// Checks the taints of a node.
pub fn check_taints(taints: &[Taint], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let mistakes = check_label_key(&taint.key).into_iter();
        errors
            .extend(mistakes.map(|words| FieldError::invalid(path.child("key"), taint.key.as_str(), words)));
        if let Some(value) = &taint.value {
            let mistakes = check_label_value(value).into_iter();
            errors.extend(
                mistakes.map(|words| FieldError::invalid(path.child("value"), value.as_str(), words)),
            );
        }
        if !EFFECTS.contains(&taint.effect.as_str()) {
            errors.push(FieldError::unsupported(path.child("effect"), taint.effect.as_str(), &EFFECTS));
        }
        if !seen.insert((&taint.key, &taint.effect)) {
            errors.push(FieldError::duplicate(path, format!("{}:{}", taint.key, taint.effect)));
        }
    }
}
