//! What users get wrong in claims, and how a claim may change.

use api::field::FieldError;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};

use crate::names::Form;
use crate::path::Path;
use crate::resources::persistent_volume::{check_access_modes, check_volume_mode};
use crate::resources::{amounts, label_selector};

const FIXED: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                     bound claims";

/// Checks one state of a claim.
pub(super) fn check(claim: &PersistentVolumeClaim, errors: &mut Vec<FieldError>) {
    let none = PersistentVolumeClaimSpec::default();
    check_spec(claim.spec.as_ref().unwrap_or(&none), &Path::new("spec"), errors);
}

fn check_spec(spec: &PersistentVolumeClaimSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errors.push(FieldError::required(path.child("accessModes"), "at least 1 access mode is required"));
    }
    label_selector::check(spec.selector.as_ref(), &path.child("selector"), errors);
    check_access_modes(modes, path.child("accessModes"), errors);
    check_size(spec.resources.as_ref(), &path.child("resources"), errors);
    let names = [
        ("storageClassName", &spec.storage_class_name),
        ("volumeAttributesClassName", &spec.volume_attributes_class_name),
    ];
    for (field, name) in names {
        if let Some(name) = name.as_deref().filter(|name| !name.is_empty()) {
            let mistakes = Form::Subdomain.mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child(field), name, words)));
        }
    }
    check_volume_mode(spec.volume_mode.as_deref(), path.child("volumeMode"), errors);
    if let Some(source) = &spec.data_source {
        let group = source.api_group.as_deref().unwrap_or_default();
        check_source(&source.name, &source.kind, group, &path.child("dataSource"), errors);
    }
    if let Some(source) = &spec.data_source_ref {
        let group = source.api_group.as_deref().unwrap_or_default();
        check_source(&source.name, &source.kind, group, &path.child("dataSourceRef"), errors);
    }
}

fn check_size(resources: Option<&VolumeResourceRequirements>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    match amounts::read(requests, path, errors).get("storage") {
        Some(size) => amounts::check_positive(*size, path.key("storage"), errors),
        None if requests.is_some_and(|requests| requests.contains_key("storage")) => {}
        None => errors.push(FieldError::required(path.key("storage"), "")),
    }
}

fn check_source(name: &str, kind: &str, group: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (field, text) in [("name", name), ("kind", kind)] {
        if text.is_empty() {
            errors.push(FieldError::required(path.child(field), ""));
        }
    }
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let words = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(FieldError::invalid(*path, kind, words));
    }
}

/// Checks what a controller says of a claim.
pub(super) fn check_status(claim: &PersistentVolumeClaim, errors: &mut Vec<FieldError>) {
    let Some(status) = &claim.status else { return };
    let path = Path::new("status");
    for (field, list) in [("capacity", &status.capacity), ("allocatedResources", &status.allocated_resources)]
    {
        let path = path.child(field);
        let read = amounts::read(list.as_ref(), &path, errors);
        amounts::check_not_negative(&read, &path, errors);
    }
}

/// Checks what changes: a claim is bound once, and grows once it is bound.
pub(super) fn check_update(
    new_claim: &PersistentVolumeClaim,
    old_claim: &PersistentVolumeClaim,
    errors: &mut Vec<FieldError>,
) {
    let (Some(new), Some(old)) = (&new_claim.spec, &old_claim.spec) else { return };
    let status = old_claim.status.clone().unwrap_or_default();
    let is_bound = status.phase.as_deref() == Some("Bound");
    let mut allowed = old.clone();
    if old.volume_name.as_deref().unwrap_or_default().is_empty() {
        allowed.volume_name.clone_from(&new.volume_name);
    }
    if old.storage_class_name.is_none() {
        // A default class may come to be after the claim.
        allowed.storage_class_name.clone_from(&new.storage_class_name);
    }
    if is_bound {
        allowed.volume_attributes_class_name.clone_from(&new.volume_attributes_class_name);
        take_size(&mut allowed, new);
    }
    if *new != allowed {
        errors.push(FieldError::forbidden("spec", FIXED));
    }
    let capacity = status.capacity.as_ref().and_then(|capacity| capacity.get("storage"));
    let capacity = capacity.and_then(|capacity| Quantity::try_from(capacity).ok()).unwrap_or_default();
    if let (Some(old), Some(new)) = (size(old), size(new))
        && new < old
        && new <= capacity
    {
        let words = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden("spec.resources.requests.storage", words));
    }
    let class = |spec: &PersistentVolumeClaimSpec| spec.volume_attributes_class_name.clone();
    if class(old).is_some_and(|class| !class.is_empty()) && class(new).is_none() {
        let words = "update from non-nil value to nil is forbidden";
        errors.push(FieldError::forbidden("spec.volumeAttributesClassName", words));
    }
}

fn take_size(spec: &mut PersistentVolumeClaimSpec, from: &PersistentVolumeClaimSpec) {
    let requests = from.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    if let Some(size) = requests.and_then(|requests| requests.get("storage")) {
        let resources = spec.resources.get_or_insert_default();
        resources.requests.get_or_insert_default().insert("storage".to_owned(), size.clone());
    }
}

/// How much storage is asked for.
fn size(spec: &PersistentVolumeClaimSpec) -> Option<Quantity> {
    let requests = spec.resources.as_ref()?.requests.as_ref()?;
    Quantity::try_from(requests.get("storage")?).ok()
}
