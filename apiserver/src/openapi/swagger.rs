//! The same documents in OpenAPI v2, which kubectl before 1.29 knows alone. Whatever that version cannot say is left out.

use serde_json::{Map, Value, json};

/// What the schemas of both versions have in common.
const SHARED: [&str; 20] = [
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "title",
    "uniqueItems",
];

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// A type of version 3 as version 2 has it.
///
/// The schema nests as deep as its JSON text, which no reader takes from strangers deeper than 128 levels.
pub fn schema(v3: &Value) -> Value {
    let Some(of) = v3.as_object() else {
        return json!({});
    };
    let mut shown = extensions(of);
    if let Some(reference) = reference(of) {
        // What refers to a type has no type of its own.
        shown.extend(kept(of, &["description", "default"]));
        shown.insert("$ref".to_owned(), reference.into());
        return shown.into();
    }
    shown.extend(kept(of, &SHARED));
    let is_opaque = of.get(PRESERVE) == Some(&true.into());
    // kubectl takes a schema literally, and null for none of the types there are.
    if of.get("nullable") == Some(&true.into()) {
        return shown.into();
    }
    if let Some(name) = type_name(of) {
        shown.insert("type".to_owned(), name.into());
    }
    match of.get("items").filter(|items| items.is_object() && !is_opaque) {
        Some(items) => {
            shown.insert("items".to_owned(), schema(items));
        }
        // A list of nobody knows what makes kubectl refuse the whole document.
        None if shown.get("type") == Some(&"array".into()) => {
            shown.remove("type");
        }
        None => {}
    }
    if let Some(properties) = of.get("properties").and_then(Value::as_object).filter(|_| !is_opaque) {
        let converted = properties.iter().map(|(name, property)| (name.clone(), schema(property)));
        shown.insert("properties".to_owned(), converted.collect::<Map<_, _>>().into());
    }
    match of.get("additionalProperties") {
        Some(Value::Bool(any)) => shown.insert("additionalProperties".to_owned(), (*any).into()),
        Some(values) => shown.insert("additionalProperties".to_owned(), schema(values)),
        None => None,
    };
    shown.into()
}

/// The operations of a path of version 3 as version 2 has them.
pub fn path(v3: &Value) -> Value {
    let operations = v3.as_object().into_iter().flatten().map(|(method, value)| {
        let value = match method.as_str() {
            "parameters" => parameters(value).into(),
            _ => operation(value),
        };
        (method.clone(), value)
    });
    operations.collect::<Map<_, _>>().into()
}

fn operation(v3: &Value) -> Value {
    let empty = Map::new();
    let of = v3.as_object().unwrap_or(&empty);
    let mut shown = extensions(of);
    shown.extend(kept(of, &["description", "operationId", "tags"]));
    let body = of.get("requestBody");
    let forms = media_types(body);
    let consumes = if forms.is_empty() { vec!["*/*".to_owned()] } else { forms };
    let mut taken = Vec::new();
    if let Some(body) = body {
        let mut parameter = json!({"in": "body", "name": "body", "schema": content_schema(body)});
        if body.get("required") == Some(&true.into()) {
            parameter["required"] = true.into();
        }
        taken.push(parameter);
    }
    taken.extend(of.get("parameters").map(parameters).unwrap_or_default());
    if !taken.is_empty() {
        shown.insert("parameters".to_owned(), taken.into());
    }
    let answers = of.get("responses").and_then(Value::as_object);
    let mut produces: Vec<String> = Vec::new();
    for form in answers.into_iter().flatten().flat_map(|(_, answer)| media_types(Some(answer))) {
        if !produces.contains(&form) {
            produces.push(form);
        }
    }
    let responses = answers.into_iter().flatten().map(|(code, answer)| (code.clone(), response(answer)));
    shown.insert("consumes".to_owned(), consumes.into());
    shown.insert("produces".to_owned(), produces.into());
    shown.insert("responses".to_owned(), responses.collect::<Map<_, _>>().into());
    shown.insert("schemes".to_owned(), json!(["https"]));
    shown.into()
}

fn response(v3: &Value) -> Value {
    let mut shown = json!({"description": v3.get("description").cloned().unwrap_or_default()});
    if v3.get("content").is_some() {
        shown["schema"] = content_schema(v3);
    }
    shown
}

/// Parameters of the path or the query: their types stand beside their names.
fn parameters(v3: &Value) -> Vec<Value> {
    let parameter = |of: &Map<String, Value>| {
        let mut shown: Map<String, Value> = kept(of, &["description", "in", "name", "required"]).collect();
        shown.extend(
            of.get("schema").and_then(Value::as_object).into_iter().flat_map(|of| kept(of, &["type"])),
        );
        shown.insert("uniqueItems".to_owned(), true.into());
        Value::Object(shown)
    };
    v3.as_array().into_iter().flatten().filter_map(Value::as_object).map(parameter).collect()
}

