//! Reads manifests as kubectl does: YAML or JSON, many documents in one text, lists taken apart.
//!
//! The rules are those of the YAML 1.1 reader behind kubectl, where `yes` is a boolean and `0644` is
//! octal, made strict: a key that is set twice is an error, unless somebody asks to be told of it only. Every value knows
//! the line it stands on.

use std::{fmt, mem};

use serde_json::{Map, Value};

use tree::Tree;

mod json;
mod scalar;
mod tree;
mod write;
mod yaml;

pub use write::write;

/// Larger than every collection of custom resource definitions in use.
const TEXT_LIMIT_BYTES: usize = 32 << 20;
/// Deeper than every schema in use; shallow enough to walk values by recursion.
const DEPTH_LIMIT: usize = 100;
/// More keys that are set again are not told: nobody reads on.
const TOLD_AGAIN: usize = 100;

/// One object of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// The object.
    pub value: Value,
    /// The line of the text it starts on; the first is 1.
    pub line: usize,
    /// The name of the text, as given.
    pub source: String,
    lines: tree::Lines,
}

impl Document {
    /// The line of a field, such as `spec.containers[0].image` or `metadata.labels[a.b/c]`. The line
    /// of the closest parent if the field is not written; none if not even its first parent is.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        if path.is_empty() { Some(self.line) } else { self.lines.line_of(path) }
    }
}

/// The text is not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct ManifestError {
    /// The name of the text, as given.
    pub file: String,
    /// The line that is wrong; the first is 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Neither YAML nor JSON.
    #[error("{0}")]
    Syntax(String),
    /// A character below the space, other than tabs and line breaks.
    #[error("control characters are not allowed")]
    ControlCharacter,
    /// An object with the same key twice.
    #[error("key {0:?} already set in map")]
    KeyAlreadySet(String),
    /// A key that cannot be the name of a field.
    #[error("a key must be a string, a number or a boolean, found {0}")]
    Key(&'static str),
    /// `<<` with something else than objects.
    #[error("map merge requires map or sequence of maps as the value")]
    Merge,
    /// A document that is not an object.
    #[error("a manifest must be an object, found {0}")]
    NotAnObject(&'static str),
    /// A number without a value that JSON can write.
    #[error("{0} cannot be written in JSON")]
    NotFinite(String),
    /// An integer that does not fit in 64 bits.
    #[error("integer {0} is out of range")]
    IntegerRange(String),
    /// A scalar that is not what its tag says.
    #[error("cannot decode {text:?} as a !!{tag}")]
    Tag {
        /// The scalar.
        text: String,
        /// The name of the tag.
        tag: String,
    },
    /// Base64 marked as such; the fields of Kubernetes hold it as plain strings.
    #[error("!!binary is not supported, write the base64 text without the tag")]
    Binary,
    /// An alias within the value of its own anchor.
    #[error("the value of the anchor contains itself")]
    AliasOfItself,
    /// Aliases which expand to much more than the text.
    #[error("document contains excessive aliasing")]
    ExcessiveAliasing,
    /// Too many collections within one another.
    #[error("nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
    /// A second value where there must be one.
    #[error("the text holds more than one object")]
    SecondValue,
    /// Too long a text.
    #[error("larger than {} MiB", TEXT_LIMIT_BYTES >> 20)]
    TooLarge,
}

/// A key that an object has already. Displayed in the words of the reader behind kubectl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAgain {
    /// The line of its new value; the first is 1.
    pub line: usize,
    /// The key.
    pub key: String,
}

impl fmt::Display for SetAgain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: key {:?} already set in map", self.line, self.key)
    }
}

/// A problem and its line.
#[derive(Debug)]
struct Wrong {
    line: usize,
    problem: Problem,
}

impl Wrong {
    fn new(line: usize, problem: Problem) -> Self {
        Self { line, problem }
    }
}

