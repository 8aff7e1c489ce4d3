//! What draws pods to others and keeps them apart: affinity between pods, and their spreading.

use std::collections::BTreeSet;

use api::field::FieldError;
use api::selector::check_label_key;
use k8s_openapi::api::core::v1::{
    PodAffinityTerm, PodSpec, TopologySpreadConstraint, WeightedPodAffinityTerm,
};

use crate::names::{Form, report};
use crate::path::Path;
use crate::resources::label_selector;

const ACTIONS: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
const INCLUSIONS: [&str; 2] = ["Honor", "Ignore"];

/// Checks what a pod's specification says of other pods.
pub(super) fn check(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(affinity) = &spec.affinity {
        let path = path.child("affinity");
        if let Some(near) = &affinity.pod_affinity {
            let required = near.required_during_scheduling_ignored_during_execution.as_deref();
            let preferred = near.preferred_during_scheduling_ignored_during_execution.as_deref();
            check_terms(required, preferred, &path.child("podAffinity"), errors);
        }
        if let Some(far) = &affinity.pod_anti_affinity {
            let required = far.required_during_scheduling_ignored_during_execution.as_deref();
            let preferred = far.preferred_during_scheduling_ignored_during_execution.as_deref();
            check_terms(required, preferred, &path.child("podAntiAffinity"), errors);
        }
    }
    check_spreads(spec.topology_spread_constraints.as_deref(), path, errors);
}

fn check_terms(
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let at_required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in required.unwrap_or_default().iter().enumerate() {
        check_term(term, &at_required.index(index), errors);
    }
    let at_preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (index, weighted) in preferred.unwrap_or_default().iter().enumerate() {
        let path = at_preferred.index(index);
        if !(1..=100).contains(&weighted.weight) {
            let words = "must be in the range 1-100";
            errors.push(FieldError::invalid(path.child("weight"), weighted.weight, words));
        }
        check_term(&weighted.pod_affinity_term, &path.child("podAffinityTerm"), errors);
    }
}

fn check_term(term: &PodAffinityTerm, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    label_selector::check(term.label_selector.as_ref(), &path.child("labelSelector"), errors);
    label_selector::check(term.namespace_selector.as_ref(), &path.child("namespaceSelector"), errors);
    for name in term.namespaces.iter().flatten() {
        report(name, Form::Label.mistakes(name), &path.child("namespace"), errors);
    }
    let key = &term.topology_key;
    let path = path.child("topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(path, "can not be empty"));
    }
    report(key, check_label_key(key), &path, errors);
}

fn check_spreads(
    spreads: Option<&[TopologySpreadConstraint]>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let path = path.child("topologySpreadConstraints");
    let mut seen = BTreeSet::new();
    for (index, spread) in spreads.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        check_spread(spread, &path, errors);
        let pair = format!("{{{}, {}}}", spread.topology_key, spread.when_unsatisfiable);
        if !seen.insert(pair.clone()) {
            errors.push(FieldError::duplicate(path.child("{topologyKey, whenUnsatisfiable}"), pair));
        }
    }
}

fn check_spread(spread: &TopologySpreadConstraint, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let positive = "must be greater than zero";
    if spread.max_skew <= 0 {
        errors.push(FieldError::invalid(path.child("maxSkew"), spread.max_skew, positive));
    }
    match spread.topology_key.as_str() {
        "" => errors.push(FieldError::required(path.child("topologyKey"), "can not be empty")),
        key => report(key, check_label_key(key), &path.child("topologyKey"), errors),
    }
    let action = spread.when_unsatisfiable.as_str();
    if !ACTIONS.contains(&action) {
        errors.push(FieldError::unsupported(path.child("whenUnsatisfiable"), action, &ACTIONS));
    }
    if let Some(domains) = spread.min_domains {
        let path = path.child("minDomains");
        if domains <= 0 {
            errors.push(FieldError::invalid(path, domains, positive));
        }
        if action != "DoNotSchedule" {
            let words = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.push(FieldError::invalid(path, domains, words));
        }
    }
    let policies = [
        ("nodeAffinityPolicy", &spread.node_affinity_policy),
        ("nodeTaintsPolicy", &spread.node_taints_policy),
    ];
    for (field, policy) in policies {
        if let Some(policy) = policy.as_deref().filter(|policy| !INCLUSIONS.contains(policy)) {
            errors.push(FieldError::unsupported(path.child(field), policy, &INCLUSIONS));
        }
    }
    label_selector::check(spread.label_selector.as_ref(), &path.child("labelSelector"), errors);
}
