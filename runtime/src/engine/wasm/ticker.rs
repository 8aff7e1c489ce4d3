//! The epoch ticker: a thread that makes running guests yield, and sleeps while none runs.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::limits::cpu::{KernelThreadTime, ThreadTime};

/// How long a guest runs at most before others have a turn.
const TICK: Duration = Duration::from_millis(5);
/// After this many ticks in which no guest ran, the thread sleeps.
const QUIET_TICKS: u32 = 40;

/// Makes guests of one engine yield. The thread ends with the engine.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct Shared {
    /// A guest ran since the last tick.
    is_active: AtomicBool,
    is_asleep: AtomicBool,
    is_over: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> io::Result<Arc<Self>> {
        let shared = Arc::<Shared>::default();
        let ticker = Arc::new(Self { shared: Arc::clone(&shared), thread: OnceLock::new() });
        let engine = engine.weak();
        let thread = thread::Builder::new().name("epochs".into()).spawn(move || shared.tick(&engine))?;
        ticker.thread.get_or_init(|| thread.thread().clone());
        Ok(ticker)
    }

    /// A guest is about to run.
    fn guest_runs(&self) {
        // Sequentially consistent, as is the thread's side: either it sees the activity or this sees it asleep.
        self.shared.is_active.store(true, Ordering::SeqCst);
        if self.shared.is_asleep.load(Ordering::SeqCst) && self.shared.is_asleep.swap(false, Ordering::SeqCst)
        {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.wake();
    }
}

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        let mut quiet = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            thread::park_timeout(TICK);
            let Some(engine) = engine.upgrade() else {
                return;
            };
            engine.increment_epoch();
            drop(engine);
            quiet = if self.is_active.swap(false, Ordering::SeqCst) { 0 } else { quiet + 1 };
            if quiet >= QUIET_TICKS {
                self.sleep();
                quiet = 0;
            }
        }
    }

    fn sleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        if self.is_active.load(Ordering::SeqCst) || self.is_over.load(Ordering::SeqCst) {
            self.is_asleep.store(false, Ordering::SeqCst);
            return;
        }
        while self.is_asleep.load(Ordering::SeqCst) && !self.is_over.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}

/// Tells the CPU time of the thread; as every poll of a guest begins by asking, each is an epoch, in which the guest's fuel
/// is looked at once.
pub(super) struct EpochPerTurn(pub(super) EngineWeak);

impl ThreadTime for EpochPerTurn {
    fn spent(&self) -> Duration {
        if let Some(engine) = self.0.upgrade() {
            engine.increment_epoch();
        }
        KernelThreadTime.spent()
    }
}

/// Tells the CPU time of the thread; as every poll of a guest begins by asking, it keeps the ticks going too.
pub(super) struct TickingTime(pub(super) Arc<Ticker>);

impl ThreadTime for TickingTime {
    fn spent(&self) -> Duration {
        self.0.guest_runs();
        KernelThreadTime.spent()
    }
}
