//! PersistentVolumeClaims: storage that pods ask for. Once made, a claim can only grow.

mod check;

use api::Resource;
use api::field::FieldError;
use api::resource::PERSISTENT_VOLUME_CLAIMS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};

use super::storage_cells::{self, UNSET};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::tree;

/// The kind PersistentVolumeClaim.
pub struct PersistentVolumeClaims;

impl Builtin for PersistentVolumeClaims {
    type Typed = PersistentVolumeClaim;

    const RESOURCE: Resource = PERSISTENT_VOLUME_CLAIMS;

    const DEFINITION: Definition = Definition {
        short_names: &["pvc"],
        subresources: &["status"],
        ..Definition::new("persistentvolumeclaim")
    };

    fn set_defaults(claim: &mut Value) {
        set_defaults(claim);
    }

    fn prepare_create(claim: &mut Value) {
        tree::set(claim, "status", Some(json!({"phase": "Pending"})));
    }

    fn check(claim: &PersistentVolumeClaim, errors: &mut Vec<FieldError>) {
        check::check(claim, errors);
    }

    fn check_status(claim: &PersistentVolumeClaim, errors: &mut Vec<FieldError>) {
        check::check_status(claim, errors);
    }

    fn check_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim, errors: &mut Vec<FieldError>) {
        check::check_update(new, old, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Status", "What has become of the claim."),
        text("Volume", "The volume that fulfils it."),
        text("Capacity", "How much there is of it."),
        text("Access Modes", "How it can be mounted."),
        text("StorageClass", "The class of the volumes that are meant."),
        text("VolumeAttributesClass", "The class of attributes that is asked for."),
        cells::AGE,
        text("VolumeMode", "Whether it is a file system or a device.").wide(),
    ];

    fn row(claim: &PersistentVolumeClaim, now: Timestamp) -> Vec<Value> {
        let spec = claim.spec.clone().unwrap_or_default();
        let status = claim.status.as_ref();
        let volume = spec.volume_name.unwrap_or_default();
        // What another volume had is not shown.
        let bound = status.filter(|_| !volume.is_empty());
        let capacity = bound.and_then(|status| status.capacity.as_ref()?.get("storage"));
        let modes = bound.and_then(|status| status.access_modes.as_ref());
        vec![
            cells::name(&claim.metadata),
            storage_cells::phase(&claim.metadata, status.and_then(|status| status.phase.as_deref())),
            volume.into(),
            capacity.map(|capacity| capacity.0.as_str()).unwrap_or_default().into(),
            storage_cells::access_modes(modes),
            storage_cells::class(&claim.metadata, spec.storage_class_name.as_deref()),
            spec.volume_attributes_class_name.as_deref().unwrap_or(UNSET).into(),
            cells::age(&claim.metadata, now),
            spec.volume_mode.as_deref().unwrap_or(UNSET).into(),
        ]
    }
}

/// Fills in a claim, alone or in a template.
pub fn set_defaults(claim: &mut Value) {
    let spec = tree::object(claim, "spec");
    tree::set_default(spec, "volumeMode", "Filesystem");
    // Both fields name the source; the newer one can also name one elsewhere.
    let old = spec.get("dataSource").filter(|source| source.is_object()).cloned();
    let new = spec.get("dataSourceRef").filter(|source| source.is_object()).cloned();
    match (old, new) {
        (Some(old), None) => tree::set(spec, "dataSourceRef", Some(old)),
        (None, Some(new)) if tree::text(&new, "namespace").is_none() => {
            tree::set(spec, "dataSource", Some(new));
        }
        _ => {}
    }
    let status = tree::object(claim, "status");
    tree::set_default_text(status, "phase", "Pending");
}
