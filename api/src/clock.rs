//! The one clock of a process: the system's wall time, or virtual time that tests pause and advance.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time and waits for it. Nothing else in Peapod reads a clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Virtual { start: Timestamp, origin: Instant },
}

/// The longest single wait of the real clock: wall time steps and machines sleep, so it is read again at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Clock {
    /// The system's wall time.
    pub fn real() -> Self {
        Self(Source::Real)
    }

    /// A clock that starts at `start` and goes on with tokio's time, which a test pauses.
    ///
    /// Must be called inside a tokio runtime.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self(Source::Virtual { start, origin: Instant::now() })
    }

    /// Whether time is virtual, so that all work must stay on the one thread of its runtime.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Source::Virtual { .. })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Real => Timestamp::now(),
            Source::Virtual { start, origin } => add(*start, origin.elapsed()),
        }
    }

    /// Waits until `deadline`; returns at once if it has passed.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        while let Some(remaining) = until(self.now(), deadline) {
            tokio::time::sleep(remaining.min(LONGEST_WAIT)).await;
        }
    }

    /// Waits for a span of time.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(add(self.now(), span)).await;
    }
}

/// `time` later by `span`, or the end of time.
pub fn add(time: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| time.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

/// The time left from `now` to `deadline`; none if it has passed.
pub fn until(now: Timestamp, deadline: Timestamp) -> Option<Duration> {
    let left = deadline.duration_since(now);
    if left.is_positive() { left.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_day_of_virtual_time_passes_at_once() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let clock = Clock::virtual_from(start);
        clock.sleep(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now().to_string(), "2026-01-02T00:00:00Z");
        clock.sleep_until(start).await;
        assert_eq!(clock.now().to_string(), "2026-01-02T00:00:00Z");
    }
}
