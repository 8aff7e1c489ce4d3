//! JSON without a schema as a tree, and the fields that are given twice in it.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::decode::{DecodeError, Decoded, LARGEST_DEPTH, invalid};
use super::finding::Overlooked;
use super::path::Path;
use super::syntax;
use super::visitor::Notes;

/// Reads a text; of fields given twice the last counts.
pub fn untyped(json: &[u8]) -> Result<Decoded, DecodeError> {
    let mut notes = Notes::default();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Seed { path: &Path::ROOT, notes: &mut notes }.deserialize(&mut deserializer);
    let read = read.and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(Decoded { value, findings: notes.findings }),
        Err(error) => Err(match syntax::mistake(json) {
            Some(words) => DecodeError::Syntax(words),
            None => notes.error.unwrap_or_else(|| invalid(&error)),
        }),
    }
}

struct Seed<'s> {
    path: &'s Path<'s>,
    notes: &'s mut Notes,
}

impl Seed<'_> {
    fn check_depth<E: de::Error>(&mut self) -> Result<(), E> {
        match self.path.depth < LARGEST_DEPTH {
            true => Ok(()),
            false => Err(self.notes.refuse(DecodeError::TooDeep(self.path.text()))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, given: bool) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_i64<E: de::Error>(self, given: i64) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_u64<E: de::Error>(self, given: u64) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_f64<E: de::Error>(self, given: f64) -> Result<Value, E> {
        Ok(Number::from_f64(given).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, given: &str) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_string<E: de::Error>(self, given: String) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut list = Vec::new();
        loop {
            let path = self.path.index(list.len());
            match items.next_element_seed(Seed { path: &path, notes: self.notes })? {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = self.path.field(&name);
            let value = members.next_value_seed(Seed { path: &path, notes: self.notes })?;
            if map.contains_key(&name) {
                self.notes.find(Overlooked::DuplicateField, &path, || None);
            }
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_given_twice_are_told_and_depth_is_bounded() {
        let read = untyped(br#"{"a":1,"b":{"c":1,"c":2,"c":3},"d":[{"e":1,"e":null}],"a":"x"}"#).unwrap();
        assert_eq!(read.value, json!({"a": "x", "b": {"c": 3}, "d": [{"e": null}]}));
        let words: Vec<String> = read.findings.iter().map(ToString::to_string).collect();
        let twice = [r#"duplicate field "b.c""#, r#"duplicate field "d[0].e""#, r#"duplicate field "a""#];
        assert_eq!(words, twice);
        let refused = |text: &str| untyped(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("{"), "unexpected end of JSON input");
        assert_eq!(refused("{} {}"), "invalid character '{' after top-level value");
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        assert!(refused(&deep).ends_with(": nested deeper than 100 levels"));
    }
}
