//! What a write does to the owners of fields.

use super::compare::Comparison;
use super::entries::{Entry, Manager, cap};
use super::fields::strip;
use super::set::Set;

/// A manager wrote what differs, in another way than by applying: what it wrote is its own, and what is gone is nobody's.
pub fn update<'a>(
    entries: &mut Vec<Entry<'a>>,
    manager: Manager<'a>,
    comparison: &Comparison<'a>,
    now: &str,
) {
    let mut written = comparison.written();
    let mine = entries.iter().position(|entry| entry.manager.is(&manager));
    for (place, entry) in entries.iter_mut().enumerate() {
        // What is the manager's own already need not be taken from it.
        if Some(place) != mine {
            take(entry, &written);
        }
        take(entry, &comparison.removed);
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
pub fn release(entries: &mut Vec<Entry<'_>>, manager: &Manager<'_>, comparison: &Comparison<'_>) {
    let written = comparison.written();
    for entry in entries.iter_mut().filter(|entry| !entry.manager.is(manager)) {
        take(entry, &written);
        take(entry, &comparison.removed);
    }
    drop_idle(entries);
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
