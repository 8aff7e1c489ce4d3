//! Custom kinds that strangers declare, and objects of them.

use api::Object;
use api::backend::Body;
use api::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::builtin::{BUILTINS, Kind};
use crate::custom::declared::Declared;
use crate::custom::kind::CustomKind;
use crate::custom::validate;
use crate::openapi::OpenApi;
use crate::resources::custom_resource_definition as definitions;
use crate::schema::{self, Decoded};
use crate::tree;

/// A version of a definition and an object of it in JSON, with a zero byte between: what may be declared can be served and
/// described, and what was read of an object is read again as it is, and stays allowed as long as nothing changes.
pub fn schemas(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let version = parts.next().and_then(|text| serde_json::from_slice(text).ok());
    let Some(declared) = version.and_then(declared) else {
        return;
    };
    let openapi = OpenApi::new();
    openapi.set_custom("things.example.com", declared.documents.clone());
    openapi.document("apis/example.com/v1").expect("what is served is described");
    let kind = declared.versions[0].kind().custom().expect("a custom kind is one");
    if let Some(text) = parts.next() {
        object(kind, text.to_vec());
    }
}

/// The kind a version declares; none if it may not.
pub(super) fn declared(version: Value) -> Option<Declared> {
    let definition = accepted(version)?;
    Some(Declared::read(&definition).expect("what may be declared can be served"))
}

/// The definition with this version, as it is stored.
fn accepted(mut version: Value) -> Option<Value> {
    version.as_object_mut()?.extend([
        ("name".to_owned(), "v1".into()),
        ("served".to_owned(), true.into()),
        ("storage".to_owned(), true.into()),
    ]);
    let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    let written = json!({
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
        "status": {"acceptedNames": names, "conditions": [], "storedVersions": ["v1"]},
    });
    let of = schema::builtin().named("apiextensions.v1.CustomResourceDefinition").expect("it is a type");
    let mut definition = schema::normalize(of, written).ok()?.value;
    let mut all = BUILTINS.iter().map(|kind| *kind as &dyn Kind);
    let kind = all.find(|kind| *kind.resource() == definitions::RESOURCE).expect("it is built in");
    kind.set_defaults(&mut definition);
    let (_, errors) = kind.check_create(&definition).ok()?;
    errors.is_empty().then_some(definition)
}

fn object(kind: &CustomKind, text: Vec<u8>) {
    let Ok(Decoded { mut value, .. }) = kind.read(Body::Json(text.into())) else {
        return;
    };
    // The registry gives every object its identity before it is checked.
    tree::object(&mut value, "metadata");
    let again = kind.read(Body::Value(value.clone())).expect("what was read is read again");
    assert!(again.findings.is_empty() && again.value == value, "{value}");
    assert!(!kind.renew(&mut value.clone()), "what was read is as if it were written today: {value}");
    let (_, errors) = kind.check_create(&value).expect("what was read has its metadata");
    let unchanged = validate::check(&kind.schema, &value, Some(&value));
    assert!(kind.schema.has_rules || unchanged.is_empty(), "{}", said(&unchanged));
    if errors.is_empty() {
        let object = Object::from_value(value).expect("what was checked is an object");
        let cells = kind.row(&object, Timestamp::UNIX_EPOCH).expect("what was checked has cells");
        assert_eq!(cells.len(), kind.column_definitions().len());
    }
}

fn said(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
