//! Trees to messages. Only what is there is written: what Go finds absent it takes for zero.

use serde_json::{Map, Value};

use super::CodecError;
use super::layout::{Layout, Member};
use super::leaf;
use super::wire::{self, Flaw};
use crate::schema::path::Path;
use crate::schema::{Form, LARGEST_DEPTH, Leaf, Type};

/// Writes the message of an object.
pub fn object(of: &Type, members: &Map<String, Value>, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    message(Layout::of(of), members, &Path::ROOT, bytes)
}

fn message(
    layout: &Layout,
    members: &Map<String, Value>,
    path: &Path<'_>,
    bytes: &mut Vec<u8>,
) -> Result<(), CodecError> {
    if path.depth >= LARGEST_DEPTH {
        return Err(CodecError::at(path)(Flaw::TooDeep));
    }
    for (tag, member) in layout.members() {
        match member {
            Member::Field(field) => {
                if let Some(value) = members.get(field.name).filter(|value| !value.is_null()) {
                    values(field.form, field.leaf, value, tag, &path.field(field.name), bytes)?;
                }
            }
            Member::Flattened(layout) => {
                let mut below = Vec::new();
                message(layout, members, path, &mut below)?;
                if !below.is_empty() {
                    wire::run(bytes, tag, &below);
                }
            }
        }
    }
    Ok(())
}

fn values(
    form: Form,
    leaf: Leaf,
    value: &Value,
    tag: u32,
    path: &Path<'_>,
    bytes: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match (form, value) {
        (Form::One, value) => one(leaf, value, tag, path, bytes),
        (Form::List, Value::Array(list)) => items(leaf, list, tag, path, bytes),
        (Form::WrappedList, Value::Array(list)) => {
            wire::nested(bytes, tag, |bytes| items(leaf, list, 1, path, bytes))
        }
        (Form::Map | Form::MapOfLists, Value::Object(map)) => {
            for (key, value) in map {
                let path = path.key(key);
                wire::nested(bytes, tag, |bytes| {
                    wire::text(bytes, 1, key);
                    let form = if form == Form::Map { Form::One } else { Form::WrappedList };
                    values(form, leaf, value, 2, &path, bytes)
                })?;
            }
            Ok(())
        }
        _ => Err(CodecError::at(path)(Flaw::Unfit)),
    }
}

fn items(
    leaf: Leaf,
    list: &[Value],
    tag: u32,
    path: &Path<'_>,
    bytes: &mut Vec<u8>,
) -> Result<(), CodecError> {
    list.iter().enumerate().try_for_each(|(index, item)| one(leaf, item, tag, &path.index(index), bytes))
}

fn one(leaf: Leaf, value: &Value, tag: u32, path: &Path<'_>, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    let unfit = || CodecError::at(path)(Flaw::Unfit);
    let Some(layout) = Layout::of_leaf(leaf) else {
        return leaf::write(leaf, value, tag, bytes).map_err(CodecError::at(path));
    };
    let write_schema = |tag, schema: &Map<String, Value>, path: &Path<'_>, bytes: &mut Vec<u8>| {
        wire::nested(bytes, tag, |bytes| message(layout, schema, path, bytes))
    };
    let (schema_tag, other_tag) = leaf::schema_tags(leaf);
    match (leaf, value) {
        (Leaf::Struct(_), Value::Object(members)) => write_schema(tag, members, path, bytes),
        (_, Value::Object(schema)) => {
            wire::nested(bytes, tag, |bytes| {
                // Go asks the schema only if it is allowed at all.
                if leaf == Leaf::SchemaOrBool {
                    wire::varint(bytes, other_tag, 1);
                }
                write_schema(schema_tag, schema, path, bytes)
            })
        }
        (Leaf::SchemaOrBool, Value::Bool(allowed)) => wire::nested(bytes, tag, |bytes| {
            wire::varint(bytes, other_tag, (*allowed).into());
            Ok(())
        }),
        (Leaf::SchemaOrStrings, Value::Array(list)) => {
            wire::nested(bytes, tag, |bytes| items(Leaf::String, list, other_tag, path, bytes))
        }
        (Leaf::SchemaOrArray, Value::Array(list)) => wire::nested(bytes, tag, |bytes| {
            for (index, schema) in list.iter().enumerate() {
                let schema = schema.as_object().ok_or_else(unfit)?;
                write_schema(other_tag, schema, &path.index(index), bytes)?;
            }
            Ok(())
        }),
        _ => Err(unfit()),
    }
}
