//! The output of containers on disk: the CRI log format, rotated at a bound, throttled at a rate, followed without polling.
//!
//! A file appears with the first byte written to it, so containers that say nothing cost nothing.

mod line;
mod listen;
mod read;
mod throttle;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use api::Clock;
use bytes::Bytes;
use tokio::sync::{broadcast, watch};

pub use line::{LogEntry, LogLine, LogStream};
pub use listen::LogListener;
pub use read::{LogFollower, tail};

use throttle::Throttle;
use write::Journal;

/// The bounds of one container's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A file that has grown to this many bytes is put aside and a new one begun.
    pub max_bytes: u64,
    /// How many files are kept, the one being written included.
    pub max_files: usize,
    /// How fast a container may write for long, before its output blocks.
    pub rate_bytes_per_second: u64,
    /// How much it may write at once on top of the rate.
    pub burst_bytes: u64,
}

impl Default for LogConfig {
    /// The kubelet's bounds for files, and a rate at which one container alone cannot keep a disk busy.
    fn default() -> Self {
        Self { max_bytes: 10 << 20, max_files: 5, rate_bytes_per_second: 1 << 20, burst_bytes: 4 << 20 }
    }
}

/// The log of one run of one container. A clone is a reference.
#[derive(Clone, Debug)]
pub struct LogFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    clock: Clock,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
    /// Made when somebody first listens: hardly anybody does.
    heard: OnceLock<broadcast::Sender<Output>>,
}

/// Output as it is written: not in lines, and not in the form of the file.
type Output = (LogStream, Bytes);

/// What writers share. Locked for the length of one write to the file, never across an await.
#[derive(Debug)]
struct State {
    journal: Journal,
    throttle: Throttle,
}

/// How far the log has come; followers wait for it to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    bytes: u64,
    writers: usize,
}

/// Writes one stream of a container's output to its log. A clone writes to the same; an unfinished line is written out
/// when the last is dropped.
#[derive(Clone, Debug)]
pub struct LogWriter(Arc<Pen>);

#[derive(Debug)]
struct Pen {
    shared: Arc<Shared>,
    stream: LogStream,
    unfinished: Mutex<Vec<u8>>,
}

/// A line longer than this is written in parts, as container runtimes do, so that a guest cannot make the host hold more.
const LONGEST_PART: usize = 16 << 10;

impl LogFile {
    /// The log at `path`; what stands there already is kept and appended to.
    pub fn open(path: impl Into<PathBuf>, config: LogConfig, clock: Clock) -> Self {
        let path = path.into();
        let state = State {
            journal: Journal::new(path.clone(), config.max_bytes, config.max_files),
            throttle: Throttle::new(config.rate_bytes_per_second, config.burst_bytes, clock.now()),
        };
        Self(Arc::new(Shared {
            path,
            clock,
            state: Mutex::new(state),
            progress: watch::Sender::new(Progress::default()),
            heard: OnceLock::new(),
        }))
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How long the container was held back because it wrote too fast.
    pub fn held(&self) -> Duration {
        lock(&self.0.state).throttle.held()
    }

    /// Removes the log at `path`, with the files put aside. It may never have been written.
    pub fn remove(path: &Path) -> io::Result<()> {
        for age in 0.. {
            match fs::remove_file(write::aged(path, age)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                removed => removed?,
            }
        }
        Ok(())
    }

    /// A writer for one stream. The log has ended for its followers when all its writers are dropped.
    pub fn writer(&self, stream: LogStream) -> LogWriter {
        self.0.progress.send_modify(|progress| progress.writers += 1);
        LogWriter(Arc::new(Pen { shared: Arc::clone(&self.0), stream, unfinished: Mutex::default() }))
    }

    /// Reads the log from its oldest kept line, then each line as it is written, until the log has ended.
    ///
    /// Ask for it when the writers exist: a log without writers has ended.
    pub fn follow(&self) -> LogFollower {
        LogFollower::new(Arc::clone(&self.0))
    }

    /// The same beginning with the last `count` entries there are now.
    pub fn follow_tail(&self, count: u64) -> LogFollower {
        LogFollower::at_tail(Arc::clone(&self.0), count)
    }
}

impl LogWriter {
    /// Appends output. Never waits; a polite caller awaits [`LogWriter::ready`] first.
    ///
    /// Output that the disk refuses is lost: a full disk must not stop the guest.
    pub fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let pen = &*self.0;
        let now = pen.shared.clock.now();
        let mut entries = Vec::with_capacity(bytes.len() + line::LONGEST_HEAD);
        // Empty lines are mostly heads: they are paid for too.
        let mut head_bytes = 0;
        line::split(&mut lock(&pen.unfinished), bytes, LONGEST_PART, |part, whole| {
            let before = entries.len();
            line::encode(&mut entries, now, pen.stream, whole, part);
            head_bytes += entries.len() - before - part.len();
        });
        let mut state = lock(&pen.shared.state);
        state.throttle.take(bytes.len() + head_bytes, now);
        state.journal.append(&entries);
        drop(state);
        pen.shared.advance(entries.len());
        if let Some(heard) = pen.shared.heard.get() {
            // Nobody may listen any more.
            let _ = heard.send((pen.stream, Bytes::copy_from_slice(bytes)));
        }
    }

    /// Waits while the container is over its output rate.
    pub async fn ready(&self) {
        let shared = &self.0.shared;
        loop {
            let now = shared.clock.now();
            let Some(deadline) = lock(&shared.state).throttle.ready_at(now) else {
                return;
            };
            shared.clock.sleep_until(deadline).await;
            let held = api::clock::until(now, shared.clock.now()).unwrap_or_default();
            lock(&shared.state).throttle.add_held(held);
        }
    }
}

impl Shared {
    fn advance(&self, bytes: usize) {
        if bytes > 0 {
            self.progress.send_modify(|progress| progress.bytes += bytes as u64);
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut *lock(&self.unfinished));
        if !rest.is_empty() {
            let mut entry = Vec::with_capacity(rest.len() + line::LONGEST_HEAD);
            line::encode(&mut entry, self.shared.clock.now(), self.stream, false, &rest);
            lock(&self.shared.state).journal.append(&entry);
            self.shared.advance(entry.len());
        }
        self.shared.progress.send_modify(|progress| progress.writers -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
