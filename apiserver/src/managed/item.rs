//! What tells the items of a list apart.

use serde_json::Value;

use super::set::{Element, Kind};
use super::shape::{Items, Key, Shape};

/// How to name the items of a list.
pub struct Naming<'s> {
    items: Items,
    keys: Vec<Key<'s>>,
}

impl<'s> Naming<'s> {
    /// For a list of this type, whose items can be told apart.
    pub fn new(shape: Shape<'s>, items: Items) -> Self {
        Self { items, keys: if items == Items::Keyed { shape.keys() } else { Vec::new() } }
    }

    /// The step that leads to an item, or why there is none.
    pub fn of(&self, item: &Value) -> Result<Element<'static>, String> {
        match self.items {
            Items::Keyed => self.keyed(item),
            Items::Set | Items::Whole => itself(item),
        }
    }

    fn keyed(&self, item: &Value) -> Result<Element<'static>, String> {
        let members = match item {
            Value::Object(members) => members,
            Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut text = String::from("{");
        for Key { name, default } in &self.keys {
            let value = members.get(*name).or(default.as_ref()).ok_or_else(|| {
                format!(
                    "associative list with keys has an element that omits key field {name:?} \
                     (and doesn't have default value)"
                )
            })?;
            text.push_str(if text.len() > 1 { ",\"" } else { "\"" });
            text.extend([name, "\":"]);
            text.push_str(&value.to_string());
        }
        text.push('}');
        Ok(Element::new(Kind::Key, &text))
    }
}

fn itself(item: &Value) -> Result<Element<'static>, String> {
    let why = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        _ => return Ok(Element::new(Kind::Value, &item.to_string())),
    };
    Err(why.to_owned())
}
