//! What a write does to the owners of fields.

use super::compare::Comparison;
use super::entries::{Entry, cap};
use super::fields::strip;
use super::manager::Manager;
use super::set::Set;
use super::versions::Others;

/// A manager wrote what differs, in another way than by applying: what it wrote is its own, and what is gone is nobody's.
pub fn update<'a>(
    entries: &mut Vec<Entry<'a>>,
    manager: Manager<'a>,
    comparison: &Comparison<'a>,
    others: &Others<'_>,
    now: &str,
) {
    let mut written = comparison.written();
    let mine = entries.iter().position(|entry| entry.manager.is(&manager));
    for (place, entry) in entries.iter_mut().enumerate() {
        let other = others.get(&*entry.manager.api_version);
        match other {
            // What is the manager's own already need not be taken from it.
            None if Some(place) == mine => {}
            None => take(entry, &written),
            Some(other) => take(entry, &other.written()),
        }
        take(entry, &other.unwrap_or(comparison).removed);
    }
    strip(&mut written);
    if !written.is_empty() {
        let time = || Some(now.to_owned().into());
        match mine.and_then(|place| entries.get_mut(place)) {
            None => entries.push(Entry::new(manager, written, time())),
            Some(entry) => {
                entry.time = time();
                if !entry.set().covers(&written) {
                    let set = entry.set().union(&written);
                    entry.replace(set);
                }
            }
        }
    }
    drop_idle(entries);
    cap(entries);
}

/// Managers other than this one lose what differs.
pub fn release(
    entries: &mut Vec<Entry<'_>>,
    manager: &Manager<'_>,
    comparison: &Comparison<'_>,
    others: &Others<'_>,
) {
    for entry in entries.iter_mut().filter(|entry| !entry.manager.is(manager)) {
        let comparison = seen(entry, comparison, others);
        take(entry, &comparison.written());
        take(entry, &comparison.removed);
    }
    drop_idle(entries);
}

/// What differs in the version in which somebody owns fields.
pub fn seen<'c>(
    entry: &Entry<'_>,
    comparison: &'c Comparison<'c>,
    others: &'c Others<'c>,
) -> &'c Comparison<'c> {
    others.get(&*entry.manager.api_version).unwrap_or(comparison)
}

fn take(entry: &mut Entry<'_>, gone: &Set<'_>) {
    if entry.set().overlaps(gone) {
        let set = entry.set().difference(gone);
        entry.replace(set);
    }
}

fn drop_idle(entries: &mut Vec<Entry<'_>>) {
    entries.retain(|entry| !entry.set().is_empty());
}

#[cfg(test)]
mod tests;
