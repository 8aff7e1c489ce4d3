//! Whether a container runs again after it ended.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, PodSpec};

use super::Role;

/// Whether a container runs again after it ended: the first rule that knows the exit code says so, else the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Restarts {
    rules: Vec<Rule>,
    policy: RestartPolicy,
}

/// Lets a container run again for some exit codes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rule {
    codes: Vec<i32>,
    /// Whether it is for these codes, or for all but these.
    is_for_them: bool,
}

/// When a container runs again after it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Always.
    #[default]
    Always,
    /// If it ended with another code than 0.
    OnFailure,
    /// Never.
    Never,
}

impl From<RestartPolicy> for Restarts {
    fn from(policy: RestartPolicy) -> Self {
        Self { rules: Vec::new(), policy }
    }
}

impl Restarts {
    /// Reads what a container says of itself, and its pod of all.
    pub(super) fn of(container: &Container, role: Role, spec: &PodSpec) -> Self {
        if role == Role::Ephemeral {
            return RestartPolicy::Never.into();
        }
        let own = container.restart_policy.as_deref();
        let rules = container.restart_policy_rules.iter().flatten().filter_map(Rule::of);
        Self { rules: rules.collect(), policy: policy(own.or(spec.restart_policy.as_deref())) }
    }

    /// Whether it runs again after it ended with this code.
    pub fn runs_again(&self, code: i32) -> bool {
        self.rules.iter().any(|rule| rule.is_for(code))
            || match self.policy {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => code != 0,
                RestartPolicy::Never => false,
            }
    }
}

impl Rule {
    /// None if it is for another action than a restart: the API knows no other.
    fn of(rule: &ContainerRestartRule) -> Option<Self> {
        let codes = rule.exit_codes.as_ref().filter(|_| rule.action == "Restart")?;
        Some(Self { codes: codes.values.clone().unwrap_or_default(), is_for_them: codes.operator == "In" })
    }

    fn is_for(&self, code: i32) -> bool {
        self.codes.contains(&code) == self.is_for_them
    }
}

fn policy(name: Option<&str>) -> RestartPolicy {
    match name {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_first_rule_that_knows_the_code_decides_else_the_policy() {
        let check = |pod: &str, container: Value, code: i32, again: bool| {
            let spec = json!({"restartPolicy": pod, "containers": []});
            let spec: PodSpec = serde_json::from_value(spec).expect("a spec");
            let container: Container = serde_json::from_value(container).expect("a container");
            assert_eq!(
                Restarts::of(&container, Role::Main, &spec).runs_again(code),
                again,
                "{container:?} {code}"
            );
        };
        let plain = json!({"name": "a"});
        check("Always", plain.clone(), 0, true);
        check("OnFailure", plain.clone(), 0, false);
        check("OnFailure", plain.clone(), 3, true);
        check("Never", plain, 3, false);
        check("Always", json!({"name": "a", "restartPolicy": "Never"}), 3, false);
        check("Never", json!({"name": "a", "restartPolicy": "OnFailure"}), 3, true);
        let ruled = |operator: &str| {
            let codes = json!({"operator": operator, "values": [42, 43]});
            let rules = json!([{"action": "Restart", "exitCodes": codes}]);
            json!({"name": "a", "restartPolicy": "Never", "restartPolicyRules": rules})
        };
        check("Always", ruled("In"), 42, true);
        check("Always", ruled("In"), 1, false);
        check("Always", ruled("NotIn"), 43, false);
        check("Always", ruled("NotIn"), 0, true);
    }
}
