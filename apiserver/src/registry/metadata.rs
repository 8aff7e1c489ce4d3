//! What holds for the metadata of every object: names, identity, labels, owners, finalizers.

use api::field::FieldError;
use api::selector::{check_label_key, check_label_value};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::Value;

use crate::builtin::{Definition, Kind};
use crate::names::IMMUTABLE;
use crate::path::Path;
use crate::tree;

/// Keys and values of all annotations together, as in Kubernetes.
const LARGEST_ANNOTATIONS: usize = 256 << 10;

/// What only the server sets, and what it does not keep.
const SET_BY_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The identity of a new object.
pub struct New<'a> {
    /// The namespace; empty for objects of the cluster.
    pub namespace: &'a str,
    /// The name; empty if the object has none, which is an error found later.
    pub name: &'a str,
    /// The uid.
    pub uid: String,
    /// The time as Kubernetes writes it.
    pub now: String,
}

/// Gives a new object its identity, whatever the user said of it.
pub fn identify(object: &mut Value, new: New<'_>, kind: &dyn Kind) {
    let metadata = tree::object(object, "metadata");
    for field in SET_BY_SERVER {
        tree::set(metadata, field, None);
    }
    let given = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    tree::set(metadata, "namespace", given(new.namespace));
    tree::set(metadata, "name", given(new.name));
    tree::set(metadata, "uid", Some(new.uid.into()));
    tree::set(metadata, "creationTimestamp", Some(new.now.into()));
    if kind.has_generations() {
        tree::set(metadata, "generation", Some(1.into()));
    }
}

/// What of an object's metadata nobody changes on the way: its name, and what only the server sets.
pub fn identity(object: &Value) -> Vec<(&'static str, Option<Value>)> {
    let fields = ["name", "namespace"].into_iter().chain(SET_BY_SERVER);
    fields.map(|field| (field, object["metadata"].get(field).cloned())).collect()
}

/// Keeps the identity of an object in its next state; a change the user asked for is an error.
pub fn keep_identity(new: &mut Value, old: &Value, errors: &mut Vec<FieldError>) {
    let metadata = tree::object(new, "metadata");
    let old = &old["metadata"];
    for field in SET_BY_SERVER {
        let same_or_absent = match (metadata.get(field), old.get(field)) {
            (Some(new), old) => old == Some(new),
            (None, _) => true,
        };
        let user_may_not =
            matches!(field, "creationTimestamp" | "deletionTimestamp" | "deletionGracePeriodSeconds");
        if user_may_not && !same_or_absent {
            let value = metadata[field].clone();
            errors.push(FieldError::invalid(format!("metadata.{field}"), value, IMMUTABLE));
        }
        tree::set(metadata, field, old.get(field).cloned());
    }
    for field in ["name", "namespace"] {
        tree::set(metadata, field, old.get(field).cloned());
    }
}

/// Counts a new generation if what makes one differs.
pub fn count_generation(new: &mut Value, old: &Value, kind: &dyn Kind) {
    if kind.is_new_generation(new, old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        tree::set(tree::object(new, "metadata"), "generation", Some(generation.into()));
    }
}

/// Whether deletion was asked for.
pub fn is_terminating(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// The finalizers of an object.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// An object that is being deleted takes no more finalizers.
pub fn check_finalizers_stay(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if !is_terminating(old) {
        return;
    }
    let old: Vec<&str> = finalizers(old).collect();
    let added: Vec<&str> = finalizers(new).filter(|finalizer| !old.contains(finalizer)).collect();
    if !added.is_empty() {
        let words = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.iter().map(|finalizer| format!("{finalizer:?}")).collect::<Vec<_>>().join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", words));
    }
}

/// Checks the metadata of an object.
pub fn check(metadata: &ObjectMeta, definition: &Definition, errors: &mut Vec<FieldError>) {
    let path = Path::new("metadata");
    check_name(metadata, definition, &path, errors);
    check_labels_and_annotations(metadata, &path, errors);
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    check_owners(owners, &path.child("ownerReferences"), errors);
    for finalizer in metadata.finalizers.iter().flatten() {
        let mistakes = check_label_key(finalizer).into_iter();
        let path = path.child("finalizers");
        errors.extend(mistakes.map(|words| FieldError::invalid(path, finalizer.as_str(), words)));
    }
}

fn check_name(metadata: &ObjectMeta, definition: &Definition, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let prefix = metadata.generate_name.as_deref().unwrap_or_default();
    if !prefix.is_empty() {
        let mistakes = definition.names.prefix_mistakes(prefix).into_iter();
        let path = path.child("generateName");
        errors.extend(mistakes.map(|words| FieldError::invalid(path, prefix, words)));
    }
    let path = path.child("name");
    match metadata.name.as_deref().unwrap_or_default() {
        "" => errors.push(FieldError::required(path, "name or generateName is required")),
        name => {
            let mistakes = definition.names.mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path, name, words)));
        }
    }
}

/// Checks labels and annotations, also those of a template.
pub fn check_labels_and_annotations(metadata: &ObjectMeta, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let labels = path.child("labels");
    for (key, value) in metadata.labels.iter().flatten() {
        let mistakes = check_label_key(key).into_iter();
        errors.extend(mistakes.map(|words| FieldError::invalid(labels, key.as_str(), words)));
        let mistakes = check_label_value(value).into_iter();
        errors.extend(mistakes.map(|words| FieldError::invalid(labels, value.as_str(), words)));
    }
    let annotations = path.child("annotations");
    let mut bytes = 0;
    for (key, value) in metadata.annotations.iter().flatten() {
        bytes += key.len() + value.len();
        let mistakes = check_label_key(&key.to_lowercase()).into_iter();
        errors.extend(mistakes.map(|words| FieldError::invalid(annotations, key.as_str(), words)));
    }
    if bytes > LARGEST_ANNOTATIONS {
        errors.push(FieldError::too_long(annotations, LARGEST_ANNOTATIONS));
    }
}

fn check_owners(owners: &[OwnerReference], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for owner in owners {
        let texts = [
            ("apiVersion", &owner.api_version, "version must not be empty"),
            ("kind", &owner.kind, "must not be empty"),
            ("name", &owner.name, "must not be empty"),
            ("uid", &owner.uid, "must not be empty"),
        ];
        for (field, text, words) in texts {
            if text.is_empty() {
                errors.push(FieldError::invalid(path.child(field), text.as_str(), words));
            }
        }
        if owner.kind == "Event" && matches!(owner.api_version.as_str(), "v1" | "events.k8s.io/v1") {
            let words = format!("{}, Kind=Event is disallowed from being an owner", owner.api_version);
            errors.push(FieldError::invalid(*path, "Event", words));
        }
    }
    let mut controllers = owners.iter().filter(|owner| owner.controller == Some(true));
    if let (Some(first), Some(second)) = (controllers.next(), controllers.next()) {
        let words = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
            first.kind, first.name, second.kind, second.name
        );
        let value = serde_json::to_value(owners).unwrap_or_default();
        errors.push(FieldError::invalid(*path, value, words));
    }
}
