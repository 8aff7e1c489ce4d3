//! CSINodes: the drivers of volumes that run on a node.

use std::collections::BTreeSet;

use api::Resource;
use api::field::FieldError;
use api::selector::check_label_key;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver};
use serde_json::Value;

use super::storage_class::GROUP;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number};
use crate::names::{IMMUTABLE, NOT_NEGATIVE, check_driver, report};
use crate::path::Path;

const LONGEST_NODE_ID: usize = 256;

/// The kind CSINode.
pub struct CsiNodes;

impl Builtin for CsiNodes {
    type Typed = CSINode;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "csinodes", "CSINode", false);

    const DEFINITION: Definition = Definition::new("csinode");

    fn check(node: &CSINode, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let path = path.child("drivers");
        let mut names = BTreeSet::new();
        for (index, driver) in node.spec.drivers.iter().enumerate() {
            let path = path.index(index);
            check_node_driver(driver, &path, errors);
            if !names.insert(&driver.name) {
                errors.push(FieldError::duplicate(path.child("name"), driver.name.as_str()));
            }
        }
    }

    fn check_update(new: &CSINode, old: &CSINode, errors: &mut Vec<FieldError>) {
        for driver in &new.spec.drivers {
            let before = old.spec.drivers.iter().find(|before| before.name == driver.name);
            // How many volumes there may be can be found out again.
            let but = |of: &CSINodeDriver| CSINodeDriver { allocatable: None, ..of.clone() };
            if before.is_some_and(|before| but(before) != but(driver)) {
                let value = serde_json::to_value(driver).unwrap_or_default();
                errors.push(FieldError::invalid("spec.drivers", value, IMMUTABLE));
            }
        }
    }

    const COLUMNS: &'static [Column] =
        &[cells::NAME, number("Drivers", "How many drivers run there."), cells::AGE];

    fn row(node: &CSINode, now: Timestamp) -> Vec<Value> {
        let metadata = &node.metadata;
        vec![cells::name(metadata), node.spec.drivers.len().into(), cells::age(metadata, now)]
    }
}

fn check_node_driver(driver: &CSINodeDriver, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_driver(&driver.name, &path.child("name"), errors);
    let id = driver.node_id.as_str();
    if id.is_empty() {
        errors.push(FieldError::required(path.child("nodeID"), ""));
    } else if id.len() > LONGEST_NODE_ID {
        let words = format!("must be {LONGEST_NODE_ID} characters or less");
        errors.push(FieldError::invalid(path.child("nodeID"), id, words));
    }
    let count = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count);
    if let Some(count) = count.filter(|count| *count < 0) {
        errors.push(FieldError::invalid(path.child("allocatable").child("count"), count, NOT_NEGATIVE));
    }
    let mut keys = BTreeSet::new();
    for key in driver.topology_keys.iter().flatten() {
        if key.is_empty() {
            errors.push(FieldError::required(*path, ""));
        }
        if !keys.insert(key) {
            errors.push(FieldError::duplicate(*path, key.as_str()));
        }
        report(key, check_label_key(key), path, errors);
    }
}
