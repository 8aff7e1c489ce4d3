//! Kubernetes' protobuf: an envelope that says what is in it, and messages whose members the schema table knows.
//!
//! Go writes every member it does not hold by pointer, zero or not, where JSON leaves zeros out; so the zeros that
//! say nothing are dropped here, and an object is the same tree whichever way it came.

mod layout;
mod leaf;
mod read;
pub(crate) mod wire;
mod write;

use serde_json::{Map, Value};

use crate::schema::path::Path;
use crate::schema::{self, Type};
use wire::{Flaw, Reader};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The members of the envelope.
mod envelope {
    pub const TYPE: u32 = 1;
    pub const RAW: u32 = 2;
    pub const CONTENT_ENCODING: u32 = 3;
    pub const API_VERSION: u32 = 1;
    pub const KIND: u32 = 2;
}

/// Why a body is not understood, or an object cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It does not begin with Kubernetes' mark.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NotProtobuf,
    /// The kind is not one of the schema.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// As the envelope has it.
        api_version: String,
        /// As the envelope has it.
        kind: String,
    },
    /// A member is not what it must be.
    #[error("{field}: {flaw}")]
    Field {
        /// Where: `spec.containers[0].image`.
        field: String,
        /// What is wrong there.
        flaw: Flaw,
    },
}

impl CodecError {
    /// The path becomes text only when there is something to say.
    fn at(path: &Path<'_>) -> impl FnOnce(Flaw) -> Self {
        move |flaw| Self::Field { field: path.text(), flaw }
    }
}

/// Reads a body as the tree that its JSON would be. Members the schema does not know are skipped.
pub fn decode(bytes: &[u8]) -> Result<Value, CodecError> {
    let body = bytes.strip_prefix(MAGIC).ok_or(CodecError::NotProtobuf)?;
    let envelope = open(body).map_err(CodecError::at(&Path::ROOT.field("envelope")))?;
    let of = type_of(envelope.api_version, envelope.kind).ok_or_else(|| CodecError::UnknownKind {
        api_version: envelope.api_version.to_owned(),
        kind: envelope.kind.to_owned(),
    })?;
    let mut members = Map::new();
    members.insert("apiVersion".to_owned(), envelope.api_version.into());
    members.insert("kind".to_owned(), envelope.kind.into());
    read::object(of, envelope.raw, &mut members)?;
    Ok(Value::Object(members))
}

/// Writes an object that the schema has accepted; the inverse of `decode`.
pub fn encode(object: &Value, of: &Type) -> Result<Vec<u8>, CodecError> {
    let Value::Object(members) = object else {
        return Err(CodecError::at(&Path::ROOT)(Flaw::Unfit));
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(enclose(text("apiVersion"), text("kind"), &encode_message(object, of)?))
}

/// Writes the message alone of an object that the schema has accepted.
pub fn encode_message(object: &Value, of: &Type) -> Result<Vec<u8>, CodecError> {
    let Value::Object(members) = object else {
        return Err(CodecError::at(&Path::ROOT)(Flaw::Unfit));
    };
    let mut bytes = Vec::new();
    write::object(of, members, &mut bytes)?;
    Ok(bytes)
}

/// An envelope up to the message of `length` bytes that is to follow.
pub fn envelope_head(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut named = Vec::with_capacity(api_version.len() + kind.len() + 4);
    wire::text(&mut named, envelope::API_VERSION, api_version);
    wire::text(&mut named, envelope::KIND, kind);
    let mut bytes = MAGIC.to_vec();
    wire::run(&mut bytes, envelope::TYPE, &named);
    wire::run_head(&mut bytes, envelope::RAW, length);
    bytes
}

/// A message in its envelope.
pub fn enclose(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let mut bytes = envelope_head(api_version, kind, message.len());
    bytes.extend_from_slice(message);
    bytes
}

struct Envelope<'b> {
    api_version: &'b str,
    kind: &'b str,
    raw: &'b [u8],
}

fn open(body: &[u8]) -> Result<Envelope<'_>, Flaw> {
    let mut envelope = Envelope { api_version: "", kind: "", raw: &[] };
    for member in Reader::new(body) {
        match member? {
            (envelope::TYPE, payload) => {
                for member in Reader::new(payload.bytes()?) {
                    match member? {
                        (envelope::API_VERSION, payload) => envelope.api_version = payload.text()?,
                        (envelope::KIND, payload) => envelope.kind = payload.text()?,
                        _ => {}
                    }
                }
            }
            (envelope::RAW, payload) => envelope.raw = payload.bytes()?,
            (envelope::CONTENT_ENCODING, payload) if !payload.bytes()?.is_empty() => {
                return Err(Flaw::Encoded);
            }
            _ => {}
        }
    }
    Ok(envelope)
}

/// The type of an object, if the schema has it.
pub fn type_of(api_version: &str, kind: &str) -> Option<&'static Type> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    // The options of a deletion are in every group, in the version of what is deleted.
    let options =
        || (kind == "DeleteOptions").then(|| schema::builtin().named("meta.v1.DeleteOptions")).flatten();
    schema::builtin().kind(group, version, kind).or_else(options)
}

#[cfg(test)]
mod tests;
