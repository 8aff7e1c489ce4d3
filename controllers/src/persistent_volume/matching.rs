//! Which volumes can fulfil a claim, and which of them does best.

use api::quantity::Quantity;
use api::selector::LabelSelector;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::claimed_by;
use crate::storage::{capacity, class_of_claim, class_of_volume, requested};
use crate::typed::Typed;

/// Why a volume cannot fulfil a claim that names it; none if it can.
pub fn mismatch(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<&'static str> {
    if capacity(volume) < requested(claim) {
        Some("requested PV is too small")
    } else if class_of_volume(volume) != class_of_claim(claim) {
        Some("storageClassName does not match")
    } else if mode_of_volume(volume) != mode_of_claim(claim) {
        Some("incompatible volumeMode")
    } else if !has_access_modes(volume, claim) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

/// The volume for a claim that names none: one that is kept for it, or the smallest of those that are free. With `only_kept`
/// only the former are asked.
pub fn best<'a>(
    claim: &Typed<PersistentVolumeClaim>,
    volumes: &'a [Typed<PersistentVolume>],
    only_kept: bool,
) -> Option<&'a Typed<PersistentVolume>> {
    let usable = |volume: &&Typed<PersistentVolume>| {
        volume.metadata.deletion_timestamp.is_none()
            && mode_of_volume(volume) == mode_of_claim(claim)
            && has_access_modes(volume, claim)
            && capacity(volume) >= requested(claim)
    };
    let mut kept = volumes.iter().filter(|volume| is_for(volume, claim));
    if let Some(kept) = kept.find(usable) {
        return Some(kept);
    }
    let free = volumes.iter().filter(|volume| !only_kept && is_free_for(volume, claim)).filter(usable);
    let size = |volume: &Typed<PersistentVolume>| (capacity(volume), volume.object().name().to_owned());
    free.min_by(|one, other| compare(&size(one), &size(other)))
}

fn compare(one: &(Quantity, String), other: &(Quantity, String)) -> std::cmp::Ordering {
    one.0.partial_cmp(&other.0).unwrap_or(std::cmp::Ordering::Equal).then_with(|| one.1.cmp(&other.1))
}

/// Whether a volume names this claim, or one that had its name and is not known by uid.
pub fn is_for(volume: &PersistentVolume, claim: &Typed<PersistentVolumeClaim>) -> bool {
    claimed_by(volume).is_some_and(|named| {
        let uid = named.uid.as_deref().unwrap_or_default();
        named.name.as_deref() == Some(claim.object().name())
            && named.namespace.as_deref() == Some(claim.object().namespace())
            && (uid.is_empty() || uid == claim.object().uid())
    })
}

/// Whether anybody may have a volume, and this claim asks for such a one.
pub fn is_free_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    // The selector was checked when the claim was written.
    let selector = LabelSelector::from_api(selector.or(Some(&Default::default())));
    claimed_by(volume).is_none()
        && phase == Some("Available")
        && class_of_volume(volume) == class_of_claim(claim)
        && selector.is_ok_and(|selector| selector.matches(volume.metadata.labels.as_ref()))
}

fn mode_of_volume(volume: &PersistentVolume) -> &str {
    let spec = volume.spec.as_ref();
    spec.and_then(|spec| spec.volume_mode.as_deref()).unwrap_or("Filesystem")
}

fn mode_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let spec = claim.spec.as_ref();
    spec.and_then(|spec| spec.volume_mode.as_deref()).unwrap_or("Filesystem")
}

fn has_access_modes(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let offered = volume.spec.as_ref().and_then(|spec| spec.access_modes.as_ref());
    let mut asked = claim.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten());
    asked.all(|mode| offered.is_some_and(|offered| offered.contains(mode)))
}
