//! Volumes made of several sources, and of what a pod knows about itself.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, ProjectedVolumeSource, ServiceAccountTokenProjection, VolumeProjection,
};

use super::super::containers::local_path_mistake;
use super::super::environment::check_resource_name;
use super::super::{environment, require};
use super::{check_items, check_mode};
use crate::path::Path;

/// The fields of a pod that its files can show, besides single labels and annotations.
const FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// So long a token must last, and no longer, in seconds.
const LIFETIMES: std::ops::RangeInclusive<i64> = 600..=1 << 32;

/// Checks a volume of several sources.
pub fn check(source: &ProjectedVolumeSource, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_mode(source.default_mode, path.child("defaultMode"), errors);
    let sources = path.child("sources");
    for (index, source) in source.sources.iter().flatten().enumerate() {
        check_source(source, &sources.index(index), errors);
    }
}

fn check_source(source: &VolumeProjection, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let fields = serde_json::to_value(source).unwrap_or_default();
    for field in fields.as_object().into_iter().flatten().map(|(field, _)| field).skip(1) {
        errors.push(FieldError::forbidden(path.child(field), "may not specify more than 1 volume type"));
    }
    if let Some(source) = &source.config_map {
        let path = path.child("configMap");
        require(&source.name, path.child("name"), errors);
        check_items(source.items.as_deref(), &path.child("items"), errors);
    }
    if let Some(source) = &source.secret {
        let path = path.child("secret");
        require(&source.name, path.child("name"), errors);
        check_items(source.items.as_deref(), &path.child("items"), errors);
    }
    if let Some(source) = &source.downward_api {
        check_files(source.items.as_deref(), &path.child("downwardAPI").child("items"), errors);
    }
    if let Some(source) = &source.service_account_token {
        check_token(source, &path.child("serviceAccountToken"), errors);
    }
}

fn check_token(source: &ServiceAccountTokenProjection, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let lifetime = source.expiration_seconds.unwrap_or(*LIFETIMES.start());
    let words = match lifetime {
        _ if lifetime < *LIFETIMES.start() => Some("may not specify a duration less than 10 minutes"),
        _ if lifetime > *LIFETIMES.end() => Some("may not specify a duration larger than 2^32 seconds"),
        _ => None,
    };
    errors.extend(words.map(|words| FieldError::invalid(path.child("expirationSeconds"), lifetime, words)));
    check_place(&source.path, path.child("path"), errors);
}

/// Checks the files that show what a pod knows about itself.
pub fn check_files(files: Option<&[DownwardAPIVolumeFile]>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, file) in files.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        check_place(&file.path, path.child("path"), errors);
        check_mode(file.mode, path.child("mode"), errors);
        match (&file.field_ref, &file.resource_field_ref) {
            (Some(_), Some(_)) => {
                let words = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(path, "resource", words));
            }
            (None, None) => {
                errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
            }
            (Some(field), None) => environment::check_field(field, &FIELDS, &path.child("fieldRef"), errors),
            (None, Some(amount)) => {
                let path = path.child("resourceFieldRef");
                require(
                    amount.container_name.as_deref().unwrap_or_default(),
                    path.child("containerName"),
                    errors,
                );
                check_resource_name(&amount.resource, path.child("resource"), errors);
            }
        }
    }
}

fn check_place(place: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    require(place, path, errors);
    if let Some(words) = local_path_mistake(place) {
        errors.push(FieldError::invalid(path, place, words));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn mistakes(source: Value) -> Vec<String> {
        let source: ProjectedVolumeSource = serde_json::from_value(json!({"sources": [source]})).unwrap();
        let mut errors = Vec::new();
        check(&source, &Path::new("p"), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tokens_need_a_place_and_a_life() {
        let token = |value: Value| mistakes(json!({"serviceAccountToken": value}));
        assert!(token(json!({"path": "token", "expirationSeconds": 3607})).is_empty());
        let rows = [
            (json!({"path": ""}), "p.sources[0].serviceAccountToken.path: Required value"),
            (
                json!({"path": "/t"}),
                r#"p.sources[0].serviceAccountToken.path: Invalid value: "/t": must be a relative path"#,
            ),
            (
                json!({"path": "t", "expirationSeconds": 599}),
                "p.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration \
                 less than 10 minutes",
            ),
        ];
        for (value, wanted) in rows {
            assert_eq!(token(value), [wanted]);
        }
    }

    #[test]
    fn files_show_one_known_thing_each() {
        let file = |value: Value| mistakes(json!({"downwardAPI": {"items": [value]}}));
        let reference = |field: &str| json!({"apiVersion": "v1", "fieldPath": field});
        for known in ["metadata.uid", "metadata.labels", "metadata.labels['a']"] {
            assert!(file(json!({"path": "f", "fieldRef": reference(known)})).is_empty(), "{known}");
        }
        let start = "p.sources[0].downwardAPI.items[0]";
        let unknown = file(json!({"path": "f", "fieldRef": reference("spec.nodeName")}));
        assert!(
            unknown[0].starts_with(&format!("{start}.fieldRef.fieldPath: Unsupported value")),
            "{unknown:?}"
        );
        assert_eq!(
            file(json!({"path": "f"})),
            [format!("{start}: Required value: one of fieldRef and resourceFieldRef is required")]
        );
        let amount = json!({"path": "../f", "resourceFieldRef": {"resource": "limits.cpu"}});
        assert_eq!(
            file(amount),
            [
                format!(r#"{start}.path: Invalid value: "../f": must not contain '..'"#),
                format!("{start}.resourceFieldRef.containerName: Required value"),
            ]
        );
    }

    #[test]
    fn a_source_is_one_thing() {
        let both = json!({"secret": {"name": "s"}, "configMap": {"name": "c"}});
        assert_eq!(mistakes(both).len(), 1);
    }
}
