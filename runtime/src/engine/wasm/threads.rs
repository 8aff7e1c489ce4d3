//! The threads guests run on: a runtime of their own, so that none of them delays the API, controllers or timers.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};

/// File calls of guests that may be under way at once; more wait.
const BLOCKING_THREADS: usize = 16;

/// Where guests run. Dropping it ends them.
pub(super) struct GuestThreads {
    handle: Handle,
    own: Option<Runtime>,
}

impl GuestThreads {
    /// A worker per core.
    pub(super) fn start() -> io::Result<Self> {
        let next = AtomicUsize::new(0);
        let runtime = Builder::new_multi_thread()
            .enable_all()
            // Look for timers and sockets after every poll: guests that compute take a whole tick each.
            .event_interval(1)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name_fn(move || format!("guest-{}", next.fetch_add(1, Ordering::Relaxed)))
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), own: Some(runtime) })
    }

    /// The thread that calls, under virtual time.
    pub(super) fn current() -> Self {
        Self { handle: Handle::current(), own: None }
    }

    /// How many guests can compute at once.
    pub(super) fn count(&self) -> usize {
        self.handle.metrics().num_workers()
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.own.take() {
            // May be dropped on a thread that must not block.
            runtime.shutdown_background();
        }
    }
}
