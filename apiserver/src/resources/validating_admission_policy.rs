//! ValidatingAdmissionPolicies and their bindings: what requests must fulfil, in expressions.

use std::collections::BTreeSet;

use api::Resource;
use api::field::FieldError;
use api::selector::check_label_key;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ParamKind, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicySpec,
    Validation,
};
use serde_json::{Value, json};

use super::admission_rules::{
    FAILURE_POLICIES, GROUP, check_choice, check_conditions, check_matches, check_param_kind,
    check_param_ref, check_variables, set_match_defaults, shown_param_ref,
};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::names::{Form, report};
use crate::path::Path;
use crate::tree;

const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const MOST_ANNOTATIONS: usize = 20;
const LONGEST_VALUE_EXPRESSION: usize = 5 << 10;

/// The kind ValidatingAdmissionPolicy.
pub struct ValidatingPolicies;

/// The kind ValidatingAdmissionPolicyBinding.
pub struct ValidatingPolicyBindings;

impl Builtin for ValidatingPolicies {
    type Typed = ValidatingAdmissionPolicy;

    const RESOURCE: Resource =
        Resource::new(GROUP, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false);

    const DEFINITION: Definition = Definition {
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("validatingadmissionpolicy")
    };

    fn set_defaults(policy: &mut Value) {
        let spec = tree::object(policy, "spec");
        tree::set_default(spec, "failurePolicy", "Fail");
        if let Some(matches) = tree::field(spec, "matchConstraints") {
            set_match_defaults(matches);
        }
    }

    fn prepare_create(policy: &mut Value) {
        tree::set(policy, "status", Some(json!({})));
    }

    fn check(policy: &ValidatingAdmissionPolicy, errors: &mut Vec<FieldError>) {
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let empty = ValidatingAdmissionPolicySpec::default();
        check_spec(name, policy.spec.as_ref().unwrap_or(&empty), &Path::new("spec"), errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        number("Validations", "How many there are."),
        text("ParamKind", "The kind of its parameters."),
        cells::AGE,
    ];

    fn row(policy: &ValidatingAdmissionPolicy, now: Timestamp) -> Vec<Value> {
        let spec = policy.spec.as_ref();
        let count = spec.and_then(|spec| spec.validations.as_ref()).map_or(0, Vec::len);
        vec![
            cells::name(&policy.metadata),
            count.into(),
            shown_kind(spec.and_then(|spec| spec.param_kind.as_ref())).into(),
            cells::age(&policy.metadata, now),
        ]
    }
}

impl Builtin for ValidatingPolicyBindings {
    type Typed = ValidatingAdmissionPolicyBinding;

    const RESOURCE: Resource = Resource::new(
        GROUP,
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        false,
    );

    const DEFINITION: Definition =
        Definition { generation: &["spec"], ..Definition::new("validatingadmissionpolicybinding") };

    fn set_defaults(binding: &mut Value) {
        let spec = tree::object(binding, "spec");
        if let Some(matches) = tree::field(spec, "matchResources") {
            set_match_defaults(matches);
        }
    }

