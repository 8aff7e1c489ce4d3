//! The versions of a kind in which fields of an object have owners: each entry counts in the version it was written in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::entries::Entry;
use super::set::{Kind, Node, Set};
use super::shape::{Items, Nature, Shape};
use crate::served::OtherVersion;
use crate::tree;

/// What is known of a version.
struct View<'s> {
    shape: Shape<'s>,
    /// How it differs from the kind's own version; none if only in its name.
    other: Option<&'static OtherVersion>,
}

/// The versions of a kind that count, by their names, and the one that is written.
pub struct Versions<'s> {
    current: String,
    known: BTreeMap<String, View<'s>>,
}

/// The two states of an object in a version other than the one that is written.
pub type States = BTreeMap<String, (Value, Value)>;

/// What differs in versions other than the one that is written.
pub type Others<'v> = BTreeMap<&'v str, Comparison<'v>>;

impl<'s> Versions<'s> {
    /// The version that is written.
    pub fn new(current: &str, shape: Shape<'s>, other: Option<&'static OtherVersion>) -> Self {
        let known = BTreeMap::from([(current.to_owned(), View { shape, other })]);
        Self { current: current.to_owned(), known }
    }

    /// The same with another version.
    #[must_use]
    pub fn with(mut self, name: &str, shape: Shape<'s>, other: Option<&'static OtherVersion>) -> Self {
        self.known.insert(name.to_owned(), View { shape, other });
        self
    }

    /// The name of the version that is written.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The type of the object in a version; in the one that is written if there is no such version.
    pub fn shape(&self, version: &str) -> Shape<'s> {
        let view = self.known.get(version).or_else(|| self.known.get(&self.current));
        view.map_or(Shape::Deduced, |view| view.shape)
    }

    /// An object of one version as one of another.
    pub fn convert(&self, mut object: Value, from: &str, to: &str) -> Value {
        if from == to {
            return object;
        }
        let other = |version: &str| self.known.get(version).and_then(|view| view.other);
        tree::set(&mut object, "apiVersion", Some(to.into()));
        if let Some(from) = other(from) {
            // What cannot be read in a version has no meaning there that could be lost.
            let _ = from.take_in(&mut object);
        }
        if let Some(to) = other(to) {
            to.bring_out(&mut object);
        }
        object
    }

    /// Both states of an object in the other versions in which somebody owns fields.
    pub fn states(&self, entries: &[Entry<'_>], old: &Value, new: &Value) -> States {
        let names = entries.iter().map(|entry| &*entry.manager.api_version);
        let others = names.filter(|name| *name != self.current && self.known.contains_key(*name));
        let others: BTreeSet<&str> = others.collect();
        let state = |object: &Value, name: &str| self.convert(object.clone(), &self.current, name);
        others.into_iter().map(|name| (name.to_owned(), (state(old, name), state(new, name)))).collect()
    }

    /// What differs in those versions.
    pub fn compare<'v>(&self, states: &'v States, ignored: &[&str]) -> Others<'v> {
        let differs = |(name, (old, new)): (&'v String, &'v (Value, Value))| {
            (name.as_str(), compare(self.shape(name), old, new, ignored))
        };
        states.iter().map(differs).collect()
    }

    /// Forgets what was owned in versions that are no more, and brings the rest in line with the types of today: what has
    /// become one value is owned as one by whoever owned a part of it. The other way round nothing changes.
    pub fn reconcile(&self, entries: &mut Vec<Entry<'_>>) {
        entries.retain(|entry| self.known.contains_key(&*entry.manager.api_version));
        for entry in entries {
            let shape = self.shape(&entry.manager.api_version);
            // Nearly always, and then nothing is copied.
            if !is_in_line(shape, entry.set()) {
                entry.replace(brought_in_line(shape, entry.set()));
            }
        }
    }
}

/// Whether nothing in a set leads into what is owned as one.
fn is_in_line(shape: Shape<'_>, set: &Set<'_>) -> bool {
    set.nodes().iter().all(|node| match behind(shape, node) {
        Some(within) => !is_one(within) && is_in_line(within, &node.below),
        None => true,
    })
}

