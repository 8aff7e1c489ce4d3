//! Server-side apply: a manager says which fields it wants to have which values, and owns those from then on.
//!
//! 1. check: the configuration fits the type of the object           `check`
//! 2. merge: it is laid over the object, lists by their items         `merge`
//! 3. prune: what the manager applied before and names no more goes   `prune`, `remove`
//!    away, unless somebody else owns it
//! 4. conflicts: what changes and is another manager's is refused, or  `conflict`
//!    taken from it by force

mod check;
mod conflict;
mod merge;
mod migrate;
mod prune;
mod remove;

use serde_json::Value;

pub use check::check;
pub use conflict::{Conflict, refused};

use crate::managed::compare::compare;
use crate::managed::set::Set;
use crate::managed::{Entry, Manager, Versions, fields, release};

/// Who applies what, and how.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    /// The versions of the kind; the manager writes in the current one.
    pub versions: &'a Versions<'a>,
    /// What the manager wants. It fits the type.
    pub config: &'a Value,
    /// The manager.
    pub manager: &'a Manager<'a>,
    /// Top-level fields that the manager cannot own here.
    pub ignored: &'a [&'a str],
    /// Whether it takes what others own.
    pub force: bool,
}

/// Applies a configuration to an object; refused if it conflicts with what others own. The entries become those of the
/// object in its next state; there is none if nothing changes.
pub fn apply<'a>(
    request: Apply<'a>,
    live: &Value,
    entries: &mut Vec<Entry<'a>>,
    now: &str,
) -> Result<Option<Value>, Vec<Conflict>> {
    request.versions.reconcile(entries);
    let conflicts = match attempt(request, live, entries, now) {
        Ok(applied) => return Ok(applied),
        Err(conflicts) => conflicts,
    };
    // Who goes over from client-side apply need not force what it applied in that way.
    let conflicts = migrate::without_own(conflicts, request, live);
    match conflicts.is_empty() {
        true => attempt(Apply { force: true, ..request }, live, entries, now),
        false => Err(conflicts),
    }
}

/// Keeps the annotation of client-side apply, if there is one, in step with what kubectl applies.
pub fn sync_last_applied(object: &mut Value, config: &Value, manager: &Manager<'_>) {
    migrate::sync(object, config, manager);
}

fn attempt<'a>(
    request: Apply<'a>,
    live: &Value,
    entries: &mut Vec<Entry<'a>>,
    now: &str,
) -> Result<Option<Value>, Vec<Conflict>> {
    let Apply { versions, config, manager, ignored, force } = request;
    let shape = versions.shape(versions.current());
    let mut object = live.clone();
    merge::merge(shape, &mut object, config, ignored);
    let mut set = fields::named(shape, config, ignored);
    // What is pruned goes by all that is named; what nobody can own is left out afterwards.
    let (mine, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.manager.is(manager));
    if let Some(last) = mine.first() {
        prune::prune(versions, &mut object, last, &set, &others);
    }
    fields::strip(&mut set);
    let comparison = compare(shape, live, &object, ignored);
    let states = versions.states(entries, live, &object);
    let in_others = versions.compare(&states, ignored);
    let conflicts =
        if force { Vec::new() } else { conflict::find(entries, manager, &comparison, &in_others) };
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    own(entries, manager, set);
    release(entries, manager, &comparison, &in_others);
    drop(comparison);
    let changes = object != *live;
    if changes && let Some(entry) = entries.iter_mut().find(|entry| entry.manager.is(manager)) {
        entry.time = Some(now.to_owned().into());
    }
    Ok(changes.then_some(object))
}

/// The manager owns this and nothing else.
fn own<'a>(entries: &mut Vec<Entry<'a>>, manager: &Manager<'a>, set: Set<'a>) {
    match entries.iter_mut().find(|entry| entry.manager.is(manager)) {
        None => entries.push(Entry::new(manager.clone(), set, None)),
        Some(entry) => {
            entry.manager.api_version = manager.api_version.clone();
            if *entry.set() != set {
                entry.replace(set);
            }
        }
    }
}

#[cfg(test)]
mod tests;
