//! Parts of a patch that become parts of the document as they are: without directives and nulls.

use serde_json::{Map, Value};

use super::{DELETE_FROM_PRIMITIVE_LIST, DIRECTIVE, RETAIN_KEYS, SET_ELEMENT_ORDER};

/// The value; nothing if there is to be none.
pub fn value(patch: Value) -> Option<Value> {
    match patch {
        Value::Null => None,
        Value::Object(members) if members.get(DIRECTIVE).is_some_and(|directive| directive == "delete") => {
            None
        }
        Value::Object(members) => Some(Value::Object(self::members(members))),
        Value::Array(items) => Some(Value::Array(self::items(items))),
        scalar => Some(scalar),
    }
}

/// The members of an object.
pub fn members(patch: Map<String, Value>) -> Map<String, Value> {
    let kept = patch.into_iter().filter(|(name, _)| !is_directive(name));
    kept.filter_map(|(name, value)| Some((name, self::value(value)?))).collect()
}

/// The items of a list. One with a directive speaks of other items, and is none itself; a null stays.
pub fn items(patch: Vec<Value>) -> Vec<Value> {
    let kept = patch.into_iter().filter(|item| item.get(DIRECTIVE).is_none());
    kept.filter_map(|item| if item.is_null() { Some(item) } else { value(item) }).collect()
}

fn is_directive(name: &str) -> bool {
    let is_of = |prefix| name.strip_prefix(prefix).is_some_and(|rest: &str| rest.starts_with('/'));
    name == DIRECTIVE || name == RETAIN_KEYS || is_of(SET_ELEMENT_ORDER) || is_of(DELETE_FROM_PRIMITIVE_LIST)
}
