//! Messages to trees, member by member.

use serde_json::{Map, Value};

use super::CodecError;
use super::layout::{Layout, Member};
use super::leaf;
use super::wire::{Flaw, Payload, Reader};
use crate::schema::path::Path;
use crate::schema::{Field, Form, LARGEST_DEPTH, Leaf, Type};

/// A value takes two bytes of a body and several hundred of memory; the largest objects have some ten thousand.
pub const MOST_VALUES: usize = 1 << 18;

/// Reads the message of an object.
pub fn object(of: &Type, message: &[u8], into: &mut Map<String, Value>) -> Result<(), CodecError> {
    let mut reading = Reading { values: 0 };
    reading.message(Layout::of(of), message, &Path::ROOT, into)
}

struct Reading {
    values: usize,
}

impl Reading {
    /// Adds to what is there, as protobuf has it: messages are merged, other single values replaced.
    fn message(
        &mut self,
        layout: &'static Layout,
        message: &[u8],
        path: &Path<'_>,
        into: &mut Map<String, Value>,
    ) -> Result<(), CodecError> {
        if path.depth >= LARGEST_DEPTH {
            return Err(CodecError::at(path)(Flaw::TooDeep));
        }
        for member in Reader::new(message) {
            let (tag, payload) = member.map_err(CodecError::at(path))?;
            match layout.member(tag) {
                None => {}
                Some(Member::Field(field)) => self.field(field, payload, &path.field(field.name), into)?,
                Some(Member::Flattened(layout)) => {
                    let message = payload.bytes().map_err(CodecError::at(path))?;
                    self.message(layout, message, path, into)?;
                }
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &'static Field,
        payload: Payload<'_>,
        path: &Path<'_>,
        members: &mut Map<String, Value>,
    ) -> Result<(), CodecError> {
        // Most members of a message are zeros that leave nothing behind.
        if field.form == Form::One
            && let Some(value) = leaf::scalar(field.leaf, payload).map_err(CodecError::at(path))?
        {
            match value.is_null() || !field.required && !field.keeps_zero && is_zero(&value, field.leaf) {
                true => members.remove(field.name),
                false => members.insert(field.name.to_owned(), value),
            };
            return self.count(path);
        }
        let value = members.entry(field.name).or_insert(Value::Null);
        self.values(field.form, field.leaf, payload, path, value)
    }

    fn values(
        &mut self,
        form: Form,
        leaf: Leaf,
        payload: Payload<'_>,
        path: &Path<'_>,
        into: &mut Value,
    ) -> Result<(), CodecError> {
        match form {
            Form::One => self.one(leaf, payload, path, into),
            Form::List => self.items(leaf, payload, path, list(into)),
            Form::WrappedList => self.wrapped(leaf, payload, path, list(into)),
            Form::Map | Form::MapOfLists => self.entry(form, leaf, payload, path, map(into)),
        }
    }

    fn one(
        &mut self,
        leaf: Leaf,
        payload: Payload<'_>,
        path: &Path<'_>,
        into: &mut Value,
    ) -> Result<(), CodecError> {
        self.count(path)?;
        if let Some(value) = leaf::scalar(leaf, payload).map_err(CodecError::at(path))? {
            *into = value;
            return Ok(());
        }
        let message = payload.bytes().map_err(CodecError::at(path))?;
        match Layout::of_leaf(leaf) {
            Some(layout) if matches!(leaf, Leaf::Struct(_)) => self.message(layout, message, path, map(into)),
            Some(layout) => self.schema_or(leaf, layout, message, path, into),
            // What is not a scalar has a layout.
            None => Err(CodecError::at(path)(Flaw::Unfit)),
        }
    }

    /// A schema, or what may stand in its place.
    fn schema_or(
        &mut self,
        leaf: Leaf,
        layout: &'static Layout,
        message: &[u8],
        path: &Path<'_>,
        into: &mut Value,
    ) -> Result<(), CodecError> {
        let (schema_tag, other_tag) = leaf::schema_tags(leaf);
        let mut schema = Value::Null;
        let mut other = match leaf {
            Leaf::SchemaOrBool => Value::Bool(false),
            _ => Value::Null,
        };
        for member in Reader::new(message) {
            let (tag, payload) = member.map_err(CodecError::at(path))?;
            if tag == schema_tag {
                let message = payload.bytes().map_err(CodecError::at(path))?;
                self.message(layout, message, path, map(&mut schema))?;
            } else if tag == other_tag && leaf == Leaf::SchemaOrBool {
                self.one(Leaf::Bool, payload, path, &mut other)?;
            } else if tag == other_tag && leaf == Leaf::SchemaOrStrings {
                self.items(Leaf::String, payload, path, list(&mut other))?;
            } else if tag == other_tag {
                let items = list(&mut other);
                let path = path.index(items.len());
                let message = payload.bytes().map_err(CodecError::at(&path))?;
                self.count(&path)?;
                self.message(layout, message, &path, map(items.push_mut(Value::Null)))?;
            }
        }
        // Go prefers the list to the schema, and the schema to the truth value.
        *into = if other.is_array() || schema.is_null() { other } else { schema };
        Ok(())
    }

    fn items(
        &mut self,
        leaf: Leaf,
        payload: Payload<'_>,
        path: &Path<'_>,
        items: &mut Vec<Value>,
    ) -> Result<(), CodecError> {
        if let (Payload::Bytes(packed), Leaf::Int32 | Leaf::Int64 | Leaf::Bool | Leaf::Double) =
            (payload, leaf)
        {
            return self.packed(leaf, packed, path, items);
        }
        let path = path.index(items.len());
        self.one(leaf, payload, &path, items.push_mut(Value::Null))
    }

    fn packed(
        &mut self,
        leaf: Leaf,
        packed: &[u8],
        path: &Path<'_>,
        items: &mut Vec<Value>,
    ) -> Result<(), CodecError> {
        let mut numbers = Reader::new(packed);
        loop {
            let path = path.index(items.len());
            let number = match leaf {
                Leaf::Double => numbers.packed_fixed64().map(|number| number.map(Payload::Fixed64)),
                _ => numbers.packed_varint().map(|number| number.map(Payload::Varint)),
            };
            let Some(number) = number else { return Ok(()) };
            let number = number.map_err(CodecError::at(&path))?;
            self.one(leaf, number, &path, items.push_mut(Value::Null))?;
        }
    }

    /// A message that is there to hold a list.
    fn wrapped(
        &mut self,
        leaf: Leaf,
        payload: Payload<'_>,
        path: &Path<'_>,
        items: &mut Vec<Value>,
    ) -> Result<(), CodecError> {
        let message = payload.bytes().map_err(CodecError::at(path))?;
        for member in Reader::new(message) {
            let (tag, payload) = member.map_err(CodecError::at(path))?;
            if tag == 1 {
                self.items(leaf, payload, path, items)?;
            }
        }
        Ok(())
    }

    /// An entry of a map is a message: 1 is its key, 2 its value; either may be absent.
    fn entry(
        &mut self,
        form: Form,
        leaf: Leaf,
        payload: Payload<'_>,
        path: &Path<'_>,
        entries: &mut Map<String, Value>,
    ) -> Result<(), CodecError> {
        let message = payload.bytes().map_err(CodecError::at(path))?;
        let mut key = "";
        let mut value = None;
        for member in Reader::new(message) {
            match member.map_err(CodecError::at(path))? {
                (1, payload) => key = payload.text().map_err(CodecError::at(path))?,
                (2, payload) => value = Some(payload),
                _ => {}
            }
        }
        let path = path.key(key);
        let mut read = Value::Null;
        match (value, form) {
            (Some(value), Form::Map) => self.one(leaf, value, &path, &mut read)?,
            (Some(value), _) => self.wrapped(leaf, value, &path, list(&mut read))?,
            (None, _) => {
                self.count(&path)?;
                read = leaf::absent(form, leaf);
            }
        }
        entries.insert(key.to_owned(), read);
        Ok(())
    }

    fn count(&mut self, path: &Path<'_>) -> Result<(), CodecError> {
        self.values += 1;
        match self.values <= MOST_VALUES {
            true => Ok(()),
            false => Err(CodecError::at(path)(Flaw::TooMany)),
        }
    }
}

/// It says what leaving it out would say, unless Go holds it by pointer.
fn is_zero(value: &Value, leaf: Leaf) -> bool {
    match leaf {
        Leaf::String | Leaf::Bytes => value == "",
        Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::IntOrString => value.as_f64() == Some(0.0),
        Leaf::Bool => *value == false,
        _ => false,
    }
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    let Value::Array(items) = value else { unreachable!("it was just made a list") };
    items
}

fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(members) = value else { unreachable!("it was just made an object") };
    members
}
