//! Under which pressure a node is, and when that has lasted long enough for a pod to go. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use api::clock::add;
use jiff::Timestamp;

use super::threshold::{Lack, Observation, Observations, Threshold};

/// How long a condition holds after the last threshold behind it was met, as with the kubelet: so a node that is relieved by
/// an eviction is not filled again at once.
pub(super) const TRANSITION: Duration = Duration::from_secs(300);

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Watch {
    thresholds: Vec<Threshold>,
    /// Since when each threshold is met, in their order.
    met_since: Vec<Option<Timestamp>>,
    last_seen: BTreeMap<Lack, Timestamp>,
}

/// A threshold for which a pod has to go now, and what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) threshold: Threshold,
    pub(super) observed: Observation,
}

/// The conditions of a node about its room, each with the time at which it last turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Pressure {
    pub(in crate::node) memory: bool,
    pub(in crate::node) memory_since: Timestamp,
    pub(in crate::node) disk: bool,
    pub(in crate::node) disk_since: Timestamp,
}

impl Pressure {
    /// None, since the node began.
    pub(in crate::node) fn none(since: Timestamp) -> Self {
        Self { memory: false, memory_since: since, disk: false, disk_since: since }
    }

    /// The names of the conditions that hold.
    pub(in crate::node) fn names(&self) -> Vec<&'static str> {
        let names = [("MemoryPressure", self.memory), ("DiskPressure", self.disk)];
        names.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
    }

    /// Takes in which conditions hold now.
    pub(super) fn turn(&mut self, memory: bool, disk: bool, now: Timestamp) {
        if self.memory != memory {
            (self.memory, self.memory_since) = (memory, now);
        }
        if self.disk != disk {
            (self.disk, self.disk_since) = (disk, now);
        }
    }
}

impl Watch {
    pub(super) fn new(thresholds: Vec<Threshold>) -> Self {
        Self { met_since: vec![None; thresholds.len()], thresholds, last_seen: BTreeMap::new() }
    }

    /// Takes in what was found; says for which threshold a pod has to go, memory before all others.
    pub(super) fn observe(&mut self, observations: &Observations, now: Timestamp) -> Option<Due> {
        let mut due: Vec<Due> = Vec::new();
        for (threshold, met_since) in self.thresholds.iter().zip(&mut self.met_since) {
            let observed = observations.get(&threshold.signal).filter(|_| threshold.is_met(observations));
            let Some(observed) = observed else {
                *met_since = None;
                continue;
            };
            self.last_seen.insert(threshold.signal.lack(), now);
            if add(*met_since.get_or_insert(now), threshold.patience) <= now {
                due.push(Due { threshold: *threshold, observed: *observed });
            }
        }
        due.into_iter().min_by_key(|due| due.threshold.signal)
    }

    /// Whether a condition holds.
    pub(super) fn is_under(&self, lack: Lack, now: Timestamp) -> bool {
        self.last_seen.get(&lack).is_some_and(|seen| now < add(*seen, TRANSITION))
    }
}

#[cfg(test)]
mod tests {
    use super::super::threshold::Signal;
    use super::*;

    /// At each row's second, so many bytes of memory and parts of a thousand of the disk are left. Says for what a pod has
    /// to go, and which conditions hold.
    fn play(hard: &str, soft: &str, rows: &[(u64, u64, u64)]) -> Vec<String> {
        let mut thresholds = Threshold::read(hard, Duration::ZERO).expect("thresholds");
        thresholds.extend(Threshold::read(soft, Duration::from_secs(60)).expect("thresholds"));
        let mut watch = Watch::new(thresholds);
        let mut pressure = Pressure::none(Timestamp::UNIX_EPOCH);
        let rows = rows.iter().map(|(second, memory, disk)| {
            let now = add(Timestamp::UNIX_EPOCH, Duration::from_secs(*second));
            let found = |available: &u64| Observation { available: *available, capacity: 1000 };
            let found =
                [(Signal::NodefsAvailable, found(disk)), (Signal::MemoryAvailable, found(memory))].into();
            let due = watch.observe(&found, now).map_or("-".to_owned(), |due| due.threshold.to_string());
            pressure.turn(watch.is_under(Lack::Memory, now), watch.is_under(Lack::Disk, now), now);
            format!("{due} {}", pressure.names().join("+"))
        });
        rows.collect()
    }

    #[test]
    fn a_hard_threshold_holds_at_once_and_its_condition_for_a_while() {
        let hard = "nodefs.available<10%,memory.available<100";
        let check = |rows: &[(u64, u64, u64)], expected: &[&str]| assert_eq!(play(hard, "", rows), expected);
        check(&[(0, 100, 100)], &["- "]);
        check(&[(0, 99, 100)], &["memory.available<100 MemoryPressure"]);
        check(&[(0, 1000, 99)], &["nodefs.available<10% DiskPressure"]);
        // Memory comes first.
        check(&[(0, 0, 0)], &["memory.available<100 MemoryPressure+DiskPressure"]);
        check(
            &[(0, 99, 500), (10, 500, 500), (299, 500, 500), (300, 500, 500)],
            &["memory.available<100 MemoryPressure", "- MemoryPressure", "- MemoryPressure", "- "],
        );
    }

    #[test]
    fn a_soft_threshold_waits_for_its_patience() {
        let check = |rows: &[(u64, u64, u64)], expected: &[&str]| {
            assert_eq!(play("", "memory.available<100", rows), expected);
        };
        check(
            &[(0, 99, 500), (59, 99, 500), (60, 99, 500)],
            &["- MemoryPressure", "- MemoryPressure", "memory.available<100 MemoryPressure"],
        );
        // What is relieved begins anew.
        check(
            &[(0, 99, 500), (30, 500, 500), (60, 99, 500)],
            &["- MemoryPressure", "- MemoryPressure", "- MemoryPressure"],
        );
    }
}