/// The set in which nothing does.
fn brought_in_line<'a>(shape: Shape<'_>, set: &Set<'a>) -> Set<'a> {
    let mut whole = Set::default();
    for node in set.nodes() {
        let (is_member, below) = match behind(shape, node) {
            Some(within) if is_one(within) => (true, Set::default()),
            Some(within) => (node.is_member, brought_in_line(within, &node.below)),
            None => (node.is_member, node.below.clone()),
        };
        whole.push(node.element.clone(), is_member, below);
    }
    whole
}

/// The type of what a node leads into; none if it leads no further, or into what no schema knows.
fn behind<'s>(shape: Shape<'s>, node: &Node<'_>) -> Option<Shape<'s>> {
    match node.element.kind {
        _ if node.below.is_empty() => None,
        Kind::Field => shape.member(&node.element.plain()).map(|member| member.shape),
        Kind::Index | Kind::Key | Kind::Value => Some(shape.item()),
    }
}

/// Whether the schema itself says that a value is owned as one.
fn is_one(shape: Shape<'_>) -> bool {
    let says = matches!(shape.nature(&Value::Null), Nature::Map { whole: true } | Nature::List(Items::Whole));
    says && !matches!(shape, Shape::Deduced | Shape::Whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::entries::{from_value, write};
    use super::super::node::Node;
    use super::*;

    fn node(map: &str, list: &str) -> Node {
        let text = json!({"type": "string"});
        let keyed = json!({"type": "object", "properties": {"name": text, "a": text}});
        Node::of_object(&json!({"type": "object", "properties": {
            "m": {"type": "object", "additionalProperties": text, "x-kubernetes-map-type": map},
            "l": {"type": "array", "items": keyed, "x-kubernetes-list-type": list,
                "x-kubernetes-list-map-keys": ["name"]},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
        }}))
    }

    #[test]
    fn what_has_become_one_value_is_owned_as_one() {
        let granular =
            r#"{"f:free":{"f:x":{}},"f:l":{"k:{\"name\":\"n\"}":{".":{},"f:a":{}}},"f:m":{"f:x":{}}}"#;
        let row = |map: &str, list: &str, before: &str, after: &str| {
            let node = node(map, list);
            let entry = |set: &str| {
                json!([{"manager": "a", "operation": "Apply", "apiVersion": "g/v1",
                "fieldsType": "FieldsV1", "fieldsV1": serde_json::from_str::<Value>(set).unwrap()}])
            };
            let (before, after) = (entry(before), entry(after));
            let (mut found, mut expected) = (from_value(&before).unwrap(), from_value(&after).unwrap());
            Versions::new("g/v1", Shape::Node(&node), None).reconcile(&mut found);
            assert_eq!(write(&mut found), write(&mut expected), "{map} {list}");
        };
        row("granular", "map", granular, granular);
        row("atomic", "map", granular, &granular.replace(r#""f:m":{"f:x":{}}"#, r#""f:m":{}"#));
        row("atomic", "atomic", granular, r#"{"f:free":{"f:x":{}},"f:l":{},"f:m":{}}"#);
        row("granular", "map", r#"{"f:l":{},"f:m":{}}"#, r#"{"f:l":{},"f:m":{}}"#);
        row("atomic", "set", r#"{"f:gone":{"f:x":{}}}"#, r#"{"f:gone":{"f:x":{}}}"#);
    }

    #[test]
    fn what_is_owned_in_a_version_that_is_no_more_is_forgotten() {
        let entry = |version: &str| {
            json!({"manager": version, "operation": "Update", "apiVersion": version,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}}})
        };
        let given = json!([entry("g/v1"), entry("g/v2"), entry("g/v3")]);
        let mut entries = from_value(&given).unwrap();
        Versions::new("g/v1", Shape::Deduced, None)
            .with("g/v3", Shape::Deduced, None)
            .reconcile(&mut entries);
        let left: Vec<&str> = entries.iter().map(|entry| &*entry.manager.name).collect();
        assert_eq!(left, ["g/v1", "g/v3"]);
    }
}
