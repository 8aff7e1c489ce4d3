//! What OpenAPI v3 says of the kinds that are served: `kubectl explain` shows it, `kubectl apply` merges by it.
//!
//! There is one document for each group and version. Its types, fields and ways of merging come from the table in
//! [`schema`](crate::schema), by which objects are decoded too; the descriptions come with the typed values.

mod components;
mod descriptions;
mod operations;
mod parameters;
mod paths;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::builtin::{BUILTINS, Kind};
use components::Components;
use descriptions::Descriptions;

/// A document as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Its JSON.
    pub json: Bytes,
    /// Changes whenever the document does; in hexadecimal.
    pub hash: String,
}

impl Document {
    fn new(content: &Value) -> Arc<Self> {
        let json = Bytes::from(content.to_string());
        let hash = Sha256::digest(&json).iter().fold(String::new(), |mut hash, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hash, "{byte:02X}");
            hash
        });
        Arc::new(Self { json, hash })
    }
}

/// A group and version, such as `apps/v1`: what is in it, and the document once it was asked for.
#[derive(Default)]
struct GroupVersion {
    kinds: Vec<&'static dyn Kind>,
    document: OnceLock<Arc<Document>>,
}

/// The documents of all groups and versions. Each is built when it is asked for first, which takes some milliseconds.
pub struct OpenApi {
    /// By their paths, such as `apis/apps/v1`.
    group_versions: BTreeMap<String, GroupVersion>,
    index: OnceLock<Arc<Document>>,
}

impl OpenApi {
    /// The documents of the built-in kinds.
    pub fn new() -> Self {
        let mut group_versions: BTreeMap<String, GroupVersion> = BTreeMap::new();
        for kind in BUILTINS {
            let path = paths::root(kind.resource()).trim_start_matches('/').to_owned();
            group_versions.entry(path).or_default().kinds.push(kind);
        }
        Self { group_versions, index: OnceLock::new() }
    }

    /// Which documents there are, with their hashes: what `/openapi/v3` answers. Builds all of them.
    pub fn index(&self) -> Arc<Document> {
        let build = || {
            let entry = |(path, group_version): (&String, &GroupVersion)| {
                let hash = &group_version.document().hash;
                (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}))
            };
            Document::new(&json!({"paths": self.group_versions.iter().map(entry).collect::<Map<_, _>>()}))
        };
        self.index.get_or_init(build).clone()
    }

    /// The document at a path below `/openapi/v3/`, such as `api/v1` or `apis/apps/v1`.
    pub fn document(&self, path: &str) -> Option<Arc<Document>> {
        self.group_versions.get(path).map(GroupVersion::document)
    }
}

impl Default for OpenApi {
    fn default() -> Self {
        Self::new()
    }
}

impl GroupVersion {
    fn document(&self) -> Arc<Document> {
        self.document.get_or_init(|| Document::new(&self.content())).clone()
    }

    fn content(&self) -> Value {
        let descriptions = Descriptions::of(&self.kinds);
        let mut components = Components::new(&descriptions);
        let mut paths = Map::new();
        for kind in &self.kinds {
            paths::add(*kind, &mut components, &mut paths);
        }
        json!({
            "openapi": "3.0.0",
            "info": {"title": "Peapod", "version": "v1.35.0"},
            "paths": paths,
            "components": {"schemas": components.finish()},
        })
    }
}

#[cfg(test)]
mod tests;
