//! One revision of one object: its JSON bytes, its metadata, and a typed value decoded at most once.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A point in the history of the store. Every change gets a greater one; none is ever issued twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where an object lives within its resource. Ordered by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace; empty for objects of the cluster.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// The key of an object in a namespace; an empty namespace is the cluster.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object of the cluster.
    pub fn cluster(name: impl Into<Arc<str>>) -> Self {
        Self::new("", name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            formatter.write_str(&self.name)
        } else {
            write!(formatter, "{}/{}", self.namespace, self.name)
        }
    }
}

/// One revision of one object, shared by everybody who looks at it; a clone is a reference.
#[derive(Clone)]
pub struct Object(Arc<Record>);

struct Record {
    json: Bytes,
    api_version: Box<str>,
    kind: Box<str>,
    metadata: ObjectMeta,
    revision: Revision,
    value: OnceLock<Value>,
    encoded: OnceLock<Bytes>,
    typed: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// The bytes are not a JSON object of the expected form.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The JSON does not fit the type; the cause says where.
    #[error("decode {kind} {name}")]
    Unfit {
        /// The kind the object says it is.
        kind: String,
        /// Its key.
        name: String,
        /// What did not fit.
        #[source]
        source: serde_json::Error,
    },
    /// Not an object with `apiVersion`, `kind` and `metadata`.
    #[error("decode an object's metadata")]
    NotAnObject(#[source] serde_json::Error),
    /// The object was decoded as another type before.
    #[error("{kind} {name} was decoded as another type before")]
    OtherType {
        /// The kind the object says it is.
        kind: String,
        /// Its key.
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    api_version: Box<str>,
    #[serde(default)]
    kind: Box<str>,
    #[serde(default)]
    metadata: ObjectMeta,
}

impl Object {
    /// Reads an object from its JSON text.
    pub fn from_json(json: Bytes) -> Result<Self, DecodeError> {
        let mut envelope: Envelope = serde_json::from_slice(&json).map_err(DecodeError::NotAnObject)?;
        envelope.metadata.managed_fields = None;
        Ok(Self::assemble(json, envelope.api_version, envelope.kind, envelope.metadata))
    }

    /// Makes an object from a JSON value.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let json = serde_json::to_vec(&value).map_err(DecodeError::NotAnObject)?;
        let object = Self::from_json(json.into())?;
        let _ = object.0.value.set(value);
        Ok(object)
    }

    /// Puts an object together from parts known to agree: `json` holds exactly this metadata and type.
    pub fn assemble(
        json: Bytes,
        api_version: impl Into<Box<str>>,
        kind: impl Into<Box<str>>,
        metadata: ObjectMeta,
    ) -> Self {
        let revision = metadata.resource_version.as_deref().and_then(|text| text.parse().ok());
        Self(Arc::new(Record {
            json,
            api_version: api_version.into(),
            kind: kind.into(),
            revision: Revision(revision.unwrap_or(0)),
            metadata,
            value: OnceLock::new(),
            encoded: OnceLock::new(),
            typed: OnceLock::new(),
        }))
    }

    /// The JSON text, resourceVersion included.
    pub fn json(&self) -> &Bytes {
        &self.0.json
    }

    /// The object in the one other encoding in which clients read it; `encode` makes it at the first call.
    pub fn encoded<E>(&self, encode: impl FnOnce(&Self) -> Result<Bytes, E>) -> Result<&Bytes, E> {
        if let Some(encoded) = self.0.encoded.get() {
            return Ok(encoded);
        }
        let encoded = encode(self)?;
        Ok(self.0.encoded.get_or_init(|| encoded))
    }

    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> &str {
        &self.0.api_version
    }

    /// `Pod`, `Deployment`.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The metadata, parsed. Who owns which fields is in the JSON only: as values it takes ten times the memory.
    pub fn metadata(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    /// The revision of this state of the object; 0 if it was never stored.
    pub fn revision(&self) -> Revision {
        self.0.revision
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    /// The name; empty if there is none yet.
    pub fn name(&self) -> &str {
        self.0.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace; empty for objects of the cluster.
    pub fn namespace(&self) -> &str {
        self.0.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The uid; empty if there is none yet.
    pub fn uid(&self) -> &str {
        self.0.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether deletion was asked for.
    pub fn is_terminating(&self) -> bool {
        self.0.metadata.deletion_timestamp.is_some()
    }

    /// The uid of the owner that controls this object.
    pub fn controller_uid(&self) -> Option<&str> {
        let owners = self.0.metadata.owner_references.as_deref()?;
        owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
    }

    /// The JSON as a tree; parsed at the first call.
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| {
            serde_json::from_slice(&self.0.json).expect("an object is made from valid JSON only")
        })
    }

    /// The typed value; decoded at the first call. One kind has one type for the life of the object.
    pub fn typed<K: DeserializeOwned + Any + Send + Sync>(&self) -> Result<&K, DecodeError> {
        if self.0.typed.get().is_none() {
            let _ = self.0.typed.set(Box::new(self.decode::<K>()?));
        }
        self.0
            .typed
            .get()
            .and_then(|typed| typed.downcast_ref())
            .ok_or_else(|| DecodeError::OtherType { kind: self.kind().into(), name: self.key().to_string() })
    }

    /// The same for who looks at each state once: what nobody decoded before is not kept. A typed pod takes several times
    /// its JSON.
    pub fn peek<K: DeserializeOwned + Clone + Any + Send + Sync>(&self) -> Result<Cow<'_, K>, DecodeError> {
        match self.0.typed.get().is_some() {
            true => self.typed().map(Cow::Borrowed),
            false => self.decode().map(Cow::Owned),
        }
    }

    fn decode<K: DeserializeOwned>(&self) -> Result<K, DecodeError> {
        serde_json::from_slice(&self.0.json).map_err(|source| DecodeError::Unfit {
            kind: self.kind().into(),
            name: self.key().to_string(),
            source,
        })
    }

    /// The same state without the values that were decoded from it; none if there are none. Text and encodings are shared.
    pub fn bare(&self) -> Option<Self> {
        let record = &*self.0;
        if record.value.get().is_none() && record.typed.get().is_none() {
            return None;
        }
        Some(Self(Arc::new(Record {
            json: record.json.clone(),
            api_version: record.api_version.clone(),
            kind: record.kind.clone(),
            metadata: record.metadata.clone(),
            revision: record.revision,
            value: OnceLock::new(),
            encoded: record.encoded.clone(),
            typed: OnceLock::new(),
        })))
    }

    /// Whether both are the same record in memory.
    pub fn is_same(&self, other: &Object) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}@{}", self.kind(), self.key(), self.revision())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use serde_json::json;

    #[test]
    fn another_encoding_is_made_once() {
        let object = Object::from_json(Bytes::from_static(b"{}")).expect("an object");
        let refused: Result<&Bytes, &str> = object.encoded(|_| Err("no"));
        assert_eq!(refused, Err("no"));
        let made = |text: &'static [u8]| object.encoded(|_| Ok::<_, &str>(Bytes::from_static(text))).cloned();
        assert_eq!((made(b"one"), made(b"two")), (Ok("one".into()), Ok("one".into())));
    }

    #[test]
    fn an_object_is_decoded_as_one_type_only() {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "b", "resourceVersion": "7"}});
        let object = Object::from_value(value).expect("a config map");
        assert!(object.peek::<Pod>().is_err(), "it is no pod");
        for _ in 0..2 {
            assert!(matches!(object.peek::<ConfigMap>(), Ok(Cow::Owned(_))), "a look is not kept");
        }
        assert_eq!(object.typed::<ConfigMap>().expect("fits").metadata.name.as_deref(), Some("a"));
        assert!(matches!(object.typed::<Pod>(), Err(DecodeError::OtherType { .. })));
        assert!(matches!(object.peek::<ConfigMap>(), Ok(Cow::Borrowed(_))));
        let bare = object.bare().expect("something was decoded");
        assert!(bare.bare().is_none() && matches!(bare.peek::<ConfigMap>(), Ok(Cow::Owned(_))));
        assert_eq!((bare.json(), bare.key(), bare.revision()), (object.json(), object.key(), Revision(7)));
        assert_eq!((object.key().to_string(), object.revision()), ("b/a".into(), Revision(7)));
    }
}
