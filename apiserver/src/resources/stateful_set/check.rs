//! What users get wrong in StatefulSets, and what of them can change.

use api::field::FieldError;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::names::NOT_NEGATIVE;
use crate::path::Path;
use crate::resources::{share, template};

const POLICIES: [&str; 2] = ["OrderedReady", "Parallel"];
const RETENTIONS: [&str; 2] = ["Retain", "Delete"];

const FIXED: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                     'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                     'minReadySeconds' are forbidden";

/// Checks one state of a StatefulSet.
pub(super) fn check(stateful_set: &StatefulSet, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let Some(spec) = &stateful_set.spec else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let policy = spec.pod_management_policy.as_deref().unwrap_or_default();
    if !POLICIES.contains(&policy) {
        let words = "must be 'OrderedReady' or 'Parallel'";
        errors.push(FieldError::invalid(path.child("podManagementPolicy"), policy, words));
    }
    check_strategy(spec, &path.child("updateStrategy"), errors);
    check_retention(spec, &path.child("persistentVolumeClaimRetentionPolicy"), errors);
    let counts = [
        ("replicas", spec.replicas),
        ("minReadySeconds", spec.min_ready_seconds),
        ("revisionHistoryLimit", spec.revision_history_limit),
    ];
    template::check_counts(&path, &counts, errors);
    if let Some(start) = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start) {
        template::check_counts(&path, &[("ordinals.start", Some(start))], errors);
    }
    let filled = with_claims(spec);
    let check = template::Check { selector: &spec.selector, template: Some(&filled) };
    check.run("StatefulSet", &path, errors);
}

/// The template with the claims as volumes, for its containers mount them by their names.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let Some(pod) = &mut template.spec else { return template };
    for claim in spec.volume_claim_templates.iter().flatten() {
        let name = claim.metadata.name.clone().unwrap_or_default();
        let volumes = pod.volumes.get_or_insert_default();
        if volumes.iter().all(|volume| volume.name != name) {
            let source = PersistentVolumeClaimVolumeSource { claim_name: name.clone(), read_only: None };
            volumes.push(Volume { name, persistent_volume_claim: Some(source), ..Volume::default() });
        }
    }
    template
}

fn check_strategy(spec: &StatefulSetSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(strategy) = &spec.update_strategy else { return };
    let at_rolling = path.child("rollingUpdate");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", Some(rolling)) => {
            let rolling = serde_json::to_value(rolling).unwrap_or_default();
            let words = "only allowed for updateStrategy 'RollingUpdate'";
            errors.push(FieldError::invalid(at_rolling, rolling, words));
        }
        ("RollingUpdate", Some(rolling)) => {
            template::check_counts(&at_rolling, &[("partition", rolling.partition)], errors);
            if let Some(unavailable) = &rolling.max_unavailable {
                check_unavailable(unavailable, &at_rolling.child("maxUnavailable"), errors);
            }
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        _ => {
            let strategy = serde_json::to_value(strategy).unwrap_or_default();
            errors.push(FieldError::invalid(*path, strategy, "must be 'RollingUpdate' or 'OnDelete'"));
        }
    }
}

/// An update that may have no pod unavailable would never begin.
fn check_unavailable(unavailable: &IntOrString, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    share::check(unavailable, path, errors);
    if share::is_zero(unavailable) {
        errors.push(FieldError::invalid(*path, share::as_value(unavailable), "cannot be 0"));
    }
    share::check_at_most_all(unavailable, path, errors);
}

fn check_retention(spec: &StatefulSetSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(retention) = &spec.persistent_volume_claim_retention_policy else { return };
    for (field, policy) in [("whenDeleted", &retention.when_deleted), ("whenScaled", &retention.when_scaled)]
    {
        let policy = policy.as_deref().unwrap_or_default();
        if !RETENTIONS.contains(&policy) {
            errors.push(FieldError::unsupported(path.child(field), policy, &RETENTIONS));
        }
    }
}

/// Checks what a controller says of a StatefulSet.
pub(super) fn check_status(stateful_set: &StatefulSet, errors: &mut Vec<FieldError>) {
    let Some(status) = &stateful_set.status else { return };
    let path = Path::new("status");
    let parts = [
        ("readyReplicas", status.ready_replicas),
        ("currentReplicas", status.current_replicas),
        ("updatedReplicas", status.updated_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    template::check_counts(&path, &[("replicas", Some(status.replicas))], errors);
    template::check_counts(&path, &parts, errors);
    template::check_counts(&path, &[("collisionCount", status.collision_count)], errors);
    if let Some(generation) = status.observed_generation.filter(|generation| *generation < 0) {
        errors.push(FieldError::invalid(path.child("observedGeneration"), generation, NOT_NEGATIVE));
    }
    template::check_parts(status.replicas, &parts, errors);
    let available = status.available_replicas.unwrap_or(0);
    if available > status.ready_replicas.unwrap_or(0) {
        let words = "cannot be greater than status.readyReplicas";
        errors.push(FieldError::invalid(path.child("availableReplicas"), available, words));
    }
}

/// Checks what changes: names and storage of the pods stay.
pub(super) fn check_update(new: &StatefulSet, old: &StatefulSet, errors: &mut Vec<FieldError>) {
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return };
    let allowed = StatefulSetSpec {
        replicas: new.replicas,
        ordinals: new.ordinals.clone(),
        template: new.template.clone(),
        update_strategy: new.update_strategy.clone(),
        revision_history_limit: new.revision_history_limit,
        persistent_volume_claim_retention_policy: new.persistent_volume_claim_retention_policy.clone(),
        min_ready_seconds: new.min_ready_seconds,
        ..old.clone()
    };
    if *new != allowed {
        errors.push(FieldError::forbidden("spec", FIXED));
    }
}
