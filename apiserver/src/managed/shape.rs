//! What the schema says of a value, as far as the owners of its fields go: one view for built-in and custom kinds.

use serde_json::Value;

use super::node::Node;
use crate::schema::{Field, Form, Leaf, ListType, Type};

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'s> {
    /// A built-in structure.
    Structure(&'static Type),
    /// A member of a built-in structure.
    Member(&'static Field),
    /// A single value within a built-in list or map.
    Leaf(Leaf),
    /// A list within a built-in map.
    ListOf(Leaf),
    /// A part of a custom schema.
    Node(&'s Node),
    /// Whatever the value looks like: maps are owned by their fields, lists as a whole.
    Deduced,
    /// The same, but maps are owned as a whole as well.
    Whole,
}

/// How a value is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A single value.
    Scalar(Scalar),
    /// A map or a structure.
    Map {
        /// It is owned as one.
        whole: bool,
    },
    /// A list.
    List(Items),
}

/// What a single value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A text.
    String,
    /// A number.
    Numeric,
    /// True or false.
    Boolean,
    /// Any of these.
    Any,
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// Not at all: the list is owned as one.
    Whole,
    /// By themselves.
    Set,
    /// By some of their fields.
    Keyed,
}

/// The type of a member of a map or a structure.
#[derive(Clone, Copy, Debug)]
pub struct Member<'s> {
    /// Its type.
    pub shape: Shape<'s>,
    /// Whether the schema names it; else it is an entry of a map.
    pub is_named: bool,
}

/// A field that tells the items of a list apart.
#[derive(Clone, Debug)]
pub struct Key<'s> {
    /// Its name.
    pub name: &'s str,
    /// What it is if it is left out.
    pub default: Option<Value>,
}

impl<'s> Shape<'s> {
    /// How a value of this type is owned. A null does not say what it is.
    pub fn nature(self, value: &Value) -> Nature {
        match self {
            Self::Structure(_) => Nature::Map { whole: false },
            Self::Member(field) => match field.form {
                Form::One => one(field.leaf, field.is_whole(), value),
                Form::List | Form::WrappedList => Nature::List(match field.list_type {
                    Some(ListType::Set) => Items::Set,
                    Some(ListType::Map) => Items::Keyed,
                    Some(ListType::Atomic) | None => Items::Whole,
                }),
                Form::Map | Form::MapOfLists => Nature::Map { whole: field.is_whole() },
            },
            Self::Leaf(leaf) => one(leaf, leaf.structure().is_some_and(|of| of.whole), value),
            Self::ListOf(_) => Nature::List(Items::Whole),
            Self::Node(node) => node.nature(value),
            Self::Deduced => deduced(value, false),
            Self::Whole => deduced(value, true),
        }
    }

    /// The type of a member; none if there can be none of this name.
    pub fn member(self, name: &str) -> Option<Member<'s>> {
        let named = |shape| Some(Member { shape, is_named: true });
        let entry = |shape| Some(Member { shape, is_named: false });
        match self {
            Self::Structure(of) => of.field(name).and_then(|field| named(Self::Member(field))),
            Self::Member(Field { form: Form::Map, leaf, .. }) => entry(Self::Leaf(*leaf)),
            Self::Member(Field { form: Form::MapOfLists, leaf, .. }) => entry(Self::ListOf(*leaf)),
            Self::Member(&Field { leaf, .. }) | Self::Leaf(leaf) if !is_untyped(leaf) => {
                leaf.structure()?.field(name).and_then(|field| named(Self::Member(field)))
            }
            Self::Node(node) => node.member(name),
            Self::Whole => entry(Self::Whole),
            _ => entry(Self::Deduced),
        }
    }

    /// The type of the items of a list.
    pub fn item(self) -> Self {
        match self {
            Self::Member(field) => Self::Leaf(field.leaf),
            Self::ListOf(leaf) => Self::Leaf(leaf),
            Self::Node(node) => node.item(),
            _ => Self::Whole,
        }
    }

    /// The fields that tell the items of a list apart, by name.
    pub fn keys(self) -> Vec<Key<'s>> {
        match self {
            Self::Member(field) => {
                let default = |name: &str| field.structure()?.field(name)?.default();
                let key = |name| {
                    let default = default(name).and_then(|json| serde_json::from_str(json).ok());
                    Key { name, default }
                };
                let mut keys: Vec<Key<'_>> = field.map_keys().map(key).collect();
                keys.sort_by_key(|key| key.name);
                keys
            }
            Self::Node(node) => node.keys(),
            _ => Vec::new(),
        }
    }

    /// Whether Kubernetes writes this member of a new object also if it is empty: it was there, then, before the
    /// object was written, and nobody owns it merely by creating the object.
    pub fn is_always_there(self) -> bool {
        let Self::Member(field) = self else {
            return false;
        };
        let is_plain = field.form == Form::One && field.structure().is_some();
        field.required || is_plain && ALWAYS_THERE.contains(&field.name)
    }
}

/// Optional structures that are no pointers in Kubernetes' Go types, where they can stand in an empty object.
const ALWAYS_THERE: [&str; 6] = ["metadata", "resources", "spec", "status", "strategy", "updateStrategy"];

fn is_untyped(leaf: Leaf) -> bool {
    use Leaf::{FieldsV1, Json, RawExtension, SchemaOrArray, SchemaOrBool, SchemaOrStrings};
    matches!(leaf, FieldsV1 | Json | RawExtension | SchemaOrArray | SchemaOrBool | SchemaOrStrings)
}

fn one(leaf: Leaf, whole: bool, value: &Value) -> Nature {
    match leaf {
        Leaf::Struct(_) => Nature::Map { whole },
        Leaf::RawExtension | Leaf::FieldsV1 => Nature::Map { whole: false },
        Leaf::String | Leaf::Bytes => Nature::Scalar(Scalar::String),
        Leaf::Int32 | Leaf::Int64 | Leaf::Double => Nature::Scalar(Scalar::Numeric),
        Leaf::Bool => Nature::Scalar(Scalar::Boolean),
        Leaf::Quantity | Leaf::IntOrString | Leaf::Time | Leaf::MicroTime => Nature::Scalar(Scalar::Any),
        Leaf::Json | Leaf::SchemaOrArray | Leaf::SchemaOrBool | Leaf::SchemaOrStrings => {
            deduced(value, whole)
        }
    }
}

/// By the value alone.
pub(super) fn deduced(value: &Value, whole: bool) -> Nature {
    match value {
        Value::Object(_) | Value::Null => Nature::Map { whole },
        Value::Array(_) => Nature::List(Items::Whole),
        _ => Nature::Scalar(Scalar::Any),
    }
}
