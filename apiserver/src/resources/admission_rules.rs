//! What the kinds share that say which requests are shown to webhooks and policies.

use std::collections::BTreeSet;

use api::field::FieldError;
use api::selector::check_label_key;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ParamKind, ParamRef, RuleWithOperations,
};
use serde_json::Value;

use super::label_selector;
use crate::cel;
use crate::names::{Form, report};
use crate::path::Path;
use crate::tree;

/// The group of webhooks and policies.
pub const GROUP: &str = "admissionregistration.k8s.io";

/// What may happen if it cannot be found out whether a request is admitted.
pub const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];

const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
const MOST_CONDITIONS: usize = 64;

/// Fills in what a rule of a list leaves out.
pub fn set_rule_defaults(owner: &mut Value, field: &str) {
    for rule in tree::items(owner, field) {
        tree::set_default(rule, "scope", "*");
    }
}

/// Fills in what the matches of a policy or a binding leave out.
pub fn set_match_defaults(matches: &mut Value) {
    tree::set_default(matches, "matchPolicy", "Equivalent");
    tree::object(matches, "namespaceSelector");
    tree::object(matches, "objectSelector");
    set_rule_defaults(matches, "resourceRules");
    set_rule_defaults(matches, "excludeResourceRules");
}

/// A text that must be one of a few, if it is given.
pub fn check_choice(value: Option<&str>, allowed: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = value.filter(|value| !allowed.contains(value)) {
        errors.push(FieldError::unsupported(*path, value, allowed));
    }
}

/// Checks the policy by which requests to other versions match.
pub fn check_match_policy(policy: Option<&str>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_choice(policy, &MATCH_POLICIES, &path.child("matchPolicy"), errors);
}

/// Checks which requests a policy is for.
pub fn check_matches(matches: &MatchResources, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_match_policy(matches.match_policy.as_deref(), path, errors);
    label_selector::check(matches.namespace_selector.as_ref(), &path.child("namespaceSelector"), errors);
    label_selector::check(matches.object_selector.as_ref(), &path.child("objectSelector"), errors);
    let rules = path.child("resourceRules");
    for (index, rule) in matches.resource_rules.iter().flatten().enumerate() {
        check_named_rule(rule, &rules.index(index), errors);
    }
    let rules = path.child("excludeResourceRules");
    for (index, rule) in matches.exclude_resource_rules.iter().flatten().enumerate() {
        check_named_rule(rule, &rules.index(index), errors);
    }
}

fn check_named_rule(rule: &NamedRuleWithOperations, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let names = path.child("resourceNames");
    let mut seen = BTreeSet::new();
    for (index, name) in rule.resource_names.iter().flatten().enumerate() {
        Form::PathSegment.check(name, &names.index(index), errors);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(names.index(index), name.as_str()));
        }
    }
    let plain = RuleWithOperations {
        api_groups: rule.api_groups.clone(),
        api_versions: rule.api_versions.clone(),
        operations: rule.operations.clone(),
        resources: rule.resources.clone(),
        scope: rule.scope.clone(),
    };
    check_rule(&plain, path, errors);
}

/// Checks which requests a webhook is asked about.
pub fn check_rule(rule: &RuleWithOperations, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let operations = rule.operations.as_deref().unwrap_or_default();
    let operations_path = path.child("operations");
    check_list(operations, "operations", &operations_path, errors);
    for (index, operation) in operations.iter().enumerate() {
        check_choice(Some(operation), &OPERATIONS, &operations_path.index(index), errors);
    }
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    check_list(groups, "API groups", &path.child("apiGroups"), errors);
    let versions = rule.api_versions.as_deref().unwrap_or_default();
    let versions_path = path.child("apiVersions");
    check_list(versions, "API versions", &versions_path, errors);
    for (index, _) in versions.iter().enumerate().filter(|(_, version)| version.is_empty()) {
        errors.push(FieldError::required(versions_path.index(index), ""));
    }
    check_resources(rule.resources.as_deref().unwrap_or_default(), &path.child("resources"), errors);
    check_choice(rule.scope.as_deref(), &SCOPES, &path.child("scope"), errors);
}

/// A list that must not be empty, and in which `*` stands alone.
fn check_list(list: &[String], what: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(FieldError::required(*path, ""));
    } else if list.len() > 1 && list.iter().any(|item| item == "*") {
        let words = format!("if '*' is present, must not specify other {what}");
        errors.push(FieldError::invalid(*path, list.to_vec(), words));
    }
}

