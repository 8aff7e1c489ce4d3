//! Where objects live in the store: the collection of a resource, whatever version it is served in, and the key within.

use std::borrow::Cow;
use std::fmt;

use api::{Key, Resource};

/// All objects of one resource. Versions of a resource share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection {
    group: Cow<'static, str>,
    plural: Cow<'static, str>,
}

impl From<&Resource> for Collection {
    fn from(resource: &Resource) -> Self {
        Self { group: resource.group.clone(), plural: resource.plural.clone() }
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.group {
            "" => formatter.write_str(&self.plural),
            group => write!(formatter, "{}.{group}", self.plural),
        }
    }
}

/// The place of one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreKey {
    /// The collection it belongs to.
    pub collection: Collection,
    /// Its key there.
    pub key: Key,
}

impl StoreKey {
    /// The key on disk: four texts with NUL between, so that a collection is one range ordered by namespace and name.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Collection { group, plural } = &self.collection;
        [group, plural, &*self.key.namespace, &*self.key.name].join("\0").into_bytes()
    }

    /// Reads a key from disk; none if it is not of the form this program writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.split('\0');
        let mut next = || parts.next().map(str::to_owned);
        let (group, plural, namespace, name) = (next()?, next()?, next()?, next()?);
        let collection = Collection { group: group.into(), plural: plural.into() };
        Some(Self { collection, key: Key::new(namespace, name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::resource::{DEPLOYMENTS, PODS};

    #[test]
    fn keys_come_back_and_are_ordered_as_in_memory() {
        let key = |resource, namespace: &str, name: &str| StoreKey {
            collection: Collection::from(resource),
            key: Key::new(namespace, name),
        };
        let keys = [
            key(&PODS, "a", "b"),
            key(&PODS, "a", "b-c"),
            key(&PODS, "a-b", "a"),
            key(&DEPLOYMENTS, "", "x"),
        ];
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].encode() < pair[1].encode(), "{pair:?}");
            assert_eq!(StoreKey::decode(&pair[0].encode()).as_ref(), Some(&pair[0]));
        }
    }
}
