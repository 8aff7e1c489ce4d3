//! CPU: a meter per container and pod that counts what guests use, in time or in fuel, and says when they must wait.

mod bucket;
mod fuel;
mod metering;
#[cfg(test)]
mod tests;
mod weights;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use bucket::Bucket;
pub use bucket::Periods;
pub use fuel::{FuelExhausted, FuelGauge};
pub use metering::{KernelThreadTime, Metering, ThreadTime};
pub use weights::Weights;

/// What limits of CPU are counted in. A core is worth 1,000,000,000 a second of either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Currency {
    /// Nanoseconds that a thread computed.
    #[default]
    Time,
    /// Instructions: what a deterministic guest needs is the same on every machine and in every run.
    Fuel,
}

/// Counts what a container, or a pod, uses, and says when it must wait.
#[derive(Debug)]
pub struct CpuMeter {
    currency: Currency,
    /// Thousandths of a core; `UNLIMITED` for none.
    limit_millis: AtomicU32,
    /// All the fuel there is for it.
    budget: Option<u64>,
    /// Thousandths of a core it asked for: its weight among others.
    request_millis: u32,
    /// Begun at the first charge.
    bucket: Mutex<Option<Bucket>>,
    used_nanos: AtomicU64,
    used_fuel: AtomicU64,
    held_nanos: AtomicU64,
    /// How far it is ahead of others that share the threads.
    standing: weights::Standing,
    parent: Option<Arc<CpuMeter>>,
}

const UNLIMITED: u32 = u32::MAX;

impl CpuMeter {
    /// A meter of its own, for a limit in thousandths of a core.
    pub fn new(currency: Currency, limit_millis: Option<u32>) -> Arc<Self> {
        Arc::new(Self::of(currency, limit_millis))
    }

    /// A meter whose charges count in `parent` too, with the CPU it asked for and a budget of fuel.
    pub fn within(
        parent: &Arc<CpuMeter>,
        limit_millis: Option<u32>,
        request_millis: u32,
        budget: Option<u64>,
    ) -> Arc<Self> {
        let own = Self::of(parent.currency, limit_millis);
        Arc::new(Self { parent: Some(Arc::clone(parent)), request_millis, budget, ..own })
    }

    fn of(currency: Currency, limit_millis: Option<u32>) -> Self {
        Self {
            currency,
            limit_millis: AtomicU32::new(limit_millis.unwrap_or(UNLIMITED)),
            budget: None,
            request_millis: 0,
            bucket: Mutex::new(None),
            used_nanos: AtomicU64::new(0),
            used_fuel: AtomicU64::new(0),
            held_nanos: AtomicU64::new(0),
            standing: weights::Standing::default(),
            parent: None,
        }
    }

    /// What its limits are counted in.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The limit in thousandths of a core.
    pub fn limit_millis(&self) -> Option<u32> {
        Some(self.limit_millis.load(Ordering::Relaxed)).filter(|millis| *millis != UNLIMITED)
    }

    /// Another limit from now on.
    pub fn set_limit(&self, limit_millis: Option<u32>) {
        let mut bucket = self.bucket();
        self.limit_millis.store(limit_millis.unwrap_or(UNLIMITED), Ordering::Relaxed);
        match (limit_millis, &mut *bucket) {
            (Some(millis), Some(bucket)) => bucket.resize(millis),
            _ => *bucket = None,
        }
    }

    /// The share it asked for, in thousandths of a core.
    pub fn request_millis(&self) -> u32 {
        self.request_millis
    }

    /// The CPU time spent so far.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used_nanos.load(Ordering::Relaxed))
    }

    /// The fuel burnt so far.
    pub fn used_fuel(&self) -> u64 {
        self.used_fuel.load(Ordering::Relaxed)
    }

    /// What is left of the budget of fuel; a number that is never used up if there is none.
    pub fn fuel_left(&self) -> u64 {
        self.budget.map_or(u64::MAX, |budget| budget.saturating_sub(self.used_fuel()))
    }

    /// How long its guests were held back for lack of a share, each counted for itself.
    pub fn held(&self) -> Duration {
        Duration::from_nanos(self.held_nanos.load(Ordering::Relaxed))
    }

    /// In how many periods its limit was looked at; none without a limit.
    pub fn periods(&self) -> Periods {
        self.bucket().map(|bucket| bucket.periods()).unwrap_or_default()
    }

    fn add_held(&self, span: Duration) {
        self.held_nanos.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Charges CPU time here and around, and says how long the spender has to wait.
    pub fn spend(&self, spent: Duration, now: Timestamp) -> Option<Duration> {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.charge(nanos, Currency::Time, now)
    }

    /// Charges fuel here and around, and says how long who burnt it has to wait.
    pub fn burn(&self, fuel: u64, now: Timestamp) -> Option<Duration> {
        self.charge(fuel, Currency::Fuel, now)
    }

    /// How long whoever wants to begin now has to wait for what others overran.
    fn debt(&self, now: Timestamp) -> Option<Duration> {
        self.charge(0, self.currency, now)
    }

    fn charge(&self, amount: u64, currency: Currency, now: Timestamp) -> Option<Duration> {
        let used = match currency {
            Currency::Time => &self.used_nanos,
            Currency::Fuel => &self.used_fuel,
        };
        used.fetch_add(amount, Ordering::Relaxed);
        // The limit holds in one currency, the other is only told.
        let limit = self.limit_millis().filter(|_| currency == self.currency);
        let own = limit.and_then(|millis| {
            self.bucket().get_or_insert_with(|| Bucket::new(millis, now)).spend(amount, now)
        });
        let outer = self.parent.as_ref().and_then(|parent| parent.charge(amount, currency, now));
        own.max(outer)
    }

    fn bucket(&self) -> MutexGuard<'_, Option<Bucket>> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
