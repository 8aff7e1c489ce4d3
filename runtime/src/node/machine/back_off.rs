//! How long to wait before trying again: 10 s, then twice as long each time, 5 min at most; for volumes from half a second.

use std::time::Duration;

/// What is tried again, hence how patiently.
#[derive(Clone, Copy, Debug)]
struct Pace {
    first: Duration,
    longest: Duration,
}

const USUAL: Pace = Pace { first: Duration::from_secs(10), longest: Duration::from_secs(300) };
/// As the kubelet mounts: what is missing is often about to be made.
const MOUNT: Pace = Pace { first: Duration::from_millis(500), longest: Duration::from_secs(122) };

/// Grows with each failure. Starts anew from its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct BackOff {
    last: Duration,
}

impl BackOff {
    /// The wait after a failed attempt.
    pub(super) fn next_retry(&mut self) -> Duration {
        self.grow(USUAL)
    }

    /// The wait after a failed attempt to make volumes.
    pub(super) fn next_mount(&mut self) -> Duration {
        self.grow(MOUNT)
    }

    /// The wait before a container that ended runs again: none the first time.
    pub(super) fn next_restart(&mut self) -> Duration {
        let wait = self.last;
        self.grow(USUAL);
        wait
    }

    fn grow(&mut self, pace: Pace) -> Duration {
        self.last = (self.last * 2).clamp(pace.first, pace.longest);
        self.last
    }
}

/// Whole seconds as Kubernetes' messages have them: `10s`, `2m40s`, `5m0s`.
pub(super) fn words(span: Duration) -> String {
    let (minutes, seconds) = (span.as_secs() / 60, span.as_secs() % 60);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let mut restarts = BackOff::default();
        let waits: Vec<String> = (0..8).map(|_| words(restarts.next_restart())).collect();
        assert_eq!(waits, ["0s", "10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
        assert_eq!(words(BackOff::default().next_retry()), "10s");
        let mut mounts = BackOff::default();
        let waits: Vec<u128> = (0..10).map(|_| mounts.next_mount().as_millis()).collect();
        assert_eq!(waits[..3], [500, 1000, 2000]);
        assert_eq!(waits[7..], [64_000, 122_000, 122_000]);
    }
}
