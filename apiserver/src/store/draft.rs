//! An object on its way into the store: its JSON with a gap where the revision goes.

use api::{Object, Revision};
use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

/// The next state of an object; it becomes an [`Object`] once its revision is known.
///
/// The JSON is written once. The revision is put into it when the store issues it, without reading it again.
pub struct Draft {
    before_revision: Vec<u8>,
    after_revision: Vec<u8>,
    api_version: Box<str>,
    kind: Box<str>,
    metadata: ObjectMeta,
}

impl Draft {
    /// A draft of `value`, whose metadata is `metadata`.
    pub fn new(value: &Value, metadata: ObjectMeta) -> Self {
        let owners = value["metadata"].get("managedFields").map(Value::to_string);
        Self::owned(value, metadata, owners.as_deref().unwrap_or_default())
    }

    /// The same with this text of who owns its fields; an empty one if nobody does.
    pub fn owned(value: &Value, mut metadata: ObjectMeta, owners: &str) -> Self {
        metadata.managed_fields = None;
        let mut json = Vec::with_capacity(1024 + owners.len());
        let gap = write_with_gap(&mut json, value, owners);
        let text = |field: &str| value[field].as_str().unwrap_or_default().into();
        Self {
            after_revision: json.split_off(gap),
            before_revision: json,
            api_version: text("apiVersion"),
            kind: text("kind"),
            metadata,
        }
    }

    /// The length of its JSON, about.
    pub(super) fn size(&self) -> usize {
        self.before_revision.len() + self.after_revision.len()
    }

    /// The object in the state it has at `revision`.
    pub fn at(mut self, revision: Revision) -> Object {
        let revision = revision.to_string();
        let parts = [&self.before_revision, revision.as_bytes(), &self.after_revision];
        let json = Bytes::from(parts.concat());
        self.metadata.resource_version = Some(revision);
        Object::assemble(json, self.api_version, self.kind, self.metadata)
    }

    /// The object as it would be, for dry runs: without a revision, unless it has one in `value`.
    pub fn preview(value: &Value, metadata: ObjectMeta) -> Object {
        let owners = value["metadata"].get("managedFields").map(Value::to_string);
        Self::preview_owned(value, metadata, owners.as_deref().unwrap_or_default())
    }

    /// The same with this text of who owns its fields.
    pub fn preview_owned(value: &Value, mut metadata: ObjectMeta, owners: &str) -> Object {
        metadata.managed_fields = None;
        let mut json = Vec::with_capacity(1024 + owners.len());
        let gap = write_with_gap(&mut json, value, owners);
        match value["metadata"]["resourceVersion"].as_str() {
            Some(revision) => drop(json.splice(gap..gap, revision.bytes())),
            None => {
                json.truncate(gap - REVISION.len());
                if json.ends_with(b",") {
                    json.pop();
                }
                json.extend_from_slice(b"}}");
            }
        }
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Object::assemble(json.into(), text("apiVersion"), text("kind"), metadata)
    }
}

/// The same object as it would have been stored at another revision.
pub fn at_revision(object: &Object, revision: Revision) -> Object {
    let value: Value = serde_json::from_slice(object.json()).expect("an object is made from valid JSON only");
    Draft::new(&value, object.metadata().clone()).at(revision)
}

const REVISION: &[u8] = b"\"resourceVersion\":\"";

/// Writes the object with an empty `metadata.resourceVersion`; returns where its text goes. The owners of its fields stand
/// before that, where `managed::stored` looks for them.
fn write_with_gap(json: &mut Vec<u8>, value: &Value, owners: &str) -> usize {
    let empty = Map::new();
    let object = value.as_object().unwrap_or(&empty);
    json.push(b'{');
    for (field, value) in object.iter().filter(|(field, _)| *field != "metadata") {
        write(json, field, value);
    }
    json.extend_from_slice(b"\"metadata\":{");
    for (field, value) in object.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        if !["managedFields", "resourceVersion"].contains(&field.as_str()) {
            write(json, field, value);
        }
    }
    if !owners.is_empty() {
        json.extend_from_slice(b"\"managedFields\":");
        json.extend_from_slice(owners.as_bytes());
        json.push(b',');
    }
    json.extend_from_slice(REVISION);
    let gap = json.len();
    json.extend_from_slice(b"\"}}");
    gap
}

fn write(json: &mut Vec<u8>, field: &str, value: &Value) {
    serde_json::to_writer(&mut *json, field).expect("memory takes every text");
    json.push(b':');
    serde_json::to_writer(&mut *json, value).expect("memory takes every tree");
    json.push(b',');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_revision_is_put_where_it_belongs() {
        let mut value = json!({"apiVersion": "v1", "kind": "X", "data": {"a\"": [1, null]},
            "metadata": {"name": "n", "resourceVersion": "3"}});
        let metadata = ObjectMeta { name: Some("n".into()), ..ObjectMeta::default() };
        let object = Draft::new(&value, metadata).at(Revision(42));
        value["metadata"]["resourceVersion"] = "42".into();
        assert_eq!(serde_json::from_slice::<Value>(object.json()).unwrap(), value);
        assert_eq!((object.revision(), object.kind()), (Revision(42), "X"));
        let later = at_revision(&object, Revision(100));
        assert_eq!((later.revision(), later.name()), (Revision(100), "n"));
    }
}
