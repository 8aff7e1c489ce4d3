//! OpenAPI v2 as protobuf: the messages of `openapi.v2.Document`, by a table of their members.
//!
//! Every map is a list of names and values there, and whatever has no type of its own is YAML, of which JSON is a part.

use serde_json::Value;

use crate::codec::protobuf::wire;

/// A message: its members by their names in JSON, and the tag of its extensions.
struct Message {
    members: &'static [(&'static str, u32, Shape)],
    extensions: u32,
}

/// How a member is written.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Flag,
    Integer,
    Double,
    /// YAML in a message.
    Any,
    /// A list of the same.
    Anys,
    /// A message.
    One(&'static Message),
    /// A list of messages.
    Many(&'static Message),
    /// A message that holds a list of texts, of which there may be one.
    Type,
    /// A message that holds a list of schemas, of which there is one.
    Items,
    /// A message that holds named messages.
    Named(&'static Message),
    /// A schema or a flag, in a message.
    Additional,
    /// A list of parameters, each in messages that say which sort it is.
    Parameters,
    /// A schema in a message.
    AnswerSchema,
    /// A message that holds named answers, each in a message.
    Answers,
}

use Shape::{
    Additional, AnswerSchema, Answers, Any, Anys, Double, Flag, Integer, Items, Many, Named, Parameters,
    Text, Texts,
};

static SCHEMA: Message = Message {
    members: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("multipleOf", 6, Double),
        ("maximum", 7, Double),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Double),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Integer),
        ("minLength", 12, Integer),
        ("pattern", 13, Text),
        ("maxItems", 14, Integer),
        ("minItems", 15, Integer),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Integer),
        ("minProperties", 18, Integer),
        ("required", 19, Texts),
        ("enum", 20, Anys),
        ("additionalProperties", 21, Additional),
        ("type", 22, Shape::Type),
        ("items", 23, Items),
        ("allOf", 24, Many(&SCHEMA)),
        ("properties", 25, Named(&SCHEMA)),
        ("example", 30, Any),
    ],
    extensions: 31,
};

static BODY_PARAMETER: Message = Message {
    members: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, Shape::One(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY_PARAMETER: Message = Message {
    members: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: 23,
};

static PATH_PARAMETER: Message = Message {
    members: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: 22,
};

static ANSWER: Message =
    Message { members: &[("description", 1, Text), ("schema", 2, AnswerSchema)], extensions: 5 };

static OPERATION: Message = Message {
    members: &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Parameters),
        ("responses", 9, Answers),
        ("schemes", 10, Texts),
    ],
    extensions: 13,
};

static PATH: Message = Message {
    members: &[
        ("get", 2, Shape::One(&OPERATION)),
        ("put", 3, Shape::One(&OPERATION)),
        ("post", 4, Shape::One(&OPERATION)),
        ("delete", 5, Shape::One(&OPERATION)),
        ("options", 6, Shape::One(&OPERATION)),
        ("head", 7, Shape::One(&OPERATION)),
        ("patch", 8, Shape::One(&OPERATION)),
        ("parameters", 9, Parameters),
    ],
    extensions: 10,
};

static INFO: Message = Message { members: &[("title", 1, Text), ("version", 2, Text)], extensions: 7 };

/// A named type, as the definitions of a document have it.
pub fn definition(name: &str, schema: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    named(&mut bytes, 1, name, |bytes| message(&SCHEMA, schema, bytes));
    bytes
}

/// A path with its operations, as the paths of a document have it.
pub fn path(name: &str, operations: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    named(&mut bytes, 2, name, |bytes| message(&PATH, operations, bytes));
    bytes
}

/// A whole document of paths and definitions that are written already.
pub fn document(info: &Value, paths: &[u8], definitions: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(paths.len() + definitions.len() + 128);
    wire::text(&mut bytes, 1, "2.0");
    nested(&mut bytes, 2, |bytes| message(&INFO, info, bytes));
    wire::run(&mut bytes, 8, paths);
    wire::run(&mut bytes, 9, definitions);
    bytes
}

fn message(of: &Message, value: &Value, bytes: &mut Vec<u8>) {
    for (name, tag, shape) in of.members {
        if let Some(value) = value.get(name) {
            member(*shape, *tag, value, bytes);
        }
    }
    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-")) {
        named(bytes, of.extensions, name, |bytes| any(value, bytes));
    }
}

