//! What differs between two states of an object, as sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::item::Naming;
use super::set::{Element, Set};
use super::shape::{Items, Nature, Shape};

/// The fields that differ. None is in more than one of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// Only in the first state.
    pub removed: Set<'a>,
    /// In both, with different values.
    pub modified: Set<'a>,
    /// Only in the second state.
    pub added: Set<'a>,
}

/// How a value itself differs, apart from what is within it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mark {
    #[default]
    Same,
    Removed,
    Modified,
    Added,
}

/// The differences between two states, without those within the top-level fields that are to be ignored.
pub fn compare<'a>(shape: Shape<'_>, old: &'a Value, new: &'a Value, ignored: &[&str]) -> Comparison<'a> {
    let mut found = Comparison::default();
    found.members(shape, old.as_object(), new.as_object(), ignored);
    found
}

impl<'a> Comparison<'a> {
    /// What was written, whether or not it was there before.
    pub fn written(&self) -> Set<'a> {
        if self.modified.is_empty() { self.added.clone() } else { self.modified.union(&self.added) }
    }

    pub(super) fn push(&mut self, element: &Element<'a>, mark: Mark, below: Self) {
        let sets = [
            (&mut self.removed, Mark::Removed, below.removed),
            (&mut self.modified, Mark::Modified, below.modified),
            (&mut self.added, Mark::Added, below.added),
        ];
        for (set, which, below) in sets {
            set.push(element.clone(), mark == which, below);
        }
    }

    fn sort(&mut self) {
        for set in [&mut self.removed, &mut self.modified, &mut self.added] {
            set.sort();
        }
    }

    /// Both maps are in the order of their names, so one pass over both is enough.
    fn members(
        &mut self,
        shape: Shape<'_>,
        old: Option<&'a Map<String, Value>>,
        new: Option<&'a Map<String, Value>>,
        ignored: &[&str],
    ) {
        let (mut old, mut new) = (old.into_iter().flatten().peekable(), new.into_iter().flatten().peekable());
        loop {
            let (name, before, after) = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some((one, before)), Some((other, after))) if one == other => {
                    (*one, Some(*before), Some(*after))
                }
                (Some((one, before)), Some((other, _))) if one < other => (*one, Some(*before), None),
                (Some((one, before)), None) => (*one, Some(*before), None),
                (_, Some((other, after))) => (*other, None, Some(*after)),
            };
            if before.is_some() {
                old.next();
            }
            if after.is_some() {
                new.next();
            }
            if !ignored.contains(&name.as_str()) {
                let of = shape.member(name).map_or(Shape::Deduced, |member| member.shape);
                self.step(Element::field(name), of, before, after);
            }
        }
        self.sort();
    }

    /// Compares the values a step leads to.
    fn step(
        &mut self,
        element: Element<'a>,
        shape: Shape<'_>,
        before: Option<&'a Value>,
        after: Option<&'a Value>,
    ) {
        let (mark, below) = values(shape, before, after);
        self.push(&element, mark, below);
    }

    fn items(&mut self, shape: Shape<'_>, items: Items, before: &'a [Value], after: &'a [Value]) {
        let naming = Naming::new(shape, items);
        let mut by_step: BTreeMap<Element<'a>, (Vec<&'a Value>, Vec<&'a Value>)> = BTreeMap::new();
        // What cannot be told apart has no owner.
        for (step, item) in before.iter().filter_map(|item| Some((naming.of(item).ok()?, item))) {
            by_step.entry(step).or_default().0.push(item);
        }
        for (step, item) in after.iter().filter_map(|item| Some((naming.of(item).ok()?, item))) {
            by_step.entry(step).or_default().1.push(item);
        }
        for (step, (before, after)) in by_step {
            self.item(step, shape.item(), &before, &after);
        }
    }

    /// Items that are there several times are owned as one, as nobody can tell them apart.
    fn item(&mut self, step: Element<'a>, of: Shape<'_>, before: &[&'a Value], after: &[&'a Value]) {
        match (before, after) {
            ([_, _, ..], [_, _, ..]) => {
                let mark = if before == after { Mark::Same } else { Mark::Modified };
                self.push(&step, mark, Self::default());
            }
            ([_, _, ..], rest) => {
                let (_, mut below) =
                    rest.first().map_or_else(Default::default, |new| values(of, None, Some(new)));
                let is_new = !rest.is_empty();
                self.removed.push(step.clone(), true, std::mem::take(&mut below.removed));
                self.added.push(step, is_new, below.added);
            }
            (rest, [_, _, ..]) => {
                let (_, mut below) =
                    rest.first().map_or_else(Default::default, |old| values(of, Some(old), None));
                let was_there = !rest.is_empty();
                self.added.push(step.clone(), true, std::mem::take(&mut below.added));
                self.removed.push(step, was_there, below.removed);
            }
            (before, after) => self.step(step, of, before.first().copied(), after.first().copied()),
        }
    }
}

/// Compares two values of one type, of which at least one is there.
pub(super) fn values<'a>(
    shape: Shape<'_>,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
) -> (Mark, Comparison<'a>) {
    let natures = (before.map(|value| shape.nature(value)), after.map(|value| shape.nature(value)));
    match natures {
        (Some(one), Some(other)) if one != other && before != after => {
            // A null takes the form of what it is compared with.
            if before.is_some_and(Value::is_null) {
                return of_nature(shape, other, before, after);
            }
            if after.is_some_and(Value::is_null) {
                return of_nature(shape, one, before, after);
            }
            let (_, mut below) = of_nature(shape, one, before, None);
            below.added = of_nature(shape, other, None, after).1.added;
            (Mark::Modified, below)
        }
        (_, Some(nature)) | (Some(nature), None) => of_nature(shape, nature, before, after),
        (None, None) => <(Mark, Comparison<'a>)>::default(),
    }
}

fn of_nature<'a>(
    shape: Shape<'_>,
    nature: Nature,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
) -> (Mark, Comparison<'a>) {
    let presence = match (before, after) {
        (None, _) => Mark::Added,
        (_, None) => Mark::Removed,
        // Maps are compared member by member anyway.
        (Some(before), Some(after)) if nature != (Nature::Map { whole: false }) && before == after => {
            return (Mark::Same, Comparison::default());
        }
        (Some(_), Some(_)) => Mark::Modified,
    };
    let mut below = Comparison::default();
    match nature {
        Nature::Map { whole: false } => {
            let old = before.and_then(Value::as_object);
            let new = after.and_then(Value::as_object);
            let has_some =
                |members: Option<&Map<String, Value>>| members.is_some_and(|members| !members.is_empty());
            if has_some(old) || has_some(new) {
                below.members(shape, old, new, &[]);
                return (if presence == Mark::Modified { Mark::Same } else { presence }, below);
            }
            if before == after {
                return (Mark::Same, below);
            }
        }
        Nature::List(items @ (Items::Set | Items::Keyed)) => {
            let list =
                |value: Option<&'a Value>| value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let (old, new) = (list(before), list(after));
            if !(old.is_empty() && new.is_empty()) {
                below.items(shape, items, old, new);
                return (if presence == Mark::Modified { Mark::Same } else { presence }, below);
            }
        }
        Nature::Scalar(_) | Nature::Map { whole: true } | Nature::List(Items::Whole) => {}
    }
    (presence, below)
}
