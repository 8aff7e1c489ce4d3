//! What a schema may say at all, node by node.

use api::field::FieldError;
use serde_json::Value;

use crate::custom::rules;
use crate::custom::schema::{LARGEST_DEPTH, compile_pattern};

/// What this API does not have of JSON schemas.
const NOT_SUPPORTED: [&str; 6] =
    ["$ref", "additionalItems", "definitions", "dependencies", "id", "patternProperties"];

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Checks a schema and everything below it.
pub fn check(schema: &Value, root: &str, errors: &mut Vec<FieldError>) {
    node(schema, root, 0, errors);
}

fn node(schema: &Value, path: &str, depth: usize, errors: &mut Vec<FieldError>) {
    let Some(fields) = schema.as_object() else {
        return;
    };
    if depth > LARGEST_DEPTH {
        let words = format!("must not be nested deeper than {LARGEST_DEPTH} levels");
        errors.push(FieldError::forbidden(path, words));
        return;
    }
    for name in NOT_SUPPORTED.iter().filter(|name| fields.contains_key(**name)) {
        errors.push(FieldError::forbidden(format!("{path}.{name}"), format!("{name} is not supported")));
    }
    if fields.get("uniqueItems").is_some_and(|unique| *unique == true) {
        let words = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(format!("{path}.uniqueItems"), words));
    }
    if let Some(of) = schema["type"].as_str().filter(|of| !of.is_empty() && !TYPES.contains(of)) {
        errors.push(match of {
            "null" => {
                let words = "type cannot be set to null, use nullable as an alternative";
                FieldError::forbidden(format!("{path}.type"), words)
            }
            of => FieldError::unsupported(format!("{path}.type"), of, &TYPES),
        });
    }
    if schema["items"].is_array() {
        let words = "items must be a schema object and not an array";
        errors.push(FieldError::forbidden(format!("{path}.items"), words));
    }
    let has_properties = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    let limits = &schema["additionalProperties"];
    if has_properties && (limits.is_object() || *limits == false) {
        let words = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(format!("{path}.additionalProperties"), words));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(why) = compile_pattern(pattern)
    {
        let words = format!("must be a valid regular expression, but isn't: {why}");
        errors.push(FieldError::invalid(format!("{path}.pattern"), pattern, words));
    }
    lists(schema, path, errors);
    for (index, field, why) in rules::mistakes(schema) {
        let text = schema["x-kubernetes-validations"][index][field].clone();
        errors.push(FieldError::invalid(
            format!("{path}.x-kubernetes-validations[{index}].{field}"),
            text,
            why,
        ));
    }
    rules_of(schema, path, errors);
    for (below, path) in below(schema, path) {
        node(below, &path, depth + 1, errors);
    }
}

/// Every schema right below one, with its path.
pub fn below<'a>(schema: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    let mut found = Vec::new();
    for field in ["additionalProperties", "items", "not"] {
        if schema[field].is_object() {
            found.push((&schema[field], format!("{path}.{field}")));
        }
    }
    for (name, node) in schema["properties"].as_object().into_iter().flatten() {
        found.push((node, format!("{path}.properties[{name}]")));
    }
    for field in ["allOf", "anyOf", "oneOf"] {
        for (index, node) in schema[field].as_array().into_iter().flatten().enumerate() {
            found.push((node, format!("{path}.{field}[{index}]")));
        }
    }
    found
}

/// How lists and maps are merged.
fn lists(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let keys_path = format!("{path}.x-kubernetes-list-map-keys");
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let of = schema["type"].as_str().unwrap_or_default();
    let list = schema["x-kubernetes-list-type"].as_str();
    if let Some(list) = list {
        let field = format!("{path}.x-kubernetes-list-type");
        if !["atomic", "set", "map"].contains(&list) {
            errors.push(FieldError::unsupported(field, list, &["atomic", "set", "map"]));
        } else if of != "array" {
            let words = "must be array if x-kubernetes-list-type is specified";
            errors.push(match of {
                "" => FieldError::required(format!("{path}.type"), words),
                of => FieldError::invalid(format!("{path}.type"), of, words),
            });
        }
    }
    let items = &schema["items"];
    if list == Some("map") {
        if keys.is_empty() {
            let words = "must not be empty if x-kubernetes-list-type is map";
            errors.push(FieldError::required(keys_path.as_str(), words));
        }
        if items["type"] != "object" {
            let words = "must be object if parent array's x-kubernetes-list-type is map";
            let found = items["type"].as_str().unwrap_or_default();
            errors.push(FieldError::invalid(format!("{path}.items.type"), found, words));
        }
        for (index, key) in keys.iter().enumerate() {
            let Some(property) = items["properties"].get(*key) else {
                let words = "entries must all be names of item properties";
                errors.push(FieldError::invalid(format!("{keys_path}[{index}]"), *key, words));
                continue;
            };
            let is_required = items["required"].as_array().into_iter().flatten().any(|name| name == key);
            if !is_required && property.get("default").is_none() {
                let words = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                    property";
                errors.push(FieldError::required(format!("{path}.items.properties[{key}].default"), words));
            }
        }
    } else if !keys.is_empty() {
        let words = "must be map if x-kubernetes-list-map-keys is non-empty";
        let field = format!("{path}.x-kubernetes-list-type");
        errors.push(match list {
            None => FieldError::required(field, words),
            Some(list) => FieldError::invalid(field, list, words),
        });
    }
    if let Some(map) = schema["x-kubernetes-map-type"].as_str()
        && !["atomic", "granular"].contains(&map)
    {
        errors.push(FieldError::unsupported(
            format!("{path}.x-kubernetes-map-type"),
            map,
            &["atomic", "granular"],
        ));
    }
}

fn rules_of(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    const REASONS: [&str; 4] =
        ["FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate"];
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    for (index, rule) in rules.enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        let text = |field: &str| rule[field].as_str().unwrap_or_default();
        if text("rule").trim().is_empty() {
            errors.push(FieldError::required(format!("{path}.rule"), "rule is not specified"));
        }
        if rule.get("message").is_some() && text("message").trim().is_empty() {
            let words = "message must be non-empty if specified";
            errors.push(FieldError::invalid(format!("{path}.message"), text("message"), words));
        } else if text("message").contains('\n') {
            let words = "message must not contain line breaks";
            errors.push(FieldError::invalid(format!("{path}.message"), text("message"), words));
        }
        if text("rule").contains('\n') && text("message").is_empty() {
            let words = "message must be specified if rule contains line breaks";
            errors.push(FieldError::required(format!("{path}.message"), words));
        }
        if !text("reason").is_empty() && !REASONS.contains(&text("reason")) {
            errors.push(FieldError::unsupported(format!("{path}.reason"), text("reason"), &REASONS));
        }
    }
}
