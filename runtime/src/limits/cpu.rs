//! CPU time: a bucket per container that a guest's polls are charged to, and the future that charges and waits.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::Clock;
use jiff::Timestamp;

/// Each period of this length brings a container its share, as the Linux scheduler does.
const PERIOD: Duration = Duration::from_millis(100);

/// A share of CPU time per period. What is overrun is owed to later periods; what is left over is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    share_nanos: i128,
    left_nanos: i128,
    period_start: Timestamp,
}

impl Bucket {
    fn new(millis: u32, now: Timestamp) -> Self {
        // At least one thousandth of a core: with no share at all a debt would never be paid.
        let share_nanos = PERIOD.as_nanos() as i128 * i128::from(millis.max(1)) / 1000;
        Self { share_nanos, left_nanos: share_nanos, period_start: now }
    }

    /// Charges `spent` and says how long to wait before running on.
    fn spend(&mut self, spent: Duration, now: Timestamp) -> Option<Duration> {
        self.refill(now);
        self.left_nanos -= spent.as_nanos() as i128;
        if self.left_nanos > 0 {
            return None;
        }
        let periods = (-self.left_nanos / self.share_nanos + 1) as u32;
        let wake = api::clock::add(self.period_start, PERIOD.saturating_mul(periods));
        api::clock::until(now, wake)
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.period_start);
        if passed.is_negative() {
            // The wall clock was set back: begin a period here.
            self.period_start = now;
            return;
        }
        let periods = passed.as_nanos() / PERIOD.as_nanos() as i128;
        self.left_nanos = (self.left_nanos + periods * self.share_nanos).min(self.share_nanos);
        let whole = Duration::from_nanos((periods * PERIOD.as_nanos() as i128) as u64);
        self.period_start = api::clock::add(self.period_start, whole);
    }
}

/// Counts the CPU time of a container, or of a pod, and says when it must wait.
#[derive(Debug)]
pub struct CpuMeter {
    limit_millis: Option<u32>,
    /// Begun at the first charge.
    bucket: Mutex<Option<Bucket>>,
    used_nanos: AtomicU64,
    held_nanos: AtomicU64,
    parent: Option<Arc<CpuMeter>>,
}

impl CpuMeter {
    /// A meter of its own, for a limit in thousandths of a core.
    pub fn new(limit_millis: Option<u32>) -> Arc<Self> {
        Self::of(limit_millis, None)
    }

    /// A meter whose charges count in `parent` too.
    pub fn within(parent: &Arc<CpuMeter>, limit_millis: Option<u32>) -> Arc<Self> {
        Self::of(limit_millis, Some(Arc::clone(parent)))
    }

    fn of(limit_millis: Option<u32>, parent: Option<Arc<CpuMeter>>) -> Arc<Self> {
        Arc::new(Self {
            limit_millis,
            bucket: Mutex::new(None),
            used_nanos: AtomicU64::new(0),
            held_nanos: AtomicU64::new(0),
            parent,
        })
    }

    /// All that was spent so far.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used_nanos.load(Ordering::Relaxed))
    }

    /// How long its guests were held back for lack of a share, each counted for itself.
    pub fn held(&self) -> Duration {
        Duration::from_nanos(self.held_nanos.load(Ordering::Relaxed))
    }

    fn add_held(&self, span: Duration) {
        self.held_nanos.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Charges `spent` here and around, and says how long the spender has to wait.
    pub fn spend(&self, spent: Duration, now: Timestamp) -> Option<Duration> {
        self.used_nanos.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        let own = self.limit_millis.and_then(|millis| {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.get_or_insert_with(|| Bucket::new(millis, now)).spend(spent, now)
        });
        let outer = self.parent.as_ref().and_then(|parent| parent.spend(spent, now));
        own.max(outer)
    }
}

/// Tells how much CPU time a thread has spent. Tests give a script in its place.
pub trait ThreadTime: Send + Sync {
    /// The CPU time of the calling thread so far.
    fn spent(&self) -> Duration;
}

/// The kernel's account of the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelThreadTime;

impl ThreadTime for KernelThreadTime {
    fn spent(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// How guests are charged: one for all guests of an engine.
#[derive(Clone)]
pub struct Metering {
    clock: Clock,
    thread_time: Arc<dyn ThreadTime>,
    /// What each poll costs besides, all of it waited for.
    toll: Duration,
}

impl Metering {
    /// Charges the CPU time that `thread_time` tells.
    pub fn by_thread_time(clock: Clock, thread_time: Arc<dyn ThreadTime>) -> Self {
        Self { clock, thread_time, toll: Duration::ZERO }
    }

    /// Charges every poll the same, and lets that time pass: under virtual time a guest that loops would otherwise
    /// stand still with the clock.
    pub fn by_poll(clock: Clock, toll: Duration) -> Self {
        struct NoTime;
        impl ThreadTime for NoTime {
            fn spent(&self) -> Duration {
                Duration::ZERO
            }
        }
        Self { clock, thread_time: Arc::new(NoTime), toll }
    }

    /// Runs `guest`, charging `meter` and waiting when it says so.
    pub async fn run<F: Future>(&self, meter: &CpuMeter, guest: F) -> F::Output {
        // Guests before it may have left a debt: one that ends within a poll leaves before it has to wait.
        if let Some(span) = meter.spend(Duration::ZERO, self.clock.now()) {
            self.hold(meter, span).await;
        }
        let metered = Metered { guest: pin!(guest), meter, metering: self, wait: None };
        metered.await
    }

    /// Lets a guest wait for its share.
    async fn hold(&self, meter: &CpuMeter, span: Duration) {
        let since = self.clock.now();
        self.clock.sleep(span).await;
        meter.add_held(api::clock::until(since, self.clock.now()).unwrap_or_default());
    }
}

impl fmt::Debug for Metering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metering").field("toll", &self.toll).finish_non_exhaustive()
    }
}

struct Metered<'a, F> {
    guest: Pin<&'a mut F>,
    meter: &'a CpuMeter,
    metering: &'a Metering,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
}

impl<'a, F: Future> Future for Metered<'a, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        let metering = self.metering;
        let before = metering.thread_time.spent();
        let outcome = self.guest.as_mut().poll(context);
        let spent = metering.thread_time.spent().saturating_sub(before) + metering.toll;
        let wait = self.meter.spend(spent, metering.clock.now());
        let toll = (!metering.toll.is_zero()).then_some(metering.toll);
        if outcome.is_pending()
            && let Some(span) = wait.max(toll)
        {
            let meter = self.meter;
            let mut wait: Pin<Box<dyn Future<Output = ()> + Send + 'a>> = if wait.is_some() {
                Box::pin(metering.hold(meter, span))
            } else {
                Box::pin(metering.clock.sleep(span))
            };
            match wait.as_mut().poll(context) {
                Poll::Pending => self.wait = Some(wait),
                // The guest has its own reason to be polled again, or asked for it.
                Poll::Ready(()) => context.waker().wake_by_ref(),
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
