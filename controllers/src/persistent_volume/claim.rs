//! What is done for a claim: find or make its volume, bind the two, and let it grow.
//!
//! ```text
//! Pending ──a volume is found or made──▶ (the volume names it) ──▶ Bound ──the volume is gone──▶ Lost
//! ```

use api::Object;
use api::event::{Severity, seconds};
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES};
use api::storage::{BIND_COMPLETED, BOUND_BY_CONTROLLER, LOCAL_DRIVER, PROVISIONED_BY, SELECTED_NODE};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};

use super::{claimed_by, matching, provision, spec_of};
use crate::framework::Action;
use crate::storage::{capacity, class_of_claim, is_bound, reference, requested, size, waits_for_pod};
use crate::typed::Typed;

/// A claim and what there is for it.
pub struct ClaimState {
    /// The claim.
    pub claim: Typed<PersistentVolumeClaim>,
    /// Its class, if it asks for one that exists.
    pub class: Option<Typed<StorageClass>>,
    /// The volume it names; if it names none, those kept for it and the free ones of its class.
    pub volumes: Vec<Typed<PersistentVolume>>,
    /// The pods that use it and wait for a node.
    pub waiting_pods: Vec<String>,
    /// The nodes, for one that is to hold a new volume.
    pub nodes: Vec<Object>,
}

/// Decides the next step for a claim.
pub fn reconcile_claim(state: &ClaimState, now: Timestamp) -> Vec<Action> {
    let object = state.claim.object();
    if is_bound(&state.claim) || object.annotation(BIND_COMPLETED).is_some() {
        return bound(state, now);
    }
    if object.is_terminating() {
        return vec![];
    }
    match name_of_volume(&state.claim) {
        "" => unnamed(state, now),
        _ => named(state, now),
    }
}

