//! Volumes: one source each, named once.

mod projected;

use std::collections::BTreeSet;

use api::field::FieldError;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use super::containers::local_path_mistake;
use super::{require, require_name};
use crate::names::{Form, NOT_NEGATIVE};
use crate::path::Path;

/// Checks the volumes of a pod; returns their names.
pub fn check<'a>(
    volumes: Option<&'a [Volume]>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        require_name(&volume.name, Form::Label, path.child("name"), errors);
        if !volume.name.is_empty() && !names.insert(volume.name.as_str()) {
            errors.push(FieldError::duplicate(path.child("name"), volume.name.as_str()));
        }
        check_source(volume, &path, errors);
    }
    names
}

fn check_source(volume: &Volume, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    // Whatever the sources are called, all but the name is one.
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let sources = fields.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
    let mut sources = sources.filter(|field| *field != "name");
    if sources.next().is_none() {
        errors.push(FieldError::required(*path, "must specify a volume type"));
    }
    for source in sources {
        errors.push(FieldError::forbidden(path.child(source), "may not specify more than 1 volume type"));
    }
    if let Some(source) = &volume.config_map {
        let path = path.child("configMap");
        require(&source.name, path.child("name"), errors);
        check_mode(source.default_mode, path.child("defaultMode"), errors);
        check_items(source.items.as_deref(), &path.child("items"), errors);
    }
    if let Some(source) = &volume.secret {
        let path = path.child("secret");
        require(source.secret_name.as_deref().unwrap_or_default(), path.child("secretName"), errors);
        check_mode(source.default_mode, path.child("defaultMode"), errors);
        check_items(source.items.as_deref(), &path.child("items"), errors);
    }
    if let Some(source) = &volume.host_path {
        let path = path.child("hostPath");
        require(&source.path, path.child("path"), errors);
    }
    if let Some(source) = &volume.persistent_volume_claim {
        let path = path.child("persistentVolumeClaim");
        require(&source.claim_name, path.child("claimName"), errors);
    }
    if let Some(limit) = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref()) {
        let path = path.child("emptyDir");
        match Quantity::try_from(limit) {
            Err(error) => {
                let words = error.to_string();
                errors.push(FieldError::invalid(path.child("sizeLimit"), limit.0.as_str(), words));
            }
            Ok(size) if size.is_negative() => {
                errors.push(FieldError::invalid(path.child("sizeLimit"), limit.0.as_str(), NOT_NEGATIVE));
            }
            Ok(_) => {}
        }
    }
    if let Some(source) = &volume.projected {
        projected::check(source, &path.child("projected"), errors);
    }
    if let Some(source) = &volume.downward_api {
        let path = path.child("downwardAPI");
        check_mode(source.default_mode, path.child("defaultMode"), errors);
        projected::check_files(source.items.as_deref(), &path.child("items"), errors);
    }
}

fn check_mode(mode: Option<i32>, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        let words = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(path, mode, words));
    }
}

fn check_items(items: Option<&[KeyToPath]>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        require(&item.key, path.child("key"), errors);
        require(&item.path, path.child("path"), errors);
        if let Some(words) = local_path_mistake(&item.path) {
            errors.push(FieldError::invalid(path.child("path"), item.path.as_str(), words));
        }
        check_mode(item.mode, path.child("mode"), errors);
    }
}
