//! What users get wrong in volumes, and how a volume may change.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};
use serde_json::{Map, Value};

use crate::names::{Form, IMMUTABLE};
use crate::path::Path;
use crate::resources::amounts;

const RECLAIM_POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What a volume has besides its one source.
const NOT_SOURCES: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// Checks one state of a volume.
pub(super) fn check(volume: &PersistentVolume, errors: &mut Vec<FieldError>) {
    let none = PersistentVolumeSpec::default();
    let spec = volume.spec.as_ref().unwrap_or(&none);
    let path = Path::new("spec");
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errors.push(FieldError::required(path.child("accessModes"), ""));
    }
    check_access_modes(modes, path.child("accessModes"), errors);
    check_capacity(spec, &path.child("capacity"), errors);
    let policy = spec.persistent_volume_reclaim_policy.as_deref().unwrap_or_default();
    if !policy.is_empty() && !RECLAIM_POLICIES.contains(&policy) {
        let path = path.child("persistentVolumeReclaimPolicy");
        errors.push(FieldError::unsupported(path, policy, &RECLAIM_POLICIES));
    }
    check_source(spec, &path, errors);
    if policy == "Recycle" && spec.host_path.as_ref().is_some_and(|source| is_root(&source.path)) {
        let words = "may not be 'recycle' for a hostPath mount of '/'";
        errors.push(FieldError::forbidden(path.child("persistentVolumeReclaimPolicy"), words));
    }
    if let Some(name) = spec.storage_class_name.as_deref().filter(|name| !name.is_empty()) {
        let mistakes = Form::Subdomain.mistakes(name).into_iter();
        let path = path.child("storageClassName");
        errors.extend(mistakes.map(|words| FieldError::invalid(path, name, words)));
    }
    check_volume_mode(spec.volume_mode.as_deref(), path.child("volumeMode"), errors);
}

/// Access modes that exist and can be together.
pub fn check_access_modes(modes: &[String], path: Path<'_>, errors: &mut Vec<FieldError>) {
    for mode in modes.iter().filter(|mode| !MODES.contains(&mode.as_str())) {
        errors.push(FieldError::unsupported(path, mode.as_str(), &MODES));
    }
    let known = |mode: &&String| MODES.contains(&mode.as_str());
    let mut known = modes.iter().filter(known).map(|mode| mode == "ReadWriteOncePod");
    if let Some(first) = known.next()
        && known.any(|alone| alone != first)
    {
        errors.push(FieldError::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}

/// A file system or a device.
pub fn check_volume_mode(mode: Option<&str>, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(mode) = mode.filter(|mode| !VOLUME_MODES.contains(mode)) {
        errors.push(FieldError::unsupported(path, mode, &VOLUME_MODES));
    }
}

fn check_capacity(spec: &PersistentVolumeSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given = spec.capacity.as_ref().map_or(0, |capacity| capacity.len());
    let has_storage = spec.capacity.as_ref().is_some_and(|capacity| capacity.contains_key("storage"));
    if given == 0 {
        errors.push(FieldError::required(*path, ""));
    }
    if !has_storage || given > 1 {
        let capacity = serde_json::to_value(&spec.capacity).unwrap_or_default();
        errors.push(FieldError::unsupported(*path, capacity, &["storage"]));
    }
    for (resource, amount) in amounts::read(spec.capacity.as_ref(), path, errors) {
        amounts::check_positive(amount, path.key(resource), errors);
    }
}

/// The fields of a volume that say where it is; one of them, if the volume is right.
fn sources(spec: &PersistentVolumeSpec) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(spec) else {
        return Map::new();
    };
    fields.retain(|field, _| !NOT_SOURCES.contains(&field.as_str()));
    fields
}

fn check_source(spec: &PersistentVolumeSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let sources = sources(spec);
    if sources.is_empty() {
        errors.push(FieldError::required(*path, "must specify a volume type"));
    }
    for source in sources.keys().skip(1) {
        errors.push(FieldError::forbidden(path.child(source), "may not specify more than 1 volume type"));
    }
    let required = [
        ("hostPath", "path", spec.host_path.as_ref().map(|source| &source.path)),
        ("local", "path", spec.local.as_ref().map(|source| &source.path)),
        ("nfs", "server", spec.nfs.as_ref().map(|source| &source.server)),
        ("nfs", "path", spec.nfs.as_ref().map(|source| &source.path)),
        ("csi", "driver", spec.csi.as_ref().map(|source| &source.driver)),
        ("csi", "volumeHandle", spec.csi.as_ref().map(|source| &source.volume_handle)),
    ];
    for (source, field, _) in required.iter().filter(|(_, _, text)| text.is_some_and(String::is_empty)) {
        errors.push(FieldError::required(path.child(source).child(field), ""));
    }
    if spec.host_path.as_ref().is_some_and(|source| source.path.split('/').any(|part| part == "..")) {
        let given = spec.host_path.as_ref().map(|source| source.path.clone());
        let path = path.child("hostPath");
        errors.push(FieldError::invalid(path.child("path"), given, "must not contain '..'"));
    }
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    if spec.local.is_some() && required.is_none() {
        errors.push(FieldError::required(path.child("nodeAffinity"), "Local volume requires node affinity"));
    }
    if spec.node_affinity.is_some() && required.is_none() {
        let path = path.child("nodeAffinity");
        errors.push(FieldError::required(path.child("required"), "must specify required node constraints"));
    }
}

/// Whether a path leads to the root, however it is written.
fn is_root(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| matches!(part, "" | "." | ".."))
}

/// Checks what changes: where a volume is stays.
pub(super) fn check_update(new: &PersistentVolume, old: &PersistentVolume, errors: &mut Vec<FieldError>) {
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return };
    if sources(new) != sources(old) {
        let words = "spec.persistentvolumesource is immutable after creation";
        errors.push(FieldError::forbidden("spec.persistentvolumesource", words));
    }
    if new.volume_mode != old.volume_mode {
        errors.push(FieldError::invalid("volumeMode", new.volume_mode.clone(), IMMUTABLE));
    }
    if old.node_affinity.is_some() && new.node_affinity != old.node_affinity {
        let affinity = serde_json::to_value(&new.node_affinity).unwrap_or_default();
        errors.push(FieldError::invalid("spec.nodeAffinity", affinity, IMMUTABLE));
    }
}
