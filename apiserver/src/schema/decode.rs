//! Decoding by the schema: drops what the API does not know, says where, and refuses what has the wrong type.

use std::fmt::Display;

use api::field::FieldError;
use serde::Deserializer;
use serde_json::{Map, Value};

use super::finding::{Finding, StrictError};
use super::path::Path;
use super::syntax;
use super::types::{Form, Kind, Type};
use super::visitor::{Decoder, Notes, wrong};

/// Objects nested deeper are refused. Kubernetes' own types need about 20.
pub const LARGEST_DEPTH: usize = 100;

/// An object as it is stored, and what was overlooked to get there.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Only known fields, no null fields, quantities and times in their canonical form.
    pub value: Value,
    /// In the order of the text; at most `LARGEST_FINDINGS`.
    pub findings: Vec<Finding>,
}

impl Decoded {
    /// The object if nothing was overlooked.
    pub fn strict(self) -> Result<Value, StrictError> {
        match self.findings.is_empty() {
            true => Ok(self.value),
            false => Err(StrictError { findings: self.findings }),
        }
    }
}

/// The object cannot be understood. Kubernetes answers 400.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not JSON: what Go says of it, as users of Kubernetes know it.
    #[error("{0}")]
    Syntax(String),
    /// A value does not have the type of its field.
    #[error("{0}")]
    Field(FieldError),
    /// The field and those above it are nested too deeply.
    #[error("{0}: nested deeper than {LARGEST_DEPTH} levels")]
    TooDeep(String),
}

/// Decodes an object from JSON text. An object of a kind gets `apiVersion` and `kind` if it has none.
pub fn decode(of: &'static Type, json: &[u8]) -> Result<Decoded, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = run(of, &mut deserializer).and_then(|decoded| match deserializer.end() {
        Ok(()) => Ok(decoded),
        Err(error) => Err(invalid(&error)),
    });
    // Whether the text is JSON at all is the first thing to say, wherever reading it ended.
    decoded.map_err(|error| syntax::mistake(json).map_or(error, DecodeError::Syntax))
}

/// For what Go would take, such as a number beyond all numbers.
pub(super) fn invalid(error: &impl Display) -> DecodeError {
    DecodeError::Syntax(format!("invalid JSON: {error}"))
}

/// Does the same to an object that is parsed already; it can have no duplicate fields.
pub fn normalize(of: &'static Type, object: Value) -> Result<Decoded, DecodeError> {
    run(of, object)
}

fn run<'de, D: Deserializer<'de>>(of: &'static Type, deserializer: D) -> Result<Decoded, DecodeError> {
    let mut notes = Notes::default();
    let mut value = Value::Null;
    let root =
        Decoder { notes: &mut notes, out: &mut value, path: &Path::ROOT, form: Form::One, leaf: of.leaf };
    if let Err(error) = deserializer.deserialize_any(root) {
        return Err(notes.error.unwrap_or_else(|| invalid(&error)));
    }
    match (value.as_object_mut(), of.kind) {
        (Some(members), Some(kind)) => fill_in(members, kind)?,
        (Some(_), None) => {}
        (None, _) => return Err(wrong(&Path::ROOT, value, "must be an object")),
    }
    Ok(Decoded { value, findings: notes.findings })
}

/// Both are optional where the path of the request says them.
fn fill_in(members: &mut Map<String, Value>, kind: Kind) -> Result<(), DecodeError> {
    for (name, known) in [("apiVersion", kind.api_version), ("kind", kind.kind)] {
        let given = members.entry(name).or_insert(Value::Null);
        if given.is_null() || *given == "" {
            *given = known.into();
        } else if *given != known {
            return Err(DecodeError::Field(FieldError::invalid(
                name,
                given.take(),
                format!("must be {known}"),
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
