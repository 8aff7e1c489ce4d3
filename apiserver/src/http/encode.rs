//! Objects, lists and errors in the encodings of answers: JSON, YAML and protobuf.

use std::borrow::Cow;

use api::backend::ObjectList;
use api::status::Reason;
use api::{Object, Status, manifest};
use axum::body::Body;
use bytes::Bytes;
use http::header::HeaderValue;
use serde_json::{Value, json};

use super::list::ListBody;
use crate::codec::protobuf::{self, CodecError, wire};
use crate::managed;
use crate::schema::{self, Type};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Yaml,
    Protobuf,
}

/// The members that every message of an object or a list has.
mod tag {
    pub const METADATA: u32 = 1;
    pub const ITEMS: u32 = 2;
    pub const EVENT_TYPE: u32 = 1;
    pub const EVENT_OBJECT: u32 = 2;
    pub const RAW: u32 = 1;
}

impl Encoding {
    /// The media type.
    pub fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        })
    }

    /// The media type of a watch.
    pub fn media_type_of_watch(self) -> HeaderValue {
        match self {
            Self::Protobuf => HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch"),
            other => other.media_type(),
        }
    }

    /// An object.
    pub fn object(self, object: &Object) -> Result<Bytes, Status> {
        match self {
            Self::Json => Ok(object.json().clone()),
            Self::Yaml => yaml(object.json()),
            Self::Protobuf => {
                let message = message(object)?;
                Ok(protobuf::enclose(object.api_version(), object.kind(), message).into())
            }
        }
    }

    /// An object of the schema that is no stored one, such as a Status.
    pub fn tree(self, value: &Value) -> Result<Bytes, Status> {
        match self {
            Self::Json => Ok(value.to_string().into()),
            Self::Yaml => Ok(manifest::write(value).into()),
            Self::Protobuf => {
                let text = |field: &str| value[field].as_str().unwrap_or_default();
                let of = known(text("apiVersion"), text("kind"))?;
                protobuf::encode(value, of).map(Bytes::from).map_err(unwritten)
            }
        }
    }

    /// JSON that is complete already, in this encoding if that is a text.
    pub fn text(self, json: impl Into<Bytes>) -> Result<Bytes, Status> {
        match self {
            Self::Yaml => yaml(&json.into()),
            _ => Ok(json.into()),
        }
    }

    /// An object's metadata alone.
    pub fn metadata(self, object: &Object, api_version: &str) -> Result<Bytes, Status> {
        match self {
            Self::Protobuf => {
                let message = metadata_message(object)?;
                Ok(protobuf::enclose(api_version, PARTIAL, &message).into())
            }
            text => text.text(metadata_json(object, api_version)),
        }
    }

    /// A list of whole objects.
    pub fn list(self, kind: &str, api_version: &str, list: &ObjectList) -> Result<Body, Status> {
        match self {
            Self::Json => {
                let items = list.items.iter().map(|object| object.json().clone()).collect();
                Ok(Body::new(ListBody::json(list_head(kind, api_version, list), items)))
            }
            Self::Yaml => {
                let texts = list.items.iter().map(|object| Cow::Borrowed(&object.json()[..]));
                yaml(&joined(list_head(kind, api_version, list), texts)).map(Body::from)
            }
            Self::Protobuf => {
                let messages = list.items.iter().map(message);
                let items = messages.map(|message| message.cloned()).collect::<Result<_, _>>()?;
                protobuf_list(kind, api_version, list, items)
            }
        }
    }

    /// A list of the metadata of objects.
    pub fn metadata_list(self, api_version: &str, list: &ObjectList) -> Result<Body, Status> {
        let kind = "PartialObjectMetadataList";
        match self {
            Self::Protobuf => {
                let items = list.items.iter().map(metadata_message).map(|message| message.map(Bytes::from));
                protobuf_list(kind, api_version, list, items.collect::<Result<_, _>>()?)
            }
            text => {
                let texts = list.items.iter().map(|object| Cow::Owned(metadata_json(object, api_version)));
                text.text(joined(list_head(kind, api_version, list), texts)).map(Body::from)
            }
        }
    }

    /// An event of a watch, whose object is in this encoding already, with what parts it from the next.
    pub fn event(self, kind: &str, object: &[u8], bytes: &mut Vec<u8>) {
        match self {
            Self::Protobuf => {
                let mut raw = Vec::with_capacity(object.len() + 8);
                wire::run(&mut raw, tag::RAW, object);
                let mut event = Vec::with_capacity(raw.len() + 24);
                wire::text(&mut event, tag::EVENT_TYPE, kind);
                wire::run(&mut event, tag::EVENT_OBJECT, &raw);
                // No event is nearly as long as 4 GiB: its object came in a body.
                let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.append(&mut event);
            }
            _ => {
                bytes.reserve(object.len() + 40);
                bytes.extend_from_slice(b"{\"type\":\"");
                bytes.extend_from_slice(kind.as_bytes());
                bytes.extend_from_slice(b"\",\"object\":");
                bytes.extend_from_slice(object);
                bytes.extend_from_slice(b"}\n");
            }
        }
    }

    /// An object of which nothing is known but its kind and its metadata.
    pub fn bookmark(self, kind: &str, api_version: &str, metadata: &Value) -> Result<Bytes, Status> {
        if self == Self::Protobuf {
            let message = of_metadata(metadata, "meta.v1.ObjectMeta")?;
            return Ok(protobuf::enclose(api_version, kind, &message).into());
        }
        // Kubernetes writes the absent time too.
        let mut metadata = metadata.clone();
        crate::tree::set(&mut metadata, "creationTimestamp", Some(Value::Null));
        Ok(json!({"kind": kind, "apiVersion": api_version, "metadata": metadata}).to_string().into())
    }
}

