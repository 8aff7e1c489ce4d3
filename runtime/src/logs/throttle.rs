//! Lets a container write at a rate, with a burst; what it wrote beyond is a debt it waits for.

use std::time::Duration;

use api::clock;
use jiff::Timestamp;

/// A bucket of bytes that may be written, refilled with time; below zero it is a debt.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_second: i64,
    burst: i64,
    /// What may be written still, as of `refilled`.
    balance: i64,
    refilled: Timestamp,
    /// How long writers were held back.
    held: Duration,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: u64, burst: u64, now: Timestamp) -> Self {
        let burst = signed(burst);
        Self {
            bytes_per_second: signed(bytes_per_second).max(1),
            burst,
            balance: burst,
            refilled: now,
            held: Duration::ZERO,
        }
    }

    /// Takes what is written, whether there is as much or not.
    pub(super) fn take(&mut self, bytes: usize, now: Timestamp) {
        self.refill(now);
        self.balance = self.balance.saturating_sub(signed(bytes as u64));
    }

    /// When the debt will be paid; none if there is none.
    pub(super) fn ready_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.refill(now);
        let debt = u64::try_from(self.balance.saturating_neg()).unwrap_or(0);
        if debt == 0 {
            return None;
        }
        let rate = self.bytes_per_second as u64;
        let millis = debt.saturating_mul(1000).div_ceil(rate);
        Some(clock::add(now, Duration::from_millis(millis)))
    }

    /// Counts the time that a writer was held back.
    pub(super) fn add_held(&mut self, span: Duration) {
        self.held = self.held.saturating_add(span);
    }

    /// How long writers were held back so far, each counted for itself.
    pub(super) fn held(&self) -> Duration {
        self.held
    }

    /// Wall time may step back: then nothing is paid, and counting goes on from there.
    fn refill(&mut self, now: Timestamp) {
        let elapsed = clock::until(self.refilled, now).unwrap_or_default();
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let paid = (i128::from(micros) * i128::from(self.bytes_per_second) / 1_000_000)
            .min(i128::from(i64::MAX)) as i64;
        if paid > 0 || now < self.refilled {
            self.balance = self.balance.saturating_add(paid).min(self.burst);
            self.refilled = now;
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
