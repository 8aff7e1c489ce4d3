//! Objects of any kind from a seed, in the form in which they are stored.

use serde_json::{Map, Value, json};

use crate::schema::{Field, Form, Leaf, Type};

/// Deeper objects are cut: schemas hold schemas.
const DEEPEST: usize = 9;

/// Larger objects are cut: they take long and show no more.
const MOST_MEMBERS: usize = 300;

/// A stream of numbers that look random (splitmix64).
pub struct Generator {
    state: u64,
    /// How many more members there may be.
    members_left: usize,
}

impl Generator {
    /// The same seed gives the same objects.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, members_left: MOST_MEMBERS }
    }

    /// An object of this kind.
    pub fn object(&mut self, of: &'static Type) -> Value {
        let mut object = self.members(of, 0);
        let kind = of.kind.unwrap();
        object["apiVersion"] = kind.api_version.into();
        object["kind"] = kind.kind.into();
        object
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn members(&mut self, of: &'static Type, depth: usize) -> Value {
        let mut members = Map::new();
        let share = if depth < 3 { 2 } else { 3 };
        for field in of.fields().iter().filter(|field| field.tags().next().is_some()) {
            let fits = self.members_left > 0 && (depth < DEEPEST || field.structure().is_none());
            if self.below(share) == 0 && fits {
                self.members_left -= 1;
                members.insert(field.name.to_owned(), self.field(field, depth + 1));
            }
        }
        Value::Object(members)
    }

    fn field(&mut self, field: &Field, depth: usize) -> Value {
        let value = match field.form {
            Form::One => self.one(field.leaf, depth),
            Form::List => self.list(field.leaf, 1, depth),
            Form::WrappedList => self.list(field.leaf, 0, depth),
            Form::Map => {
                let map = (0..=self.below(2)).map(|at| (format!("k{at}"), self.one(field.leaf, depth)));
                Value::Object(map.collect())
            }
            Form::MapOfLists => {
                let map = (0..=self.below(2)).map(|at| (format!("k{at}"), self.list(field.leaf, 0, depth)));
                Value::Object(map.collect())
            }
        };
        // The zeros that say nothing are not stored by Go either.
        let says_nothing = value == "" || value == 0 || value == false;
        match (field.form == Form::One && !field.keeps_zero && !field.required && says_nothing, field.leaf) {
            (true, Leaf::String) => "x".into(),
            (true, Leaf::Bytes) => "AA==".into(),
            (true, Leaf::Bool) => true.into(),
            (true, Leaf::Int32 | Leaf::Int64 | Leaf::Double) => 1.into(),
            (true, Leaf::IntOrString) if value == 0 => 1.into(),
            _ => value,
        }
    }

    fn list(&mut self, leaf: Leaf, least: u64, depth: usize) -> Value {
        (0..least + self.below(3)).map(|_| self.one(leaf, depth)).collect()
    }

    fn one(&mut self, leaf: Leaf, depth: usize) -> Value {
        let pick = self.below(4) as usize;
        match leaf {
            Leaf::String => ["", "a", "Ünïcödé", "a longer text"][pick].into(),
            Leaf::Int32 => [0, 1, i32::MIN, i32::MAX][pick].into(),
            Leaf::Int64 => [0, -1, i64::MIN, i64::MAX][pick].into(),
            Leaf::Bool => [true, false][pick % 2].into(),
            Leaf::Double => [json!(0), json!(-0.5), json!(1e300), json!(42)][pick].clone(),
            Leaf::Bytes => ["", "AA==", "/w==", "cGVhcG9k"][pick].into(),
            Leaf::Quantity => ["0", "100m", "1536Mi", "-3"][pick].into(),
            Leaf::IntOrString => [json!(0), json!("25%"), json!(""), json!(-8)][pick].clone(),
            Leaf::Time => ["2026-01-02T03:04:05Z", "1969-12-31T23:59:59Z"][pick % 2].into(),
            Leaf::MicroTime => {
                ["2026-01-02T03:04:05.000001Z", "1950-06-07T08:09:10.999999Z"][pick % 2].into()
            }
            Leaf::RawExtension | Leaf::FieldsV1 => json!({"f:a": {".": {}}, "list": [1, 2.5, "x"]}),
            Leaf::Json => [json!({"a": [true]}), json!("text"), json!(0), json!(false)][pick].clone(),
            Leaf::SchemaOrBool if pick == 0 => (self.below(2) == 0).into(),
            Leaf::SchemaOrStrings if pick == 0 => json!(["a", ""]),
            Leaf::SchemaOrArray if pick == 0 => {
                let schema = leaf.structure().unwrap();
                json!([self.members(schema, depth), self.members(schema, depth)])
            }
            leaf => self.members(leaf.structure().unwrap(), depth),
        }
    }
}
