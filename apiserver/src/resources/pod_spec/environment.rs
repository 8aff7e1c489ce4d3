//! Environment variables and where their values come from.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, EnvVarSource, ObjectFieldSelector};

use super::require;
use crate::names::{config_key_mistakes, environment_name_mistakes};
use crate::path::Path;

const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const AMOUNTS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const SOURCES: &str = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or \
                       `fileKeyRef`";

/// Checks the variables of a container at `path`.
pub fn check(container: &Container, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let variables = path.child("env");
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let path = variables.index(index);
        require(&variable.name, path.child("name"), errors);
        if !variable.name.is_empty() {
            let mistakes = environment_name_mistakes(&variable.name).into_iter();
            errors.extend(
                mistakes.map(|words| FieldError::invalid(path.child("name"), variable.name.as_str(), words)),
            );
        }
        if let Some(source) = &variable.value_from {
            let path = path.child("valueFrom");
            if variable.value.as_ref().is_some_and(|value| !value.is_empty()) {
                let words = "may not be specified when `value` is not empty";
                errors.push(FieldError::invalid(path, "", words));
            }
            check_source(source, &path, errors);
        }
    }
    let whole = path.child("envFrom");
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        let path = whole.index(index);
        if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            let mistakes = environment_name_mistakes(prefix).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child("prefix"), prefix, words)));
        }
        match (&source.config_map_ref, &source.secret_ref) {
            (Some(_), Some(_)) => {
                errors.push(FieldError::invalid(
                    path,
                    "",
                    "may not have more than one field specified at a time",
                ));
            }
            (Some(map), None) => require(&map.name, path.child("configMapRef").child("name"), errors),
            (None, Some(secret)) => require(&secret.name, path.child("secretRef").child("name"), errors),
            (None, None) => {
                let words = "must specify one of: `configMapRef` or `secretRef`";
                errors.push(FieldError::invalid(path, "", words));
            }
        }
    }
}

fn check_source(source: &EnvVarSource, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given = [
        source.field_ref.is_some(),
        source.resource_field_ref.is_some(),
        source.config_map_key_ref.is_some(),
        source.secret_key_ref.is_some(),
        source.file_key_ref.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => errors.push(FieldError::invalid(*path, "", SOURCES)),
        1 => {}
        _ => errors.push(FieldError::invalid(
            *path,
            "",
            "may not have more than one field specified at a time",
        )),
    }
    if let Some(reference) = &source.field_ref {
        check_field(reference, &FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(reference) = &source.resource_field_ref {
        check_resource_name(&reference.resource, path.child("resourceFieldRef").child("resource"), errors);
    }
    let keys = [
        ("configMapKeyRef", source.config_map_key_ref.as_ref().map(|from| (&from.name, &from.key))),
        ("secretKeyRef", source.secret_key_ref.as_ref().map(|from| (&from.name, &from.key))),
    ];
    for (field, from) in keys {
        let Some((name, key)) = from else { continue };
        let path = path.child(field);
        require(name, path.child("name"), errors);
        require(key, path.child("key"), errors);
        if !key.is_empty() {
            let mistakes = config_key_mistakes(key).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child("key"), key.as_str(), words)));
        }
    }
}

/// Checks the name of an amount that a container has, such as `limits.cpu`.
pub fn check_resource_name(resource: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let known = AMOUNTS.contains(&resource)
        || resource.starts_with("limits.hugepages-")
        || resource.starts_with("requests.hugepages-");
    if resource.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !known {
        errors.push(FieldError::unsupported(path, resource, &AMOUNTS));
    }
}

/// Checks a reference to one of these fields of the pod, or to a single label or annotation.
pub fn check_field(
    reference: &ObjectFieldSelector,
    fields: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if reference.api_version.as_deref() != Some("v1") {
        let found = reference.api_version.as_deref().unwrap_or_default();
        errors.push(FieldError::unsupported(path.child("apiVersion"), found, &["v1"]));
    }
    let field = reference.field_path.as_str();
    let path = path.child("fieldPath");
    if field.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !fields.contains(&field) && !is_entry(field) {
        errors.push(FieldError::unsupported(path, field, fields));
    }
}

/// `metadata.labels['key']` or `metadata.annotations['key']`.
fn is_entry(field: &str) -> bool {
    let key = ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .find_map(|start| field.strip_prefix(start)?.strip_suffix("']"));
    key.is_some_and(|key| api::selector::check_label_key(key).is_empty())
}
