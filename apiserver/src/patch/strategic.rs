//! Kubernetes' strategic merge patch: a tree laid over another, lists merged as the schema says, with directives.
//!
//! ```text
//! {"$patch": "replace", ...}            the object becomes what else is there
//! {"$patch": "delete"}                  the object becomes empty; an item of a list goes away, found by its key
//! [{"$patch": "replace"}, ...]          the list becomes what else is there
//! {"$retainKeys": [k...], ...}          members of the object that are not named go away
//! {"$setElementOrder/list": [i...]}     these items of the list stand in this order
//! {"$deleteFromPrimitiveList/list": []} these values leave the list
//! ```
//!
//! Directives are consumed wherever they stand; nothing of them is left in the result.

mod list;
mod order;
mod refusal;
mod strip;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::{Form, LARGEST_DEPTH, Leaf, Patch, Type};
pub use refusal::{Refusal, cut, shown};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";

/// Lays the patch over the document, which is of this type.
pub fn merge(document: Value, patch: Value, of: &'static Type) -> Result<Value, PatchError> {
    if is_deeper(&patch, LARGEST_DEPTH) {
        return Err(Refusal::TooDeep.into());
    }
    let Value::Object(patch) = patch else {
        return Err(Refusal::NotAnObject.into());
    };
    let Value::Object(mut members) = document else {
        return Err(Refusal::NotAnObject.into());
    };
    merge_members(&mut members, patch, Shape::Structure(of))?;
    Ok(Value::Object(members))
}

/// What the schema says of an object.
#[derive(Clone, Copy)]
enum Shape {
    Structure(&'static Type),
    /// A map whose values are like this.
    Values(Leaf),
    Unknown,
}

/// What the schema says of a member of an object.
#[derive(Clone, Copy)]
struct Rule {
    merges: bool,
    replaces: bool,
    key: Option<&'static str>,
    /// Of the member if it is an object, or of its items.
    below: Shape,
}

impl Rule {
    fn of(shape: Shape, name: &str) -> Self {
        let plain = |below| Self { merges: false, replaces: false, key: None, below };
        match shape {
            Shape::Unknown => plain(Shape::Unknown),
            Shape::Values(leaf) => plain(structure(leaf)),
            Shape::Structure(of) => of.field(name).map_or(plain(Shape::Unknown), |field| Self {
                merges: field.patches(Patch::Merge),
                replaces: field.patches(Patch::Replace),
                key: field.merge_key,
                below: match field.form {
                    Form::One | Form::List | Form::WrappedList => structure(field.leaf),
                    Form::Map => Shape::Values(field.leaf),
                    Form::MapOfLists => Shape::Unknown,
                },
            }),
        }
    }
}

fn structure(leaf: Leaf) -> Shape {
    leaf.structure().map_or(Shape::Unknown, Shape::Structure)
}

fn merge_members(
    document: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
    shape: Shape,
) -> Result<(), Refusal> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(directive) if directive == "replace" => {
            patch.remove(DIRECTIVE);
            *document = strip::members(patch)?;
            return Ok(());
        }
        Some(directive) if directive == "delete" => {
            document.clear();
            return Ok(());
        }
        Some(directive) => return Err(Refusal::unknown(directive, &patch)),
    }
    if let Some(keys) = patch.remove(RETAIN_KEYS) {
        retain_keys(document, &patch, &keys)?;
    }
    // An order is kept together with what is merged; values leave a list when all others are in it.
    for (name, order) in take(&mut patch, SET_ELEMENT_ORDER).ok_or(Refusal::SetElementOrder)? {
        let items = patch.remove(&name);
        list::set_order(document, &name, items, order, Rule::of(shape, &name))?;
    }
    let deletions = take(&mut patch, DELETE_FROM_PRIMITIVE_LIST).ok_or(Refusal::PrimitiveList)?;
    for (name, value) in patch {
        let rule = Rule::of(shape, &name);
        merge_member(document, name, value, rule)?;
    }
    for (name, values) in deletions {
        list::delete(document, &name, values)?;
    }
    Ok(())
}

fn merge_member(
    document: &mut Map<String, Value>,
    name: String,
    patch: Value,
    rule: Rule,
) -> Result<(), Refusal> {
    match (document.get_mut(&name), patch) {
        (Some(Value::Object(members)), Value::Object(patch)) if !rule.replaces => {
            merge_members(members, patch, rule.below)
        }
        (Some(Value::Array(items)), Value::Array(patch)) if rule.merges => {
            *items = list::merge(std::mem::take(items), patch, rule)?;
            Ok(())
        }
        (_, patch) => {
            match strip::value(patch)? {
                Some(value) => document.insert(name, value),
                None => document.remove(&name),
            };
            Ok(())
        }
    }
}

/// Takes the members `PREFIX/name` out of the patch, by name; nothing if one of them is malformed.
fn take(patch: &mut Map<String, Value>, prefix: &str) -> Option<Vec<(String, Value)>> {
    let names: Vec<String> = patch.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    let taken = names.into_iter().map(|directive| {
        let name = directive.strip_prefix(prefix)?.strip_prefix('/')?.to_owned();
        Some((name, patch.remove(&directive)?))
    });
    taken.collect()
}

/// The patch may only speak of members that are retained.
fn retain_keys(
    document: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    keys: &Value,
) -> Result<(), Refusal> {
    let keys = keys.as_array().ok_or(Refusal::RetainKeys)?;
    let keys: BTreeSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let is_aside = |name: &str, value: &Value| {
        value.is_null() || name.starts_with(SET_ELEMENT_ORDER) || name.starts_with(DELETE_FROM_PRIMITIVE_LIST)
    };
    if patch.iter().any(|(name, value)| !is_aside(name, value) && !keys.contains(name.as_str())) {
        return Err(Refusal::RetainKeys);
    }
    document.retain(|name, _| keys.contains(name.as_str()));
    Ok(())
}

/// Looks no deeper than it has to.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut below: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Object(members) => Box::new(members.values()),
        Value::Array(items) => Box::new(items.iter()),
        _ => return false,
    };
    levels == 0 || below.any(|value| is_deeper(value, levels - 1))
}

#[cfg(test)]
mod tests;
