//! What custom objects are refused for, word for word.

#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;

fn said(schema: Value, object: Value) -> String {
    changed(schema, object, None)
}

fn changed(schema: Value, object: Value, old: Option<Value>) -> String {
    let schema = Node::read(&json!({"type": "object", "properties": {"a": schema}})).unwrap();
    let old = old.map(|old| json!({"a": old}));
    let errors = check(&schema, &json!({"a": object}), old.as_ref());
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn mistakes_have_the_words_of_kubernetes() {
    let row = |schema: Value, value: Value, expected: &str| {
        assert_eq!(said(schema.clone(), value.clone()), expected, "{schema} {value}");
    };
    row(json!({"type": "integer", "maximum": 10}), json!(10), "");
    row(
        json!({"type": "integer", "maximum": 10}),
        json!(11),
        "a: Invalid value: 11: a in body should be less than or equal to 10",
    );
    row(
        json!({"type": "number", "maximum": 10, "exclusiveMaximum": true}),
        json!(10.0),
        "a: Invalid value: 10.0: a in body should be less than 10",
    );
    row(
        json!({"type": "integer", "minimum": 1}),
        json!(0),
        "a: Invalid value: 0: a in body should be greater than or equal to 1",
    );
    row(
        json!({"type": "integer", "multipleOf": 5}),
        json!(7),
        "a: Invalid value: 7: a in body should be a multiple of 5",
    );
    row(
        json!({"type": "integer"}),
        json!("x"),
        "a: Invalid value: \"string\": a in body must be of type integer: \"string\"",
    );
    row(
        json!({"type": "string"}),
        json!(null),
        "a: Invalid value: \"null\": a in body must be of type string: \"null\"",
    );
    row(json!({"type": "string", "nullable": true}), json!(null), "");
    row(json!({"type": "number"}), json!(1), "");
    row(json!({"x-kubernetes-int-or-string": true}), json!("5%"), "");
    row(
        json!({"x-kubernetes-int-or-string": true}),
        json!(true),
        "a: Invalid value: \"boolean\": a in body must be of type integer,string: \"boolean\"",
    );
    row(json!({"type": "string", "maxLength": 2}), json!("abc"), "a: Too long: may not be more than 2 bytes");
    row(
        json!({"type": "string", "minLength": 2}),
        json!("ä"),
        "a: Invalid value: \"ä\": a in body should be at least 2 chars long",
    );
    row(
        json!({"type": "string", "pattern": "^a+$"}),
        json!("b"),
        "a: Invalid value: \"b\": a in body should match '^a+$'",
    );
    row(
        json!({"type": "string", "format": "ipv4"}),
        json!("x"),
        "a: Invalid value: \"x\": a in body must be of type ipv4: \"x\"",
    );
    row(
        json!({"type": "string", "enum": ["Allow", "Forbid"]}),
        json!("x"),
        "a: Unsupported value: \"x\": supported values: \"Allow\", \"Forbid\"",
    );
    row(
        json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
        json!(["a", "b"]),
        "a: Too many: 2: must have at most 1 items",
    );
    row(
        json!({"type": "object", "minProperties": 1}),
        json!({}),
        "a: Invalid value: 0: a in body should have at least 1 properties",
    );
    row(json!({"type": "object", "required": ["b"]}), json!({}), "a.b: Required value");
    row(
        json!({"type": "array", "items": {"type": "object", "properties": {"b": {"type": "boolean"}}}}),
        json!([{}, {"b": 1}]),
        "a[1].b: Invalid value: \"integer\": a[1].b in body must be of type boolean: \"integer\"",
    );
    row(
        json!({"type": "object", "additionalProperties": {"type": "integer"}}),
        json!({"x.y": "1"}),
        "a.x.y: Invalid value: \"string\": a.x.y in body must be of type integer: \"string\"",
    );
}

#[test]
fn several_schemas_hold_together() {
    let row = |schema: Value, value: Value, expected: &str| {
        assert_eq!(said(schema.clone(), value.clone()), expected, "{schema} {value}");
    };
    let either = |word: &str| json!({"type": "object", word: [{"required": ["b"]}, {"required": ["c"]}]});
    row(either("oneOf"), json!({"b": 1}), "");
    row(
        either("oneOf"),
        json!({"b": 1, "c": 1}),
        "<nil>: Invalid value: \"\": \"a\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
    );
    row(
        either("oneOf"),
        json!({}),
        "<nil>: Invalid value: \"\": \"a\" must validate one and only one schema (oneOf). Found none valid; \
         a.b: Required value",
    );
    row(either("anyOf"), json!({"b": 1, "c": 1}), "");
    row(
        either("anyOf"),
        json!({}),
        "<nil>: Invalid value: \"\": \"a\" must validate at least one schema (anyOf); a.b: Required value",
    );
    row(
        either("allOf"),
        json!({"b": 1}),
        "a.c: Required value; <nil>: Invalid value: \"\": \"a\" must validate all the schemas (allOf)",
    );
    row(
        json!({"type": "object", "not": {"required": ["b"]}}),
        json!({"b": 1}),
        "<nil>: Invalid value: \"\": \"a\" must not validate the schema (not)",
    );
}

#[test]
fn items_that_are_told_apart_stand_there_once() {
    let set = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"});
    assert_eq!(said(set, json!(["x", "y", "x"])), "a[2]: Duplicate value: \"x\"");
    let map = json!({"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}}},
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"]});
    assert_eq!(said(map, json!([{"port": 1}, {"port": 1, "b": 2}])), "a[1]: Duplicate value: {\"port\":1}");
}

#[test]
fn what_stays_as_it_was_is_not_checked_again() {
    let schema = json!({"type": "object", "properties": {
        "b": {"type": "string", "maxLength": 1},
        "c": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
            "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}}},
    }});
    let old = json!({"b": "long", "c": [{"n": "x", "v": 5}]});
    let row = |new: Value, expected: &str| {
        assert_eq!(changed(schema.clone(), new, Some(old.clone())), expected);
    };
    row(json!({"b": "long", "c": [{"n": "y", "v": 1}, {"n": "x", "v": 5}]}), "");
    row(json!({"b": "other"}), "a.b: Too long: may not be more than 1 bytes");
    row(
        json!({"b": "long", "c": [{"n": "x", "v": 6}]}),
        "a.c[0].v: Invalid value: 6: a.c[0].v in body should be less than or equal to 1",
    );
}

#[test]
fn objects_of_the_api_in_others_say_what_they_are() {
    let schema = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(said(schema.clone(), json!({"apiVersion": "v1", "kind": "Pod"})), "");
    assert_eq!(said(schema, json!({"kind": "Pod"})), "a.apiVersion: Required value: must not be empty");
}
