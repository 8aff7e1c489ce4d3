//! Which objects a quota with scopes is about.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodAffinityTerm, PodSpec, ResourceQuotaSpec};

use super::{Counted, Details};

/// Whether a quota counts an object.
pub fn chooses(quota: &ResourceQuotaSpec, object: &Counted<'_>) -> bool {
    let plain = quota.scopes.iter().flatten().map(|scope| (scope.as_str(), "Exists", &[][..]));
    let selected =
        quota.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    let selected = selected.map(|requirement| {
        let values = requirement.values.as_deref().unwrap_or_default();
        (requirement.scope_name.as_str(), requirement.operator.as_str(), values)
    });
    plain.chain(selected).all(|(scope, operator, values)| match &object.details {
        Details::Pod(pod) => holds_for_pod(scope, operator, values, pod),
        Details::Claim(claim) => holds_for_claim(scope, operator, values, claim),
        Details::Service(_) | Details::None => false,
    })
}

fn holds_for_pod(scope: &str, operator: &str, values: &[String], pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let quality = pod.status.as_ref().and_then(|status| status.qos_class.as_deref());
    let is_best_effort = quality == Some("BestEffort");
    match scope {
        "Terminating" => spec.active_deadline_seconds.is_some(),
        "NotTerminating" => spec.active_deadline_seconds.is_none(),
        "BestEffort" => is_best_effort,
        "NotBestEffort" => !is_best_effort,
        "PriorityClass" => is_named(operator, values, spec.priority_class_name.as_deref()),
        "CrossNamespacePodAffinity" => looks_elsewhere(spec),
        _ => false,
    }
}

fn holds_for_claim(scope: &str, operator: &str, values: &[String], claim: &PersistentVolumeClaim) -> bool {
    let class = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    scope == "VolumeAttributesClass" && is_named(operator, values, class)
}

/// Whether a name is as it is to be, as with the values of labels.
fn is_named(operator: &str, values: &[String], name: Option<&str>) -> bool {
    let name = name.filter(|name| !name.is_empty());
    let is_listed = name.is_some_and(|name| values.iter().any(|value| value == name));
    match operator {
        "Exists" => name.is_some(),
        "DoesNotExist" => name.is_none(),
        "In" => is_listed,
        "NotIn" => !is_listed,
        _ => false,
    }
}

/// Whether where a pod runs depends on pods of other namespaces.
fn looks_elsewhere(spec: &PodSpec) -> bool {
    let Some(affinity) = &spec.affinity else { return false };
    let near = affinity.pod_affinity.as_ref();
    let far = affinity.pod_anti_affinity.as_ref();
    let required = [
        near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref()),
        far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref()),
    ];
    let preferred = [
        near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref()),
        far.and_then(|far| far.preferred_during_scheduling_ignored_during_execution.as_ref()),
    ];
    let names_others = |term: &PodAffinityTerm| {
        term.namespaces.as_ref().is_some_and(|namespaces| !namespaces.is_empty())
            || term.namespace_selector.is_some()
    };
    let preferred = preferred.into_iter().flatten().flatten().map(|weighted| &weighted.pod_affinity_term);
    required.into_iter().flatten().flatten().chain(preferred).any(names_others)
}
