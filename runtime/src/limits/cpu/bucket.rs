//! A share of CPU per period. What is overrun is owed to later periods; what is left over is lost. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// Each period of this length brings a container its share, as the Linux scheduler does.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// What a whole core is worth in a period: nanoseconds, or as many units of fuel.
const CORE: i128 = PERIOD.as_nanos() as i128;

/// The share of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    share: i128,
    left: i128,
    period_start: Timestamp,
    /// The number of the period that began then, the first being 0.
    period: u64,
    /// Up to which period they were counted as used, and as throttled.
    used_to: u64,
    throttled_to: u64,
    periods: Periods,
}

/// In how many periods a limit was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Periods {
    /// Those in which something ran, or would have.
    pub all: u64,
    /// Those in which something was held back.
    pub throttled: u64,
}

impl Bucket {
    pub(super) fn new(millis: u32, now: Timestamp) -> Self {
        let share = share(millis);
        Self {
            share,
            left: share,
            period_start: now,
            period: 0,
            used_to: 0,
            throttled_to: 0,
            periods: Periods::default(),
        }
    }

    /// Another limit holds from now on; what was spent in this period stays spent.
    pub(super) fn resize(&mut self, millis: u32) {
        let share = share(millis);
        self.left += share - self.share;
        self.share = share;
    }

    pub(super) fn periods(&self) -> Periods {
        self.periods
    }

    /// Charges `spent` and says how long to wait before running on.
    pub(super) fn spend(&mut self, spent: u64, now: Timestamp) -> Option<Duration> {
        self.refill(now);
        self.left -= i128::from(spent);
        self.used_to = self.count_to(self.used_to, 1);
        if self.left > 0 {
            return None;
        }
        let periods = u32::try_from(-self.left / self.share + 1).unwrap_or(u32::MAX);
        let throttled = self.throttled_to.max(self.period);
        self.throttled_to = throttled.max(self.period + u64::from(periods));
        self.periods.throttled += self.throttled_to - throttled;
        self.used_to = self.count_to(self.used_to, periods);
        let wake = api::clock::add(self.period_start, PERIOD.saturating_mul(periods));
        api::clock::until(now, wake)
    }

    /// Counts this period and those after it, `periods` in all, unless they were counted.
    fn count_to(&mut self, counted: u64, periods: u32) -> u64 {
        let from = counted.max(self.period);
        let to = from.max(self.period + u64::from(periods));
        self.periods.all += to - from;
        to
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.period_start);
        if passed.is_negative() {
            // The wall clock was set back: begin a period here.
            self.period_start = now;
            return;
        }
        let periods = passed.as_nanos() / CORE;
        self.left = (self.left + periods * self.share).min(self.share);
        self.period += periods as u64;
        let whole = Duration::from_nanos((periods * CORE) as u64);
        self.period_start = api::clock::add(self.period_start, whole);
    }
}

/// At least one thousandth of a core: with no share at all a debt would never be paid.
fn share(millis: u32) -> i128 {
    CORE * i128::from(millis.max(1)) / 1000
}