/// Resources and subresources, where a star must not be named beside what it stands for.
fn check_resources(resources: &[String], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if resources.is_empty() {
        errors.push(FieldError::required(*path, ""));
    }
    let (mut whole, mut parts) = (BTreeSet::new(), BTreeSet::new());
    let mut has_plain = false;
    for (index, resource) in resources.iter().enumerate() {
        let path = path.index(index);
        let Some((name, part)) = resource.split_once('/') else {
            if resource.is_empty() {
                errors.push(FieldError::required(path, ""));
            }
            has_plain |= !resource.is_empty() && resource != "*";
            continue;
        };
        let mut clash = |star: String| {
            let words = format!("if '{star}' is present, must not specify {resource}");
            errors.push(FieldError::invalid(path, resource.as_str(), words));
        };
        if whole.contains(name) {
            clash(format!("{name}/*"));
        }
        if parts.contains(part) {
            clash(format!("*/{part}"));
        }
        if part == "*" {
            whole.insert(name);
        }
        if name == "*" {
            parts.insert(part);
        }
    }
    let has = |wanted: &str| resources.iter().any(|resource| resource == wanted);
    if resources.len() > 1 && has("*/*") {
        let words = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(*path, resources.to_vec(), words));
    }
    if has("*") && has_plain {
        let words = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(*path, resources.to_vec(), words));
    }
}

/// Checks the conditions under which requests match; whether they are expressions is checked elsewhere.
pub fn check_conditions(conditions: &[MatchCondition], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if conditions.len() > MOST_CONDITIONS {
        errors.push(FieldError::too_many(*path, conditions.len(), MOST_CONDITIONS));
    }
    let mut names = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        if condition.expression.trim().is_empty() {
            errors.push(FieldError::required(path.child("expression"), ""));
        }
        match condition.name.as_str() {
            "" => errors.push(FieldError::required(path.child("name"), "")),
            name => {
                report(name, check_label_key(name), &path.child("name"), errors);
                if !names.insert(name) {
                    errors.push(FieldError::duplicate(path.child("name"), name));
                }
            }
        }
    }
}

/// Checks the names of variables and that they have expressions.
pub fn check_variables<'a>(
    variables: impl Iterator<Item = (&'a str, &'a str)>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for (index, (name, expression)) in variables.enumerate() {
        let path = path.index(index);
        if name.trim().is_empty() {
            errors.push(FieldError::required(path.child("name"), "name is not specified"));
        } else if !is_identifier(name) {
            let words = "name is not a valid CEL identifier";
            errors.push(FieldError::invalid(path.child("name"), name, words));
        }
        if expression.trim().is_empty() {
            errors.push(FieldError::required(path.child("expression"), "expression is not specified"));
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first)
        && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit())
        && !cel::is_reserved(name)
}

/// Checks the kind of a policy's parameters.
pub fn check_param_kind(kind: &ParamKind, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let version_path = path.child("apiVersion");
    match kind.api_version.as_deref().unwrap_or_default() {
        "" => errors.push(FieldError::required(version_path, "")),
        text if text.matches('/').count() > 1 => {
            let words = format!("unexpected GroupVersion string: {text}");
            errors.push(FieldError::invalid(version_path, text, words));
        }
        text => {
            let (group, version) = text.split_once('/').unwrap_or(("", text));
            if !group.is_empty() {
                joined(group, Form::Subdomain, "", &version_path, errors);
            }
            match version {
                "" => errors.push(FieldError::invalid(version_path, text, "version must be specified")),
                version => joined(version, Form::Label1035, "", &version_path, errors),
            }
        }
    }
    let kind_path = path.child("kind");
    match kind.kind.as_deref().unwrap_or_default() {
        "" => errors.push(FieldError::required(kind_path, "")),
        kind => {
            let mistakes = Form::Label1035.mistakes(&kind.to_lowercase());
            if !mistakes.is_empty() {
                let words =
                    format!("may have mixed case, but should otherwise match: {}", mistakes.join(","));
                errors.push(FieldError::invalid(kind_path, kind, words));
            }
        }
    }
}

fn joined(name: &str, form: Form, head: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mistakes = form.mistakes(name);
    if !mistakes.is_empty() {
        errors.push(FieldError::invalid(*path, name, format!("{head}{}", mistakes.join(","))));
    }
}

/// Checks which parameters a binding gives to its policy.
pub fn check_param_ref(reference: &ParamRef, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let exclusive = "name and selector are mutually exclusive";
    let name = reference.name.as_deref().filter(|name| !name.is_empty());
    if let Some(name) = name {
        Form::PathSegment.check(name, &path.child("name"), errors);
        if reference.selector.is_some() {
            errors.push(FieldError::forbidden(path.child("name"), exclusive));
            errors.push(FieldError::forbidden(path.child("selector"), exclusive));
        }
    } else if reference.selector.is_none() {
        errors.push(FieldError::required(*path, "one of name or selector must be specified"));
    }
    label_selector::check(reference.selector.as_ref(), &path.child("selector"), errors);
    let action_path = path.child("parameterNotFoundAction");
    match reference.parameter_not_found_action.as_deref().unwrap_or_default() {
        "" => errors.push(FieldError::required(action_path, "")),
        action => check_choice(Some(action), &["Allow", "Deny"], &action_path, errors),
    }
}

/// How kubectl shows parameters of a binding.
pub fn shown_param_ref(reference: Option<&ParamRef>) -> String {
    let Some(reference) = reference else { return "<unset>".to_owned() };
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let name = given(&reference.name).unwrap_or_else(|| "*".to_owned());
    format!("{}/{name}", given(&reference.namespace).unwrap_or_else(|| "*".to_owned()))
}
