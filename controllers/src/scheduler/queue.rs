//! The pods that wait for a node.
//!
//! ```text
//!   add ──▶ Ready ──take──▶ (decided) ──placed──▶ gone
//!             ▲                 │ no node takes it        │ binding failed
//!             │                 ▼                         ▼
//!             └──its time──── Parked ──something changed──▶ Resting ──its time──▶ Ready
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::Key;
use api::clock::add;
use jiff::Timestamp;

use super::demand::Demand;

/// The first wait of a pod that found no node; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The longest wait of a pod while something changed that could help it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A pod that found no node is tried again after this long even if nothing that could help it was seen.
const PARKED_FOR: Duration = Duration::from_secs(300);

/// A pod that waits for a node.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Namespace and name.
    pub key: Key,
    /// The uid.
    pub uid: Arc<str>,
    /// The generation of its spec that the demand was read from.
    pub generation: i64,
    /// What it asks for.
    pub demand: Arc<Demand>,
    /// When it was seen first.
    pub since: Timestamp,
}

#[derive(Debug)]
struct Entry {
    pod: Pending,
    attempts: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// With its turn.
    Ready(u64),
    /// Taken, and not yet decided.
    Taken,
    /// Until this time; found no node, and could try again from the first time on.
    Parked { rested: Timestamp, until: Timestamp },
    /// Until this time.
    Resting(Timestamp),
}

/// The pods that wait for a node: the most important first, then the first come.
#[derive(Debug, Default)]
pub struct Waiting {
    entries: BTreeMap<Key, Entry>,
    ready: BTreeSet<(Reverse<i32>, u64, Key)>,
    timers: BTreeSet<(Timestamp, Key)>,
    turn: u64,
    /// How many are parked.
    parked: usize,
}

impl Waiting {
    /// Lets a pod wait. One that waits already keeps its place, unless it asks for something else now.
    pub fn add(&mut self, pod: Pending) {
        if let Some(entry) = self.entries.get(&pod.key)
            && entry.pod.uid == pod.uid
            && entry.pod.generation == pod.generation
        {
            return;
        }
        self.remove(&pod.key);
        let key = pod.key.clone();
        let entry = Entry { pod, attempts: 0, place: Place::Taken };
        self.entries.insert(key.clone(), entry);
        self.make_ready(&key);
    }

    /// Forgets a pod.
    pub fn remove(&mut self, key: &Key) {
        self.leave(key);
        self.entries.remove(key);
    }

    /// The pod whose turn it is. It keeps its entry until it is removed, parked or retried.
    pub fn take(&mut self, now: Timestamp) -> Option<Pending> {
        while self.timers.first().is_some_and(|(time, _)| *time <= now) {
            if let Some((_, key)) = self.timers.pop_first() {
                self.make_ready(&key);
            }
        }
        let (_, _, key) = self.ready.pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        entry.place = Place::Taken;
        Some(entry.pod.clone())
    }

    /// A pod found no node: it waits until something changes.
    pub fn park(&mut self, key: &Key, now: Timestamp) {
        let wait = self.next_wait(key);
        let until = add(now, PARKED_FOR);
        self.settle(key, Place::Parked { rested: add(now, wait), until }, until);
    }

    /// A pod is tried again after a while.
    pub fn retry(&mut self, pod: Pending, now: Timestamp) {
        let key = pod.key.clone();
        self.entries.entry(key.clone()).or_insert(Entry { pod, attempts: 0, place: Place::Taken });
        let until = add(now, self.next_wait(&key));
        self.settle(&key, Place::Resting(until), until);
    }

    /// Something changed that could help: all who found no node try again when they have rested.
    pub fn wake(&mut self, now: Timestamp) {
        let parked: Vec<(Key, Timestamp)> = self
            .entries
            .iter()
            .filter_map(|(key, entry)| match entry.place {
                Place::Parked { rested, .. } => Some((key.clone(), rested)),
                _ => None,
            })
            .collect();
        for (key, rested) in parked {
            if rested <= now {
                self.make_ready(&key);
            } else {
                self.settle(&key, Place::Resting(rested), rested);
            }
        }
    }

    /// When the next pod's wait ends.
    pub fn next_time(&self) -> Option<Timestamp> {
        self.timers.first().map(|(time, _)| *time)
    }

    /// How many wait for their turn, for a while, and for a change.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.ready.len(), self.timers.len() - self.parked, self.parked)
    }

    fn next_wait(&mut self, key: &Key) -> Duration {
        let Some(entry) = self.entries.get_mut(key) else {
            return FIRST_WAIT;
        };
        let factor = 1_u32.checked_shl(entry.attempts).unwrap_or(u32::MAX);
        entry.attempts = entry.attempts.saturating_add(1);
        FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
    }

    fn settle(&mut self, key: &Key, place: Place, until: Timestamp) {
        self.leave(key);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.place = place;
            self.parked += usize::from(matches!(place, Place::Parked { .. }));
            self.timers.insert((until, key.clone()));
        }
    }

    fn make_ready(&mut self, key: &Key) {
        self.leave(key);
        if let Some(entry) = self.entries.get_mut(key) {
            self.turn += 1;
            entry.place = Place::Ready(self.turn);
            let priority = Reverse(entry.pod.demand.priority);
            self.ready.insert((priority, self.turn, key.clone()));
        }
    }

    /// Takes a pod out of where it stands, but not its entry.
    fn leave(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let priority = Reverse(entry.pod.demand.priority);
        match std::mem::replace(&mut entry.place, Place::Taken) {
            Place::Ready(turn) => drop(self.ready.remove(&(priority, turn, key.clone()))),
            Place::Parked { until, .. } => {
                self.parked -= 1;
                self.timers.remove(&(until, key.clone()));
            }
            Place::Resting(until) => drop(self.timers.remove(&(until, key.clone()))),
            Place::Taken => {}
        }
    }
}
