//! What holds for a definition apart from its schemas: names, versions, subresources, columns, conversion.

use std::collections::BTreeSet;

use api::field::FieldError;
use k8s_openapi::api::admissionregistration::v1::ServiceReference;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
};
use serde_json::Value;

use super::{default, schema, structural};
use crate::custom::conversion::REVIEW_VERSIONS;
use crate::custom::json_path::JsonPath;
use crate::names::{Form, IMMUTABLE};
use crate::path::Path;
use crate::resources::webhook_configuration::check_client;

/// Groups that belong to Kubernetes, in which others need its approval.
const PROTECTED: [&str; 2] = ["k8s.io", "kubernetes.io"];
const APPROVED: &str = "api-approved.kubernetes.io";

/// Checks a definition.
pub fn definition(definition: &CustomResourceDefinition, errors: &mut Vec<FieldError>) {
    let spec = &definition.spec;
    let name = definition.metadata.name.as_deref().unwrap_or_default();
    if name != format!("{}.{}", spec.names.plural, spec.group) {
        let words = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", name, words));
    }
    approval(definition, errors);
    group(&spec.group, errors);
    match spec.scope.as_str() {
        "" => errors.push(FieldError::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => errors.push(FieldError::unsupported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
    if spec.preserve_unknown_fields == Some(true) {
        let words = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema \
            instead";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", true, words));
    }
    names(&spec.names, errors);
    versions(spec, errors);
    if let Some(conversion) = &spec.conversion {
        self::conversion(conversion, errors);
    }
}

/// Checks what may change.
pub fn update(new: &CustomResourceDefinition, old: &CustomResourceDefinition, errors: &mut Vec<FieldError>) {
    let conditions = old.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_established = conditions
        .into_iter()
        .any(|condition| condition.type_ == "Established" && condition.status == "True");
    let (spec, before) = (&new.spec, &old.spec);
    let mut same = |field: &str, new: &str, old: &str| {
        if new != old {
            errors.push(FieldError::invalid(field, new, IMMUTABLE));
        }
    };
    if is_established {
        same("spec.scope", &spec.scope, &before.scope);
        same("spec.names.kind", &spec.names.kind, &before.names.kind);
    }
    same("spec.group", &spec.group, &before.group);
    same("spec.names.plural", &spec.names.plural, &before.names.plural);
    let stored = new.status.iter().flat_map(|status| status.stored_versions.iter().flatten());
    for (index, stored) in stored.enumerate() {
        if !spec.versions.iter().any(|version| version.name == *stored) {
            let field = format!("status.storedVersions[{index}]");
            errors.push(FieldError::invalid(field, stored.as_str(), "must appear in spec.versions"));
        }
    }
}

fn approval(definition: &CustomResourceDefinition, errors: &mut Vec<FieldError>) {
    let group = definition.spec.group.as_str();
    let is_protected = PROTECTED.iter().any(|known| group == *known || group.ends_with(&format!(".{known}")));
    let annotations = definition.metadata.annotations.as_ref();
    let approval = annotations.and_then(|annotations| annotations.get(APPROVED)).map_or("", String::as_str);
    let field = format!("metadata.annotations[{APPROVED}]");
    let is_link = approval.starts_with("https://") || approval.starts_with("http://");
    if !is_protected || is_link || approval.starts_with("unapproved") {
        return;
    }
    errors.push(match approval {
        "" => FieldError::required(
            field,
            format!(
                "protected groups must have approval annotation {APPROVED:?}, see \
                 https://github.com/kubernetes/enhancements/pull/1111"
            ),
        ),
        other => {
            let words = "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL \
                or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111";
            FieldError::invalid(field, other, words)
        }
    });
}

fn group(group: &str, errors: &mut Vec<FieldError>) {
    let field = "spec.group";
    let mistakes = Form::Subdomain.mistakes(group).join(",");
    if group.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else if !mistakes.is_empty() {
        errors.push(FieldError::invalid(field, group, mistakes));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(field, group, "should be a domain with at least one dot"));
    }
}