    fn check(binding: &ValidatingAdmissionPolicyBinding, errors: &mut Vec<FieldError>) {
        let empty = Default::default();
        let spec = binding.spec.as_ref().unwrap_or(&empty);
        let path = Path::new("spec");
        Form::Subdomain.require(
            spec.policy_name.as_deref().unwrap_or_default(),
            &path.child("policyName"),
            errors,
        );
        if let Some(reference) = &spec.param_ref {
            check_param_ref(reference, &path.child("paramRef"), errors);
        }
        if let Some(matches) = &spec.match_resources {
            check_matches(matches, &path.child("matchResources"), errors);
        }
        let actions = spec.validation_actions.as_deref().unwrap_or_default();
        check_actions(actions, &path.child("validationActions"), errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("PolicyName", "The policy that is in force."),
        text("ParamRef", "Its parameters."),
        cells::AGE,
    ];

    fn row(binding: &ValidatingAdmissionPolicyBinding, now: Timestamp) -> Vec<Value> {
        let spec = binding.spec.as_ref();
        vec![
            cells::name(&binding.metadata),
            spec.and_then(|spec| spec.policy_name.as_deref()).unwrap_or_default().into(),
            shown_param_ref(spec.and_then(|spec| spec.param_ref.as_ref())).into(),
            cells::age(&binding.metadata, now),
        ]
    }
}

/// How kubectl shows the kind of parameters.
pub fn shown_kind(kind: Option<&ParamKind>) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    kind.map_or_else(|| "<unset>".to_owned(), |kind| format!("{}/{}", of(&kind.api_version), of(&kind.kind)))
}

fn check_spec(
    name: &str,
    spec: &ValidatingAdmissionPolicySpec,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let policy = spec.failure_policy.as_deref();
    check_choice(policy, &FAILURE_POLICIES, &path.child("failurePolicy"), errors);
    if let Some(kind) = &spec.param_kind {
        check_param_kind(kind, &path.child("paramKind"), errors);
    }
    let matches_path = path.child("matchConstraints");
    match &spec.match_constraints {
        None => errors.push(FieldError::required(matches_path, "")),
        Some(matches) => {
            check_matches(matches, &matches_path, errors);
            if matches.resource_rules.as_ref().is_none_or(Vec::is_empty) {
                errors.push(FieldError::required(matches_path.child("resourceRules"), ""));
            }
        }
    }
    let conditions = spec.match_conditions.as_deref().unwrap_or_default();
    check_conditions(conditions, &path.child("matchConditions"), errors);
    let variables = spec.variables.iter().flatten();
    let variables = variables.map(|variable| (variable.name.as_str(), variable.expression.as_str()));
    check_variables(variables, &path.child("variables"), errors);
    let validations = spec.validations.as_deref().unwrap_or_default();
    let annotations = spec.audit_annotations.as_deref().unwrap_or_default();
    if validations.is_empty() && annotations.is_empty() {
        let words = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required(path.child("validations"), words));
        errors.push(FieldError::required(path.child("auditAnnotations"), words));
    }
    let validations_path = path.child("validations");
    for (index, validation) in validations.iter().enumerate() {
        check_validation(validation, &validations_path.index(index), errors);
    }
    let path = path.child("auditAnnotations");
    if annotations.len() > MOST_ANNOTATIONS {
        let value = serde_json::to_value(annotations).unwrap_or_default();
        let words = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
        errors.push(FieldError::invalid(path, value, words));
    }
    let mut keys = BTreeSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        let path = path.index(index);
        let key = annotation.key.as_str();
        report(key, check_label_key(&format!("{name}/{key}")), &path.child("key"), errors);
        let expression = annotation.value_expression.as_str();
        if expression.trim().is_empty() {
            let words = "valueExpression is not specified";
            errors.push(FieldError::required(path.child("valueExpression"), words));
        } else if expression.len() > LONGEST_VALUE_EXPRESSION {
            errors.push(FieldError::too_long(path.child("valueExpression"), LONGEST_VALUE_EXPRESSION));
        }
        if !keys.insert(key) {
            errors.push(FieldError::duplicate(path.child("key"), key));
        }
    }
}

fn check_validation(validation: &Validation, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if validation.expression.trim().is_empty() {
        errors.push(FieldError::required(path.child("expression"), "expression is not specified"));
    }
    if let Some(expression) = blank(validation.message_expression.as_deref()) {
        let words = "must be non-empty if specified";
        errors.push(FieldError::invalid(path.child("messageExpression"), expression, words));
    }
    let message = validation.message.as_deref();
    if let Some(message) = blank(message) {
        let words = "message must be non-empty if specified";
        errors.push(FieldError::invalid(path.child("message"), message, words));
    } else if let Some(message) = message.filter(|message| message.trim().contains(['\n', '\r'])) {
        let words = "message must not contain line breaks";
        errors.push(FieldError::invalid(path.child("message"), message, words));
    }
    check_choice(validation.reason.as_deref(), &REASONS, &path.child("reason"), errors);
}

/// A text of which only spaces are there.
fn blank(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty() && text.trim().is_empty())
}

fn check_actions(actions: &[String], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        check_choice(Some(action), &ACTIONS, &path.index(index), errors);
        if !seen.insert(action.as_str()) {
            errors.push(FieldError::duplicate(path.index(index), action.as_str()));
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let words = "must not contain both Deny and Warn (repeating the same validation failure information in the \
                     API response and headers serves no purpose)";
        errors.push(FieldError::invalid(*path, actions.to_vec(), words));
    }
    if actions.is_empty() {
        errors.push(FieldError::required(*path, "at least one validation action is required"));
    }
}
