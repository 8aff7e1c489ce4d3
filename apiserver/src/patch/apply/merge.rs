//! Lays a configuration over an object: single values replace, maps are merged, lists by what tells their items apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::managed::Shape;
use crate::managed::item::Naming;
use crate::managed::set::Element;
use crate::managed::shape::{Items, Nature};

/// Lays the configuration over the object, without the top-level fields that are to be ignored.
pub(super) fn merge(shape: Shape<'_>, object: &mut Value, config: &Value, ignored: &[&str]) {
    let (Value::Object(members), Value::Object(config)) = (object, config) else {
        return;
    };
    for (name, value) in config.iter().filter(|(name, _)| !ignored.contains(&name.as_str())) {
        member(shape, members, name, value);
    }
}

fn member(shape: Shape<'_>, members: &mut serde_json::Map<String, Value>, name: &str, value: &Value) {
    match members.get_mut(name) {
        None => {
            members.insert(name.to_owned(), value.clone());
        }
        Some(target) => {
            let of = shape.member(name).map_or(Shape::Deduced, |member| member.shape);
            over(of, target, value);
        }
    }
}

fn over(shape: Shape<'_>, target: &mut Value, config: &Value) {
    let nature = shape.nature(if config.is_null() { target } else { config });
    match (nature, &mut *target, config) {
        (Nature::Map { whole: false }, Value::Object(members), Value::Object(given)) if !given.is_empty() => {
            for (name, value) in given {
                member(shape, members, name, value);
            }
        }
        (Nature::Map { whole: false }, Value::Object(members), Value::Object(_) | Value::Null)
            if !members.is_empty() => {}
        (Nature::List(kind @ (Items::Set | Items::Keyed)), Value::Array(items), Value::Array(given))
            if !given.is_empty() =>
        {
            *items = lists(shape, kind, std::mem::take(items), given);
        }
        (Nature::List(Items::Set | Items::Keyed), Value::Array(items), Value::Array(_) | Value::Null)
            if !items.is_empty() => {}
        _ => *target = config.clone(),
    }
}

/// Items of both lists, those that are in both merged. The order of the configuration holds for what it names; other
/// items keep their place among what they stood with, as far as that is possible.
fn lists(shape: Shape<'_>, kind: Items, live: Vec<Value>, config: &[Value]) -> Vec<Value> {
    let naming = Naming::new(shape, kind);
    let of = shape.item();
    let left: Vec<Option<Element<'_>>> = live.iter().map(|item| naming.of(item).ok()).collect();
    let right: Vec<Option<Element<'_>>> = config.iter().map(|item| naming.of(item).ok()).collect();
    let named: BTreeSet<&Element<'_>> = right.iter().flatten().collect();
    let counts = counts(&left);
    let mut shared = right.iter().flatten().filter(|step| counts.contains_key(step)).peekable();
    let mut mine: BTreeMap<&Element<'_>, Value> = BTreeMap::new();
    let mut merged: BTreeSet<&Element<'_>> = BTreeSet::new();
    let mut rest: Vec<Option<Value>> = live.into_iter().map(Some).collect();
    for (place, step) in left.iter().enumerate() {
        if let Some(step) = step.as_ref().filter(|step| named.contains(step) && counts.get(step) == Some(&1))
        {
            mine.extend(rest[place].take().map(|item| (step, item)));
        }
    }
    let mut out = Vec::with_capacity(rest.len().max(config.len()));
    let mut take = |out: &mut Vec<Value>, place: usize| {
        let mut item = right[place].as_ref().and_then(|step| mine.remove(step)).unwrap_or(Value::Null);
        over(of, &mut item, &config[place]);
        out.push(item);
    };
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        let (one, other) = (left.get(l).and_then(Option::as_ref), right.get(r).and_then(Option::as_ref));
        if let (Some(one), Some(other)) = (one, other) {
            if one == other {
                merged.insert(other);
                take(&mut out, r);
                (l, r) = (l + 1, r + 1);
                shared.next();
                continue;
            }
            let is_next = shared.peek().is_some_and(|next| *next == one);
            if named.contains(one) && shared.peek().is_some() && !is_next {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            match one {
                Some(one) if named.contains(one) => {
                    if merged.contains(one) {
                        l += 1;
                    }
                }
                _ => {
                    out.extend(rest[l].take());
                    l += 1;
                    continue;
                }
            }
        }
        if r < right.len() {
            take(&mut out, r);
            if let Some(other) = other {
                merged.insert(other);
                if shared.peek().is_some_and(|next| *next == other) {
                    shared.next();
                }
            }
            r += 1;
        }
    }
    out
}

/// How often each item is there.
fn counts<'s, 'a>(steps: &'s [Option<Element<'a>>]) -> BTreeMap<&'s Element<'a>, usize> {
    let mut counts = BTreeMap::new();
    for step in steps.iter().flatten() {
        *counts.entry(step).or_default() += 1;
    }
    counts
}
