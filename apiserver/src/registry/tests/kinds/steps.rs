//! Steps that the tests of several kinds share.

use super::*;

impl World {
    /// What kubectl shows of an object.
    pub(super) async fn cells(&self, resource: &Resource, name: &str) -> Vec<Value> {
        let kind = crate::builtin::BUILTINS.iter().find(|kind| kind.resource() == resource).unwrap();
        let object = self.client.get(resource, &key(resource, name)).await.unwrap();
        let row = kind.row(&object, self.clock.now()).unwrap();
        assert_eq!(row.len(), kind.columns().len(), "a cell for each column");
        row
    }

    /// Creates an object and expects to find this in it; what is filled in stays as it is.
    pub(super) async fn filled(&self, resource: &Resource, value: Value, wanted: Value) {
        let created = self.create(resource, value).await.unwrap();
        assert_contains(&created, &wanted, "");
        let name = created["metadata"]["name"].as_str().unwrap();
        assert_eq!(self.update(resource, name, "", created.clone()).await.unwrap(), created, "twice");
    }

    /// Patches an object, or a part of it, and expects to be refused with these words.
    pub(super) async fn refused(
        &self,
        resource: &Resource,
        name: &str,
        part: &'static str,
        patch: Value,
        words: &str,
    ) {
        let error = self.merge(resource, name, part, patch.clone()).await.expect_err(&patch.to_string());
        let said = error.split_once(" is invalid: ").map_or(error.as_str(), |(_, said)| said);
        assert_eq!(said, words, "{patch}");
    }
}

/// Creates the object with `patch` laid over it, and expects these words after the kind and name.
pub(super) async fn refuse(world: &World, resource: &Resource, base: &Value, patch: Value, words: &str) {
    let mut value = base.clone();
    crate::patch::merge(&mut value, patch.clone());
    let error = world.create(resource, value).await.expect_err(&patch.to_string());
    let said = error.split_once(" is invalid: ").map_or(error.as_str(), |(_, said)| said);
    assert_eq!(said, words, "{patch}");
}
