//! All objects of one resource at one moment, with indexes; a clone shares everything.

use std::collections::BTreeMap;

use imbl::{OrdMap, OrdSet};

use super::Change;
use crate::object::{Key, Object};

/// Finds objects by something other than their key.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// The name to look it up by.
    pub name: &'static str,
    /// The texts under which an object is found.
    pub texts: fn(&Object) -> Vec<String>,
}

/// Objects by the uid of each of their owners; every snapshot has it.
pub const BY_OWNER: Index = Index {
    name: "owner",
    texts: |object| {
        let owners = object.metadata().owner_references.iter().flatten();
        owners.map(|owner| owner.uid.clone()).collect()
    },
};

type Entries = OrdMap<String, OrdSet<Key>>;

/// All objects of one resource at one moment, ordered by namespace and name.
#[derive(Clone)]
pub struct Snapshot {
    objects: OrdMap<Key, Object>,
    indexes: Vec<(Index, Entries)>,
}

impl Snapshot {
    /// An empty snapshot with the index by owner and `indexes`.
    pub fn new(indexes: Vec<Index>) -> Self {
        let indexes = std::iter::once(BY_OWNER).chain(indexes);
        Self { objects: OrdMap::new(), indexes: indexes.map(|index| (index, Entries::new())).collect() }
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// The objects of one namespace; of the cluster if it is empty.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Object> {
        let start = Key::new(namespace, "");
        let inside = start.namespace.clone();
        let from = self.objects.range(start..);
        from.take_while(move |(key, _)| key.namespace == inside).map(|(_, object)| object)
    }

    /// The objects found under `text` in the index `name`; none if there is no such index.
    pub fn by_index<'a>(&'a self, name: &str, text: &str) -> impl Iterator<Item = &'a Object> {
        let index = self.indexes.iter().find(|(index, _)| index.name == name);
        let keys = index.and_then(|(_, entries)| entries.get(text));
        keys.into_iter().flatten().filter_map(|key| self.objects.get(key))
    }

    /// The objects that name `uid` as an owner.
    pub fn owned_by<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Object> {
        self.by_index(BY_OWNER.name, uid)
    }

    /// Puts the object in, in place of an older one, unless a newer one is there.
    pub(super) fn put(&mut self, object: Object) -> Option<Change> {
        let key = object.key();
        let old = self.objects.get(&key).cloned();
        if old.as_ref().is_some_and(|old| old.revision() >= object.revision()) {
            return None;
        }
        self.unindex(old.as_ref());
        for (index, entries) in &mut self.indexes {
            for text in (index.texts)(&object) {
                let keys = entries.entry(text).or_default();
                keys.insert(key.clone());
            }
        }
        self.objects.insert(key, object.clone());
        Some(Change { old, new: Some(object) })
    }

    /// Takes the object out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Change> {
        let old = self.objects.remove(key)?;
        self.unindex(Some(&old));
        Some(Change { old: Some(old), new: None })
    }

    /// Makes the snapshot hold exactly `items`, which a list returned.
    pub(super) fn replace(&mut self, items: Vec<Object>) -> Vec<Change> {
        let listed: BTreeMap<Key, Object> = items.into_iter().map(|object| (object.key(), object)).collect();
        let gone: Vec<Key> = self.objects.keys().filter(|key| !listed.contains_key(key)).cloned().collect();
        let mut changes: Vec<Change> = gone.iter().filter_map(|key| self.remove(key)).collect();
        let put = listed.into_values().filter_map(|object| self.put(object));
        changes.extend(put.flat_map(Change::into_steps));
        changes
    }

    fn unindex(&mut self, old: Option<&Object>) {
        let Some(old) = old else { return };
        let key = old.key();
        for (index, entries) in &mut self.indexes {
            for text in (index.texts)(old) {
                let Some(keys) = entries.get_mut(&text) else {
                    continue;
                };
                keys.remove(&key);
                if keys.is_empty() {
                    entries.remove(&text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, revision: u64, owner: &str) -> Object {
        let metadata = json!({"name": name, "namespace": "n", "resourceVersion": revision.to_string(),
            "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "o", "uid": owner}]});
        Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}))
            .expect("an object")
    }

    fn owned(snapshot: &Snapshot, uid: &str) -> Vec<String> {
        snapshot.owned_by(uid).map(|object| object.name().to_owned()).collect()
    }

    #[test]
    fn an_object_moves_between_owners() {
        let mut snapshot = Snapshot::new(vec![]);
        snapshot.put(object("a", 1, "x"));
        snapshot.put(object("b", 2, "x"));
        assert_eq!(owned(&snapshot, "x"), ["a", "b"]);
        snapshot.put(object("a", 3, "y"));
        assert_eq!(owned(&snapshot, "x"), ["b"]);
        assert_eq!(owned(&snapshot, "y"), ["a"]);
        snapshot.remove(&Key::new("n", "b"));
        assert!(owned(&snapshot, "x").is_empty());
    }

    #[test]
    fn an_older_state_does_not_replace_a_newer_one() {
        let mut snapshot = Snapshot::new(vec![]);
        snapshot.put(object("a", 5, "x"));
        assert!(snapshot.put(object("a", 4, "y")).is_none());
        assert_eq!(owned(&snapshot, "x"), ["a"]);
    }

    #[test]
    fn a_list_tells_what_came_changed_and_went() {
        let mut snapshot = Snapshot::new(vec![]);
        snapshot.replace(vec![object("a", 1, "x"), object("b", 2, "x")]);
        let changes = snapshot.replace(vec![object("b", 2, "x"), object("c", 3, "x")]);
        let words: Vec<String> = changes
            .iter()
            .map(|change| format!("{:?} {}", change.new.is_some(), change.object().name()))
            .collect();
        assert_eq!(words, ["false a", "true c"]);
        let of = |name: &str, revision: u64, uid: &str| {
            let metadata = json!({"name": name, "namespace": "n", "uid": uid,
                "resourceVersion": revision.to_string()});
            Object::from_value(json!({"metadata": metadata})).expect("an object")
        };
        snapshot.replace(vec![of("b", 4, "first"), of("c", 5, "first")]);
        let changes = snapshot.replace(vec![of("b", 6, "second"), of("c", 7, "first")]);
        let uid =
            |object: &Option<Object>| object.as_ref().map_or("-".into(), |object| object.uid().to_owned());
        let words: Vec<String> =
            changes.iter().map(|change| format!("{} {}", uid(&change.old), uid(&change.new))).collect();
        assert_eq!(
            words,
            ["first -", "- second", "first first"],
            "another of the same name is another object"
        );
        assert_eq!(snapshot.in_namespace("n").count(), 2);
        assert_eq!(snapshot.in_namespace("m").count(), 0);
    }
}
