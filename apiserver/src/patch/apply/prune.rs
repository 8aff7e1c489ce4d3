//! Removes what a manager applied before and names no more, unless somebody else owns it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::remove::remove;
use crate::managed::fields::{named, with_parents};
use crate::managed::set::Set;
use crate::managed::{Entry, Shape, Versions, text};

/// Removes from the merged object what the manager owns by `last`, but what is neither in `set` nor owned by others. Each
/// set counts in its version.
pub(super) fn prune(
    versions: &Versions<'_>,
    merged: &mut Value,
    last: &Entry<'_>,
    set: &Set<'_>,
    others: &[&Entry<'_>],
) {
    let (current, before) = (versions.current(), &*last.manager.api_version);
    // Nothing is named no more: the usual case, in which all below would change nothing.
    if before == current && set.covers(last.set()) {
        return;
    }
    let shape = versions.shape(before);
    let at_first = versions.convert(merged.clone(), current, before);
    let last = with_parents(last.set(), shape);
    // What was applied is gone for now, with all that is within it.
    let mut pruned = at_first.clone();
    remove(shape, &mut pruned, &last);
    // What somebody owns comes back.
    let mut version = before;
    for (owned_in, owned) in by_version(current, set, others) {
        let all = versions.convert(merged.clone(), current, owned_in);
        pruned =
            with_owned(versions.shape(owned_in), all, &versions.convert(pruned, version, owned_in), &owned);
        version = owned_in;
    }
    // So does what the manager never applied.
    let pruned = versions.convert(pruned, version, before);
    let gone = all_of(shape, &at_first).difference(&all_of(shape, &pruned)).intersection(&last);
    if gone.is_empty() {
        return;
    }
    // As text it does not borrow from the object.
    let gone = text::written(&gone);
    if let Some(gone) = text::parse(&gone) {
        let mut left = at_first;
        remove(shape, &mut left, &gone);
        *merged = versions.convert(left, before, current);
    }
}

/// What the manager names and others own, by version.
fn by_version<'e>(current: &'e str, set: &Set<'e>, others: &[&'e Entry<'e>]) -> BTreeMap<&'e str, Set<'e>> {
    let mut owned = BTreeMap::from([(current, set.clone())]);
    for other in others {
        let of_version = owned.entry(&*other.manager.api_version).or_default();
        *of_version = of_version.union(other.set());
    }
    owned
}

/// The whole object without what is neither in the pruned one nor owned.
fn with_owned(shape: Shape<'_>, mut all: Value, pruned: &Value, owned: &Set<'_>) -> Value {
    let left = all_of(shape, pruned).union(&with_parents(owned, shape));
    let gone = text::written(&all_of(shape, &all).difference(&left));
    if let Some(gone) = text::parse(&gone) {
        remove(shape, &mut all, &gone);
    }
    all
}

/// All fields of an object, with those that lead to others.
fn all_of<'v>(shape: Shape<'_>, object: &'v Value) -> Set<'v> {
    with_parents(&named(shape, object, &[]), shape)
}
