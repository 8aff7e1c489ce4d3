//! A custom schema, as far as the owners of fields go.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::{Items, Key, Member, Nature, Scalar, Shape, deduced};
use crate::schema;

/// A type of a custom schema, made once from the `openAPIV3Schema` of a version.
#[derive(Clone, Debug)]
pub enum Node {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List {
        /// How its items are told apart.
        items: Items,
        /// The fields that do it.
        keys: Vec<String>,
        /// What they are.
        of: Box<Node>,
    },
    /// An object.
    Map {
        /// It is owned as one.
        whole: bool,
        /// Its named members.
        members: BTreeMap<String, Node>,
        /// What other members are; none if there can be none.
        others: Option<Box<Node>>,
        /// What members are that are left out, where they tell items of a list apart.
        defaults: BTreeMap<String, Value>,
    },
    /// Whatever it looks like.
    Deduced,
    /// The metadata of an object.
    Metadata,
}

impl Node {
    /// The type of an object with this structural schema; the schema says nothing of its metadata.
    pub fn of_object(schema: &Value) -> Self {
        let mut node = Self::of(schema);
        if let Self::Map { members, .. } = &mut node {
            add_object_members(members);
        }
        node
    }

    fn of(schema: &Value) -> Self {
        let flag = |name: &str| schema[name] == true;
        if flag("x-kubernetes-int-or-string") {
            return Self::Scalar(Scalar::Any);
        }
        match schema["type"].as_str() {
            Some("string") => Self::Scalar(Scalar::String),
            Some("integer" | "number") => Self::Scalar(Scalar::Numeric),
            Some("boolean") => Self::Scalar(Scalar::Boolean),
            Some("array") => Self::list(schema),
            Some("object") => Self::map(schema),
            _ => Self::Deduced,
        }
    }

    fn list(schema: &Value) -> Self {
        let items = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Items::Set,
            Some("map") => Items::Keyed,
            _ => Items::Whole,
        };
        let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
        let mut keys: Vec<String> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
        keys.sort();
        Self::List { items, keys, of: Box::new(Self::of(&schema["items"])) }
    }

    fn map(schema: &Value) -> Self {
        let properties = || schema["properties"].as_object().into_iter().flatten();
        let mut members: BTreeMap<String, Self> =
            properties().map(|(name, of)| (name.clone(), Self::of(of))).collect();
        let defaults =
            properties().filter_map(|(name, of)| Some((name.clone(), of.get("default")?.clone()))).collect();
        if schema["x-kubernetes-embedded-resource"] == true {
            add_object_members(&mut members);
        }
        let others = match &schema["additionalProperties"] {
            values @ Value::Object(_) => Some(Box::new(Self::of(values))),
            Value::Bool(true) => Some(Box::new(Self::Deduced)),
            _ if schema["x-kubernetes-preserve-unknown-fields"] == true => Some(Box::new(Self::Deduced)),
            _ => None,
        };
        Self::Map { whole: schema["x-kubernetes-map-type"] == "atomic", members, others, defaults }
    }

    pub(super) fn nature(&self, value: &Value) -> Nature {
        match self {
            Self::Scalar(scalar) => Nature::Scalar(*scalar),
            Self::List { items, .. } => Nature::List(*items),
            Self::Map { whole, .. } => Nature::Map { whole: *whole },
            Self::Deduced => deduced(value, false),
            Self::Metadata => Nature::Map { whole: false },
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<Member<'_>> {
        match self {
            Self::Map { members, others, .. } => match (members.get(name), others) {
                (Some(node), _) => Some(Member { shape: Shape::Node(node), is_named: true }),
                (None, Some(node)) => Some(Member { shape: Shape::Node(node), is_named: false }),
                (None, None) => None,
            },
            Self::Metadata => {
                let of = schema::builtin().named("meta.v1.ObjectMeta")?;
                Shape::Structure(of).member(name)
            }
            _ => Some(Member { shape: Shape::Deduced, is_named: false }),
        }
    }

    pub(super) fn item(&self) -> Shape<'_> {
        match self {
            Self::List { of, .. } => Shape::Node(of),
            _ => Shape::Whole,
        }
    }

    pub(super) fn keys(&self) -> Vec<Key<'_>> {
        let Self::List { keys, of, .. } = self else {
            return Vec::new();
        };
        let default = |name: &str| match &**of {
            Self::Map { defaults, .. } => defaults.get(name).cloned(),
            _ => None,
        };
        keys.iter().map(|name| Key { name, default: default(name) }).collect()
    }
}

fn add_object_members(members: &mut BTreeMap<String, Node>) {
    members.insert("apiVersion".to_owned(), Node::Scalar(Scalar::String));
    members.insert("kind".to_owned(), Node::Scalar(Scalar::String));
    members.insert("metadata".to_owned(), Node::Metadata);
}