/// Zeros are not written, and neither is what does not fit: the schemas are checked before they come here.
fn member(shape: Shape, tag: u32, value: &Value, bytes: &mut Vec<u8>) {
    let texts = |value: &Value, tag, bytes: &mut Vec<u8>| {
        let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        items.for_each(|text| wire::text(bytes, tag, text));
    };
    match shape {
        Text => value.as_str().into_iter().for_each(|text| wire::text(bytes, tag, text)),
        Texts => texts(value, tag, bytes),
        Flag if value == true => wire::varint(bytes, tag, 1),
        Flag => {}
        Integer => {
            value.as_i64().into_iter().for_each(|number| wire::varint(bytes, tag, number.cast_unsigned()))
        }
        Double => value.as_f64().into_iter().for_each(|number| wire::fixed64(bytes, tag, number.to_bits())),
        Any => nested(bytes, tag, |bytes| any(value, bytes)),
        Anys => items(value).for_each(|item| nested(bytes, tag, |bytes| any(item, bytes))),
        Shape::One(of) => nested(bytes, tag, |bytes| message(of, value, bytes)),
        Many(of) => items(value).for_each(|item| nested(bytes, tag, |bytes| message(of, item, bytes))),
        Shape::Type => nested(bytes, tag, |bytes| match value {
            Value::String(text) => wire::text(bytes, 1, text),
            list => texts(list, 1, bytes),
        }),
        Items => nested(bytes, tag, |bytes| nested(bytes, 1, |bytes| message(&SCHEMA, value, bytes))),
        Named(of) => nested(bytes, tag, |bytes| {
            for (name, value) in value.as_object().into_iter().flatten() {
                named(bytes, 1, name, |bytes| message(of, value, bytes));
            }
        }),
        Additional => nested(bytes, tag, |bytes| match value {
            Value::Bool(any) => wire::varint(bytes, 2, u64::from(*any)),
            schema => nested(bytes, 1, |bytes| message(&SCHEMA, schema, bytes)),
        }),
        Parameters => items(value).for_each(|item| nested(bytes, tag, |bytes| parameter(item, bytes))),
        AnswerSchema => nested(bytes, tag, |bytes| nested(bytes, 1, |bytes| message(&SCHEMA, value, bytes))),
        Answers => nested(bytes, tag, |bytes| {
            for (code, answer) in value.as_object().into_iter().flatten() {
                named(bytes, 1, code, |bytes| nested(bytes, 1, |bytes| message(&ANSWER, answer, bytes)));
            }
        }),
    }
}

fn parameter(value: &Value, bytes: &mut Vec<u8>) {
    nested(bytes, 1, |bytes| match value.get("in").and_then(Value::as_str) {
        Some("body") => nested(bytes, 1, |bytes| message(&BODY_PARAMETER, value, bytes)),
        Some("path") => {
            nested(bytes, 2, |bytes| nested(bytes, 4, |bytes| message(&PATH_PARAMETER, value, bytes)))
        }
        _ => nested(bytes, 2, |bytes| nested(bytes, 3, |bytes| message(&QUERY_PARAMETER, value, bytes))),
    });
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn any(value: &Value, bytes: &mut Vec<u8>) {
    wire::text(bytes, 2, &value.to_string());
}

/// A name and a message, in a message.
fn named(bytes: &mut Vec<u8>, tag: u32, name: &str, content: impl FnOnce(&mut Vec<u8>)) {
    nested(bytes, tag, |bytes| {
        wire::text(bytes, 1, name);
        nested(bytes, 2, content);
    });
}

fn nested(bytes: &mut Vec<u8>, tag: u32, content: impl FnOnce(&mut Vec<u8>)) {
    let mut message = Vec::new();
    content(&mut message);
    wire::run(bytes, tag, &message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The bytes were written by hand, from the numbers in gnostic's own description of the messages.
    #[test]
    fn messages_are_those_of_gnostic() {
        let row = |found: Vec<u8>, expected: &[u8]| assert_eq!(found, expected);
        // NamedSchema { name: "T", value: Schema { type: ["string"] } }
        row(definition("T", &json!({"type": "string"})), b"\n\x10\n\x01T\x12\x0b\xb2\x01\x08\n\x06string");
        // Schema { _ref, vendor_extension: [NamedAny { name, value: Any { yaml } }] }
        row(
            definition("T", &json!({"$ref": "#/definitions/U", "x-a": [1]})),
            b"\n%\n\x01T\x12 \n\x0f#/definitions/U\xfa\x01\x0c\n\x03x-a\x12\x05\x12\x03[1]",
        );
        // Schema { items: ItemsItem { schema: [Schema { format }] } }
        row(
            definition("T", &json!({"items": {"format": "f"}})),
            b"\n\r\n\x01T\x12\x08\xba\x01\x05\n\x03\x12\x01f",
        );
        // PathItem { patch: Operation { parameters: [ParametersItem { parameter: Parameter { non_body_parameter:
        // NonBodyParameter { query_parameter_sub_schema: { in, name } } } }] } }
        row(
            path("/p", &json!({"patch": {"parameters": [{"in": "query", "name": "q"}]}})),
            b"\x12\x1a\n\x02/p\x12\x14B\x12B\x10\n\x0e\x12\x0c\x1a\n\x12\x05query\"\x01q",
        );
        row(
            document(&json!({"title": "t", "version": "v"}), b"P", b"D"),
            b"\n\x032.0\x12\x06\n\x01t\x12\x01vB\x01PJ\x01D",
        );
    }
}
