//! Why a patch is refused, in the words that clients of Kubernetes know.

use serde_json::{Map, Value};

use crate::tree::go_type;

/// Longer values are shown cut: a message is read by people.
const LONGEST_SHOWN: usize = 1_024;

/// A strategic merge patch makes no sense, or not for this document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A list, a text or a number.
    #[error("error decoding patch: must be an object")]
    NotAnObject,
    /// Objects in objects without end.
    #[error("error decoding patch: nested deeper than {} levels", crate::schema::LARGEST_DEPTH)]
    TooDeep,
    /// The name or the value of a `$deleteFromPrimitiveList`.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$retainKeys` is no list, or the patch has members that it does not name.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// The name or the value of a `$setElementOrder`.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// Items of the patch stand in another order than the patch demands.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    OrderDiffers {
        /// The items.
        patch: String,
        /// The order.
        order: String,
    },
    /// An item cannot be told apart from others.
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The item.
        map: String,
        /// What it lacks.
        key: &'static str,
    },
    /// A list of objects is to be merged, and the schema does not say how to tell them apart.
    #[error("cannot merge lists without merge key")]
    NoKeyDeclared,
    /// A `$patch` with another word.
    #[error("unknown patch type: {directive} in map: {map}")]
    Unknown {
        /// The word.
        directive: String,
        /// The object it is in.
        map: String,
    },
    /// A list is merged where it is merged anyway.
    #[error("merging lists cannot yet be specified in the patch")]
    MergingLists,
    /// A list in a list that is to be merged.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// Texts and objects in one list, for instance.
    #[error("list element types are not identical: {0}")]
    MixedItems(String),
    /// A member has another type than its directive needs.
    #[error("expected a {expected}, but received a {received}")]
    WrongType {
        /// As Go calls it.
        expected: &'static str,
        /// As Go calls it.
        received: &'static str,
    },
}

impl Refusal {
    pub(super) fn unknown(directive: &Value, map: &Map<String, Value>) -> Self {
        let mut text = String::new();
        write_as_text(directive, &mut text);
        Self::Unknown { directive: cut(text), map: shown_map(map) }
    }

    pub(super) fn no_merge_key(map: &Map<String, Value>, key: &'static str) -> Self {
        Self::NoMergeKey { map: shown_map(map), key }
    }

    pub(super) fn not_a_list(received: &Value) -> Self {
        Self::WrongType { expected: "[]interface {}", received: type_or_nothing(received) }
    }

    pub(super) fn not_a_map(received: &Value) -> Self {
        Self::WrongType { expected: "map[string]interface {}", received: type_or_nothing(received) }
    }
}

/// As Go prints the type where it expects one; null has none.
fn type_or_nothing(value: &Value) -> &'static str {
    if value.is_null() { "%!s(<nil>)" } else { go_type(value) }
}

/// As Go prints it: `map[name:web ports:[80 443]]`.
pub fn shown(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    cut(text)
}

pub(super) fn shown_list(items: &[Value]) -> String {
    let mut text = String::new();
    write_list(items, &mut text, write);
    cut(text)
}

fn shown_map(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_map(members, &mut text, write);
    cut(text)
}

fn write(value: &Value, text: &mut String) {
    match value {
        // What is too long already need not grow.
        _ if text.len() > LONGEST_SHOWN => {}
        Value::Null => text.push_str("<nil>"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(value) => text.push_str(value),
        Value::Array(items) => write_list(items, text, write),
        Value::Object(members) => write_map(members, text, write),
    }
}

/// As Go prints what it takes for a text: what is none shows its type.
fn write_as_text(value: &Value, text: &mut String) {
    match value {
        _ if text.len() > LONGEST_SHOWN => {}
        Value::String(value) => text.push_str(value),
        Value::Null => text.push_str("%!s(<nil>)"),
        Value::Array(items) => write_list(items, text, write_as_text),
        Value::Object(members) => write_map(members, text, write_as_text),
        Value::Bool(_) | Value::Number(_) => {
            text.push_str(&format!("%!s({}={value})", go_type(value)));
        }
    }
}

/// Prints one value.
type Print = fn(&Value, &mut String);

fn write_list(items: &[Value], text: &mut String, print: Print) {
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        text.push_str(if index > 0 { " " } else { "" });
        print(item, text);
    }
    text.push(']');
}

fn write_map(members: &Map<String, Value>, text: &mut String, print: Print) {
    text.push_str("map[");
    for (index, (name, value)) in members.iter().enumerate() {
        text.extend([if index > 0 { " " } else { "" }, name, ":"]);
        print(value, text);
    }
    text.push(']');
}

/// A text as a message shows it.
pub fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
