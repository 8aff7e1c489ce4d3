//! The fields an object has: those that an applied configuration names, and those that whoever creates it owns.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::compare::{Mark, values};
use super::item::Naming;
use super::set::{Element, Set};
use super::shape::{Items, Nature, Shape};

/// Fields that are never owned: they are the object's identity, or the server's.
const UNOWNED_METADATA: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The fields that a configuration names: single values, what is owned as one, entries of maps and items of lists.
pub fn named<'a>(shape: Shape<'_>, value: &'a Value, ignored: &[&str]) -> Set<'a> {
    let Value::Object(fields) = value else {
        return Set::default();
    };
    members(shape, fields.iter().filter(|(name, _)| !ignored.contains(&name.as_str())))
}

fn members<'a>(shape: Shape<'_>, fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Set<'a> {
    let mut set = Set::default();
    for (name, value) in fields {
        let member = shape.member(name);
        let (is_leaf, below) = within(member.map_or(Shape::Deduced, |member| member.shape), value);
        let is_named = member.is_some_and(|member| member.is_named);
        let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        set.push(Element::field(name), is_leaf || is_empty || !is_named, below);
    }
    set.sort();
    set
}

/// Whether the value is owned as one, and else what is within it.
fn within<'a>(shape: Shape<'_>, value: &'a Value) -> (bool, Set<'a>) {
    match (shape.nature(value), value) {
        (Nature::Map { whole: false }, Value::Object(fields)) => (false, members(shape, fields.iter())),
        (Nature::List(kind @ (Items::Set | Items::Keyed)), Value::Array(list)) => {
            (false, items(shape, kind, list))
        }
        (Nature::Map { whole: false } | Nature::List(Items::Set | Items::Keyed), _) => {
            (false, Set::default())
        }
        _ => (true, Set::default()),
    }
}

fn items<'a>(shape: Shape<'_>, kind: Items, list: &'a [Value]) -> Set<'a> {
    let naming = Naming::new(shape, kind);
    let mut by_step: BTreeMap<Element<'a>, Vec<&'a Value>> = BTreeMap::new();
    for (step, item) in list.iter().filter_map(|item| Some((naming.of(item).ok()?, item))) {
        by_step.entry(step).or_default().push(item);
    }
    let mut set = Set::default();
    for (step, items) in by_step {
        let below = match items.as_slice() {
            [item] => within(shape.item(), item).1,
            _ => Set::default(),
        };
        set.push(step, true, below);
    }
    set
}

/// The fields that whoever creates an object owns.
pub fn created<'a>(shape: Shape<'_>, value: &'a Value, ignored: &[&str]) -> Set<'a> {
    let mut set = match value {
        Value::Object(fields) => {
            new_members(shape, fields.iter().filter(|(name, _)| !ignored.contains(&name.as_str())))
        }
        _ => Set::default(),
    };
    strip(&mut set);
    set
}

fn new_members<'a>(shape: Shape<'_>, fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Set<'a> {
    let mut set = Set::default();
    for (name, value) in fields {
        let of = shape.member(name).map_or(Shape::Deduced, |member| member.shape);
        let (is_member, below) = match (of.is_always_there(), of.nature(value), value) {
            (true, Nature::Map { whole: false }, Value::Object(fields)) => {
                (false, new_members(of, fields.iter()))
            }
            (true, Nature::Scalar(_), value) if is_zero(value) => (false, Set::default()),
            (is_there, nature, value) => {
                let (mark, below) = values(of, None, Some(value));
                let has_parts =
                    matches!(nature, Nature::Map { whole: false } | Nature::List(Items::Set | Items::Keyed));
                (mark == Mark::Added && !(is_there && has_parts), below.added)
            }
        };
        set.push(Element::field(name), is_member, below);
    }
    set.sort();
    set
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Removes what nobody owns.
pub fn strip(set: &mut Set<'_>) {
    set.retain(|node| match &*node.element.text {
        "apiVersion" | "kind" => node.is_member = false,
        "metadata" => {
            node.is_member = false;
            node.below.retain(|node| {
                if UNOWNED_METADATA.contains(&&*node.element.text) {
                    node.is_member = false;
                    node.below = Set::default();
                }
            });
        }
        _ => {}
    });
}

/// The same set with those members of structures in it that lead to members, as they come and go with these.
pub fn with_parents<'a>(set: &Set<'a>, shape: Shape<'_>) -> Set<'a> {
    let mut whole = Set::default();
    for node in set.nodes() {
        let name = node.element.plain();
        let member = match node.element.kind {
            super::set::Kind::Field => shape.member(&name),
            _ => None,
        };
        let below_shape = match (node.element.kind, member) {
            (super::set::Kind::Field, Some(member)) => member.shape,
            (super::set::Kind::Field, None) => Shape::Deduced,
            _ => shape.item(),
        };
        let leads_on = !node.below.is_empty() && member.is_some_and(|member| member.is_named);
        let below = with_parents(&node.below, below_shape);
        whole.push(node.element.clone(), node.is_member || leads_on, below);
    }
    whole
}
