//! What must hold for any bytes that strangers send.
//!
//! Each body takes any bytes and panics if a promise is broken. The fuzzers in `tests/fuzz` call them for as long as one
//! likes, and the tests here with damaged examples, a bounded number of times.

mod applies;
mod kinds;
mod schemas;

use api::selector::{FieldSelector, LabelSelector};
use api::{Key, manifest};
use serde_json::{Value, json};

use crate::cel::{Budget, Expression, Names, Scope};
use crate::codec::protobuf;
use crate::patch::{self, strategic};
use crate::registry::continuation::Continuation;
use crate::schema::{self, Type};
use crate::stream::spdy::frame::{self, Control, Head};
use crate::stream::spdy::header::{Packer, Unpacker};
pub use applies::applies;
pub use kinds::kinds;
pub use schemas::schemas;

/// What an expression may cost here: enough for every operation, and little time.
const STEPS: u64 = 10_000;

/// An object in JSON: what is stored of it is stored again as it is, and comes back from protobuf.
///
/// The first byte chooses the kind.
pub fn json(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else {
        return;
    };
    let kinds: Vec<&'static Type> = schema::builtin().types().iter().filter(|of| of.kind.is_some()).collect();
    let of = kinds[usize::from(*choice) % kinds.len()];
    if let Ok(decoded) = schema::decode(of, text) {
        let again =
            schema::normalize(of, decoded.value.clone()).expect("what was accepted is accepted again");
        assert!(again.findings.is_empty() && again.value == decoded.value, "{}: {}", of.name, decoded.value);
        comes_back(&decoded.value, of);
    }
}

/// A body in protobuf: never a panic, and what the schema accepts comes back.
pub fn protobuf(bytes: &[u8]) {
    let Ok(tree) = protobuf::decode(bytes) else {
        return;
    };
    let text = |field: &str| tree[field].as_str().unwrap_or_default();
    let of = protobuf::type_of(text("apiVersion"), text("kind")).expect("only known kinds are decoded");
    if let Ok(decoded) = schema::normalize(of, tree) {
        comes_back(&decoded.value, of);
    }
}

/// The zeros that say nothing are lost on the way, hence the second time.
fn comes_back(object: &Value, of: &'static Type) {
    let there = protobuf::encode(object, of).expect("what the schema accepts can be written");
    let back = protobuf::decode(&there).expect("what was written can be read");
    let again = protobuf::encode(&back, of).expect("what was read can be written");
    assert_eq!(protobuf::decode(&again).as_ref(), Ok(&back), "{object}");
}

/// A manifest: what is read of it is read again from what is written of that.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = manifest::read("input", text);
    if let Ok((Some(value), _)) = manifest::read_value("input", text) {
        let written = manifest::write(&value);
        let read = manifest::read_value("output", &written).expect("what was written can be read");
        assert_eq!(read, (Some(value), Vec::new()), "{written}");
    }
}

/// A document and a patch in JSON, with a zero byte between: never a panic, and a merge patch that was applied changes
/// nothing when it is applied again.
pub fn patches(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let mut next = || serde_json::from_slice::<Value>(parts.next().unwrap_or_default()).ok();
    let (Some(document), Some(change)) = (next(), next()) else {
        return;
    };
    let _ = patch::apply_operations(document.clone(), &change);
    let kind = |field: &str| document[field].as_str().unwrap_or_default();
    let of = protobuf::type_of(kind("apiVersion"), kind("kind"));
    if let Some(of) = of.or_else(|| schema::builtin().named("core.v1.Pod")) {
        let _ = strategic::merge(document.clone(), change.clone(), of);
    }
    let mut once = document;
    patch::merge(&mut once, change.clone());
    let mut twice = once.clone();
    patch::merge(&mut twice, change);
    assert_eq!(once, twice);
}

/// Selectors of labels and fields: what is understood is written so that it is understood alike.
pub fn selectors(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(selector) = text.parse::<LabelSelector>() {
        let again: LabelSelector = selector.to_string().parse().expect("a selector reads what it writes");
        assert_eq!(again.to_string(), selector.to_string(), "{text:?}");
    }
    if let Ok(selector) = text.parse::<FieldSelector>() {
        let again: FieldSelector = selector.to_string().parse().expect("a selector reads what it writes");
        assert_eq!(again.to_string(), selector.to_string(), "{text:?}");
    }
}

/// Paths, parameters and the tokens by which lists go on: never a panic, and what a token says is written so that the list
/// goes on right behind.
pub fn requests(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    crate::http::read_anything(&text);
    for (namespace, namespaced) in [("", true), ("default", true), ("", false)] {
        if let Ok(read) = Continuation::read(&text, namespace, namespaced) {
            let again = Continuation::read(&read.write(namespace), namespace, namespaced);
            let after = Key::new(read.after.namespace.clone(), format!("{}\0", read.after.name));
            assert_eq!(again, Ok(Continuation { after, ..read }), "{text:?}");
        }
    }
}

/// An expression of a rule: never a panic, and never more than it may cost.
pub fn expressions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let names = Names { variables: &["self", "oldSelf"], ..Names::default() };
    let Ok(expression) = Expression::compile(text, &names) else {
        return;
    };
    let object = json!({"a": [1, 2.5, "x", null, true], "b": {"c": "text", "d": {}}, "n": -7, "t": "2026-01-02T03:04:05Z"});
    let value = crate::cel::Value::json(&object);
    let scope = Scope::new().with("self", value.clone()).with("oldSelf", value);
    let _ = expression.evaluate(&scope, &mut Budget::new(STEPS));
}

/// Frames of SPDY as they come on a connection: never a panic, and headers that are understood come back.
pub fn frames(mut bytes: &[u8]) {
    let mut unpacker = Unpacker::default();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let Ok(head) = Head::read(*head) else {
            return;
        };
        let (Head::Control { length, .. } | Head::Data { length, .. }) = head;
        let Some((body, rest)) = rest.split_at_checked(length as usize) else {
            return;
        };
        if let Head::Control { kind, flags, .. } = head {
            match frame::control(kind, flags, body, &mut unpacker) {
                Ok(Control::Open { headers, .. }) => {
                    let packed = Packer::new().write(&headers).expect("what was read can be written");
                    assert_eq!(Unpacker::default().read(&packed), Ok(headers));
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
        bytes = rest;
    }
}

#[cfg(test)]
mod tests;
