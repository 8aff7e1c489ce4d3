//! Single values: checked, and brought into the form in which they are stored.

use std::borrow::Cow;

use api::quantity::Quantity;
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::types::{Form, Leaf};

/// What a value of this type must be.
pub fn expected(form: Form, leaf: Leaf) -> &'static str {
    match (form, leaf) {
        (Form::List | Form::WrappedList, _) => "must be a list",
        (Form::Map | Form::MapOfLists, _) => "must be an object",
        (Form::One, leaf) => match leaf {
            Leaf::String => "must be a string",
            Leaf::Int32 | Leaf::Int64 => "must be an integer",
            Leaf::Bool => "must be true or false",
            Leaf::Double => "must be a number",
            Leaf::Bytes => "must be a string of base64",
            Leaf::Quantity => "must be a quantity such as 100m or 64Mi",
            Leaf::IntOrString => "must be an integer or a string",
            Leaf::Time | Leaf::MicroTime => "must be a time such as 2006-01-02T15:04:05Z",
            Leaf::Json => "must be JSON",
            Leaf::RawExtension | Leaf::FieldsV1 | Leaf::Struct(_) => "must be an object",
            Leaf::SchemaOrArray => "must be a schema or a list of schemas",
            Leaf::SchemaOrBool => "must be a schema or true or false",
            Leaf::SchemaOrStrings => "must be a schema or a list of strings",
        },
    }
}

/// What stands for null where there must be a value: in lists and maps.
pub fn zero(form: Form, leaf: Leaf) -> Value {
    match (form, leaf) {
        (Form::List | Form::WrappedList, _) => Value::Array(Vec::new()),
        (Form::Map | Form::MapOfLists, _) => Value::Object(serde_json::Map::new()),
        (Form::One, leaf) => match leaf {
            Leaf::String | Leaf::Bytes => Value::from(""),
            Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::IntOrString => Value::from(0),
            Leaf::Bool => Value::Bool(false),
            Leaf::Quantity => Value::from("0"),
            Leaf::Struct(_) => Value::Object(serde_json::Map::new()),
            _ => Value::Null,
        },
    }
}

/// A text as the stored value; otherwise what it must be.
pub fn from_text(leaf: Leaf, text: Cow<'_, str>) -> Result<Value, Cow<'static, str>> {
    let stored = match leaf {
        Leaf::String | Leaf::IntOrString | Leaf::Json | Leaf::RawExtension => Some(text.into_owned()),
        Leaf::Bytes => base64(text),
        Leaf::Quantity => return quantity(&text),
        Leaf::Time => timestamp(&text).map(|time| format!("{time:.0}")),
        Leaf::MicroTime => timestamp(&text).map(|time| format!("{time:.6}")),
        _ => None,
    };
    stored.map(Value::String).ok_or(expected(Form::One, leaf).into())
}

/// A number as the stored value; otherwise what it must be.
pub fn from_number(leaf: Leaf, number: Number) -> Result<Value, Cow<'static, str>> {
    match leaf {
        Leaf::Int32 | Leaf::IntOrString => integer(leaf, &number, i64::from(i32::MIN), i64::from(i32::MAX)),
        Leaf::Int64 => integer(leaf, &number, i64::MIN, i64::MAX),
        Leaf::Double => Ok(whole(&number).map_or(Value::Number(number), Value::from)),
        Leaf::Quantity => quantity(&number.to_string()),
        Leaf::Json | Leaf::RawExtension => Ok(Value::Number(number)),
        Leaf::String => Err(format!("must be a string: write \"{number}\"").into()),
        _ => Err(expected(Form::One, leaf).into()),
    }
}

fn quantity(text: &str) -> Result<Value, Cow<'static, str>> {
    text.trim()
        .parse()
        .map(|quantity: Quantity| quantity.to_string().into())
        .map_err(|error| error.to_string().into())
}

fn integer(leaf: Leaf, number: &Number, least: i64, most: i64) -> Result<Value, Cow<'static, str>> {
    match whole(number) {
        Some(integer) if (least..=most).contains(&integer) => Ok(integer.into()),
        None if number.as_f64().is_some_and(|float| float.fract() != 0.0) => {
            Err(expected(Form::One, leaf).into())
        }
        _ => Err(format!("must be between {least} and {most}").into()),
    }
}

/// The number if it has no fraction and is exact.
fn whole(number: &Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number
            .as_f64()
            .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT)?;
        // Exact: the range was checked.
        Some(float as i64)
    })
}

/// A time of RFC 3339 as Kubernetes takes it: a date, a T, a time of day, and Z or an offset.
fn timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let offset = bytes.len().checked_sub(6).is_some_and(|at| matches!(bytes[at], b'+' | b'-'));
    let plausible = bytes.len() >= 20 && bytes[10] == b'T' && (offset || bytes.ends_with(b"Z"));
    plausible.then(|| text.parse().ok()).flatten()
}

/// Base64 with padding; line breaks are dropped.
fn base64(text: Cow<'_, str>) -> Option<String> {
    let text = match text.contains(['\r', '\n']) {
        true => text.replace(['\r', '\n'], ""),
        false => text.into_owned(),
    };
    let digits = text.trim_end_matches('=');
    let known = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'+' || letter == b'/';
    let padding = text.len() - digits.len();
    // The last digit before the padding has bits that belong to no byte; they are zero.
    let closed = match (padding, digits.bytes().next_back()) {
        (0, _) => true,
        (1, Some(last)) => b"AEIMQUYcgkosw048".contains(&last),
        (2, Some(last)) => b"AQgw".contains(&last),
        _ => false,
    };
    (text.len().is_multiple_of(4) && closed && digits.bytes().all(known)).then_some(text)
}
