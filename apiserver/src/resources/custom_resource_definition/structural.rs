//! That a schema is structural: what objects are made of is said outside of `allOf`, `anyOf`, `oneOf` and `not`.

use api::field::FieldError;
use serde_json::{Map, Value, json};

/// Where in the schema a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What may not be said where values are only restricted; the words for each.
const NOT_IN_LOGIC: [(&str, &str); 13] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];

/// Checks a schema whose depth was checked before.
pub fn check(schema: &Value, root: &str, errors: &mut Vec<FieldError>) {
    let mut found = Vec::new();
    node(schema, Level::Root, root, &mut found);
    complete(schema, root, &mut found);
    found.sort_by_key(ToString::to_string);
    errors.extend(found);
}

fn node(schema: &Value, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let is_on = |field: &str| schema[field] == true;
    let of = schema["type"].as_str().unwrap_or_default();
    let items = &schema["items"];
    if of == "array" && !items.is_object() {
        errors.push(FieldError::required(format!("{path}.items"), "must be specified"));
    }
    if items.is_object() {
        node(items, Level::Item, &format!("{path}.items"), errors);
    }
    for (name, below) in properties(schema) {
        node(below, Level::Field, &format!("{path}.properties[{name}]"), errors);
    }
    let additional = schema.get("additionalProperties");
    let additional_path = format!("{path}.additionalProperties");
    if additional.is_some() && level == Level::Root {
        errors.push(FieldError::forbidden(additional_path.as_str(), "must not be used at the root"));
    }
    if let Some(below) = additional.filter(|below| below.is_object()) {
        node(below, Level::Field, &additional_path, errors);
    }
    let is_embedded = is_on("x-kubernetes-embedded-resource");
    let (is_open, is_either) =
        (is_on("x-kubernetes-preserve-unknown-fields"), is_on("x-kubernetes-int-or-string"));
    if is_either && is_open {
        let words = "must be false if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(format!("{path}.x-kubernetes-preserve-unknown-fields"), true, words));
    }
    if is_either && is_embedded {
        let words = "must be false if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(format!("{path}.x-kubernetes-embedded-resource"), true, words));
    }
    logic(schema, is_either, path, errors);
    let type_path = format!("{path}.type");
    let words = "must be object if x-kubernetes-embedded-resource is true";
    match (of, level) {
        ("", _) if is_embedded => errors.push(FieldError::required(type_path, words)),
        (of, _) if is_embedded && of != "object" => errors.push(FieldError::invalid(type_path, of, words)),
        ("", _) if is_either || is_open => {}
        ("", Level::Root) => errors.push(FieldError::required(type_path, "must not be empty at the root")),
        ("", Level::Item) => {
            errors.push(FieldError::required(type_path, "must not be empty for specified array items"));
        }
        ("", Level::Field) => {
            errors.push(FieldError::required(type_path, "must not be empty for specified object fields"));
        }
        (of, Level::Root) if of != "object" => {
            errors.push(FieldError::invalid(type_path, of, "must be object at the root"));
        }
        _ => {}
    }
    if is_embedded && additional.is_some() {
        let words = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(additional_path, words));
    }
    if level == Level::Root || is_embedded {
        own_fields(schema, level, path, errors);
    }
    if is_embedded && !is_open && properties(schema).next().is_none() {
        let words = "must not be empty if x-kubernetes-embedded-resource is true without \
            x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(format!("{path}.properties"), words));
    }
}

/// The fields every object has.
fn own_fields(schema: &Value, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    for name in ["kind", "apiVersion"] {
        let own = &schema["properties"][name];
        if own.is_object() && own["type"] != "string" {
            let of = own["type"].as_str().unwrap_or_default();
            errors.push(FieldError::invalid(format!("{path}.properties[{name}].type"), of, "must be string"));
        }
    }
    let Some(Value::Object(metadata)) = schema["properties"].get("metadata") else {
        return;
    };
    let path = format!("{path}.properties[metadata]");
    if metadata.get("type").is_none_or(|of| of != "object") {
        let of = metadata.get("type").and_then(Value::as_str).unwrap_or_default();
        errors.push(FieldError::invalid(format!("{path}.type"), of, "must be object"));
    }
    let is_name = |name: &String| name == "name" || name == "generateName";
    let others = |metadata: &Map<String, Value>| {
        let named = metadata.get("properties").and_then(Value::as_object);
        named.is_some_and(|named| !named.keys().all(is_name))
            || metadata.keys().any(|key| {
                key.starts_with("x-")
                    || ["additionalProperties", "nullable", "description", "title"].contains(&key.as_str())
            })
    };
    if level == Level::Root && others(metadata) {
        let words = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(path, words));
    }
}

