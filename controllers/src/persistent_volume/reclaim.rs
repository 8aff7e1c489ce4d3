//! What is done for a volume: say whether it is free, and what its policy wants when its claim is gone.
//!
//! ```text
//! Available ◀──▶ Bound ──the claim is gone──▶ Released ──Delete──▶ (its node removes the folder) ──▶ gone
//!                                                 └──Recycle, or nobody can delete it──▶ Failed
//! ```

use api::event::{Severity, seconds};
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES};
use api::storage::{BOUND_BY_CONTROLLER, FOLDER_FINALIZER, HOSTNAME, LOCAL_DRIVER, PROVISIONED_BY};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::json;

use super::{claim_key, claimed_by, spec_of};
use crate::framework::{Action, Target};
use crate::typed::Typed;

/// A volume and whose it is.
pub struct VolumeState {
    /// The volume.
    pub volume: Typed<PersistentVolume>,
    /// The claim of the name it names.
    pub claim: Option<Typed<PersistentVolumeClaim>>,
    /// Whether the node that had its folder is no longer there.
    pub folder_is_gone: bool,
}

/// The node a volume of ours is on.
pub fn host_of(volume: &PersistentVolume) -> Option<&str> {
    let spec = volume.spec.as_ref()?;
    spec.csi.as_ref().filter(|source| source.driver == LOCAL_DRIVER)?;
    let terms = &spec.node_affinity.as_ref()?.required.as_ref()?.node_selector_terms;
    let mut expressions = terms.iter().flat_map(|term| term.match_expressions.iter().flatten());
    let named = expressions.find(|one| one.key == HOSTNAME && one.operator == "In")?;
    named.values.as_ref()?.first().map(String::as_str)
}

/// Decides the next step for a volume.
pub fn reconcile_volume(state: &VolumeState, now: Timestamp) -> Vec<Action> {
    let VolumeState { volume, claim, folder_is_gone } = state;
    if volume.object().is_terminating() && *folder_is_gone {
        return let_go(volume).into_iter().collect();
    }
    let Some(reference) = claimed_by(volume) else {
        return phase(volume, "Available", now).into_iter().collect();
    };
    let uid = reference.uid.as_deref().unwrap_or_default();
    if uid.is_empty() {
        return phase(volume, "Available", now).into_iter().collect();
    }
    let Some(claim) = claim.as_ref().filter(|claim| claim.object().uid() == uid) else {
        let target = Target::new(&PERSISTENT_VOLUME_CLAIMS, claim_key(reference));
        // The cache may lag behind, and what is deleted does not come back.
        let expect = Action::ExpectAbsent { target, uid: uid.to_owned() };
        let steps = released(volume, now);
        return if steps.is_empty() { steps } else { std::iter::once(expect).chain(steps).collect() };
    };
    match claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default() {
        // The claim's own look goes on from here.
        "" => vec![],
        name if name == volume.object().name() => phase(volume, "Bound", now).into_iter().collect(),
        _ => bound_elsewhere(volume, now),
    }
}

fn phase(volume: &Typed<PersistentVolume>, wanted: &str, now: Timestamp) -> Option<Action> {
    let status = volume.status.as_ref();
    if status.and_then(|status| status.phase.as_deref()) == Some(wanted) {
        return None;
    }
    let status =
        json!({"phase": wanted, "message": null, "reason": null, "lastPhaseTransitionTime": seconds(now)});
    Some(Action::patch(&PERSISTENT_VOLUMES, volume.object(), "status", json!({"status": status})))
}

/// Its claim is gone: the policy decides.
fn released(volume: &Typed<PersistentVolume>, now: Timestamp) -> Vec<Action> {
    let status = volume.status.as_ref();
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Failed") => vec![],
        Some("Released") => reclaim(volume, now),
        _ => phase(volume, "Released", now).into_iter().collect(),
    }
}

fn reclaim(volume: &Typed<PersistentVolume>, now: Timestamp) -> Vec<Action> {
    let spec = spec_of(&volume.spec);
    match spec.persistent_volume_reclaim_policy.as_deref() {
        Some("Delete") => delete(volume, now),
        Some("Recycle") => {
            failed(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!", now)
        }
        _ => vec![],
    }
}

fn delete(volume: &Typed<PersistentVolume>, now: Timestamp) -> Vec<Action> {
    let object = volume.object();
    if object.is_terminating() {
        return vec![];
    }
    match object.annotation(PROVISIONED_BY) {
        Some(LOCAL_DRIVER) => vec![Action::delete(&PERSISTENT_VOLUMES, object, None)],
        // Somebody else made it, and deletes it.
        Some(_) => vec![],
        None => {
            let name = object.name();
            let words = format!(
                "error getting deleter volume plugin for volume {name:?}: no deletable volume plugin matched"
            );
            failed(volume, "VolumeFailedDelete", &words, now)
        }
    }
}

fn failed(volume: &Typed<PersistentVolume>, reason: &str, words: &str, now: Timestamp) -> Vec<Action> {
    let status = json!({"phase": "Failed", "message": words, "lastPhaseTransitionTime": seconds(now)});
    let patch = Action::patch(&PERSISTENT_VOLUMES, volume.object(), "status", json!({"status": status}));
    vec![patch, Action::event(volume.object(), Severity::Warning, reason, words)]
}

/// The claim it was meant for has got another volume.
fn bound_elsewhere(volume: &Typed<PersistentVolume>, now: Timestamp) -> Vec<Action> {
    let spec = spec_of(&volume.spec);
    let is_made = volume.object().annotation(PROVISIONED_BY).is_some();
    if is_made && spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete") {
        return released(volume, now);
    }
    let merge = match volume.object().annotation(BOUND_BY_CONTROLLER) {
        Some(_) => {
            json!({"metadata": {"annotations": {BOUND_BY_CONTROLLER: null}}, "spec": {"claimRef": null}})
        }
        // Its author keeps it for a claim of this name.
        None => json!({"spec": {"claimRef": {"uid": null, "resourceVersion": null}}}),
    };
    vec![Action::patch_unchanged(&PERSISTENT_VOLUMES, volume.object(), "", merge)]
}

/// The folder went with its node: nobody is left to remove it.
fn let_go(volume: &Typed<PersistentVolume>) -> Option<Action> {
    let object = volume.object();
    let finalizers = object.metadata().finalizers.as_ref()?;
    if !finalizers.iter().any(|name| name == FOLDER_FINALIZER) {
        return None;
    }
    let others: Vec<&String> = finalizers.iter().filter(|name| *name != FOLDER_FINALIZER).collect();
    let merge = json!({"metadata": {"finalizers": others}});
    Some(Action::patch_unchanged(&PERSISTENT_VOLUMES, object, "", merge))
}
