//! Lists whose items are told apart: by their values, or by some of their fields.

use std::collections::BTreeSet;

use api::field::FieldError;
use serde_json::{Map, Value};

use super::super::schema::{List, Node};
use super::At;

/// Refuses what stands there twice.
pub fn check(schema: &Node, items: &[Value], at: &At<'_>, errors: &mut Vec<FieldError>) {
    if schema.list == List::Atomic {
        return;
    }
    let mut known = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity = identity(&schema.list, item);
        if !known.insert(identity.to_string()) {
            errors.push(FieldError::duplicate(At::Index(at, index), identity));
        }
    }
}

/// The item of the state before that is the same one, where that can be known.
pub fn counterpart<'a>(list: &List, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
    let List::Map(_) = list else {
        return None;
    };
    let wanted = identity(list, item);
    old?.as_array()?.iter().find(|old| identity(list, old) == wanted)
}

fn identity(list: &List, item: &Value) -> Value {
    match list {
        List::Map(keys) => {
            let keys = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
            Value::Object(keys.collect::<Map<_, _>>())
        }
        _ => item.clone(),
    }
}