const PARTIAL: &str = "PartialObjectMetadata";

/// The message of an object, kept with it.
fn message(object: &Object) -> Result<&Bytes, Status> {
    object.encoded(|object| {
        let of = known(object.api_version(), object.kind())?;
        // Parsed for this one time: the tree of an object takes many times the memory of its text.
        let tree: Value = serde_json::from_slice(object.json()).map_err(Status::internal)?;
        protobuf::encode_message(&tree, of).map(Bytes::from).map_err(unwritten)
    })
}

fn metadata_message(object: &Object) -> Result<Vec<u8>, Status> {
    let mut metadata = serde_json::to_value(object.metadata()).map_err(Status::internal)?;
    let owners = serde_json::from_str(managed::stored_text(object.json())).ok();
    crate::tree::set(&mut metadata, "managedFields", owners);
    of_metadata(&metadata, "meta.v1.ObjectMeta")
}

/// A message of which only the metadata is there.
fn of_metadata(metadata: &Value, name: &str) -> Result<Vec<u8>, Status> {
    let of =
        schema::builtin().named(name).ok_or_else(|| Status::internal(format!("no schema for {name}")))?;
    let metadata = protobuf::encode_message(metadata, of).map_err(unwritten)?;
    let mut message = Vec::with_capacity(metadata.len() + 4);
    wire::run(&mut message, tag::METADATA, &metadata);
    Ok(message)
}

/// The object reduced to its metadata, as JSON.
pub(super) fn metadata_json(object: &Object, api_version: &str) -> Vec<u8> {
    let mut text = format!(r#"{{"kind":"{PARTIAL}","apiVersion":"{api_version}","metadata":"#).into_bytes();
    let written = serde_json::to_vec(object.metadata()).expect("metadata has only keys that are strings");
    match managed::stored_text(object.json()) {
        "" => text.extend(written),
        owners => {
            text.extend_from_slice(b"{\"managedFields\":");
            text.extend_from_slice(owners.as_bytes());
            text.push(b',');
            // What is stored has a revision, so the metadata is not empty.
            text.extend(written.into_iter().skip(1));
        }
    }
    text.push(b'}');
    text
}

/// A list up to its first item.
fn list_head(kind: &str, api_version: &str, list: &ObjectList) -> Vec<u8> {
    let metadata = list_metadata(list);
    let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    head.into_bytes()
}

/// The metadata of a list.
pub(super) fn list_metadata(list: &ObjectList) -> Value {
    let mut metadata = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = &list.continue_token {
        metadata["continue"] = token.as_str().into();
    }
    if let Some(remaining) = list.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

fn joined<'t>(mut text: Vec<u8>, items: impl Iterator<Item = Cow<'t, [u8]>>) -> Bytes {
    for (position, item) in items.enumerate() {
        if position > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&item);
    }
    text.extend_from_slice(b"]}");
    text.into()
}

fn protobuf_list(
    kind: &str,
    api_version: &str,
    list: &ObjectList,
    items: Vec<Bytes>,
) -> Result<Body, Status> {
    let metadata = of_metadata(&list_metadata(list), "meta.v1.ListMeta")?;
    let head = |length| {
        let mut head = protobuf::envelope_head(api_version, kind, length);
        head.extend_from_slice(&metadata);
        head
    };
    Ok(Body::new(ListBody::protobuf(metadata.len(), head, tag::ITEMS, items)))
}

fn yaml(json: &[u8]) -> Result<Bytes, Status> {
    let tree: Value = serde_json::from_slice(json).map_err(Status::internal)?;
    Ok(manifest::write(&tree).into())
}

fn known(api_version: &str, kind: &str) -> Result<&'static Type, Status> {
    // Kubernetes' words for what has no messages.
    let words = || {
        "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded \
         to a protobuf message"
    };
    protobuf::type_of(api_version, kind).ok_or_else(|| Status::new(Reason::NotAcceptable, words()))
}

fn unwritten(error: CodecError) -> Status {
    Status::internal(error)
}