fn name_of_volume(claim: &PersistentVolumeClaim) -> &str {
    let spec = claim.spec.as_ref();
    spec.and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

/// A claim that leaves it to us which volume it gets.
fn unnamed(state: &ClaimState, now: Timestamp) -> Vec<Action> {
    let object = state.claim.object();
    let waits = state.class.as_ref().is_some_and(|class| waits_for_pod(class));
    let is_late = waits && object.annotation(SELECTED_NODE).is_none();
    if let Some(volume) = matching::best(&state.claim, &state.volumes, waits) {
        return bind(volume, &state.claim, now);
    }
    let told = if is_late {
        let (reason, words) = match state.waiting_pods.as_slice() {
            [] => {
                let words = "waiting for first consumer to be created before binding".to_owned();
                ("WaitForFirstConsumer", words)
            }
            [pod] => ("WaitForPodScheduled", format!("waiting for pod {pod} to be scheduled")),
            pods => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", pods.join(","))),
        };
        vec![Action::event(object, Severity::Normal, reason, words)]
    } else if class_of_claim(&state.claim).is_empty() {
        let words = "no persistent volumes available for this claim and no storage class is set";
        vec![Action::event(object, Severity::Normal, "FailedBinding", words)]
    } else {
        provision::provision(state)
    };
    pending(&state.claim).into_iter().chain(told).collect()
}

/// A claim whose author chose the volume.
fn named(state: &ClaimState, now: Timestamp) -> Vec<Action> {
    let waits = || pending(&state.claim).into_iter().collect();
    let Some(volume) = state.volumes.first() else { return waits() };
    if matching::is_for(volume, &state.claim) {
        return bind(volume, &state.claim, now);
    }
    if claimed_by(volume).is_some() {
        return waits();
    }
    match matching::mismatch(volume, &state.claim) {
        None => bind(volume, &state.claim, now),
        Some(why) => {
            let words = format!("Cannot bind to requested volume {:?}: {why}", volume.object().name());
            let event = Action::event(state.claim.object(), Severity::Warning, "VolumeMismatch", words);
            pending(&state.claim).into_iter().chain([event]).collect()
        }
    }
}

/// A claim that was bound before: its volume may be gone, and it may want to grow.
fn bound(state: &ClaimState, now: Timestamp) -> Vec<Action> {
    let claim = &state.claim;
    let lost_reference = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
    if name_of_volume(claim).is_empty() {
        return lost(claim, "ClaimLost", lost_reference);
    }
    let Some(volume) = state.volumes.first() else {
        let words = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
        return lost(claim, "ClaimLost", words);
    };
    let uid = claimed_by(volume).map(|claim| claim.uid.clone().unwrap_or_default());
    if uid.as_deref().is_some_and(|uid| uid != claim.object().uid()) && !matching::is_for(volume, claim) {
        let words = "Two claims are bound to the same volume, this one is bound incorrectly";
        return lost(claim, "ClaimMisbound", words);
    }
    let steps = bind(volume, claim, now);
    if steps.is_empty() { grow(volume, claim) } else { steps }
}

fn lost(claim: &Typed<PersistentVolumeClaim>, reason: &str, words: &str) -> Vec<Action> {
    if phase(claim) == "Lost" {
        return vec![];
    }
    let status = json!({"status": {"phase": "Lost", "accessModes": null, "capacity": null}});
    let patch = Action::patch(&PERSISTENT_VOLUME_CLAIMS, claim.object(), "status", status);
    vec![patch, Action::event(claim.object(), Severity::Warning, reason, words)]
}

fn phase(claim: &PersistentVolumeClaim) -> &str {
    let status = claim.status.as_ref();
    status.and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn pending(claim: &Typed<PersistentVolumeClaim>) -> Option<Action> {
    let status = json!({"status": {"phase": "Pending", "accessModes": null, "capacity": null}});
    let patch = || Action::patch(&PERSISTENT_VOLUME_CLAIMS, claim.object(), "status", status);
    (phase(claim) != "Pending").then(patch)
}

/// The next steps that make a volume and a claim each other's; none if they are.
fn bind(
    volume: &Typed<PersistentVolume>,
    claim: &Typed<PersistentVolumeClaim>,
    now: Timestamp,
) -> Vec<Action> {
    if let Some(mark) = mark(volume, claim) {
        return vec![mark];
    }
    let mut steps = Vec::new();
    let volume_phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    if volume_phase != Some("Bound") {
        let status = json!({"phase": "Bound", "lastPhaseTransitionTime": seconds(now)});
        let merge = json!({"status": status});
        steps.push(Action::patch(&PERSISTENT_VOLUMES, volume.object(), "status", merge));
    }
    if name_of_volume(claim).is_empty() || claim.object().annotation(BIND_COMPLETED).is_none() {
        let mut annotations = json!({BIND_COMPLETED: "yes"});
        if name_of_volume(claim).is_empty() {
            annotations[BOUND_BY_CONTROLLER] = "yes".into();
        }
        let merge =
            json!({"metadata": {"annotations": annotations}, "spec": {"volumeName": volume.object().name()}});
        steps.push(Action::patch_unchanged(&PERSISTENT_VOLUME_CLAIMS, claim.object(), "", merge));
    }
    steps.extend(report(volume, claim));
    steps
}

/// Has a volume name the claim, if it does not yet.
fn mark(volume: &Typed<PersistentVolume>, claim: &Typed<PersistentVolumeClaim>) -> Option<Action> {
    let object = claim.object();
    let known = claimed_by(volume);
    if known.is_some_and(|known| known.uid.as_deref() == Some(object.uid())) {
        return None;
    }
    let mut merge = json!({"spec": {"claimRef": reference(object)}});
    if known.is_none() {
        merge["metadata"] = json!({"annotations": {BOUND_BY_CONTROLLER: "yes"}});
    }
    Some(Action::patch_unchanged(&PERSISTENT_VOLUMES, volume.object(), "", merge))
}

/// Has the claim's status say what the volume is.
fn report(volume: &PersistentVolume, claim: &Typed<PersistentVolumeClaim>) -> Vec<Action> {
    let status = claim.status.clone().unwrap_or_default();
    let spec = spec_of(&volume.spec);
    let holds = size(status.capacity.as_ref());
    let same_size = holds == capacity(volume);
    if phase(claim) == "Bound" && status.access_modes == spec.access_modes && same_size {
        return vec![];
    }
    let merge = json!({"status": {
        "phase": "Bound", "accessModes": spec.access_modes, "capacity": spec.capacity, "conditions": null}});
    let patch = Action::patch(&PERSISTENT_VOLUME_CLAIMS, claim.object(), "status", merge);
    let grew = phase(claim) == "Bound" && capacity(volume) > holds;
    let event =
        Action::event(claim.object(), Severity::Normal, "VolumeResizeSuccessful", "Resize volume succeeded");
    std::iter::once(patch).chain(grew.then_some(event)).collect()
}

/// Lets a volume of ours hold as much as its claim asks for by now.
fn grow(volume: &Typed<PersistentVolume>, claim: &Typed<PersistentVolumeClaim>) -> Vec<Action> {
    if requested(claim) <= capacity(volume) {
        return vec![];
    }
    if volume.object().annotation(PROVISIONED_BY) != Some(LOCAL_DRIVER) {
        let words = "waiting for an external controller to expand this PVC";
        return vec![Action::event(claim.object(), Severity::Normal, "ExternalExpanding", words)];
    }
    let wanted: &Value = &claim.object().value()["spec"]["resources"]["requests"]["storage"];
    let merge = json!({"spec": {"capacity": {"storage": wanted}}});
    vec![Action::patch_unchanged(&PERSISTENT_VOLUMES, volume.object(), "", merge)]
}
