//! Runs guests so that their CPU time is charged, and lets them wait for their share.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::Clock;

use super::CpuMeter;
use super::weights::Weights;

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
    weights: Arc<Weights>,
    /// What each poll costs besides, all of it waited for.
    toll: Duration,
}

impl Metering {
    /// Charges the CPU time that `thread_time` tells. Guests that share threads have the same `weights`.
    pub fn by_thread_time(clock: Clock, thread_time: Arc<dyn ThreadTime>, weights: Arc<Weights>) -> Self {
        Self { clock, thread_time, weights, toll: Duration::ZERO }
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
        Self { clock, thread_time: Arc::new(NoTime), weights: Weights::none(), toll }
    }

    /// Runs `guest`, charging `meter` and waiting when it says so.
    pub async fn run<F: Future>(&self, meter: &CpuMeter, guest: F) -> F::Output {
        // Guests before it may have left a debt: one that ends within a poll leaves before it has to wait.
        if let Some(span) = meter.debt(self.clock.now()) {
            self.hold(meter, span).await;
        }
        let metered = Metered { guest: pin!(guest), meter, metering: self, wait: None };
        metered.await
    }

    /// Lets a guest wait for its share.
    pub async fn hold(&self, meter: &CpuMeter, span: Duration) {
        let since = self.clock.now();
        self.clock.sleep(span).await;
        meter.add_held(api::clock::until(since, self.clock.now()).unwrap_or_default());
    }

    /// Charges a turn, and says what the guest has to wait for before its next.
    fn charge<'a>(&'a self, meter: &'a CpuMeter, spent: Duration) -> Option<Wait<'a>> {
        let now = self.clock.now();
        if let Some(span) = meter.spend(spent, now) {
            return Some(Box::pin(self.hold(meter, span.max(self.toll))));
        }
        if let Some(rest) = self.weights.take_turn(meter, spent, now) {
            return Some(Box::pin(self.weights.rest(rest, &self.clock)));
        }
        (!self.toll.is_zero()).then(|| -> Wait<'a> { Box::pin(self.clock.sleep(self.toll)) })
    }
}

impl fmt::Debug for Metering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metering").field("toll", &self.toll).finish_non_exhaustive()
    }
}

type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

struct Metered<'a, F> {
    guest: Pin<&'a mut F>,
    meter: &'a CpuMeter,
    metering: &'a Metering,
    wait: Option<Wait<'a>>,
}

impl<'a, F: Future> Future for Metered<'a, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        let (metering, meter) = (self.metering, self.meter);
        let before = metering.thread_time.spent();
        let outcome = self.guest.as_mut().poll(context);
        let spent = metering.thread_time.spent().saturating_sub(before) + metering.toll;
        let wait = metering.charge(meter, spent);
        if outcome.is_pending()
            && let Some(mut wait) = wait
        {
            match wait.as_mut().poll(context) {
                Poll::Pending => self.wait = Some(wait),
                // The guest has its own reason to be polled again, or asked for it.
                Poll::Ready(()) => context.waker().wake_by_ref(),
            }
        }
        outcome
    }
}
