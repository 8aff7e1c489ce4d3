//! What users get wrong in ResourceQuotas: resources that are not counted, and scopes that do not fit them.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement};
use serde_json::Value;

use crate::names::IMMUTABLE;
use crate::path::Path;
use crate::resources::amounts::{self, List};

const COMPUTE: [&str; 6] =
    ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];

/// Kinds that were counted before every kind could be.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

const STORAGE: [&str; 4] =
    ["ephemeral-storage", "requests.storage", "requests.ephemeral-storage", "limits.ephemeral-storage"];

const SCOPES: [&str; 7] = [
    "BestEffort",
    "NotBestEffort",
    "Terminating",
    "NotTerminating",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

const CONFLICTS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// Checks one state of a ResourceQuota.
pub(super) fn check(quota: &ResourceQuota, errors: &mut Vec<FieldError>) {
    let Some(spec) = &quota.spec else { return };
    let path = Path::new("spec");
    check_amounts(spec.hard.as_ref(), &path.child("hard"), errors);
    check_scopes(spec, &path.child("scopes"), errors);
    let selector = path.child("scopeSelector");
    let path = selector.child("matchExpressions");
    let requirements =
        spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    for requirement in requirements {
        check_requirement(requirement, spec, &path, errors);
    }
}

/// Checks what a controller says of a ResourceQuota.
pub(super) fn check_status(quota: &ResourceQuota, errors: &mut Vec<FieldError>) {
    let Some(status) = &quota.status else { return };
    let path = Path::new("status");
    check_amounts(status.hard.as_ref(), &path.child("hard"), errors);
    check_amounts(status.used.as_ref(), &path.child("used"), errors);
}

/// What a quota is about stays: it has counted that.
pub(super) fn check_update(new: &ResourceQuota, old: &ResourceQuota, errors: &mut Vec<FieldError>) {
    let scopes = |quota: &ResourceQuota| {
        let scopes = quota.spec.as_ref().and_then(|spec| spec.scopes.clone());
        scopes.unwrap_or_default().into_iter().collect::<std::collections::BTreeSet<_>>()
    };
    if scopes(new) != scopes(old) {
        let scopes = new.spec.as_ref().and_then(|spec| spec.scopes.clone());
        errors.push(FieldError::invalid("spec.scopes", scopes, IMMUTABLE));
    }
}

fn check_amounts(list: Option<&List>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for resource in list.into_iter().flatten().map(|(resource, _)| resource.as_str()) {
        let words = "must be a standard resource for quotas";
        amounts::check_name(resource, is_standard, words, path.key(resource), errors);
    }
    let read = amounts::read(list, path, errors);
    amounts::check_not_negative(&read, path, errors);
    let is_whole = |resource: &str| COUNTED.contains(&resource) || resource.contains('/');
    for (resource, amount) in read.iter().filter(|(resource, _)| is_whole(resource)) {
        if amount.millis() % 1000 != 0 {
            errors.push(FieldError::invalid(path.key(resource), amount.to_string(), "must be an integer"));
        }
    }
}

fn is_standard(resource: &str) -> bool {
    COMPUTE.contains(&resource)
        || COUNTED.contains(&resource)
        || STORAGE.contains(&resource)
        || resource.starts_with("hugepages-")
        || resource.starts_with("requests.hugepages-")
}

/// Whether a scope says something of what is counted.
fn fits(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => resource == "pods" || COMPUTE.contains(&resource),
    }
}

fn misfits(scope: &str, spec: &ResourceQuotaSpec) -> usize {
    let resources = spec.hard.iter().flatten().map(|(resource, _)| resource.as_str());
    resources.filter(|resource| is_standard(resource) && !fits(scope, resource)).count()
}

fn check_scopes(spec: &ResourceQuotaSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let mut refuse = |words: &str| errors.push(FieldError::invalid(*path, scopes.to_vec(), words));
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            refuse("unsupported scope");
        }
        for _ in 0..misfits(scope, spec) {
            refuse("unsupported scope applied to resource");
        }
    }
    for pair in CONFLICTS {
        if pair.iter().all(|scope| scopes.iter().any(|given| given == scope)) {
            refuse("conflicting scopes");
        }
    }
}

fn check_requirement(
    requirement: &ScopedResourceSelectorRequirement,
    spec: &ResourceQuotaSpec,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let scope = requirement.scope_name.as_str();
    if !SCOPES.contains(&scope) {
        errors.push(FieldError::invalid(path.child("scopeName"), scope, "unsupported scope"));
    }
    for _ in 0..misfits(scope, spec) {
        let selector = serde_json::to_value(&spec.scope_selector).unwrap_or_default();
        errors.push(FieldError::invalid(*path, selector, "unsupported scope applied to resource"));
    }
    let operator = requirement.operator.as_str();
    if !matches!(scope, "PriorityClass" | "VolumeAttributesClass") && operator != "Exists" {
        let words = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                     ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                     ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.push(FieldError::invalid(path.child("operator"), operator, words));
    }
    let values = requirement.values.as_deref().unwrap_or_default();
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let words = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.push(FieldError::required(path.child("values"), words));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let words = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(FieldError::invalid(path.child("values"), Value::from(values.to_vec()), words));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            let words = "not a valid selector operator";
            errors.push(FieldError::invalid(path.child("operator"), other, words));
        }
    }
}
