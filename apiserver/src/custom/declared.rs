//! A custom kind as its CustomResourceDefinition declares it: one kind for every version.

use std::cmp::Ordering;
use std::sync::Arc;

use api::Resource;
use serde_json::Value;
use tokio::sync::watch;

use super::columns::Columns;
use super::conversion::{Family, Strategy};
use super::json_path::JsonPath;
use super::kind::CustomKind;
use super::scale::Scale;
use super::schema::{Node, SchemaError};
use crate::builtin::Names;
use crate::managed::node::Node as Ownership;
use crate::openapi::Custom;
use crate::served::{KindHandle, Version};
use crate::tree;

/// What follows from a definition.
pub struct Declared {
    /// The versions in which it is served, the one clients prefer first.
    pub versions: Vec<Version>,
    /// The version in which its objects are stored, served or not.
    pub storage: Option<Version>,
    /// The served versions for the OpenAPI documents.
    pub documents: Vec<Custom>,
    /// What its versions have in common.
    pub family: Arc<Family>,
}

impl Declared {
    /// Reads a definition whose names were accepted.
    pub fn read(definition: &Value) -> Result<Self, SchemaError> {
        let spec = &definition["spec"];
        let empty = Vec::new();
        let mut written: Vec<&Value> = spec["versions"].as_array().unwrap_or(&empty).iter().collect();
        written.sort_by(|one, other| preference(name(other), name(one)));
        let storage =
            written.iter().find(|version| version["storage"] == true).map_or("", |version| name(version));
        let family = Arc::new(Family {
            group: text(spec, "group").to_owned(),
            kind: text(&spec["names"], "kind").to_owned(),
            storage: storage.to_owned(),
            strategy: Strategy::read(&spec["conversion"]),
            retired: watch::Sender::new(false),
        });
        let (versions, documents) = (Vec::new(), Vec::new());
        let mut declared = Self { versions, storage: None, documents, family };
        for version in &written {
            let kind = kind(definition, version, &written, &declared.family)?;
            let is_storage = version["storage"] == true;
            let document = Custom {
                resource: kind.resource.clone(),
                list_kind: kind.list_kind.clone(),
                schema: version["schema"]["openAPIV3Schema"].clone(),
                has_status: kind.has_status,
                has_scale: kind.scale.is_some(),
            };
            let is_served = version["served"] == true;
            let version = Version::new(KindHandle::Custom(Arc::new(kind)));
            if is_storage {
                declared.storage = Some(version.clone());
            }
            if is_served {
                declared.documents.push(document);
                declared.versions.push(version);
            }
        }
        Ok(declared)
    }
}

fn kind(
    definition: &Value,
    version: &Value,
    versions: &[&Value],
    family: &Arc<Family>,
) -> Result<CustomKind, SchemaError> {
    let spec = &definition["spec"];
    // What was accepted counts: a new name may be taken by another kind.
    let names = &definition["status"]["acceptedNames"];
    let texts = |field: &str| {
        let texts = names[field].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let resource = Resource {
        group: text(spec, "group").to_owned().into(),
        version: name(version).to_owned().into(),
        plural: text(names, "plural").to_owned().into(),
        kind: text(names, "kind").to_owned().into(),
        namespaced: spec["scope"] == "Namespaced",
    };
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    let selectable = selectable.filter_map(|field| {
        let path = field["jsonPath"].as_str()?;
        Some((path.trim_start_matches('.').to_owned(), JsonPath::read(path).ok()?))
    });
    Ok(CustomKind {
        names: Names {
            singular: text(names, "singular").to_owned(),
            short_names: texts("shortNames"),
            categories: texts("categories"),
        },
        list_kind: text(names, "listKind").to_owned(),
        schema: Node::read(&version["schema"]["openAPIV3Schema"])?,
        ownership: Ownership::of_object(&version["schema"]["openAPIV3Schema"]),
        columns: Columns::read(version),
        selectable: selectable.collect(),
        scale: Scale::read(version),
        has_status: version["subresources"].get("status").is_some(),
        is_terminating: definition["metadata"].get("deletionTimestamp").is_some(),
        warning: warning(&resource, version, versions),
        family: family.clone(),
        resource,
    })
}

/// What users of a deprecated version are told.
fn warning(resource: &Resource, version: &Value, versions: &[&Value]) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(own) = tree::text(version, "deprecationWarning") {
        return Some(own.to_owned());
    }
    let Resource { group, kind, .. } = resource;
    let mut words = format!("{group}/{} {kind} is deprecated", name(version));
    let is_better = |other: &&&Value| {
        other["served"] == true
            && other["deprecated"] != true
            && preference(name(version), name(other)) == Ordering::Less
    };
    if let Some(better) = versions.iter().find(is_better) {
        words.push_str(&format!("; use {group}/{} {kind}", name(better)));
    }
    Some(words)
}

fn name(version: &Value) -> &str {
    text(version, "name")
}

fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().unwrap_or_default()
}

/// Orders versions as Kubernetes prefers them: `v2` before `v1` before `v1beta2` before `v1alpha1` before all else.
pub fn preference(one: &str, other: &str) -> Ordering {
    match (rank(one), rank(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        // Of the others, those early in the alphabet come first.
        (None, None) => other.cmp(one),
    }
}

/// Stability, major version and minor version.
fn rank(name: &str) -> Option<(u8, u64, u64)> {
    let rest = name.strip_prefix('v')?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (major, rest) = rest.split_at(digits);
    let major = major.parse().ok()?;
    if rest.is_empty() {
        return Some((2, major, 0));
    }
    let stable = [("alpha", 0), ("beta", 1)];
    stable
        .iter()
        .find_map(|(word, stability)| Some((*stability, major, rest.strip_prefix(word)?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_preferred_as_in_kubernetes() {
        let mut names = ["foo1", "v1beta1", "v2", "v11alpha2", "v10", "v1", "v11beta2", "v3beta1", "foo10"];
        names.sort_by(|one, other| preference(other, one));
        assert_eq!(
            names,
            ["v10", "v2", "v1", "v11beta2", "v3beta1", "v1beta1", "v11alpha2", "foo1", "foo10"]
        );
    }
}
