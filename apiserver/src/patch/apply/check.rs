//! Whether a configuration fits the type of the object it is to be applied to, in Kubernetes' words.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::managed::Shape;
use crate::managed::item::Naming;
use crate::managed::set::{Element, Kind};
use crate::managed::shape::{Items, Nature, Scalar};
use crate::managed::text::shown;
use crate::tree::go_type;

/// No more mistakes than this are told at once.
const MOST_MISTAKES: usize = 64;

/// What is wrong with a configuration; none if it fits.
pub fn check(shape: Shape<'_>, config: &Value) -> Option<String> {
    let mut mistakes = Vec::new();
    value(shape, config, "", &mut mistakes);
    match mistakes.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            let lines: Vec<String> = many.iter().map(|mistake| format!("  {mistake}")).collect();
            Some(format!("errors:\n{}", lines.join("\n")))
        }
    }
}

fn value(shape: Shape<'_>, given: &Value, path: &str, mistakes: &mut Vec<String>) {
    if given.is_null() || mistakes.len() >= MOST_MISTAKES {
        return;
    }
    let mut add = |words: String| {
        mistakes.push(if path.is_empty() { words } else { format!("{path}: {words}") });
    };
    match (shape.nature(given), given) {
        (Nature::Map { .. }, Value::Object(members)) => {
            for (name, given) in members {
                let path = || format!("{path}{}", shown(&Element::field(name)));
                match shape.member(name) {
                    Some(member) => value(member.shape, given, &path(), mistakes),
                    None => mistakes.push(format!("{}: field not declared in schema", path())),
                }
            }
        }
        (Nature::Map { .. }, other) => add(format!("expected map, got &{{{}}}", Go(other))),
        (Nature::List(kind), Value::Array(items)) => list(shape, kind, items, path, mistakes),
        (Nature::List(_), other) => add(format!("expected list, got &{{{}}}", Go(other))),
        (Nature::Scalar(scalar), given) => {
            if let Some(words) = scalar_mistake(scalar, given) {
                add(words);
            }
        }
    }
}

fn list(shape: Shape<'_>, kind: Items, items: &[Value], path: &str, mistakes: &mut Vec<String>) {
    let naming = Naming::new(shape, kind);
    let mut seen = BTreeSet::new();
    let at = |words: String| if path.is_empty() { words } else { format!("{path}: {words}") };
    for (index, item) in items.iter().enumerate() {
        let step = match kind {
            Items::Whole => Element::new(Kind::Index, &index.to_string()),
            Items::Set | Items::Keyed => match naming.of(item) {
                Ok(step) => step,
                Err(why) => {
                    mistakes.push(at(format!("element {index}: {why}")));
                    return;
                }
            },
        };
        let name = shown(&step);
        if !seen.insert(step) {
            mistakes.push(at(format!("duplicate entries for key {name}")));
        }
        value(shape.item(), item, &format!("{path}{name}"), mistakes);
    }
}

fn scalar_mistake(scalar: Scalar, given: &Value) -> Option<String> {
    let fits = match scalar {
        Scalar::String => given.is_string(),
        Scalar::Numeric => given.is_number(),
        Scalar::Boolean => given.is_boolean(),
        Scalar::Any => !given.is_object() && !given.is_array(),
    };
    let words = match scalar {
        Scalar::String => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", GoSyntax(given))
        }
        Scalar::Numeric => format!("expected numeric (int or float), got {}", go_type(given)),
        Scalar::Boolean => format!("expected boolean, got &{{{}}}", Go(given)),
        Scalar::Any => format!("expected any scalar, got &{{{}}}", Go(given)),
    };
    (!fits).then_some(words)
}

/// A value as Go prints it.
struct Go<'v>(&'v Value);

/// A value as Go's source has it.
struct GoSyntax<'v>(&'v Value);

impl std::fmt::Display for Go<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Null => formatter.write_str("<nil>"),
            Value::String(text) => formatter.write_str(text),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| Go(item).to_string()).collect();
                write!(formatter, "[{}]", items.join(" "))
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| format!("{name}:{}", Go(value)));
                write!(formatter, "map[{}]", members.collect::<Vec<_>>().join(" "))
            }
            other => other.fmt(formatter),
        }
    }
}

impl std::fmt::Display for GoSyntax<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Null => formatter.write_str("interface {}(nil)"),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| GoSyntax(item).to_string()).collect();
                write!(formatter, "[]interface {{}}{{{}}}", items.join(", "))
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| format!("{name:?}:{}", GoSyntax(value)));
                write!(formatter, "map[string]interface {{}}{{{}}}", members.collect::<Vec<_>>().join(", "))
            }
            other => other.fmt(formatter),
        }
    }
}
