//! Restart policies of single containers, and the rules that decide by exit code.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, ContainerRestartRule};

use super::one_of;
use crate::path::Path;

const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
const ACTIONS: [&str; 1] = ["Restart"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const MOST_RULES: usize = 20;
const MOST_VALUES: usize = 255;

/// Checks when a container runs again, as far as it says so itself.
pub(super) fn check(container: &Container, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    if container.restart_policy.is_none() && !rules.is_empty() {
        let words = "must specify restartPolicy when restart rules are used";
        errors.push(FieldError::required(path.child("restartPolicy"), words));
    }
    one_of(container.restart_policy.as_deref(), &POLICIES, path.child("restartPolicy"), errors);
    let path = path.child("restartPolicyRules");
    for (index, rule) in rules.iter().enumerate() {
        check_rule(rule, &path.index(index), errors);
    }
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(path, rules.len(), MOST_RULES));
    }
}

fn check_rule(rule: &ContainerRestartRule, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    one_of(Some(&rule.action), &ACTIONS, path.child("action"), errors);
    let Some(exit_codes) = &rule.exit_codes else {
        return errors.push(FieldError::required(path.child("exitCodes"), "must be specified"));
    };
    let path = path.child("exitCodes");
    one_of(Some(&exit_codes.operator), &OPERATORS, path.child("operator"), errors);
    let values = exit_codes.values.as_ref().map_or(0, Vec::len);
    if values > MOST_VALUES {
        errors.push(FieldError::too_many(path.child("values"), values, MOST_VALUES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check_row(container: Value, words: &[&str]) {
        let container: Container = serde_json::from_value(container).expect("a container");
        let mut errors = Vec::new();
        check(&container, &Path::new("c"), &mut errors);
        let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(found, words);
    }

    fn ruled(rule: Value) -> Value {
        json!({"name": "a", "restartPolicy": "Never", "restartPolicyRules": [rule]})
    }

    #[test]
    fn rules_are_whole_and_stand_beside_a_policy() {
        let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}});
        check_row(json!({"name": "a"}), &[]);
        check_row(ruled(rule.clone()), &[]);
        let words = "c.restartPolicy: Required value: must specify restartPolicy when restart rules are used";
        check_row(json!({"name": "a", "restartPolicyRules": [rule]}), &[words]);
        let words = "c.restartPolicy: Unsupported value: \"Now\": supported values: \"Always\", \"Never\", \"OnFailure\"";
        check_row(json!({"name": "a", "restartPolicy": "Now"}), &[words]);
    }

    #[test]
    fn what_a_rule_says_is_known() {
        let words = "c.restartPolicyRules[0].exitCodes: Required value: must be specified";
        check_row(ruled(json!({"action": "Restart"})), &[words]);
        check_row(
            ruled(json!({"action": "Stop", "exitCodes": {"operator": "Equals", "values": vec![1; 256]}})),
            &[
                "c.restartPolicyRules[0].action: Unsupported value: \"Stop\": supported values: \"Restart\"",
                "c.restartPolicyRules[0].exitCodes.operator: Unsupported value: \"Equals\": supported values: \"In\", \"NotIn\"",
                "c.restartPolicyRules[0].exitCodes.values: Too many: 256: must have at most 255 items",
            ],
        );
        let rule = json!({"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0]}});
        let rules = json!({"name": "a", "restartPolicy": "Never", "restartPolicyRules": vec![rule; 21]});
        check_row(rules, &["c.restartPolicyRules: Too many: 21: must have at most 20 items"]);
    }
}
