//! The order of a merged list: as the patch wants it; what only the document has stays beside its neighbours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::refusal::{Refusal, shown_list};
use super::{DIRECTIVE, Rule};

/// What an item is told apart from others by, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(String);

impl Identity {
    /// The value of the merge key; the item itself if there is none.
    pub fn of(item: &Value, rule: Rule) -> Result<Self, Refusal> {
        let Some(key) = rule.key else {
            return Ok(Self(item.to_string()));
        };
        let members = item.as_object().ok_or_else(|| Refusal::not_a_map(item))?;
        let value = members.get(key).ok_or_else(|| Refusal::no_merge_key(members, key))?;
        Ok(Self(value.to_string()))
    }

    /// The identities of all items.
    pub fn of_all(items: &[Value], rule: Rule) -> Result<Vec<Self>, Refusal> {
        items.iter().map(|item| Self::of(item, rule)).collect()
    }
}

/// Puts the items that are wanted in the order of `wanted`, and the others in the order of `before`. Of two
/// neighbours from the two sides, the other goes first only if both were there before, and it was before.
pub fn arrange(
    items: Vec<Value>,
    wanted: &[Identity],
    before: &[Identity],
    rule: Rule,
) -> Result<Vec<Value>, Refusal> {
    let wanted = ranks(wanted);
    let before = ranks(before);
    let mut wanted_items = Vec::new();
    let mut others = Vec::new();
    for item in items {
        let identity = Identity::of(&item, rule)?;
        let old = before.get(&identity).copied();
        match wanted.get(&identity) {
            Some(rank) => wanted_items.push((*rank, old, item)),
            None => others.push((old, item)),
        }
    }
    wanted_items.sort_by_key(|(rank, ..)| *rank);
    others.sort_by_key(|(old, _)| old.unwrap_or(usize::MAX));
    let mut others = others.into_iter().peekable();
    let mut arranged = Vec::new();
    for (_, old, item) in wanted_items {
        while let Some((_, other)) =
            others.next_if(|(other, _)| other.is_some() && old.is_some() && *other < old)
        {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, other)| other));
    Ok(arranged)
}

/// Refuses a patch whose items are not among those of the order, or not in this order.
pub fn check(patch: &[Value], order: &[Value], rule: Rule) -> Result<(), Refusal> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let ordered = Identity::of_all(order, rule)?;
    let mut ordered = ordered.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let identity = Identity::of(item, rule)?;
        if !ordered.any(|known| *known == identity) {
            return Err(Refusal::OrderDiffers { patch: shown_list(patch), order: shown_list(order) });
        }
    }
    Ok(())
}

/// Where each stands for the first time.
fn ranks(identities: &[Identity]) -> BTreeMap<&Identity, usize> {
    // The last one to be collected wins.
    identities.iter().enumerate().rev().map(|(rank, identity)| (identity, rank)).collect()
}

/// Each item once, where it stands first.
pub fn without_doubles(items: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    items.filter(|item| seen.insert(item.to_string())).collect()
}
