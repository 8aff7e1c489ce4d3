//! Small steps in JSON trees whose types the schema has checked before.

use serde_json::{Map, Value};

/// Sets a field that is absent.
pub fn set_default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object
        && !fields.contains_key(field)
    {
        fields.insert(field.to_owned(), value.into());
    }
}

/// Sets a text that is absent or empty.
pub fn set_default_text(object: &mut Value, field: &str, text: &str) {
    if object.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
        set(object, field, Some(text.into()));
    }
}

/// Sets a field, or removes it.
pub fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Value::Object(fields) = object else {
        return;
    };
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
}

/// The value of a field that is there.
pub fn field<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.as_object_mut()?.get_mut(field)
}

/// The value of a field, an empty object if it was absent.
pub fn object<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(fields) = object else { unreachable!("it was just made an object") };
    fields.entry(field).or_insert_with(|| Value::Object(Map::new()))
}

/// The items of a list that is there.
pub fn items<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    self::field(object, field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A text that is there and not empty.
pub fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What Go calls the type of a value, as Kubernetes' messages have it.
pub fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