fn names(names: &CustomResourceDefinitionNames, errors: &mut Vec<FieldError>) {
    let list_kind = names.list_kind.as_deref().unwrap_or_default();
    let singular = names.singular.as_deref().unwrap_or_default();
    for (field, text) in [
        ("plural", names.plural.as_str()),
        ("singular", singular),
        ("kind", &names.kind),
        ("listKind", list_kind),
    ] {
        let path = format!("spec.names.{field}");
        let is_kind = field == "kind" || field == "listKind";
        let mistakes = Form::Label1035.mistakes(&text.to_lowercase()).join(",");
        if text.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if is_kind && !mistakes.is_empty() {
            let words = format!("may have mixed case, but should otherwise match: {mistakes}");
            errors.push(FieldError::invalid(path, text, words));
        } else if !is_kind {
            label(path, text, errors);
        }
    }
    if !names.kind.is_empty() && names.kind == list_kind {
        let words = "kind and listKind may not be the same";
        errors.push(FieldError::invalid("spec.names.listKind", list_kind, words));
    }
    for (field, texts) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        for (index, text) in texts.iter().flatten().enumerate() {
            label(format!("spec.names.{field}[{index}]"), text, errors);
        }
    }
}

fn label(path: String, text: &str, errors: &mut Vec<FieldError>) {
    let mistakes = Form::Label1035.mistakes(text).join(",");
    if !mistakes.is_empty() {
        errors.push(FieldError::invalid(path, text, mistakes));
    }
}

fn versions(spec: &CustomResourceDefinitionSpec, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let path = path.child("versions");
    let value = || serde_json::to_value(&spec.versions).unwrap_or_default();
    let names: BTreeSet<&str> = spec.versions.iter().map(|version| version.name.as_str()).collect();
    if names.len() < spec.versions.len() {
        errors.push(FieldError::invalid(path, value(), "must contain unique version names"));
    }
    if spec.versions.iter().filter(|version| version.storage).count() != 1 {
        let words = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(path, value(), words));
    }
    // What all versions have in common was once said once, and is still named so.
    let schemas = spec.versions.iter().map(|version| &version.schema);
    let is_common = schemas.clone().all(|schema| Some(schema) == schemas.clone().next().as_ref().copied());
    for (index, version) in spec.versions.iter().enumerate() {
        let path = path.index(index);
        label(path.child("name").to_string(), &version.name, errors);
        if version.deprecation_warning.is_some() && version.deprecated != Some(true) {
            let warning = version.deprecation_warning.as_deref().unwrap_or_default();
            let words = "can only be set for deprecated versions";
            errors.push(FieldError::invalid(path.child("deprecationWarning"), warning, words));
        }
        if !is_common || index == 0 {
            schema_of(version, &path, is_common, errors);
        }
        parts(version, &path, errors);
    }
}

fn schema_of(
    version: &CustomResourceDefinitionVersion,
    path: &Path<'_>,
    is_common: bool,
    errors: &mut Vec<FieldError>,
) {
    let field = path.child("schema");
    let Some(given) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
        errors.push(FieldError::required(field.child("openAPIV3Schema"), "schemas are required"));
        return;
    };
    let root = match is_common {
        true => "spec.validation.openAPIV3Schema".to_owned(),
        false => field.child("openAPIV3Schema").to_string(),
    };
    let written = serde_json::to_value(given).unwrap_or_default();
    let before = errors.len();
    schema::check(&written, &root, errors);
    if errors.len() == before {
        structural::check(&written, &root, errors);
    }
    if errors.len() == before {
        default::check(&written, &root, errors);
    }
}

