//! What is served at this moment: every kind in every version, built in or custom.
//!
//! A snapshot never changes. When custom kinds come and go the registry has another one; a request keeps the one it began
//! with.

mod older;
mod other;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use api::{Object, Resource, Status};
use jiff::Timestamp;
use serde_json::Value;

pub use older::OTHER_VERSIONS;
pub use other::OtherVersion;

use crate::builtin::{BUILTINS, Kind, Names};

/// A kind, for as long as it is needed: one that is built in or one that may go. A clone is a reference.
#[derive(Clone)]
pub enum KindHandle {
    /// Built in.
    Builtin(&'static dyn Kind),
    /// Declared by a CustomResourceDefinition.
    Custom(Arc<dyn Kind>),
}

impl Deref for KindHandle {
    type Target = dyn Kind;

    fn deref(&self) -> &(dyn Kind + 'static) {
        match self {
            Self::Builtin(kind) => *kind,
            Self::Custom(kind) => &**kind,
        }
    }
}

/// A kind in one of the versions in which clients can ask for it.
#[derive(Clone)]
pub struct Version {
    kind: KindHandle,
    other: Option<&'static OtherVersion>,
}

impl Version {
    /// A kind in its own version.
    pub fn new(kind: KindHandle) -> Self {
        Self { kind, other: None }
    }

    /// The names in this version.
    pub fn resource(&self) -> &Resource {
        self.other.map_or_else(|| self.kind.resource(), |other| &other.resource)
    }

    /// What does the work; its own version may be another one.
    pub fn kind(&self) -> &dyn Kind {
        &*self.kind
    }

    /// The same, for as long as it is needed.
    pub fn kind_handle(&self) -> KindHandle {
        self.kind.clone()
    }

    /// How this version differs from that of the kind; none if it is that.
    pub fn other(&self) -> Option<&'static OtherVersion> {
        self.other
    }

    /// What clients may call it. Only the kind's own version has the names that could mean several.
    pub fn names(&self) -> Names {
        let names = self.kind.names();
        match self.other {
            Some(other) if !other.has_names => Names { singular: names.singular, ..Names::default() },
            _ => names,
        }
    }

    /// The kind of its lists.
    pub fn list_kind(&self) -> Cow<'_, str> {
        match self.other {
            Some(other) => format!("{}List", other.resource.kind).into(),
            None => self.kind.list_kind(),
        }
    }

    /// Whether selectors may ask for a field of this version, besides `metadata.name` and `metadata.namespace`.
    pub fn selects_by(&self, field: &str) -> bool {
        self.kind.selects_by(self.field_of_kind(field))
    }

    /// The value of a field of this version that selectors may ask for, in an object as it is stored.
    pub fn field<'a>(&self, object: &'a Object, field: &str) -> Option<Cow<'a, str>> {
        self.kind.field(object, self.field_of_kind(field))
    }

    fn field_of_kind<'a>(&self, field: &'a str) -> &'a str {
        self.other.map_or(field, |other| other.field(field))
    }

    /// The cells of an object in this version, one for each column.
    pub fn row(&self, object: &Object, now: Timestamp) -> Result<Vec<Value>, Status> {
        match self.other {
            Some(other) => self.kind.row(&other.taken_in(object, self.kind.resource())?, now),
            None => self.kind.row(object, now),
        }
        .map_err(Status::internal)
    }
}

/// Everything that is served.
#[derive(Clone, Default)]
pub struct Served {
    /// Ordered by group, plural and version.
    versions: Vec<Arc<Version>>,
    /// In the order in which clients prefer them.
    in_order: Vec<Arc<Version>>,
}

impl Served {
    /// The kinds that are built in.
    pub fn builtin() -> Self {
        let own = BUILTINS.iter().map(|kind| Version::new(KindHandle::Builtin(*kind)));
        let others = OTHER_VERSIONS.iter().filter_map(|other| {
            let kind = BUILTINS.iter().find(|kind| *kind.resource() == other.kind)?;
            Some(Version { kind: KindHandle::Builtin(*kind), other: Some(other) })
        });
        Self::of(own.chain(others).map(Arc::new).collect())
    }

