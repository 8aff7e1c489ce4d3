//! A value together with the lines its parts stand on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Again, Problem, TOLD_AGAIN};

/// A value and its lines.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub value: Value,
    pub lines: Lines,
}

/// The lines of the fields or items of a value; none for a scalar. Shared among aliases.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Option<Arc<Parts>>);

#[derive(Debug)]
enum Parts {
    Fields(BTreeMap<String, Place>),
    Items(Vec<Place>),
}

/// Where a field or an item stands, and its own parts.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub line: usize,
    pub lines: Lines,
}

impl Tree {
    pub fn scalar(value: Value) -> Self {
        Self { value, lines: Lines::default() }
    }

    pub fn list(items: Vec<(usize, Tree)>) -> Self {
        let (places, values) =
            items.into_iter().map(|(line, Tree { value, lines })| (Place { line, lines }, value)).unzip();
        let lines = Lines(Some(Arc::new(Parts::Items(places))));
        Self { value: Value::Array(values), lines }
    }

    /// The items of a list; anything else is the one item.
    pub fn into_items(self) -> Vec<Tree> {
        match (self.value, self.lines.0.as_deref()) {
            (Value::Array(values), Some(Parts::Items(places))) => {
                let lines = places.iter().map(|place| place.lines.clone());
                values.into_iter().zip(lines).map(|(value, lines)| Tree { value, lines }).collect()
            }
            (value, _) => vec![Tree { value, lines: self.lines }],
        }
    }
}

impl Lines {
    /// The line of the field at the end of the path, or of its closest parent that is written.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        let mut line = None;
        let mut lines = self;
        let mut rest = path;
        while let Some((place, after)) = lines.0.as_ref().and_then(|parts| parts.step(rest)) {
            line = Some(place.line);
            lines = &place.lines;
            rest = after;
        }
        line
    }

    /// The places of the items of the field.
    pub fn items_of(&self, field: &str) -> Vec<Place> {
        match self.place(field).and_then(|place| place.lines.0.as_deref()) {
            Some(Parts::Items(places)) => places.clone(),
            _ => Vec::new(),
        }
    }

    fn place(&self, field: &str) -> Option<&Place> {
        match self.0.as_deref()? {
            Parts::Fields(places) => places.get(field),
            Parts::Items(_) => None,
        }
    }
}

impl Parts {
    /// The part that the path begins with, and the rest of the path.
    fn step<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a Place, &'p str)> {
        let path = path.strip_prefix('.').unwrap_or(path);
        if let Some((bracketed, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
            let place = match self {
                Self::Fields(places) => places.get(bracketed)?,
                Self::Items(places) => places.get(bracketed.parse::<usize>().ok()?)?,
            };
            return Some((place, rest));
        }
        let Self::Fields(places) = self else {
            return None;
        };
        // A key may have dots and brackets of its own: the shortest beginning that is a key is meant.
        let ends = path.match_indices(['.', '[']).map(|(end, _)| end).chain([path.len()]);
        ends.into_iter().find_map(|end| Some((places.get(&path[..end])?, &path[end..])))
    }
}

/// The fields of an object that is being read.
#[derive(Default)]
pub(super) struct Fields {
    values: Map<String, Value>,
    places: BTreeMap<String, Place>,
}

impl Fields {
    /// Sets a field, given the lines of its key and its value. One that is there already is told.
    pub fn insert(
        &mut self,
        (key_line, line): (usize, usize),
        key: String,
        tree: Tree,
        again: &mut Vec<Again>,
    ) {
        if self.values.contains_key(&key) && again.len() < TOLD_AGAIN {
            again.push(Again { key_line, line, key: key.clone() });
        }
        self.set(key, tree.value, Place { line: key_line, lines: tree.lines });
    }

    /// Sets the fields of an object over those that are there; refuses anything else.
    pub fn overlay(&mut self, tree: Tree) -> Result<(), Problem> {
        let (Value::Object(values), Some(Parts::Fields(places))) = (tree.value, tree.lines.0.as_deref())
        else {
            return Err(Problem::Merge);
        };
        for (key, value) in values {
            let place = places[&key].clone();
            self.set(key, value, place);
        }
        Ok(())
    }

    fn set(&mut self, key: String, value: Value, place: Place) {
        self.places.insert(key.clone(), place);
        self.values.insert(key, value);
    }

    /// These fields, and the others' where these have none.
    pub fn into_tree_over(mut self, others: Fields) -> Tree {
        for (key, value) in others.values {
            if !self.values.contains_key(&key) {
                let place = others.places[&key].clone();
                self.set(key, value, place);
            }
        }
        self.into_tree()
    }

    pub fn into_tree(self) -> Tree {
        let lines = Lines(Some(Arc::new(Parts::Fields(self.places))));
        Tree { value: Value::Object(self.values), lines }
    }
}
