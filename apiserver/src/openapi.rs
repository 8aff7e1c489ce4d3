//! What OpenAPI says of everything that is served: `kubectl explain` shows it, `kubectl apply` merges by it.
//!
//! In version 3 there is one document for each group and version, in version 2 one for all. The types of built-in kinds,
//! their fields and ways of merging come from the table in [`schema`](crate::schema), by which objects are decoded too; the
//! descriptions come with the typed values. Custom resources bring schemas of their own, and come and go.

mod components;
mod custom;
mod descriptions;
mod gnostic;
mod legacy;
mod operations;
mod parameters;
mod paths;
mod swagger;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock};

use api::Resource;
use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::builtin::{BUILTINS, COMPONENT_STATUSES, Kind};
use crate::served::OTHER_VERSIONS;
use components::Components;
use descriptions::Descriptions;
use legacy::Parts;

pub use custom::Custom;
pub use legacy::Legacy;

/// A document of version 3 as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Its JSON.
    pub json: Bytes,
    /// Changes whenever the document does; in hexadecimal.
    pub hash: String,
}

/// The documents of everything that is served. Each is built when it is asked for first, which takes some milliseconds,
/// and again only after what is in it has changed.
pub struct OpenApi {
    state: ArcSwap<State>,
}

/// What is served at one moment.
struct State {
    /// The kinds of each group and version, by their paths, such as `apis/apps/v1`.
    group_versions: BTreeMap<String, Arc<GroupVersion>>,
    /// By the name of what defines them.
    custom: BTreeMap<String, Vec<Arc<Custom>>>,
    /// The built-in part of the document of version 2, which is by far the largest.
    builtin: Arc<OnceLock<Parts>>,
    index: OnceLock<Arc<Document>>,
    legacy: OnceLock<Arc<Legacy>>,
}

/// A group and version: what is in it, and the documents once they were asked for.
#[derive(Default)]
struct GroupVersion {
    kinds: Vec<Builtin>,
    custom: Vec<Arc<Custom>>,
    document: OnceLock<Arc<Document>>,
    parts: OnceLock<Parts>,
}

/// A built-in kind in one of its versions.
#[derive(Clone, Copy)]
struct Builtin {
    kind: &'static dyn Kind,
    resource: &'static Resource,
}

impl OpenApi {
    /// The documents of the built-in kinds.
    pub fn new() -> Self {
        Self { state: ArcSwap::from_pointee(State::new(BTreeMap::new(), Arc::default())) }
    }

    /// Which documents there are, with their hashes: what `/openapi/v3` answers. Builds all of them.
    pub fn index(&self) -> Arc<Document> {
        let state = self.state.load();
        state.index.get_or_init(|| state.build_index()).clone()
    }

    /// The document at a path below `/openapi/v3/`, such as `api/v1` or `apis/apps/v1`.
    pub fn document(&self, path: &str) -> Option<Arc<Document>> {
        self.state.load().group_versions.get(path).map(|group_version| group_version.document())
    }

    /// The document of version 2.
    pub fn legacy(&self) -> Arc<Legacy> {
        let state = self.state.load();
        state.legacy.get_or_init(|| state.build_legacy()).clone()
    }

    /// Shows these custom resources in place of what `definition` brought before; none removes them. Costs little: the
    /// documents are built when they are asked for.
    pub fn set_custom(&self, definition: &str, versions: Vec<Custom>) {
        let versions: Vec<Arc<Custom>> = versions.into_iter().map(Arc::new).collect();
        self.state.rcu(|state| {
            let mut custom = state.custom.clone();
            let before = match versions.is_empty() {
                true => custom.remove(definition),
                false => custom.insert(definition.to_owned(), versions.clone()),
            };
            let changed = before.iter().flatten().chain(&versions).map(|custom| path_of(&custom.resource));
            state.changed(custom, &changed.collect::<Vec<_>>())
        });
    }
}

impl Default for OpenApi {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.state.load().group_versions.keys()).finish()
    }
}

impl State {
    fn new(custom: BTreeMap<String, Vec<Arc<Custom>>>, builtin: Arc<OnceLock<Parts>>) -> Self {
        let mut group_versions: BTreeMap<String, GroupVersion> = BTreeMap::new();
        for builtin in builtins() {
            group_versions.entry(path_of(builtin.resource)).or_default().kinds.push(builtin);
        }
        for one in custom.values().flatten() {
            group_versions.entry(path_of(&one.resource)).or_default().custom.push(one.clone());
        }
        let group_versions = group_versions.into_iter().map(|(path, of)| (path, Arc::new(of))).collect();
        Self { group_versions, custom, builtin, index: OnceLock::new(), legacy: OnceLock::new() }
    }

