//! The one document of OpenAPI v2 for everything that is served, put together from parts that are written once.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{gnostic, hash, info, swagger};

/// The document as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Legacy {
    /// Its JSON.
    pub json: Bytes,
    /// The same as protobuf, in the messages of gnostic.
    pub protobuf: Bytes,
    /// Changes whenever the document does; in hexadecimal.
    pub hash: String,
}

/// Types and paths of some kinds, written in both forms.
#[derive(Default)]
pub struct Parts {
    paths: Written,
    definitions: Written,
}

/// Named values in both forms: what stands between the braces, and the members of the message.
#[derive(Default)]
struct Written {
    json: String,
    protobuf: Vec<u8>,
}

impl Parts {
    /// Writes what a document of version 3 has, except the types for which `is_elsewhere`.
    pub fn of(paths: &Map<String, Value>, components: &Value, is_elsewhere: impl Fn(&str) -> bool) -> Self {
        let mut parts = Self::default();
        for (name, path) in paths {
            let path = swagger::path(path);
            parts.paths.add(name, &path, &gnostic::path(name, &path));
        }
        for (name, schema) in components.as_object().into_iter().flatten() {
            if !is_elsewhere(name) {
                let schema = swagger::schema(schema);
                parts.definitions.add(name, &schema, &gnostic::definition(name, &schema));
            }
        }
        parts
    }
}

impl Written {
    fn add(&mut self, name: &str, value: &Value, protobuf: &[u8]) {
        if !self.json.is_empty() {
            self.json.push(',');
        }
        self.json.push_str(&Value::from(name).to_string());
        self.json.push(':');
        self.json.push_str(&value.to_string());
        self.protobuf.extend_from_slice(protobuf);
    }
}

/// The document of all parts, whose names differ.
pub fn document<'p>(parts: impl Iterator<Item = &'p Parts> + Clone) -> Legacy {
    let join = |pick: fn(&Parts) -> &Written| {
        let texts = parts.clone().map(|parts| pick(parts).json.as_str());
        let json = texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",");
        let protobuf =
            parts.clone().map(|parts| pick(parts).protobuf.as_slice()).collect::<Vec<_>>().concat();
        (json, protobuf)
    };
    let (paths, paths_protobuf) = join(|parts| &parts.paths);
    let (definitions, definitions_protobuf) = join(|parts| &parts.definitions);
    let info = info();
    let json =
        format!(r#"{{"swagger":"2.0","info":{info},"paths":{{{paths}}},"definitions":{{{definitions}}}}}"#);
    let protobuf = gnostic::document(&info, &paths_protobuf, &definitions_protobuf);
    Legacy { hash: hash(json.as_bytes()), json: json.into(), protobuf: protobuf.into() }
}
