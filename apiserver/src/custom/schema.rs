//! The schema of a custom kind in one version, read once from its CustomResourceDefinition.
//!
//! It is a tree of nodes. What says how objects are built (types, fields, items) stands in the nodes themselves; what only
//! restricts values stands in their [`Values`], and below `allOf`, `anyOf`, `oneOf` and `not` there is nothing else.

mod pattern;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Number, Value};

use super::rules::{self, Rules};

pub use pattern::{PatternError, compile as compile_pattern};

/// Schemas nested deeper are refused, as are objects: see [`crate::schema::LARGEST_DEPTH`].
pub const LARGEST_DEPTH: usize = 64;

/// A node of a schema.
#[derive(Debug, Default)]
pub struct Node {
    /// The type of the value; none if it can have several.
    pub of: Option<Type>,
    /// Whether the value may be null.
    pub nullable: bool,
    /// Whether it is an integer or a string.
    pub int_or_string: bool,
    /// Whether fields that are not specified are kept.
    pub preserve_unknown: bool,
    /// Whether it is an object of the API itself, with `apiVersion`, `kind` and `metadata`.
    pub embedded: bool,
    /// The fields of an object.
    pub properties: BTreeMap<String, Node>,
    /// What the other fields are.
    pub additional: Additional,
    /// The items of a list.
    pub items: Option<Box<Node>>,
    /// What it is when it is not given.
    pub default: Option<Value>,
    /// How a list is merged.
    pub list: List,
    /// Whether an object is owned and replaced as a whole.
    pub atomic: bool,
    /// What values are allowed.
    pub values: Values,
    /// Whether this node or one below has a default.
    pub has_defaults: bool,
    /// Whether this node or one below has rules in CEL.
    pub has_rules: bool,
    /// Whether values here or below have another type in rules than in JSON, or names that are escaped there.
    pub is_typed: bool,
    /// The rules of this node; none if it has none.
    pub rules: Option<Rules>,
    /// Whether an object has no fields but those it names, where a schema only restricts values.
    pub closed: bool,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `object`.
    Object,
    /// `array`.
    Array,
    /// `string`.
    String,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
}

/// The fields of an object that have no names in the schema.
#[derive(Debug, Default)]
pub enum Additional {
    /// There are none.
    #[default]
    None,
    /// Any.
    Any,
    /// Of this form.
    Of(Box<Node>),
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// They are not: the list is replaced as a whole.
    #[default]
    Atomic,
    /// By their values.
    Set,
    /// By these fields.
    Map(Vec<String>),
}

/// Restrictions of a value.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names are those of JSON schemas")]
pub struct Values {
    pub maximum: Option<(Number, Bound)>,
    pub minimum: Option<(Number, Bound)>,
    pub multiple_of: Option<Number>,
    pub max_length: Option<u64>,
    pub min_length: Option<u64>,
    pub pattern: Option<(String, Regex)>,
    pub format: String,
    pub max_items: Option<u64>,
    pub min_items: Option<u64>,
    pub max_properties: Option<u64>,
    pub min_properties: Option<u64>,
    pub allowed: Vec<Value>,
    pub required: Vec<String>,
    pub all_of: Vec<Node>,
    pub any_of: Vec<Node>,
    pub one_of: Vec<Node>,
    pub not: Option<Box<Node>>,
}

/// Whether a bound itself is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It is.
    Inclusive,
    /// It is not.
    Exclusive,
}

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is nested too deeply.
    #[error("nested deeper than {LARGEST_DEPTH} levels")]
    TooDeep,
    /// A rule cannot be compiled.
    #[error("rule {0:?}: {1}")]
    Rule(String, String),
    /// A pattern is none.
    #[error("pattern {0:?}")]
    Pattern(String, #[source] PatternError),
}

impl Type {
    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

impl Node {
    /// Reads a schema as a CustomResourceDefinition holds it.
    pub fn read(written: &Value) -> Result<Self, SchemaError> {
        read(written, 0)
    }

    /// The node that a field has, by its name or as an additional one.
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.additional {
            Additional::Of(node) => Some(node),
            _ => None,
        })
    }

    /// The nodes right below that say how values are built.
    fn below(&self) -> impl Iterator<Item = &Self> {
        let additional = match &self.additional {
            Additional::Of(node) => Some(&**node),
            _ => None,
        };
        self.properties.values().chain(self.items.as_deref()).chain(additional)
    }
}

