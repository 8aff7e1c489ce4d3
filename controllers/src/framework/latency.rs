//! How long something took, counted by magnitude: what a Prometheus histogram is made from.

use std::time::Duration;

/// The upper bounds of the counts, in seconds: those of the `workqueue_*` metrics of Kubernetes.
pub const BOUNDS_SECONDS: [f64; 12] =
    [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0];

/// Durations, counted by magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latencies {
    /// How many there were.
    pub count: u64,
    /// All of them together.
    pub sum_seconds: f64,
    /// How many were no longer than each of [`BOUNDS_SECONDS`]; a shorter one is counted in all that follow, too.
    pub within: [u64; BOUNDS_SECONDS.len()],
}

impl Latencies {
    /// Counts one.
    pub(crate) fn note(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.count += 1;
        self.sum_seconds += seconds;
        for (count, bound) in self.within.iter_mut().zip(BOUNDS_SECONDS) {
            *count += u64::from(seconds <= bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_ones_are_counted_in_all_longer_magnitudes() {
        let mut latencies = Latencies::default();
        for millis in [0, 5, 2000] {
            latencies.note(Duration::from_millis(millis));
        }
        assert_eq!(latencies.count, 3);
        assert!((latencies.sum_seconds - 2.005).abs() < 1e-9);
        assert_eq!(latencies.within, [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    }
}
