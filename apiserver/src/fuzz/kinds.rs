//! Objects of strangers on the way every new object goes: read, defaulted, prepared, checked, shown.

use api::Object;
use api::backend::{Body, FieldValidation};
use jiff::Timestamp;

use crate::registry::decode;
use crate::served::{Served, Version};

/// An object of a built-in kind in any of its versions: never a panic, defaults fill in what they can at once, and what was
/// allowed has its cells and comes out in the version it came in.
///
/// The first byte chooses the version.
pub fn kinds(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else {
        return;
    };
    let served = Served::builtin();
    let count = served.in_order().count();
    let version = served.in_order().nth(usize::from(*choice) % count).expect("the place is one of them");
    let body = Body::Json(text.to_vec().into());
    if let Ok(read) = decode::in_version(version, body, FieldValidation::Ignore) {
        created(version, read.value);
    }
}

fn created(version: &Version, mut object: serde_json::Value) {
    let kind = version.kind();
    kind.set_defaults(&mut object);
    let before = object.clone();
    kind.set_defaults(&mut object);
    assert_eq!(object, before, "defaults change with the second time");
    kind.prepare_create(&mut object);
    // What has no type in the program is refused with the words of the decoder.
    let Ok((_, errors)) = kind.check_create(&object) else {
        return;
    };
    if !errors.is_empty() {
        return;
    }
    let object = Object::from_value(object).expect("what was checked is an object");
    let now = Timestamp::UNIX_EPOCH;
    let cells = kind.row(&object, now).expect("what was checked has cells");
    assert_eq!(cells.len(), kind.column_definitions().len(), "{cells:?}");
    if let Some(other) = version.other() {
        let mut shown = object.value().clone();
        other.bring_out(&mut shown);
        let body = Body::Value(shown);
        let again = decode::in_version(version, body, FieldValidation::Ignore);
        assert!(again.is_ok(), "{:?}", again.err());
    }
}
