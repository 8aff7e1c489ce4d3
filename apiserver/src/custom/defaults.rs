//! Fills in what a schema has defaults for, and drops null where a default takes its place.

use serde_json::Value;

use super::schema::Node;

/// Fills in the defaults of an object.
pub fn fill_in(schema: &Node, object: &mut Value) {
    if !schema.has_defaults {
        return;
    }
    match object {
        Value::Object(fields) => {
            for (name, node) in &schema.properties {
                let Some(default) = &node.default else {
                    continue;
                };
                let is_open = fields.get(name).is_none_or(|given| given.is_null() && !node.nullable);
                if is_open {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                let Some(node) = schema.field(name) else {
                    continue;
                };
                // In a map, too, null gives way to the default of what stands there.
                if let Some(default) = node.default.as_ref().filter(|_| value.is_null() && !node.nullable) {
                    *value = default.clone();
                }
                fill_in(node, value);
            }
        }
        Value::Array(items) => {
            for item in items {
                let Some(node) = &schema.items else {
                    return;
                };
                if let Some(default) = node.default.as_ref().filter(|_| item.is_null() && !node.nullable) {
                    *item = default.clone();
                }
                fill_in(node, item);
            }
        }
        _ => {}
    }
}
