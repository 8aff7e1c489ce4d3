//! Lists whose items are merged: objects by a key, other values by themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::order::{self, Identity};
use super::refusal::{Refusal, shown_list};
use super::{DIRECTIVE, Rule, merge_member, merge_members, strip};
use crate::tree::go_type;

/// Merges the items of a patch into those of the document.
pub fn merge(document: Vec<Value>, patch: Vec<Value>, rule: Rule) -> Result<Vec<Value>, Refusal> {
    match item_type(&document, &patch)? {
        None => Ok(document),
        Some("[]interface {}") => Err(Refusal::ListOfLists),
        Some("map[string]interface {}") if rule.key.is_none() => Err(Refusal::NoKeyDeclared),
        Some("map[string]interface {}") => merge_objects(document, patch, rule),
        Some(_) => {
            let rule = Rule { key: None, ..rule };
            let wanted = Identity::of_all(&patch, rule)?;
            let before = Identity::of_all(&document, rule)?;
            let merged = order::without_doubles(document.into_iter().chain(patch));
            order::arrange(merged, &wanted, &before, rule)
        }
    }
}

fn merge_objects(document: Vec<Value>, patch: Vec<Value>, rule: Rule) -> Result<Vec<Value>, Refusal> {
    let mut items = Vec::new();
    let mut deleted = BTreeSet::new();
    let mut replaces = false;
    for item in patch {
        match item.get(DIRECTIVE) {
            None => items.push(item),
            Some(directive) if directive == "delete" => {
                deleted.insert(Identity::of(&item, rule)?);
            }
            Some(directive) if directive == "replace" => replaces = true,
            Some(directive) if directive == "merge" => return Err(Refusal::MergingLists),
            Some(directive) => {
                return Err(Refusal::unknown(directive, item.as_object().unwrap_or(&Map::new())));
            }
        }
    }
    let wanted = Identity::of_all(&items, rule)?;
    if replaces {
        return strip::items(items);
    }
    let mut before = Identity::of_all(&document, rule)?;
    let kept = document.into_iter().zip(&before).filter(|(_, identity)| !deleted.contains(identity));
    let mut document: Vec<Value> = kept.map(|(item, _)| item).collect();
    before.retain(|identity| !deleted.contains(identity));
    lay_over(&mut document, items, &before, rule)?;
    order::arrange(document, &wanted, &before, rule)
}

/// Each item is merged with the first of its key, or becomes the first.
fn lay_over(
    document: &mut Vec<Value>,
    items: Vec<Value>,
    before: &[Identity],
    rule: Rule,
) -> Result<(), Refusal> {
    let mut places: BTreeMap<Identity, usize> =
        before.iter().cloned().enumerate().rev().map(|(place, identity)| (identity, place)).collect();
    for item in items {
        let identity = Identity::of(&item, rule)?;
        match (places.get(&identity).and_then(|place| document.get_mut(*place)), item) {
            (Some(Value::Object(members)), Value::Object(patch)) => {
                merge_members(members, patch, rule.below)?
            }
            (_, item) => {
                places.insert(identity, document.len());
                document.extend(strip::value(item)?);
            }
        }
    }
    Ok(())
}

/// Merges a list and puts its items in the order that the patch demands.
pub fn set_order(
    document: &mut Map<String, Value>,
    name: &str,
    patch: Option<Value>,
    order: Value,
    rule: Rule,
) -> Result<(), Refusal> {
    let Value::Array(order) = order else { return Err(Refusal::not_a_list(&order)) };
    let before = match document.get(name) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(other) => return Err(Refusal::not_a_list(other)),
    };
    match patch {
        None => {}
        Some(Value::Null) => {
            document.remove(name);
        }
        Some(Value::Array(items)) => {
            order::check(&items, &order, rule)?;
            merge_member(document, name.to_owned(), Value::Array(items), rule)?;
        }
        Some(other) => return Err(Refusal::not_a_list(&other)),
    }
    if let Some(Value::Array(items)) = document.get_mut(name) {
        let wanted = Identity::of_all(&order, rule)?;
        let before = Identity::of_all(&before, rule)?;
        *items = order::arrange(std::mem::take(items), &wanted, &before, rule)?;
    }
    Ok(())
}

/// Takes values out of a list, if there is one.
pub fn delete(document: &mut Map<String, Value>, name: &str, values: Value) -> Result<(), Refusal> {
    let Value::Array(values) = values else { return Err(Refusal::PrimitiveList) };
    if let Some(Value::Array(items)) = document.get_mut(name) {
        item_type(items, &values)?;
        let values: BTreeSet<String> = values.iter().map(Value::to_string).collect();
        items.retain(|item| !values.contains(&item.to_string()));
    }
    Ok(())
}

/// The type of all items; nothing if there are none.
fn item_type(document: &[Value], patch: &[Value]) -> Result<Option<&'static str>, Refusal> {
    let mut types = document.iter().chain(patch).map(go_type);
    let first = types.next();
    match types.all(|other| Some(other) == first) {
        true => Ok(first),
        false => Err(Refusal::MixedItems(format!("[{} {}]", shown_list(document), shown_list(patch)))),
    }
}