fn read(written: &Value, depth: usize) -> Result<Node, SchemaError> {
    if depth > LARGEST_DEPTH {
        return Err(SchemaError::TooDeep);
    }
    let below = |field: &str| written.get(field).filter(|node| node.is_object());
    let one = |field: &str| below(field).map(|node| read(node, depth + 1).map(Box::new)).transpose();
    let is_on = |field: &str| written[field] == true;
    let mut properties = BTreeMap::new();
    for (name, node) in below("properties").and_then(Value::as_object).into_iter().flatten() {
        properties.insert(name.clone(), read(node, depth + 1)?);
    }
    let additional = match &written["additionalProperties"] {
        Value::Bool(true) => Additional::Any,
        Value::Object(_) => one("additionalProperties")?.map_or(Additional::None, Additional::Of),
        _ => Additional::None,
    };
    let mut node = Node {
        of: written["type"].as_str().and_then(Type::named),
        nullable: is_on("nullable"),
        int_or_string: is_on("x-kubernetes-int-or-string"),
        preserve_unknown: is_on("x-kubernetes-preserve-unknown-fields"),
        embedded: is_on("x-kubernetes-embedded-resource"),
        properties,
        additional,
        items: one("items")?,
        default: written.get("default").cloned(),
        list: list(written),
        atomic: written["x-kubernetes-map-type"] == "atomic",
        values: values(written, depth)?,
        has_defaults: false,
        has_rules: false,
        is_typed: false,
        rules: Rules::read(written).map_err(|(rule, why)| SchemaError::Rule(rule, why))?,
        closed: written["additionalProperties"] == false,
    };
    node.has_defaults = node.default.is_some() || node.below().any(|below| below.has_defaults);
    node.is_typed = ["date", "date-time", "duration", "byte"].contains(&node.values.format.as_str())
        || node.properties.keys().any(|name| rules::escaped(name) != *name)
        || node.below().any(|below| below.is_typed);
    node.has_rules = node.rules.is_some() || node.below().any(|below| below.has_rules);
    Ok(node)
}

fn list(written: &Value) -> List {
    match written["x-kubernetes-list-type"].as_str() {
        Some("set") => List::Set,
        Some("map") => List::Map(texts(&written["x-kubernetes-list-map-keys"])),
        _ => List::Atomic,
    }
}

fn values(written: &Value, depth: usize) -> Result<Values, SchemaError> {
    let count = |field: &str| written[field].as_u64();
    let bound = |field: &str, exclusive: &str| {
        let kind = if written[exclusive] == true { Bound::Exclusive } else { Bound::Inclusive };
        written[field].as_number().map(|number| (number.clone(), kind))
    };
    let several = |field: &str| -> Result<Vec<Node>, SchemaError> {
        written[field].as_array().into_iter().flatten().map(|node| read(node, depth + 1)).collect()
    };
    let pattern = match written["pattern"].as_str().filter(|pattern| !pattern.is_empty()) {
        Some(pattern) => {
            let compiled = compile_pattern(pattern);
            let compiled = compiled.map_err(|error| SchemaError::Pattern(pattern.to_owned(), error))?;
            Some((pattern.to_owned(), compiled))
        }
        None => None,
    };
    Ok(Values {
        maximum: bound("maximum", "exclusiveMaximum"),
        minimum: bound("minimum", "exclusiveMinimum"),
        multiple_of: written["multipleOf"].as_number().cloned(),
        max_length: count("maxLength"),
        min_length: count("minLength"),
        pattern,
        format: written["format"].as_str().unwrap_or_default().to_owned(),
        max_items: count("maxItems"),
        min_items: count("minItems"),
        max_properties: count("maxProperties"),
        min_properties: count("minProperties"),
        allowed: written["enum"].as_array().cloned().unwrap_or_default(),
        required: texts(&written["required"]),
        all_of: several("allOf")?,
        any_of: several("anyOf")?,
        one_of: several("oneOf")?,
        not: match written["not"].is_object() {
            true => Some(Box::new(read(&written["not"], depth + 1)?)),
            false => None,
        },
    })
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether every object of the API has this field.
pub fn is_own_field(name: &str) -> bool {
    ["apiVersion", "kind", "metadata"].contains(&name)
}
