//! MutatingAdmissionPolicies and their bindings: what is changed in requests, in expressions.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1beta1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingAdmissionPolicySpec, Mutation,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::admission_rules::{
    FAILURE_POLICIES, GROUP, check_choice, check_conditions, check_matches, check_param_kind,
    check_param_ref, check_variables, set_match_defaults, shown_param_ref,
};
use super::validating_admission_policy::shown_kind;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::names::Form;
use crate::path::Path;
use crate::tree;

const PATCH_TYPES: [&str; 2] = ["ApplyConfiguration", "JSONPatch"];

/// The kind MutatingAdmissionPolicy.
pub struct MutatingPolicies;

/// The kind MutatingAdmissionPolicyBinding.
pub struct MutatingPolicyBindings;

/// The same in version 1 of the group, whose types have the same fields.
fn in_v1<T: DeserializeOwned>(part: Option<&impl Serialize>) -> Option<T> {
    serde_json::from_value(serde_json::to_value(part?).ok()?).ok()
}

impl Builtin for MutatingPolicies {
    type Typed = MutatingAdmissionPolicy;

    const RESOURCE: Resource =
        Resource::new(GROUP, "v1beta1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", false);

    const DEFINITION: Definition =
        Definition { generation: &["spec"], ..Definition::new("mutatingadmissionpolicy") };

    fn set_defaults(policy: &mut Value) {
        let spec = tree::object(policy, "spec");
        tree::set_default(spec, "failurePolicy", "Fail");
        tree::set_default(spec, "reinvocationPolicy", "Never");
        if let Some(matches) = tree::field(spec, "matchConstraints") {
            set_match_defaults(matches);
        }
    }

    fn check(policy: &MutatingAdmissionPolicy, errors: &mut Vec<FieldError>) {
        let empty = MutatingAdmissionPolicySpec::default();
        check_spec(policy.spec.as_ref().unwrap_or(&empty), &Path::new("spec"), errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        number("Mutations", "How many there are."),
        text("ParamKind", "The kind of its parameters."),
        cells::AGE,
    ];

    fn row(policy: &MutatingAdmissionPolicy, now: Timestamp) -> Vec<Value> {
        let spec = policy.spec.as_ref();
        let count = spec.and_then(|spec| spec.mutations.as_ref()).map_or(0, Vec::len);
        let kind = in_v1(spec.and_then(|spec| spec.param_kind.as_ref()));
        vec![
            cells::name(&policy.metadata),
            count.into(),
            shown_kind(kind.as_ref()).into(),
            cells::age(&policy.metadata, now),
        ]
    }
}

impl Builtin for MutatingPolicyBindings {
    type Typed = MutatingAdmissionPolicyBinding;

    const RESOURCE: Resource = Resource::new(
        GROUP,
        "v1beta1",
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        false,
    );

    const DEFINITION: Definition =
        Definition { generation: &["spec"], ..Definition::new("mutatingadmissionpolicybinding") };

    fn set_defaults(binding: &mut Value) {
        let spec = tree::object(binding, "spec");
        if let Some(matches) = tree::field(spec, "matchResources") {
            set_match_defaults(matches);
        }
    }

    fn check(binding: &MutatingAdmissionPolicyBinding, errors: &mut Vec<FieldError>) {
        let empty = Default::default();
        let spec = binding.spec.as_ref().unwrap_or(&empty);
        let path = Path::new("spec");
        let name = spec.policy_name.as_deref().unwrap_or_default();
        Form::Subdomain.require(name, &path.child("policyName"), errors);
        if let Some(reference) = in_v1(spec.param_ref.as_ref()) {
            check_param_ref(&reference, &path.child("paramRef"), errors);
        }
        if let Some(matches) = in_v1(spec.match_resources.as_ref()) {
            check_matches(&matches, &path.child("matchResources"), errors);
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("PolicyName", "The policy that is in force."),
        text("ParamRef", "Its parameters."),
        cells::AGE,
    ];

    fn row(binding: &MutatingAdmissionPolicyBinding, now: Timestamp) -> Vec<Value> {
        let spec = binding.spec.as_ref();
        let reference = in_v1(spec.and_then(|spec| spec.param_ref.as_ref()));
        vec![
            cells::name(&binding.metadata),
            spec.and_then(|spec| spec.policy_name.as_deref()).unwrap_or_default().into(),
            shown_param_ref(reference.as_ref()).into(),
            cells::age(&binding.metadata, now),
        ]
    }
}

fn check_spec(spec: &MutatingAdmissionPolicySpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.failure_policy.as_deref();
    check_choice(policy, &FAILURE_POLICIES, &path.child("failurePolicy"), errors);
    let policy = spec.reinvocation_policy.as_deref();
    check_choice(policy, &["IfNeeded", "Never"], &path.child("reinvocationPolicy"), errors);
    if let Some(kind) = in_v1(spec.param_kind.as_ref()) {
        check_param_kind(&kind, &path.child("paramKind"), errors);
    }
    let matches_path = path.child("matchConstraints");
    match in_v1::<k8s_openapi::api::admissionregistration::v1::MatchResources>(
        spec.match_constraints.as_ref(),
    ) {
        None => errors.push(FieldError::required(matches_path, "")),
        Some(matches) => {
            check_matches(&matches, &matches_path, errors);
            if matches.resource_rules.as_ref().is_none_or(Vec::is_empty) {
                errors.push(FieldError::required(matches_path.child("resourceRules"), ""));
            }
        }
    }
    let conditions: Vec<_> = in_v1(spec.match_conditions.as_ref()).unwrap_or_default();
    check_conditions(&conditions, &path.child("matchConditions"), errors);
    let variables = spec.variables.iter().flatten();
    let variables = variables.map(|variable| (variable.name.as_str(), variable.expression.as_str()));
    check_variables(variables, &path.child("variables"), errors);
    let mutations = spec.mutations.as_deref().unwrap_or_default();
    let path = path.child("mutations");
    if mutations.is_empty() {
        errors.push(FieldError::required(path, "mutations must contain at least one item"));
    }
    for (index, mutation) in mutations.iter().enumerate() {
        check_mutation(mutation, &path.index(index), errors);
    }
}

fn check_mutation(mutation: &Mutation, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = mutation.patch_type.as_str();
    if kind.is_empty() {
        errors.push(FieldError::required(path.child("patchType"), ""));
        return;
    }
    check_choice(Some(kind), &PATCH_TYPES, &path.child("patchType"), errors);
    let apply = mutation.apply_configuration.as_ref().map(|apply| &apply.expression);
    let patch = mutation.json_patch.as_ref().map(|patch| &patch.expression);
    for (owner, field, expression) in
        [("ApplyConfiguration", "applyConfiguration", apply), ("JSONPatch", "jsonPatch", patch)]
    {
        let path = path.child(field);
        match expression {
            None if kind == owner => {
                let words = format!("must be specified when patchType is {owner}");
                errors.push(FieldError::required(path, words));
            }
            Some(_) if kind != owner => {
                let words = format!("must not be specified when patchType is {kind}");
                errors.push(FieldError::forbidden(path, words));
            }
            Some(expression) if expression.as_deref().unwrap_or_default().trim().is_empty() => {
                errors.push(FieldError::required(path.child("expression"), "expression is not specified"));
            }
            _ => {}
        }
    }
}
