//! Walks over JSON, parsed or not, with the schema in hand, and builds the value that is stored.

use std::borrow::Cow;
use std::fmt;

use api::field::{self, FieldError};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::decode::{DecodeError, LARGEST_DEPTH};
use super::finding::{Finding, LARGEST_FINDINGS, Overlooked, nearest};
use super::path::{Path, shown};
use super::scalar::{expected, from_number, from_text, zero};
use super::types::{Form, Leaf, Type};

/// What decoding has to say besides the value. Serde's errors carry only text, so ours waits here.
#[derive(Default)]
pub struct Notes {
    /// In the order of the text.
    pub findings: Vec<Finding>,
    /// What serde's error is about.
    pub error: Option<DecodeError>,
}

impl Notes {
    /// Notes that something is overlooked.
    pub fn find(
        &mut self,
        what: Overlooked,
        path: &Path<'_>,
        suggest: impl FnOnce() -> Option<&'static str>,
    ) {
        if self.findings.len() < LARGEST_FINDINGS {
            let finding = Finding { what, path: path.dotted(), suggestion: suggest() };
            // A field given three times is one finding.
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// Keeps an error; what is returned only ends the reading.
    pub fn refuse<E: de::Error>(&mut self, error: DecodeError) -> E {
        self.error = Some(error);
        E::custom("")
    }
}

/// Decodes one value at its path. Leaves null for null; what holds the value knows what that means.
///
/// The value is written where it stays: handing it up through every layer of serde took a quarter of the time.
pub struct Decoder<'d> {
    /// Where to say what the value does not.
    pub notes: &'d mut Notes,
    /// Where the value goes; holds null.
    pub out: &'d mut Value,
    /// Where the value is.
    pub path: &'d Path<'d>,
    /// One value or several.
    pub form: Form,
    /// What each is to be.
    pub leaf: Leaf,
}

impl Decoder<'_> {
    fn refuse<E: de::Error>(self, found: impl Into<Value>) -> E {
        let detail = expected(self.form, self.leaf);
        self.notes.refuse(wrong(self.path, found.into(), detail))
    }

    fn number<E: de::Error>(self, number: Number) -> Result<(), E> {
        if self.form != Form::One {
            return Err(self.refuse(number));
        }
        match from_number(self.leaf, number.clone()) {
            Ok(value) => *self.out = value,
            Err(detail) => return Err(self.notes.refuse(wrong(self.path, number.into(), detail))),
        }
        Ok(())
    }

    fn text<E: de::Error>(self, text: Cow<'_, str>) -> Result<(), E> {
        if self.form != Form::One {
            return Err(self.refuse(shown(&text)));
        }
        // The plain case keeps the text; the others may need it to say what was found.
        if self.leaf == Leaf::String {
            *self.out = Value::String(text.into_owned());
            return Ok(());
        }
        match from_text(self.leaf, Cow::Borrowed(&text)) {
            Ok(value) => *self.out = value,
            Err(detail) => {
                let error = wrong(self.path, shown(&text).into(), detail);
                return Err(self.notes.refuse(error));
            }
        }
        Ok(())
    }

