//! Removes what a manager applied before and names no more, unless somebody else owns it.

use serde_json::Value;

use super::remove::remove;
use crate::managed::fields::{named, with_parents};
use crate::managed::set::Set;
use crate::managed::{Entry, Shape, text};

/// Removes from the merged object what is in `last` but neither in `set` nor owned by others.
pub(super) fn prune(
    shape: Shape<'_>,
    merged: &mut Value,
    last: &Set<'_>,
    set: &Set<'_>,
    others: &[&Entry<'_>],
) {
    // Nothing is named no more: the usual case, in which all below would change nothing.
    if set.covers(last) {
        return;
    }
    let last = with_parents(last, shape);
    let gone = {
        let all = with_parents(&named(shape, merged, &[]), shape);
        let mut owned = set.clone();
        for other in others {
            owned = owned.union(other.set());
        }
        // What was applied is gone for now, with all that is within it.
        let mut pruned = merged.clone();
        remove(shape, &mut pruned, &last);
        // What somebody owns comes back.
        let left = with_parents(&named(shape, &pruned, &[]), shape).union(&with_parents(&owned, shape));
        let mut pruned = merged.clone();
        remove(shape, &mut pruned, &all.difference(&left));
        // So does what the manager never applied.
        let left = with_parents(&named(shape, &pruned, &[]), shape);
        // As text it does not borrow from the object.
        text::written(&all.difference(&left).intersection(&last))
    };
    if let Some(gone) = text::parse(&gone) {
        remove(shape, merged, &gone);
    }
}
