//! Checkpoints: what the full segments of the log changed goes to the base, in a thread of its own.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use api::Revision;

use super::base::{Summary, Update};
use super::error::StoreError;
use super::medium::Medium;
use super::recover::Changes;

/// What goes to the base.
pub(super) struct Task {
    /// The base.
    pub file: Arc<dyn Medium>,
    /// What it must still say of itself.
    pub expected: Summary,
    /// The last state of each row that changed.
    pub changes: Arc<Changes>,
    /// The first log of which nothing is in it.
    pub log: u64,
    /// Up to where revisions are reserved in those before.
    pub reserved: Revision,
}

/// What became of it: what the base says now, and how many bytes that cost.
pub(super) type Done = Result<(Summary, u64), StoreError>;

impl Task {
    pub(super) fn carry_out(self) -> Done {
        let mut update = Update::begin(self.file, &self.expected)?;
        update.apply(self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())))?;
        update.finish(self.log, self.reserved)
    }
}

/// One on its way.
pub(super) struct Running(JoinHandle<Done>);

impl Running {
    pub(super) fn start(task: Task) -> io::Result<Self> {
        let builder = std::thread::Builder::new().name("store-checkpoint".into());
        builder.spawn(move || task.carry_out()).map(Self)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for it.
    pub(super) fn join(self) -> Done {
        // A panic was shown where it happened.
        self.0.join().unwrap_or(Err(StoreError::Failed))
    }
}