fn parts(version: &CustomResourceDefinitionVersion, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let scale = version.subresources.as_ref().and_then(|parts| parts.scale.as_ref());
    if let Some(scale) = scale {
        let at = path.child("subresources");
        let at = at.child("scale");
        let selector = scale.label_selector_path.as_deref().unwrap_or_default();
        below(&at.child("specReplicasPath"), &scale.spec_replicas_path, &[".spec"], errors);
        below(&at.child("statusReplicasPath"), &scale.status_replicas_path, &[".status"], errors);
        if !selector.is_empty() {
            below(&at.child("labelSelectorPath"), selector, &[".spec", ".status"], errors);
        }
    }
    for (index, column) in version.additional_printer_columns.iter().flatten().enumerate() {
        let at = path.child("additionalPrinterColumns");
        let at = at.index(index);
        if column.name.is_empty() {
            errors.push(FieldError::required(at.child("name"), ""));
        }
        const TYPES: [&str; 5] = ["integer", "number", "string", "boolean", "date"];
        match column.type_.as_str() {
            "" => {
                let words = format!("must be one of {}", TYPES.join(","));
                errors.push(FieldError::required(at.child("type"), words));
            }
            of if !TYPES.contains(&of) => {
                let words = format!("must be one of {}", TYPES.join(","));
                errors.push(FieldError::invalid(at.child("type"), of, words));
            }
            _ => {}
        }
        if column.json_path.is_empty() {
            errors.push(FieldError::required(at.child("jsonPath"), ""));
        } else if let Err(why) = JsonPath::read(&column.json_path) {
            errors.push(FieldError::invalid(at.child("jsonPath"), column.json_path.as_str(), why));
        }
    }
    for (index, field) in version.selectable_fields.iter().flatten().enumerate() {
        let at = path.child("selectableFields");
        let at = at.index(index);
        let read = JsonPath::read(&field.json_path);
        let is_plain = read.is_ok_and(|path| path.fields().is_some_and(|fields| fields[0] != "metadata"));
        if !is_plain {
            let words = "must be a valid simple path to a field that is not of the metadata";
            errors.push(FieldError::invalid(at.child("jsonPath"), field.json_path.as_str(), words));
        }
    }
}

/// A path that must lead below one of some fields.
fn below(at: &Path<'_>, path: &str, above: &[&str], errors: &mut Vec<FieldError>) {
    if path.is_empty() {
        errors.push(FieldError::required(*at, ""));
        return;
    }
    let is_plain = JsonPath::read(path).is_ok_and(|path| path.fields().is_some());
    let is_below =
        above.iter().any(|above| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.')));
    if !is_plain || !is_below {
        let above = above.join(" or ");
        let either = if above.contains(' ') { "either " } else { "" };
        errors.push(FieldError::invalid(*at, path, format!("should be a json path under {either}{above}")));
    }
}

fn conversion(conversion: &CustomResourceConversion, errors: &mut Vec<FieldError>) {
    match (conversion.strategy.as_str(), &conversion.webhook) {
        ("Webhook", None) => {
            let words = "required when strategy is set to Webhook";
            errors.push(FieldError::required("spec.conversion.webhookClientConfig", words));
        }
        ("Webhook", Some(webhook)) => {
            let known = |version: &String| REVIEW_VERSIONS.contains(&version.as_str());
            if !webhook.conversion_review_versions.iter().any(known) {
                let value = Value::from(webhook.conversion_review_versions.clone());
                let words = format!("must include at least one of {}", REVIEW_VERSIONS.join(", "));
                errors.push(FieldError::invalid("spec.conversion.conversionReviewVersions", value, words));
            }
            let config = webhook.client_config.clone().unwrap_or_default();
            let service = config.service.map(|service| ServiceReference {
                name: service.name,
                namespace: service.namespace,
                path: service.path,
                port: service.port,
            });
            let path = Path::new("spec.conversion.webhookClientConfig");
            check_client(config.url.as_deref(), service.as_ref(), &path, errors);
        }
        ("None", None) => {}
        ("None", Some(_)) => {
            let words = "should not be set when strategy is not set to Webhook";
            errors.push(FieldError::forbidden("spec.conversion.webhookClientConfig", words));
        }
        (other, _) => {
            errors.push(FieldError::unsupported("spec.conversion.strategy", other, &["None", "Webhook"]));
        }
    }
}
