//! What is wrong with a selector of labels, field by field.

use api::field::FieldError;
use api::selector::{check_label_key, check_label_value};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::names::report;
use crate::path::Path;

/// Checks a selector; one that is absent has no mistakes.
pub fn check(selector: Option<&LabelSelector>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(selector) = selector else { return };
    let labels = path.child("matchLabels");
    for (key, value) in selector.match_labels.iter().flatten() {
        report(key, check_label_key(key), &labels, errors);
        report(value, check_label_value(value), &labels, errors);
    }
    let expressions = path.child("matchExpressions");
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        check_requirement(requirement, &expressions.index(index), errors);
    }
}

fn check_requirement(requirement: &LabelSelectorRequirement, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let values = requirement.values.as_deref().unwrap_or_default();
    let values_path = path.child("values");
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            let words = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(values_path, words));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(values_path, words));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            let words = "not a valid selector operator";
            errors.push(FieldError::invalid(path.child("operator"), other, words));
        }
    }
    report(&requirement.key, check_label_key(&requirement.key), &path.child("key"), errors);
    for (index, value) in values.iter().enumerate() {
        report(value, check_label_value(value), &values_path.index(index), errors);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_mistake_has_its_path() {
        let row = |selector: Value, expected: &[&str]| {
            let selector: LabelSelector = serde_json::from_value(selector).unwrap();
            let mut errors = Vec::new();
            check(Some(&selector), &Path::new("podSelector"), &mut errors);
            let paths: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(paths, expected);
        };
        row(json!({}), &[]);
        row(json!({"matchLabels": {"a/b": "c"}}), &[]);
        row(json!({"matchLabels": {"-": "c d"}}), &["podSelector.matchLabels", "podSelector.matchLabels"]);
        let expressions = json!({"matchExpressions": [
            {"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["b"]},
            {"key": "a", "operator": "Is", "values": ["b"]}, {"key": "-", "operator": "NotIn", "values": ["-"]},
        ]});
        row(
            expressions,
            &[
                "podSelector.matchExpressions[0].values",
                "podSelector.matchExpressions[1].values",
                "podSelector.matchExpressions[2].operator",
                "podSelector.matchExpressions[3].key",
                "podSelector.matchExpressions[3].values[0]",
            ],
        );
    }
}
