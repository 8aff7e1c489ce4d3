//! What the store counts, as plain numbers for metrics.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::SignedDuration;

use super::history::lock;

/// Bounds of the sizes of groups.
const GROUP_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Bounds of the seconds it takes to write a group and sync it.
const SYNC_BOUNDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// How often a value was seen within each bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper bounds, ascending; the last count is of values beyond all of them.
    pub bounds: &'static [f64],
    /// How many values are within each bound and beyond the one before.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn observe(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at] += 1;
        self.sum += value;
    }

    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The figures of a store since it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Objects there are, by resource such as `deployments.apps`.
    pub objects: BTreeMap<String, usize>,
    /// Writes carried out.
    pub writes: u64,
    /// Writes refused as the object was not as expected.
    pub conflicts: u64,
    /// Writes refused as the disk failed or was full.
    pub failures: u64,
    /// Writes carried out together.
    pub groups: Histogram,
    /// Seconds to write a group and sync it. Empty in memory and in virtual time.
    pub syncs: Histogram,
    /// Bytes written to the disk, those of checkpoints among them.
    pub written_bytes: u64,
    /// Bytes of the log in use: what the base does not hold yet.
    pub log_bytes: u64,
    /// The length of the base.
    pub base_bytes: u64,
    /// The length of all files.
    pub file_bytes: u64,
    /// How often what was in the log went to the base.
    pub checkpoints: u64,
    /// Whether the disk failed, so that nothing is written until a restart.
    pub failed: bool,
}

/// Where the store counts.
pub(super) struct Counters(Mutex<Figures>);

impl Default for Counters {
    fn default() -> Self {
        Self(Mutex::new(Figures {
            objects: BTreeMap::new(),
            writes: 0,
            conflicts: 0,
            failures: 0,
            groups: Histogram::new(GROUP_BOUNDS),
            syncs: Histogram::new(SYNC_BOUNDS),
            written_bytes: 0,
            log_bytes: 0,
            base_bytes: 0,
            file_bytes: 0,
            checkpoints: 0,
            failed: false,
        }))
    }
}

impl Counters {
    /// The counts so far.
    pub(super) fn read(&self) -> Figures {
        lock(&self.0).clone()
    }

    /// A group was carried out, or refused by the disk.
    pub(super) fn grouped(&self, writes: u64, conflicts: u64, failed: bool) {
        let mut figures = lock(&self.0);
        figures.conflicts += conflicts;
        if failed {
            figures.failures += writes;
        } else if writes > 0 {
            figures.writes += writes;
            // Far below the numbers that a float cannot tell apart.
            figures.groups.observe(writes as f64);
        }
    }

    /// So many bytes were written and synced.
    pub(super) fn synced(&self, bytes: usize, span: Option<SignedDuration>) {
        let mut figures = lock(&self.0);
        figures.written_bytes += bytes as u64;
        if let Some(span) = span {
            // Wall time may step back meanwhile.
            figures.syncs.observe(span.as_secs_f64().max(0.0));
        }
    }

    /// A checkpoint was made, which wrote so many bytes.
    pub(super) fn checkpointed(&self, bytes: u64) {
        let mut figures = lock(&self.0);
        figures.checkpoints += 1;
        figures.written_bytes += bytes;
    }

    /// The files have these sizes.
    pub(super) fn measured(&self, log_bytes: u64, base_bytes: u64, file_bytes: u64, failed: bool) {
        let mut figures = lock(&self.0);
        (figures.log_bytes, figures.base_bytes) = (log_bytes, base_bytes);
        (figures.file_bytes, figures.failed) = (file_bytes, failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_within_the_first_bound_that_holds_it() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        [0.5, 1.0, 1.5, 7.0].into_iter().for_each(|value| histogram.observe(value));
        assert_eq!((histogram.counts.as_slice(), histogram.count()), ([2, 1, 1].as_slice(), 4));
    }
}
