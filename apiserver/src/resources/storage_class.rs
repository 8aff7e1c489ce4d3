//! StorageClasses: the kinds of storage that claims can ask for.

use std::collections::{BTreeMap, BTreeSet};

use api::Resource;
use api::field::FieldError;
use api::resource::STORAGE_CLASSES;
use api::selector::check_label_key;
use api::storage::{LOCAL_DRIVER, STANDARD_CLASS};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, flag, text};
use crate::names::{IMMUTABLE, report};
use crate::path::Path;
use crate::tree;

/// The group of the kinds around storage.
pub const GROUP: &str = "storage.k8s.io";

const RECLAIM_POLICIES: [&str; 2] = ["Delete", "Retain"];
const BINDING_MODES: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];
/// A class with one of these is the default.
pub const DEFAULT_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

const MOST_PARAMETERS: usize = 512;
const LARGEST_PARAMETERS: usize = 256 << 10;

/// The kind StorageClass.
pub struct StorageClasses;

impl Builtin for StorageClasses {
    type Typed = StorageClass;

    const RESOURCE: Resource = STORAGE_CLASSES;

    const DEFINITION: Definition = Definition { short_names: &["sc"], ..Definition::new("storageclass") };

    fn set_defaults(class: &mut Value) {
        tree::set_default(class, "reclaimPolicy", "Delete");
        tree::set_default(class, "volumeBindingMode", "Immediate");
    }

    fn check(class: &StorageClass, errors: &mut Vec<FieldError>) {
        check_provisioner(&class.provisioner, &Path::new("provisioner"), errors);
        check_parameters(class.parameters.as_ref(), errors);
        let policy = class.reclaim_policy.as_deref().unwrap_or_default();
        if !policy.is_empty() && !RECLAIM_POLICIES.contains(&policy) {
            errors.push(FieldError::unsupported("reclaimPolicy", policy, &RECLAIM_POLICIES));
        }
        match class.volume_binding_mode.as_deref() {
            None => errors.push(FieldError::required("volumeBindingMode", "")),
            Some(mode) if !BINDING_MODES.contains(&mode) => {
                errors.push(FieldError::unsupported("volumeBindingMode", mode, &BINDING_MODES));
            }
            Some(_) => {}
        }
        let path = Path::new("allowedTopologies");
        for (index, term) in class.allowed_topologies.iter().flatten().enumerate() {
            check_topology(term, &path.index(index), errors);
        }
    }

    fn check_update(new: &StorageClass, old: &StorageClass, errors: &mut Vec<FieldError>) {
        let mut forbid = |field: &str, is_same: bool| {
            if !is_same {
                errors.push(FieldError::forbidden(field, format!("updates to {field} are forbidden.")));
            }
        };
        forbid("parameters", new.parameters == old.parameters);
        forbid("provisioner", new.provisioner == old.provisioner);
        forbid("reclaimPolicy", new.reclaim_policy == old.reclaim_policy);
        if new.volume_binding_mode != old.volume_binding_mode {
            let mode = new.volume_binding_mode.clone();
            errors.push(FieldError::invalid("volumeBindingMode", mode, IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Provisioner", "Who makes the volumes."),
        text("ReclaimPolicy", "What happens to a volume that is not claimed any more."),
        text("VolumeBindingMode", "When claims get their volumes."),
        flag("AllowVolumeExpansion", "Whether volumes can become larger."),
        cells::AGE,
    ];

    fn row(class: &StorageClass, now: Timestamp) -> Vec<Value> {
        let annotations = class.metadata.annotations.as_ref();
        let says = |key: &&str| {
            annotations.and_then(|annotations| annotations.get(*key)).is_some_and(|value| value == "true")
        };
        let name = class.metadata.name.as_deref().unwrap_or_default();
        let is_default = DEFAULT_ANNOTATIONS.iter().any(says);
        vec![
            if is_default { format!("{name} (default)") } else { name.to_owned() }.into(),
            class.provisioner.as_str().into(),
            class.reclaim_policy.as_deref().unwrap_or("Delete").into(),
            class.volume_binding_mode.as_deref().unwrap_or("Immediate").into(),
            class.allow_volume_expansion.unwrap_or(false).into(),
            cells::age(&class.metadata, now),
        ]
    }
}

/// The class every cluster begins with: folders of the node on which the first pod of a claim runs.
pub fn standard() -> Value {
    json!({
        "metadata": {"name": STANDARD_CLASS, "annotations": {(DEFAULT_ANNOTATIONS[0]): "true"}},
        "provisioner": LOCAL_DRIVER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true,
    })
}

/// Checks the name of who makes volumes.
pub fn check_provisioner(provisioner: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match provisioner {
        "" => errors.push(FieldError::required(*path, "")),
        name => report(name, check_label_key(&name.to_lowercase()), path, errors),
    }
}

/// Checks what is said to who makes volumes.
pub fn check_parameters(parameters: Option<&BTreeMap<String, String>>, errors: &mut Vec<FieldError>) {
    let Some(parameters) = parameters else { return };
    if parameters.len() > MOST_PARAMETERS {
        errors.push(FieldError::too_long("parameters", MOST_PARAMETERS));
        return;
    }
    if parameters.contains_key("") {
        errors.push(FieldError::invalid("parameters", "", "field can not be empty."));
    }
    if parameters.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > LARGEST_PARAMETERS {
        errors.push(FieldError::too_long("parameters", LARGEST_PARAMETERS));
    }
}

fn check_topology(term: &TopologySelectorTerm, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("matchLabelExpressions");
    let mut keys = BTreeSet::new();
    for (index, requirement) in term.match_label_expressions.iter().flatten().enumerate() {
        let path = path.index(index);
        let values_path = path.child("values");
        if requirement.values.is_empty() {
            errors.push(FieldError::required(values_path, ""));
        }
        let mut values = BTreeSet::new();
        for (index, value) in requirement.values.iter().enumerate() {
            if !values.insert(value) {
                errors.push(FieldError::duplicate(values_path.index(index), value.as_str()));
            }
        }
        let key = requirement.key.as_str();
        report(key, check_label_key(key), &path.child("key"), errors);
        if !keys.insert(key) {
            errors.push(FieldError::duplicate(path.child("key"), key));
        }
    }
}
