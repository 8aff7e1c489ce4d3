//! What expressions work on. JSON is looked into where it lies and never copied as a whole.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube_cel::cel;
use serde_json::{Map, Value as Json};

use super::receiver::Receiver;

/// The key of a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key<'a> {
    /// A bool.
    Bool(bool),
    /// A number of either integer type; both compare as one.
    Number(i128),
    /// A text.
    Text(Cow<'a, str>),
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Null.
    Null,
    /// A bool.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Arc<Vec<u8>>),
    /// A list in JSON.
    Array(&'a [Json]),
    /// A list that was made.
    List(Arc<Vec<Value<'a>>>),
    /// An object in JSON.
    Object(&'a Map<String, Json>),
    /// A map that was made.
    Map(Arc<BTreeMap<Key<'a>, Value<'a>>>),
    /// Something that may be absent.
    Optional(Option<Box<Value<'a>>>),
    /// A type.
    Type(&'static str),
    /// A timestamp, a duration, or what a library made, such as a quantity.
    Foreign(cel::Value),
    /// Something that has nothing but functions.
    Receiver(Arc<dyn Receiver>),
}

impl<'a> Value<'a> {
    /// A value of JSON.
    pub fn json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) => Self::Uint(uint),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(items) => Self::Array(items),
            Json::Object(fields) => Self::Object(fields),
        }
    }

    /// A text that was made.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// A list of values, such as one whose items have formats.
    pub fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(Arc::new(items))
    }

    /// A map with texts as keys, such as an object whose fields have formats.
    pub fn map(entries: impl IntoIterator<Item = (Cow<'a, str>, Value<'a>)>) -> Self {
        Self::Map(Arc::new(entries.into_iter().map(|(key, value)| (Key::Text(key), value)).collect()))
    }

    /// A timestamp in the form of RFC 3339.
    pub fn timestamp(text: &str) -> Option<Self> {
        super::library::call("timestamp", None, &[Value::text(text)]).ok()
    }

    /// A duration such as `1h30m`.
    pub fn duration(text: &str) -> Option<Self> {
        super::library::call("duration", None, &[Value::text(text)]).ok()
    }

    /// As messages name its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Array(_) | Self::List(_) => "list",
            Self::Object(_) | Self::Map(_) => "map",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Receiver(receiver) => receiver.kind(),
            Self::Foreign(cel::Value::Timestamp(_)) => "google.protobuf.Timestamp",
            Self::Foreign(cel::Value::Duration(_)) => "google.protobuf.Duration",
            Self::Foreign(_) => "opaque",
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<Vec<Value<'a>>> {
        match self {
            Self::Array(items) => Some(items.iter().map(Value::json).collect()),
            Self::List(items) => Some(items.to_vec()),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn entries(&self) -> Option<Vec<(Key<'a>, Value<'a>)>> {
        match self {
            Self::Object(fields) => Some(
                fields
                    .iter()
                    .map(|(key, value)| (Key::Text(Cow::Borrowed(key)), Value::json(value)))
                    .collect(),
            ),
            Self::Map(map) => Some(map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
            _ => None,
        }
    }

    /// How much there is to walk through: items, entries, bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Array(items) => items.len(),
            Self::List(items) => items.len(),
            Self::Object(fields) => fields.len(),
            Self::Map(map) => map.len(),
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 1,
        }
    }

    /// The value at a key of a map.
    pub fn at(&self, key: &Key<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Object(fields), Key::Text(name)) => fields.get(&**name).map(Value::json),
            (Self::Map(map), key) => map.get(key).cloned(),
            _ => None,
        }
    }

    /// As JSON; none for what has no such form.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Int(int) => (*int).into(),
            Self::Uint(uint) => (*uint).into(),
            Self::Double(double) => (*double).into(),
            Self::Text(text) => (**text).into(),
            Self::Bytes(bytes) => STANDARD.encode(&**bytes).into(),
            Self::Array(items) => Json::Array(items.to_vec()),
            Self::List(items) => items.iter().map(Value::to_json).collect::<Option<_>>()?,
            Self::Object(fields) => Json::Object((*fields).clone()),
            Self::Map(map) => {
                let entry = |(key, value): (&Key<'_>, &Value<'_>)| match key {
                    Key::Text(text) => Some((text.to_string(), value.to_json()?)),
                    _ => None,
                };
                Json::Object(map.iter().map(entry).collect::<Option<_>>()?)
            }
            Self::Foreign(cel::Value::Timestamp(_) | cel::Value::Duration(_)) => {
                super::library::call("string", None, std::slice::from_ref(self)).ok()?.to_json()?
            }
            Self::Optional(_) | Self::Type(_) | Self::Foreign(_) | Self::Receiver(_) => return None,
        })
    }

    /// As key of a map.
    pub fn to_key(&self) -> Option<Key<'a>> {
        Some(match self {
            Self::Bool(bool) => Key::Bool(*bool),
            Self::Int(int) => Key::Number(i128::from(*int)),
            Self::Uint(uint) => Key::Number(i128::from(*uint)),
            Self::Double(double) if double.fract() == 0.0 && double.abs() < 1e15 => {
                Key::Number(*double as i128)
            }
            Self::Text(text) => Key::Text(text.clone()),
            _ => return None,
        })
    }
}

impl<'a> Key<'a> {
    /// The key as a value.
    pub fn into_value(self) -> Value<'a> {
        match self {
            Self::Bool(bool) => Value::Bool(bool),
            Self::Number(number) => match i64::try_from(number) {
                Ok(int) => Value::Int(int),
                Err(_) => Value::Uint(u64::try_from(number).unwrap_or(u64::MAX)),
            },
            Self::Text(text) => Value::Text(text),
        }
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        if let (Some(one), Some(two)) = (self.items(), other.items()) {
            return one == two;
        }
        if let (Some(one), Some(two)) = (self.entries(), other.entries()) {
            return one == two;
        }
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bytes(one), Self::Bytes(two)) => one == two,
            (Self::Optional(one), Self::Optional(two)) => one == two,
            (Self::Type(one), Self::Type(two)) => one == two,
            (Self::Foreign(one), Self::Foreign(two)) => one == two,
            (Self::Receiver(one), Self::Receiver(two)) => Arc::ptr_eq(one, two),
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }
}

impl Value<'_> {
    /// The order of two values; none if they have none.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::Text(one), Self::Text(two)) => Some(one.cmp(two)),
            (Self::Bytes(one), Self::Bytes(two)) => Some(one.cmp(two)),
            (Self::Foreign(one), Self::Foreign(two)) => one.partial_cmp(two),
            (Self::Double(one), Self::Double(two)) => one.partial_cmp(two),
            (Self::Double(one), _) => one.partial_cmp(&(other.whole()? as f64)),
            (_, Self::Double(two)) => (self.whole()? as f64).partial_cmp(two),
            _ => Some(self.whole()?.cmp(&other.whole()?)),
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Int(int) => Some(i128::from(*int)),
            Self::Uint(uint) => Some(i128::from(*uint)),
            _ => None,
        }
    }
}