    fn check_depth<E: de::Error>(&mut self) -> Result<(), E> {
        match self.path.depth < LARGEST_DEPTH {
            true => Ok(()),
            false => Err(self.notes.refuse(DecodeError::TooDeep(self.path.text()))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Decoder<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Decoder<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(expected(self.form, self.leaf))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, given: bool) -> Result<(), E> {
        match (self.form, self.leaf) {
            (Form::One, Leaf::Bool | Leaf::SchemaOrBool | Leaf::Json | Leaf::RawExtension) => {
                *self.out = given.into();
                Ok(())
            }
            (Form::One, Leaf::String) => {
                let detail = format!("must be a string: write \"{given}\"");
                Err(self.notes.refuse(wrong(self.path, given.into(), detail)))
            }
            _ => Err(self.refuse(given)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.number(number.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number.into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        match Number::from_f64(number) {
            Some(number) => self.number(number),
            None => Err(self.refuse(number.to_string())),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.text(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<(), E> {
        self.text(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, items: A) -> Result<(), A::Error> {
        self.check_depth()?;
        match (self.form, self.leaf) {
            (Form::List | Form::WrappedList, leaf) => self.list(leaf, items),
            (Form::One, leaf @ (Leaf::Json | Leaf::RawExtension)) => self.list(leaf, items),
            (Form::One, Leaf::SchemaOrStrings) => self.list(Leaf::String, items),
            (Form::One, Leaf::SchemaOrArray) => match self.leaf.structure() {
                Some(schema) => self.list(schema.leaf, items),
                None => Err(self.refuse("array")),
            },
            _ => Err(self.refuse("array")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, members: A) -> Result<(), A::Error> {
        self.check_depth()?;
        match (self.form, self.leaf) {
            (Form::Map, leaf) => self.map(Form::One, leaf, members),
            (Form::MapOfLists, leaf) => self.map(Form::List, leaf, members),
            (Form::One, Leaf::Json | Leaf::RawExtension | Leaf::FieldsV1) => self.any(members),
            (Form::One, leaf) => match leaf.structure() {
                Some(of) => self.members(of, members),
                None => Err(self.refuse("object")),
            },
            _ => Err(self.refuse("object")),
        }
    }
}

impl Decoder<'_> {
    /// A decoder for what the value holds.
    fn below<'n>(
        notes: &'n mut Notes,
        out: &'n mut Value,
        path: &'n Path<'n>,
        form: Form,
        leaf: Leaf,
    ) -> Decoder<'n> {
        Decoder { notes, out, path, form, leaf }
    }

    fn list<'de, A: SeqAccess<'de>>(self, leaf: Leaf, mut items: A) -> Result<(), A::Error> {
        let mut list = Vec::new();
        loop {
            let path = self.path.index(list.len());
            let item = list.push_mut(Value::Null);
            let decoder = Self::below(self.notes, item, &path, Form::One, leaf);
            if items.next_element_seed(decoder)?.is_none() {
                list.pop();
                *self.out = Value::Array(list);
                return Ok(());
            }
            if item.is_null() {
                *item = zero(Form::One, leaf);
            }
        }
    }

    fn map<'de, A: MapAccess<'de>>(self, form: Form, leaf: Leaf, mut members: A) -> Result<(), A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let path = self.path.key(&key);
            let mut value = Value::Null;
            members.next_value_seed(Self::below(self.notes, &mut value, &path, form, leaf))?;
            if value.is_null() {
                value = zero(form, leaf);
            }
            if map.contains_key(&key) {
                self.notes.find(Overlooked::DuplicateField, &path, || None);
            }
            map.insert(key, value);
        }
        *self.out = Value::Object(map);
        Ok(())
    }

    /// JSON without a schema: nulls stay, and the last of several members with one name counts.
    fn any<'de, A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let path = self.path.key(&key);
            let mut value = Value::Null;
            let any = Self::below(self.notes, &mut value, &path, Form::One, Leaf::Json);
            members.next_value_seed(any)?;
            map.insert(key, value);
        }
        *self.out = Value::Object(map);
        Ok(())
    }

    fn members<'de, A: MapAccess<'de>>(self, of: &'static Type, mut members: A) -> Result<(), A::Error> {
        // A map is built faster from all members than by inserting them.
        let mut given: Vec<(String, Value)> = Vec::with_capacity(of.fields().len().min(8));
        // A bit for each field; a test of the table counts them.
        let mut seen: u128 = 0;
        while let Some(name) = members.next_key_seed(NameOf(of))? {
            let index = match name {
                Name::Known(index) => index,
                Name::Unknown(name) => {
                    let path = self.path.field(&name);
                    let suggest = || nearest(of, &name);
                    self.notes.find(Overlooked::UnknownField, &path, suggest);
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let field = &of.fields()[index];
            let path = self.path.field(field.name);
            if seen & (1 << index) != 0 {
                self.notes.find(Overlooked::DuplicateField, &path, || None);
                given.retain(|(name, _)| name != field.name);
            }
            seen |= 1 << index;
            let (_, value) = given.push_mut((field.name.to_owned(), Value::Null));
            let decoder = Self::below(self.notes, value, &path, field.form, field.leaf);
            members.next_value_seed(decoder)?;
            if value.is_null() {
                given.pop();
            }
        }
        *self.out = Value::Object(given.into_iter().collect());
        Ok(())
    }
}

/// Finds a field without copying its name.
struct NameOf(&'static Type);

enum Name {
    Known(usize),
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for NameOf {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameOf {
    type Value = Name;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
        Ok(self.0.index_of(name).map_or_else(|| Name::Unknown(name.to_owned()), Name::Known))
    }
}

/// The value at the path is not what it must be.
pub fn wrong(path: &Path<'_>, found: Value, detail: impl Into<String>) -> DecodeError {
    let mistake = field::Mistake::WrongType(found);
    DecodeError::Field(FieldError { field: path.text(), mistake, detail: detail.into() })
}