fn media_types(of: Option<&Value>) -> Vec<String> {
    let content = of.and_then(|of| of.get("content")).and_then(Value::as_object);
    content.into_iter().flat_map(|content| content.keys().cloned()).collect()
}

/// The schema of a body, which is the same in all its forms.
fn content_schema(of: &Value) -> Value {
    let content = of.get("content").and_then(Value::as_object);
    let first = content.and_then(|content| content.values().next()).and_then(|form| form.get("schema"));
    first.map(schema).unwrap_or_else(|| json!({}))
}

/// The type a schema refers to, alone or as the one of which it is.
fn reference(of: &Map<String, Value>) -> Option<String> {
    let single = || match of.get("allOf")?.as_array()?.as_slice() {
        [one] => one.get("$ref"),
        _ => None,
    };
    let reference = of.get("$ref").or_else(single)?.as_str()?;
    Some(reference.replacen("#/components/schemas/", "#/definitions/", 1))
}

/// The type; what may be a text besides something else is said to be one.
fn type_name(of: &Map<String, Value>) -> Option<&str> {
    let is_text = |one: &Value| one.get("type") == Some(&"string".into());
    let alternatives = || of.get("oneOf")?.as_array()?.iter().any(is_text).then_some("string");
    of.get("type").and_then(Value::as_str).or_else(alternatives)
}

fn extensions(of: &Map<String, Value>) -> Map<String, Value> {
    let given = of.iter().filter(|(name, _)| name.starts_with("x-"));
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn kept<'m>(of: &'m Map<String, Value>, names: &'m [&'m str]) -> impl Iterator<Item = (String, Value)> + 'm {
    names.iter().filter_map(|name| Some(((*name).to_owned(), of.get(*name)?.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_say_what_version_2_can_say() {
        let row = |v3: Value, expected: Value| assert_eq!(schema(&v3), expected, "{v3}");
        row(json!({"$ref": "#/components/schemas/a.B"}), json!({"$ref": "#/definitions/a.B"}));
        row(
            json!({"allOf": [{"$ref": "#/components/schemas/a.B"}], "description": "d", "type": "object", "x-a": 1}),
            json!({"$ref": "#/definitions/a.B", "description": "d", "x-a": 1}),
        );
        row(json!({"oneOf": [{"type": "string"}, {"type": "number"}]}), json!({"type": "string"}));
        row(
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
            json!({"format": "int-or-string", "type": "string"}),
        );
        row(
            json!({"type": "object", "additionalProperties": {"type": "array", "items": {"$ref": "x"}}}),
            json!({"type": "object", "additionalProperties": {"type": "array", "items": {"$ref": "x"}}}),
        );
        row(
            json!({"type": "object", "required": ["a"], "not": {}, "anyOf": [], "properties": {"a": {"minimum": 1, "nope": 2}}}),
            json!({"type": "object", "required": ["a"], "properties": {"a": {"minimum": 1}}}),
        );
        row(json!({"type": "array"}), json!({}));
        row(json!({"type": "string", "nullable": true, "description": "d"}), json!({"description": "d"}));
        row(
            json!({"type": "object", PRESERVE: true, "properties": {"a": {}}}),
            json!({"type": "object", PRESERVE: true}),
        );
        row(json!("nonsense"), json!({}));
    }

    #[test]
    fn bodies_become_parameters() {
        let v3 = json!({"parameters": [{"in": "path", "name": "name", "required": true, "schema": {"type": "string"}}],
            "post": {"operationId": "o", "x-kubernetes-action": "post",
                "parameters": [{"in": "query", "name": "dryRun", "schema": {"type": "string"}}],
                "requestBody": {"required": true, "content": {"a/b": {"schema": {"$ref": "#/components/schemas/T"}}}},
                "responses": {"201": {"description": "Created", "content": {"c/d": {"schema": {"type": "string"}}}},
                    "401": {"description": "Unauthorized"}}}});
        let v2 = json!({"parameters": [{"in": "path", "name": "name", "required": true, "type": "string", "uniqueItems": true}],
            "post": {"operationId": "o", "x-kubernetes-action": "post", "consumes": ["a/b"], "produces": ["c/d"], "schemes": ["https"],
                "parameters": [{"in": "body", "name": "body", "required": true, "schema": {"$ref": "#/definitions/T"}},
                    {"in": "query", "name": "dryRun", "type": "string", "uniqueItems": true}],
                "responses": {"201": {"description": "Created", "schema": {"type": "string"}}, "401": {"description": "Unauthorized"}}}});
        assert_eq!(path(&v3), v2);
    }
}
