//! Values as rules see them: by the formats of the schema, under names that can be written in an expression.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::super::schema::Node;
use crate::cel::{self, Value};

/// A value of a node. What has neither formats nor such names is looked into where it lies.
pub fn value<'a>(schema: &'a Node, json: &'a Json) -> Value<'a> {
    if !schema.is_typed {
        return Value::json(json);
    }
    match json {
        Json::Object(fields) => {
            let entry = |(name, json): (&'a String, &'a Json)| {
                let (name, node) = match schema.properties.get(name) {
                    Some(node) => (escaped(name), Some(node)),
                    None => (Cow::Borrowed(name.as_str()), schema.field(name)),
                };
                (name, node.map_or_else(|| Value::json(json), |node| value(node, json)))
            };
            Value::map(fields.iter().map(entry))
        }
        Json::Array(items) => match &schema.items {
            Some(node) => Value::list(items.iter().map(|item| value(node, item)).collect()),
            None => Value::json(json),
        },
        Json::String(text) => {
            let made = match schema.values.format.as_str() {
                "date-time" => Value::timestamp(text),
                "date" => Value::timestamp(&format!("{text}T00:00:00Z")),
                "duration" => Value::duration(text),
                "byte" => STANDARD.decode(text).ok().map(|bytes| Value::Bytes(bytes.into())),
                _ => None,
            };
            made.unwrap_or_else(|| Value::json(json))
        }
        json => Value::json(json),
    }
}

/// The name of a field as an expression writes it.
pub fn escaped(name: &str) -> Cow<'_, str> {
    if cel::is_reserved(name) {
        return format!("__{name}__").into();
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return Cow::Borrowed(name);
    }
    let name = name.replace("__", "__underscores__");
    name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__").into()
}
