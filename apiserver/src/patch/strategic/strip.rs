//! Parts of a patch that become parts of the document as they are: without directives and nulls.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::{DELETE_FROM_PRIMITIVE_LIST, DIRECTIVE, RETAIN_KEYS, SET_ELEMENT_ORDER};

/// The value; nothing if there is to be none.
pub fn value(patch: Value) -> Result<Option<Value>, Refusal> {
    Ok(match patch {
        Value::Null => None,
        Value::Object(members) if members.get(DIRECTIVE).is_some_and(|directive| directive == "delete") => {
            None
        }
        Value::Object(members) => Some(Value::Object(self::members(members)?)),
        Value::Array(items) => Some(Value::Array(self::items(items)?)),
        scalar => Some(scalar),
    })
}

/// The members of an object.
pub fn members(patch: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    if let Some(directive) = patch.get(DIRECTIVE).filter(|directive| *directive != "replace") {
        return Err(Refusal::unknown(directive, &patch));
    }
    let mut kept = Map::new();
    for (name, value) in patch {
        if !is_directive(&name, &value)?
            && let Some(value) = self::value(value)?
        {
            kept.insert(name, value);
        }
    }
    Ok(kept)
}

/// The items of a list. One with a directive speaks of other items, and is none itself; a null stays.
pub fn items(patch: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    let mut kept = Vec::with_capacity(patch.len());
    for item in patch {
        match item.get(DIRECTIVE) {
            Some(directive) if ["delete", "replace"].iter().any(|known| directive == known) => {}
            Some(directive) if directive == "merge" => return Err(Refusal::MergingLists),
            _ if item.is_null() => kept.push(item),
            _ => kept.extend(value(item)?),
        }
    }
    Ok(kept)
}

/// Whether a member is a directive; one that is malformed is refused here as it is where something is merged.
fn is_directive(name: &str, value: &Value) -> Result<bool, Refusal> {
    let is_of = |prefix: &str, refusal: Refusal| match name.strip_prefix(prefix) {
        None => Ok(false),
        Some(rest) if rest.starts_with('/') && value.is_array() => Ok(true),
        Some(_) => Err(refusal),
    };
    match name {
        DIRECTIVE => Ok(true),
        RETAIN_KEYS if value.is_array() => Ok(true),
        RETAIN_KEYS => Err(Refusal::RetainKeys),
        _ => Ok(is_of(SET_ELEMENT_ORDER, Refusal::SetElementOrder)?
            || is_of(DELETE_FROM_PRIMITIVE_LIST, Refusal::PrimitiveList)?),
    }
}