/// What stands below `allOf`, `anyOf`, `oneOf` and `not`.
fn logic(schema: &Value, is_either: bool, path: &str, errors: &mut Vec<FieldError>) {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    for field in ["anyOf", "allOf", "oneOf"] {
        // The one way to say that something is an integer or a string.
        if field == "anyOf" && is_either && schema[field] == either {
            continue;
        }
        for (index, below) in schema[field].as_array().into_iter().flatten().enumerate() {
            let is_pattern = field == "allOf" && index == 0 && is_either && below["anyOf"] == either;
            let path = format!("{path}.{field}[{index}]");
            if is_pattern {
                let mut rest = below.clone();
                crate::tree::set(&mut rest, "anyOf", None);
                restricted(&rest, &path, errors);
            } else {
                restricted(below, &path, errors);
            }
        }
    }
    if schema["not"].is_object() {
        restricted(&schema["not"], &format!("{path}.not"), errors);
    }
}

fn restricted(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    logic(schema, false, path, errors);
    if schema["items"].is_object() {
        restricted(&schema["items"], &format!("{path}.items"), errors);
    }
    for (name, below) in properties(schema) {
        let path = format!("{path}.properties[{name}]");
        restricted(below, &path, errors);
        if name == "metadata" {
            errors.push(FieldError::forbidden(path, "must not be specified in a nested context"));
        }
    }
    for (field, words) in NOT_IN_LOGIC {
        let is_said = match schema.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Bool(on)) => *on || field == "additionalProperties" || field == "default",
            Some(_) => true,
        };
        if is_said {
            errors.push(FieldError::forbidden(format!("{path}.{field}"), words));
        }
    }
    if schema["x-kubernetes-validations"].as_array().is_some_and(|rules| !rules.is_empty()) {
        errors.push(FieldError::forbidden(
            format!("{path}.x-kubernetes-validations"),
            "must be empty to be structural",
        ));
    }
}

/// What values are restricted must be specified outside as well.
fn complete(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    below_logic(schema, schema, path, path, errors);
    for (name, below) in properties(schema) {
        complete(below, &format!("{path}.properties[{name}]"), errors);
    }
    for field in ["items", "additionalProperties"] {
        if schema[field].is_object() {
            complete(&schema[field], &format!("{path}.{field}"), errors);
        }
    }
}

/// What stands below `allOf`, `anyOf`, `oneOf` and `not`; `place` is where the same is to be specified.
fn below_logic(schema: &Value, outside: &Value, path: &str, place: &str, errors: &mut Vec<FieldError>) {
    for field in ["allOf", "anyOf", "oneOf"] {
        for (index, below) in schema[field].as_array().into_iter().flatten().enumerate() {
            specified(below, outside, &format!("{path}.{field}[{index}]"), place, errors);
        }
    }
    if schema["not"].is_object() {
        specified(&schema["not"], outside, &format!("{path}.not"), place, errors);
    }
}

fn specified(restricting: &Value, outside: &Value, path: &str, place: &str, errors: &mut Vec<FieldError>) {
    let missing =
        |path: &str, place: String| FieldError::required(place, format!("because it is defined in {path}"));
    if restricting["items"].is_object() {
        let (path, place) = (format!("{path}.items"), format!("{place}.items"));
        match outside["items"].is_object() {
            true => specified(&restricting["items"], &outside["items"], &path, &place, errors),
            false => errors.push(missing(&path, place)),
        }
    }
    for (name, below) in properties(restricting) {
        let (path, place) = (format!("{path}.properties[{name}]"), format!("{place}.properties[{name}]"));
        let named = outside["properties"].get(name.as_str());
        match named.or(outside.get("additionalProperties").filter(|below| below.is_object())) {
            Some(outside) => specified(below, outside, &path, &place, errors),
            None => errors.push(missing(&path, place)),
        }
    }
    below_logic(restricting, outside, path, place, errors);
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}
