//! How long to wait before trying again: 10 s, then twice as long each time, 5 min at most.

use std::time::Duration;

const FIRST_SECONDS: u64 = 10;
const LONGEST_SECONDS: u64 = 300;

/// Grows with each failure. Starts anew from its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct BackOff {
    seconds: u64,
}

impl BackOff {
    /// The wait after a failed attempt.
    pub(super) fn next_retry(&mut self) -> Duration {
        self.grow();
        Duration::from_secs(self.seconds)
    }

    /// The wait before a container that ended runs again: none the first time.
    pub(super) fn next_restart(&mut self) -> Duration {
        let wait = Duration::from_secs(self.seconds);
        self.grow();
        wait
    }

    fn grow(&mut self) {
        self.seconds = (self.seconds * 2).clamp(FIRST_SECONDS, LONGEST_SECONDS);
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
    }
}
