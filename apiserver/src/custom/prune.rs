//! Drops what a schema does not specify.

use serde_json::Value;

use super::schema::{Additional, Node, is_own_field};

/// What is reported at most of what was dropped: nobody reads on.
const LARGEST_REPORT: usize = 100;

/// Drops what is not specified from an object; returns the paths of what was there.
pub fn prune(schema: &Node, object: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    node(schema, object, true, "", &mut dropped);
    dropped
}

fn node(schema: &Node, value: &mut Value, is_resource: bool, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                let known = schema.preserve_unknown
                    || is_resource && is_own_field(name)
                    || schema.properties.contains_key(name)
                    || !matches!(schema.additional, Additional::None);
                if !known && dropped.len() < LARGEST_REPORT {
                    dropped.push(joined(path, name));
                }
                known
            });
            for (name, value) in fields {
                // The metadata was read by its own type.
                if is_resource && is_own_field(name) {
                    continue;
                }
                if let Some(below) = schema.field(name) {
                    node(below, value, below.embedded, &joined(path, name), dropped);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = &schema.items {
                for (index, item) in items.iter_mut().enumerate() {
                    node(below, item, below.embedded, &format!("{path}[{index}]"), dropped);
                }
            }
        }
        _ => {}
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