    fn of(in_order: Vec<Arc<Version>>) -> Self {
        let mut versions = in_order.clone();
        versions.sort_by(|one, other| address(one).cmp(&address(other)));
        Self { versions, in_order }
    }

    /// The kinds that are built in, and custom ones in the order in which clients prefer them.
    pub fn with_custom(versions: Vec<Version>) -> Self {
        let builtin = Self::builtin();
        Self::of(builtin.in_order.into_iter().chain(versions.into_iter().map(Arc::new)).collect())
    }

    /// A resource in a version.
    pub fn version(&self, group: &str, plural: &str, version: &str) -> Option<&Arc<Version>> {
        let asked = (group, plural, version);
        let found = self.versions.binary_search_by(|known| address(known).cmp(&asked)).ok()?;
        self.versions.get(found)
    }

    /// A resource in whatever version it is served in.
    pub fn any_version(&self, group: &str, plural: &str) -> Option<&Arc<Version>> {
        let first = self.versions.partition_point(|known| address(known) < (group, plural, ""));
        self.versions.get(first).filter(|known| {
            let Resource { group: known_group, plural: known_plural, .. } = known.resource();
            known_group == group && known_plural == plural
        })
    }

    /// Everything, in the order in which clients prefer it.
    pub fn in_order(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.in_order.iter()
    }

    /// Each kind once, for those who follow them all.
    pub fn kinds(&self) -> Arc<[api::kinds::Kind]> {
        let mut kinds: BTreeMap<Resource, Vec<Resource>> = BTreeMap::new();
        for version in &self.in_order {
            kinds.entry(stored(version)).or_default().push(version.resource().clone());
        }
        let kinds = kinds.into_iter().map(|(stored, versions)| {
            let is_served = versions.contains(&stored);
            let preferred = versions.first().filter(|_| !is_served).cloned();
            api::kinds::Kind { resource: preferred.unwrap_or(stored), versions }
        });
        kinds.collect()
    }
}

/// The names of a kind in the version in which its objects are stored.
fn stored(version: &Version) -> Resource {
    let resource = version.kind().resource().clone();
    match version.kind().custom() {
        Some(kind) => Resource { version: kind.family.storage.clone().into(), ..resource },
        None => resource,
    }
}

fn address(version: &Version) -> (&str, &str, &str) {
    let Resource { group, version, plural, .. } = version.resource();
    (group, plural, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_with_its_versions() {
        let kinds = Served::builtin().kinds();
        assert_eq!(kinds.len(), BUILTINS.len());
        let ingresses = kinds.iter().find(|kind| kind.resource.kind == "Ingress").expect("is served");
        let versions: Vec<String> = ingresses.versions.iter().map(Resource::api_version).collect();
        assert_eq!(ingresses.resource.api_version(), "networking.k8s.io/v1");
        assert!(versions.contains(&"networking.k8s.io/v1".into()), "{versions:?}");
        assert!(versions.contains(&"extensions/v1beta1".into()), "{versions:?}");
    }

    #[test]
    fn every_version_is_found_by_its_names_and_by_nothing_else() {
        let served = Served::builtin();
        for known in served.in_order() {
            let Resource { group, version, plural, .. } = known.resource();
            let found = served.version(group, plural, version);
            assert!(found.is_some_and(|found| Arc::ptr_eq(found, known)), "{plural}.{version}.{group}");
            assert!(served.any_version(group, plural).is_some(), "{plural}.{group}");
        }
        assert!(served.version("apps", "pods", "v1").is_none());
        assert!(served.version("apps", "deployments", "v3").is_none());
        assert!(served.any_version("", "").is_none());
        assert!(served.any_version("zzz", "zzz").is_none());
    }
}