/// Reads the one value of a text, which may be of any type and is not taken apart; none if there is no value. Of keys
/// that are set again the last counts, and they are told.
pub fn read_value(source_name: &str, text: &str) -> Result<(Option<Value>, Vec<SetAgain>), ManifestError> {
    let wrong = |Wrong { line, problem }| ManifestError { file: source_name.to_owned(), line, problem };
    let Roots { mut values, again } = read_roots(text).map_err(wrong)?;
    values.retain(|(_, tree)| !tree.value.is_null());
    if values.len() > 1 {
        return Err(wrong(Wrong::new(values[1].0, Problem::SecondValue)));
    }
    let again = again.into_iter().map(|Again { line, key, .. }| SetAgain { line, key });
    Ok((values.pop().map(|(_, tree)| tree.value), again.collect()))
}

/// Reads all objects of a text. Its name is that of the file, for messages.
pub fn read(source_name: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    read_documents(source_name, text).map_err(|Wrong { line, problem }| ManifestError {
        file: source_name.to_owned(),
        line,
        problem,
    })
}

fn read_documents(source: &str, text: &str) -> Result<Vec<Document>, Wrong> {
    let mut documents = Vec::new();
    let Roots { values, again } = read_roots(text)?;
    if let Some(Again { key_line, key, .. }) = again.into_iter().next() {
        return Err(Wrong::new(key_line, Problem::KeyAlreadySet(key)));
    }
    for (line, tree) in values {
        take_apart(
            Document { value: tree.value, line, source: source.to_owned(), lines: tree.lines },
            &mut documents,
        )?;
    }
    Ok(documents)
}

/// The values of a text.
#[derive(Debug, Default)]
struct Roots {
    /// Each with the line it starts on.
    values: Vec<(usize, Tree)>,
    again: Vec<Again>,
}

/// A key that is set again, and the lines of the key and of its value.
#[derive(Debug)]
struct Again {
    key_line: usize,
    line: usize,
    key: String,
}

fn read_roots(text: &str) -> Result<Roots, Wrong> {
    if text.len() > TEXT_LIMIT_BYTES {
        return Err(Wrong::new(1, Problem::TooLarge));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if starts_as_json(text) {
        // YAML may start like this as well. Where it is neither, JSON was probably meant.
        json::read(text).or_else(|wrong| yaml::read(text).map_err(|_| wrong))
    } else {
        yaml::read(text)
    }
}

fn starts_as_json(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('{');
    inside.is_some_and(|inside| inside.trim_start().starts_with(['"', '}']))
}

/// Adds the document, or its items if it is a list. An empty document is none.
fn take_apart(mut document: Document, documents: &mut Vec<Document>) -> Result<(), Wrong> {
    let object = match &mut document.value {
        Value::Null => return Ok(()),
        Value::Object(object) => object,
        other => {
            return Err(Wrong::new(document.line, Problem::NotAnObject(kind_of(other))));
        }
    };
    let Some((items, item_kind)) = take_items(object) else {
        documents.push(document);
        return Ok(());
    };
    let api_version = object.get("apiVersion").cloned();
    for (value, place) in items.into_iter().zip(document.lines.items_of("items")) {
        let source = document.source.clone();
        let mut item = Document { value, line: place.line, source, lines: place.lines };
        adopt_type(&mut item.value, &item_kind, api_version.as_ref());
        take_apart(item, documents)?;
    }
    Ok(())
}

/// The items of a list and the kind they have if the list is typed.
fn take_items(object: &mut Map<String, Value>) -> Option<(Vec<Value>, String)> {
    let item_kind = object.get("kind")?.as_str()?.strip_suffix("List")?.to_owned();
    match object.get_mut("items")? {
        Value::Array(items) => Some((mem::take(items), item_kind)),
        Value::Null => Some((Vec::new(), item_kind)),
        _ => None,
    }
}

/// Items of a typed list, such as a `PodList`, may leave out what the list says about them.
fn adopt_type(item: &mut Value, kind: &str, api_version: Option<&Value>) {
    let (Value::Object(item), Some(api_version)) = (item, api_version) else {
        return;
    };
    let is_typed = item.contains_key("kind") || item.contains_key("apiVersion");
    if !kind.is_empty() && !is_typed {
        item.insert("kind".to_owned(), kind.into());
        item.insert("apiVersion".to_owned(), api_version.clone());
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
