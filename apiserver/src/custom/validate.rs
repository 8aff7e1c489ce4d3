//! Checks values against a schema, in the words of Kubernetes.
//!
//! What did not change since the object was stored is not checked again: it was allowed then, and objects must stay
//! changeable when their schema becomes stricter.

mod at;
mod lists;
mod several;
mod single;

use api::field::{FieldError, Mistake};
use serde_json::{Number, Value};

use super::rules::Left;
use super::schema::{Node, Type, is_own_field};
use at::At;

use lists::counterpart;

/// More mistakes are not collected: nobody reads on.
const LARGEST_ERRORS: usize = 100;

/// Everything that is wrong with an object, by its schema and the rules in it; `old` is its state before.
pub fn check(schema: &Node, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(schema, object, old, &At::Root, &mut errors);
    if schema.has_rules {
        match errors.iter().any(is_in_the_way) {
            // Rules may rely on what the schema says.
            true => errors.push(not_checked()),
            false => check_rules(schema, object, old, &At::Root, &mut Left::default(), &mut errors),
        }
    }
    errors.truncate(LARGEST_ERRORS);
    errors
}

fn is_in_the_way(error: &FieldError) -> bool {
    use Mistake::{Required, TooLong, TooMany, Unsupported, WrongType};
    matches!(error.mistake, Unsupported(_) | Required | TooLong | TooMany(_) | WrongType(_))
}

fn not_checked() -> FieldError {
    let words = "some validation rules were not checked because the object was invalid; correct the existing errors to \
        complete validation";
    FieldError::invalid("<nil>", "null", words)
}

fn check_rules(
    schema: &Node,
    value: &Value,
    old: Option<&Value>,
    at: &At<'_>,
    left: &mut Left,
    errors: &mut Vec<FieldError>,
) {
    if !schema.has_rules || errors.len() >= LARGEST_ERRORS || value.is_null() {
        return;
    }
    if let Some(rules) = &schema.rules {
        rules.check(schema, value, old, &at.to_string(), left, errors);
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(below) = schema.field(name) {
                    let old = old.and_then(|old| old.get(name));
                    check_rules(below, value, old, &At::Field(at, name), left, errors);
                }
            }
        }
        Value::Array(items) => {
            let Some(below) = &schema.items else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                let old = counterpart(&schema.list, item, old);
                check_rules(below, item, old, &At::Index(at, index), left, errors);
            }
        }
        _ => {}
    }
}

fn node(schema: &Node, value: &Value, old: Option<&Value>, at: &At<'_>, errors: &mut Vec<FieldError>) {
    if old == Some(value) || errors.len() >= LARGEST_ERRORS {
        return;
    }
    if value.is_null() && schema.nullable {
        return;
    }
    check_type(schema, value, at, errors);
    several::check(&schema.values, value, at, errors);
    restrictions(schema, value, at, errors);
    match value {
        Value::Object(fields) => {
            let own = ["apiVersion", "kind"].into_iter().filter(|_| schema.embedded);
            for name in own.filter(|name| fields.get(*name).and_then(Value::as_str).is_none_or(str::is_empty))
            {
                errors.push(FieldError::required(At::Field(at, name), "must not be empty"));
            }
            for (name, value) in fields {
                if matches!(at, At::Root) && is_own_field(name) && name != "metadata" {
                    continue;
                }
                if let Some(below) = schema.field(name) {
                    let old = old.and_then(|old| old.get(name));
                    node(below, value, old, &At::Field(at, name), errors);
                }
            }
        }
        Value::Array(items) => {
            lists::check(schema, items, at, errors);
            if let Some(below) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    let old = counterpart(&schema.list, item, old);
                    node(below, item, old, &At::Index(at, index), errors);
                }
            }
        }
        _ => {}
    }
}

/// What a node and those that only restrict values have in common.
fn restrictions(schema: &Node, value: &Value, at: &At<'_>, errors: &mut Vec<FieldError>) {
    let values = &schema.values;
    match value {
        Value::String(text) => single::text(values, text, at, errors),
        Value::Number(number) => single::number(values, number, at, errors),
        Value::Array(items) => single::items(values, items.len(), at, errors),
        Value::Object(fields) => {
            single::fields(values, fields.len(), at, errors);
            for name in values.required.iter().filter(|name| !fields.contains_key(*name)) {
                errors.push(FieldError::required(At::Field(at, name), ""));
            }
        }
        _ => {}
    }
    if !values.allowed.is_empty() && !values.allowed.iter().any(|allowed| is_same(allowed, value)) {
        let allowed: Vec<String> = values.allowed.iter().map(shown).collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        errors.push(FieldError::unsupported(at, value.clone(), &allowed));
    }
}

/// Checks what restricts a value only: the schema below `allOf`, `anyOf`, `oneOf` or `not`.
fn restricted(schema: &Node, value: &Value, at: &At<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_type(schema, value, at, &mut errors);
    several::check(&schema.values, value, at, &mut errors);
    restrictions(schema, value, at, &mut errors);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(below) = schema.field(name) {
                    errors.extend(restricted(below, value, &At::Field(at, name)));
                }
            }
            if schema.closed {
                for name in fields.keys().filter(|name| !schema.properties.contains_key(*name)) {
                    errors.push(FieldError::forbidden(At::Field(at, name), ""));
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    errors.extend(restricted(below, item, &At::Index(at, index)));
                }
            }
        }
        _ => {}
    }
    errors
}

fn check_type(schema: &Node, value: &Value, at: &At<'_>, errors: &mut Vec<FieldError>) {
    let found = type_of(value);
    let is_right = match schema.of {
        _ if schema.int_or_string => matches!(found, "integer" | "string"),
        None => return,
        // A whole number is a number, however it is written.
        Some(Type::Number) => matches!(found, "integer" | "number"),
        Some(of) => of.name() == found,
    };
    if !is_right {
        let expected = if schema.int_or_string { "integer,string" } else { schema.of.map_or("", Type::name) };
        let detail = format!("{at} in body must be of type {expected}: {found:?}");
        let mistake = Mistake::WrongType(found.into());
        errors.push(FieldError { field: at.to_string(), mistake, detail });
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if is_whole(number) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// Whether two values are the same, however their numbers are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// An allowed value as a message has it: texts without their quotes, which the message adds.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn invalid(at: &At<'_>, value: impl Into<Value>, words: &str) -> FieldError {
    FieldError::invalid(at, value, format!("{at} in body {words}"))
}

#[cfg(test)]
mod tests;