    /// The state with these custom resources; keeps the documents of all group versions but the changed ones.
    fn changed(&self, custom: BTreeMap<String, Vec<Arc<Custom>>>, changed: &[String]) -> Self {
        let mut state = Self::new(custom, self.builtin.clone());
        for (path, group_version) in &mut state.group_versions {
            if let Some(built) = self.group_versions.get(path).filter(|_| !changed.contains(path)) {
                *group_version = built.clone();
            }
        }
        state
    }

    fn build_index(&self) -> Arc<Document> {
        let entry = |(path, group_version): (&String, &Arc<GroupVersion>)| {
            let hash = &group_version.document().hash;
            (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}))
        };
        Document::new(&json!({"paths": self.group_versions.iter().map(entry).collect::<Map<_, _>>()}))
    }

    fn build_legacy(&self) -> Arc<Legacy> {
        let builtin = self.builtin.get_or_init(|| Parts::builtin(&builtins().collect::<Vec<_>>()));
        let custom = self.group_versions.values().filter(|of| !of.custom.is_empty());
        let custom =
            custom.map(|group_version| group_version.parts.get_or_init(|| group_version.custom_parts()));
        Arc::new(legacy::document(std::iter::once(builtin).chain(custom)))
    }
}

impl GroupVersion {
    fn document(&self) -> Arc<Document> {
        self.document.get_or_init(|| Document::new(&self.content())).clone()
    }

    fn content(&self) -> Value {
        let descriptions = describe(&self.kinds);
        let mut components = Components::new(&descriptions);
        let mut paths = Map::new();
        for kind in &self.kinds {
            paths::add_builtin(kind.kind, kind.resource, &mut components, &mut paths);
        }
        for custom in &self.custom {
            custom.add(&mut components, &mut paths);
        }
        json!({
            "openapi": "3.0.0",
            "info": info(),
            "paths": paths,
            "components": {"schemas": components.finish()},
        })
    }

    /// The custom resources alone; what they share with others is among the built-in types.
    fn custom_parts(&self) -> Parts {
        let descriptions = Descriptions::of(&[]);
        let mut components = Components::new(&descriptions);
        let mut paths = Map::new();
        for custom in &self.custom {
            custom.add(&mut components, &mut paths);
        }
        let own: Vec<String> =
            self.custom.iter().flat_map(|custom| [custom.full_name(), custom.full_list_name()]).collect();
        Parts::of(&paths, &components.finish(), |name| !own.iter().any(|own| own == name))
    }
}

impl Parts {
    fn builtin(kinds: &[Builtin]) -> Self {
        let descriptions = describe(kinds);
        let mut components = Components::new(&descriptions);
        let mut paths = Map::new();
        for kind in kinds {
            paths::add_builtin(kind.kind, kind.resource, &mut components, &mut paths);
        }
        Self::of(&paths, &components.finish(), |_| false)
    }
}

impl Document {
    fn new(content: &Value) -> Arc<Self> {
        let json = Bytes::from(content.to_string());
        Arc::new(Self { hash: hash(&json), json })
    }

    /// The index with documents of other servers, in the place of ours of the same path.
    pub fn with(self: Arc<Self>, others: impl Iterator<Item = (String, String)>) -> Arc<Self> {
        let mut others = others.peekable();
        if others.peek().is_none() {
            return self;
        }
        let mut index: Value = serde_json::from_slice(&self.json).unwrap_or_default();
        for (path, url) in others {
            index["paths"][path] = json!({"serverRelativeURL": url});
        }
        Self::new(&index)
    }
}

/// Every built-in kind in every version.
fn builtins() -> impl Iterator<Item = Builtin> {
    let own = BUILTINS.iter().map(|kind| Builtin { kind: *kind, resource: kind.resource() });
    let others = OTHER_VERSIONS.iter().filter_map(|other| {
        let kind = BUILTINS.iter().find(|kind| *kind.resource() == other.kind)?;
        Some(Builtin { kind: *kind, resource: &other.resource })
    });
    let looked_at = Builtin { kind: COMPONENT_STATUSES, resource: COMPONENT_STATUSES.resource() };
    own.chain(others).chain([looked_at])
}

fn describe(kinds: &[Builtin]) -> Descriptions {
    Descriptions::of(&kinds.iter().map(|builtin| builtin.kind).collect::<Vec<_>>())
}

/// What the documents say of the whole.
fn info() -> Value {
    json!({"title": "Peapod", "version": "v1.35.0"})
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hash, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hash, "{byte:02X}");
        hash
    })
}

/// The path of the document that has a resource.
fn path_of(resource: &Resource) -> String {
    paths::root(resource).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests;
