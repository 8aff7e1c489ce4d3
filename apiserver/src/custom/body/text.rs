//! JSON without a schema as a tree, with the paths of the fields that are given twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::schema::{LARGEST_DEPTH, LARGEST_FINDINGS};

/// Reads a text; of fields given twice the last counts, and their paths are told.
pub fn read(json: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Seed { path: "", depth: 0, duplicates: &duplicates }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates.into_inner()))
}

struct Seed<'s> {
    path: &'s str,
    depth: usize,
    duplicates: &'s RefCell<Vec<String>>,
}

impl Seed<'_> {
    fn deeper<E: de::Error>(&self) -> Result<usize, E> {
        match self.depth < LARGEST_DEPTH {
            true => Ok(self.depth + 1),
            false => Err(E::custom(format!("{}: nested deeper than {LARGEST_DEPTH} levels", self.path))),
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(Seed { path: &path, depth, duplicates: self.duplicates })? {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let value = members.next_value_seed(Seed { path: &path, depth, duplicates: self.duplicates })?;
            if map.insert(name, value).is_some() {
                let mut duplicates = self.duplicates.borrow_mut();
                // A field given three times is told once.
                if duplicates.len() < LARGEST_FINDINGS && !duplicates.contains(&path) {
                    duplicates.push(path);
                }
            }
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
        let (value, twice) =
            read(br#"{"a":1,"b":{"c":1,"c":2,"c":3},"d":[{"e":1,"e":null}],"a":"x"}"#).unwrap();
        assert_eq!(value, json!({"a": "x", "b": {"c": 3}, "d": [{"e": null}]}));
        assert_eq!(twice, ["b.c", "d[0].e", "a"]);
        assert!(read(b"{").is_err());
        assert!(read(b"{} {}").is_err());
        assert!(read("[".repeat(10_000).as_bytes()).unwrap_err().to_string().contains("100 levels"));
    }
}
