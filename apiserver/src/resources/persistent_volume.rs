//! PersistentVolumes: storage that is there for claims to be bound to.

mod check;

use api::Resource;
use api::field::FieldError;
use api::resource::PERSISTENT_VOLUMES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolume;
use serde_json::{Value, json};

pub use check::{check_access_modes, check_volume_mode};

use super::pod_spec::set_source_defaults;
use super::storage_cells::{self, UNSET};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::tree;

/// The kind PersistentVolume.
pub struct PersistentVolumes;

impl Builtin for PersistentVolumes {
    type Typed = PersistentVolume;

    const RESOURCE: Resource = PERSISTENT_VOLUMES;

    const DEFINITION: Definition =
        Definition { short_names: &["pv"], subresources: &["status"], ..Definition::new("persistentvolume") };

    fn set_defaults(volume: &mut Value) {
        let spec = tree::object(volume, "spec");
        tree::set_default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        tree::set_default(spec, "volumeMode", "Filesystem");
        set_source_defaults(spec);
    }

    fn prepare_create(volume: &mut Value) {
        let now = volume["metadata"]["creationTimestamp"].clone();
        tree::set(volume, "status", Some(json!({"phase": "Pending", "lastPhaseTransitionTime": now})));
    }

    fn check(volume: &PersistentVolume, errors: &mut Vec<FieldError>) {
        check::check(volume, errors);
    }

    fn check_update(new: &PersistentVolume, old: &PersistentVolume, errors: &mut Vec<FieldError>) {
        check::check_update(new, old, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Capacity", "How much it holds."),
        text("Access Modes", "How it can be mounted."),
        text("Reclaim Policy", "What becomes of it after its claim."),
        text("Status", "What has become of the volume."),
        text("Claim", "The claim it is bound to."),
        text("StorageClass", "The class it belongs to."),
        text("VolumeAttributesClass", "The class of its attributes."),
        text("Reason", "Why it is in its phase."),
        cells::AGE,
        text("VolumeMode", "Whether it is a file system or a device.").wide(),
    ];

    fn row(volume: &PersistentVolume, now: Timestamp) -> Vec<Value> {
        let spec = volume.spec.clone().unwrap_or_default();
        let status = volume.status.clone().unwrap_or_default();
        let capacity = spec.capacity.as_ref().and_then(|capacity| capacity.get("storage"));
        let claim = spec.claim_ref.map(|claim| {
            format!("{}/{}", claim.namespace.unwrap_or_default(), claim.name.unwrap_or_default())
        });
        vec![
            cells::name(&volume.metadata),
            capacity.map_or("0", |capacity| capacity.0.as_str()).into(),
            storage_cells::access_modes(spec.access_modes.as_ref()),
            spec.persistent_volume_reclaim_policy.unwrap_or_default().into(),
            storage_cells::phase(&volume.metadata, status.phase.as_deref()),
            claim.unwrap_or_default().into(),
            storage_cells::class(&volume.metadata, spec.storage_class_name.as_deref()),
            spec.volume_attributes_class_name.as_deref().unwrap_or(UNSET).into(),
            status.reason.unwrap_or_default().into(),
            cells::age(&volume.metadata, now),
            spec.volume_mode.as_deref().unwrap_or(UNSET).into(),
        ]
    }
}
