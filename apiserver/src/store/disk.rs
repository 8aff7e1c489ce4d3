//! The disk below the store: the log, what may wait before it goes there, and the base behind it.
//!
//! When the log holds enough, groups go on to a new segment of it, and the last state of each row that the full ones
//! changed is written to the base, in one transaction. Then those are removed. So the log is bounded, and of a row that
//! changes again and again only few states are written twice.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use api::{Clock, Revision};
use bytes::Bytes;

use super::base::{self, Rows, Summary};
use super::birth;
use super::checkpoint::{Done, Running, Task};
use super::error::{StoreError, Trouble};
use super::figures::Counters;
use super::medium::Medium;
use super::place::Place;
use super::record::Row;
use super::recover::Changes;
use super::segment::Segments;

/// Rows that may wait to be written, and their bytes; more are written at once.
const PENDING_ROWS: usize = 1024;
const PENDING_BYTES: usize = 1 << 20;

/// The disk.
pub(super) struct Disk {
    place: Place,
    base: Arc<dyn Medium>,
    summary: Summary,
    segments: Segments,
    /// Rows that may be lost in a power cut, not yet written. A later state takes the place of an earlier one.
    pending: BTreeMap<Vec<u8>, Option<Bytes>>,
    pending_bytes: usize,
    reserved: Revision,
    /// The rows in the log that are not on their way to the base; their values are those in memory.
    changes: Changes,
    checkpoint: Option<Checkpoint>,
    /// With so many bytes of log, the next one begins.
    limit: u64,
    inline: bool,
    counters: Arc<Counters>,
}

/// What is on its way to the base.
struct Checkpoint {
    changes: Arc<Changes>,
    running: Running,
}

impl Disk {
    /// Opens the files, or makes them if there are none; returns the rows and the last revision that may have been
    /// issued.
    pub(super) fn open(
        place: Place,
        inline: bool,
        counters: Arc<Counters>,
    ) -> Result<(Self, Rows, Revision), StoreError> {
        let failed = |error| place.failed(error);
        let there = place.folder.open(&place.name).map_err(failed)?;
        let mut changes = Changes::new();
        let (summary, mut rows, (segments, reserved)) = match there {
            Some(file) => {
                let (summary, rows) = base::read(&place.path, file)?;
                let add = |more: Changes| changes.extend(more);
                let segments = Segments::open(&place, summary.store, summary.log, add)?;
                (summary, rows, segments)
            }
            None if birth::is_vacant(&place)? => {
                let (summary, segments) =
                    birth::begin(&place, |_| Ok(Revision(0))).map_err(|error| match error {
                        StoreError::Write(error) => place.failed(error),
                        error => error,
                    })?;
                (summary, Rows::new(), (segments, Revision(0)))
            }
            None => {
                let what = "it is missing, though its log is there".to_owned();
                return Err(Trouble::Damaged(what).of(&place.path));
            }
        };
        for (key, value) in &changes {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        let reserved = reserved.max(summary.reserved);
        tidy(&place, summary.log).map_err(failed)?;
        let base = place.folder.open(&place.name).map_err(failed)?;
        let base = base.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let disk = Self {
            limit: place.sizes.checkpoint,
            place,
            base,
            summary,
            segments,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            reserved,
            changes,
            checkpoint: None,
            inline,
            counters,
        };
        disk.measure();
        Ok((disk, rows, reserved))
    }

    /// Whether a write should not wait any more, as too many do or the disk failed.
    pub(super) fn is_urgent(&self) -> bool {
        let failed = self.segments.log.has_failed();
        self.pending.len() >= PENDING_ROWS || self.pending_bytes >= PENDING_BYTES || failed
    }

    /// Whether rows wait that can still be written.
    pub(super) fn has_deferred(&self) -> bool {
        !self.pending.is_empty() && !self.segments.log.has_failed()
    }

    /// Keeps rows until the next write.
    pub(super) fn defer(&mut self, rows: Vec<Row>) {
        for (key, value) in rows {
            self.pending_bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            if let Some(Some(old)) = self.pending.insert(key, value) {
                self.pending_bytes = self.pending_bytes.saturating_sub(old.len());
            }
        }
    }

    /// Writes these rows and those that wait, all or none, and up to where revisions are reserved.
    pub(super) fn write(&mut self, rows: Vec<Row>, reserved: Revision) -> Result<(), StoreError> {
        self.wait_for_room()?;
        // Wall time, for figures only; virtual time stands still meanwhile.
        let clock = (!self.inline).then(Clock::real);
        let begin = clock.as_ref().map(Clock::now);
        let mut waiting: Vec<Row> = std::mem::take(&mut self.pending).into_iter().collect();
        let deferred = waiting.len();
        waiting.extend(rows);
        match self.segments.log.append(reserved, &waiting) {
            Ok(bytes) => {
                self.pending_bytes = 0;
                self.reserved = reserved;
                self.changes.extend(waiting);
                let span = clock.zip(begin).map(|(clock, begin)| clock.now().duration_since(begin));
                self.counters.synced(bytes, span);
                self.measure();
                Ok(())
            }
            Err(error) => {
                waiting.truncate(deferred);
                self.pending = waiting.into_iter().collect();
                self.measure();
                Err(error)
            }
        }
    }

    /// Writes the rows that wait.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => self.write(Vec::new(), self.reserved),
        }
    }

    /// Goes on with a checkpoint, or begins one when it is time.
    pub(super) fn keep_bounded(&mut self) {
        if self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.running.is_finished()) {
            self.end_checkpoint();
        }
        if self.checkpoint.is_none() && self.segments.bytes() > self.limit && !self.segments.log.has_failed()
        {
            self.begin_checkpoint();
        }
    }

    /// What cannot go to the base must not fill the disk as a log either.
    fn wait_for_room(&mut self) -> Result<(), StoreError> {
        self.end_checkpoint_if_large();
        if self.is_large() {
            self.begin_checkpoint();
            self.end_checkpoint_if_large();
        }
        match self.is_large() {
            true => Err(StoreError::Write(io::ErrorKind::StorageFull.into())),
            false => Ok(()),
        }
    }

    /// Whether the log has to become smaller before it is written to.
    fn is_large(&self) -> bool {
        self.segments.bytes() >= self.place.sizes.largest && !self.segments.log.has_failed()
    }

    fn end_checkpoint_if_large(&mut self) {
        if self.is_large() {
            self.end_checkpoint();
        }
    }

    fn begin_checkpoint(&mut self) {
        if let Err(error) = self.segments.rotate(&self.place, self.reserved) {
            return self.postpone(&error);
        }
        let changes = Arc::new(std::mem::take(&mut self.changes));
        let task = Task {
            file: Arc::clone(&self.base),
            expected: self.summary.clone(),
            changes: Arc::clone(&changes),
            log: self.segments.number(),
            reserved: self.reserved,
        };
        if self.inline {
            return self.take_over(&changes, task.carry_out());
        }
        match Running::start(task) {
            Ok(running) => self.checkpoint = Some(Checkpoint { changes, running }),
            Err(error) => {
                self.put_back(&changes);
                self.postpone(&StoreError::Write(error));
            }
        }
    }

    /// Waits for the checkpoint if there is one.
    fn end_checkpoint(&mut self) {
        if let Some(Checkpoint { changes, running }) = self.checkpoint.take() {
            self.take_over(&changes, running.join());
        }
    }

    /// After a device failed, what the base holds is not known before it is opened anew. The log is whole, but it could
    /// only grow. If there was no space, nothing was changed.
    fn take_over(&mut self, changes: &Arc<Changes>, done: Done) {
        match done {
            Ok((summary, bytes)) => {
                self.summary = summary;
                if let Err(error) = self.segments.remove_full(&self.place) {
                    tracing::warn!(%error, "a log of the past not removed before the next start");
                }
                self.limit = self.place.sizes.checkpoint;
                self.counters.checkpointed(bytes);
            }
            Err(StoreError::Write(error)) if error.kind() == io::ErrorKind::StorageFull => {
                self.put_back(changes);
                self.postpone(&StoreError::Write(error));
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the base of the store not written"
                );
                self.segments.log.fail();
            }
        }
        self.measure();
    }

    /// Makes changes wait again, below those made since.
    fn put_back(&mut self, changes: &Changes) {
        for (key, value) in changes {
            self.changes.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    fn postpone(&mut self, error: &StoreError) {
        tracing::warn!(error = error as &dyn std::error::Error, "log not written to the base yet");
        let sizes = self.place.sizes;
        self.limit = (self.segments.bytes() + sizes.checkpoint).min(sizes.largest - 1);
    }

    fn measure(&self) {
        let (log, files) = (self.segments.bytes(), self.segments.file_bytes());
        let base = self.base.length().unwrap_or_default();
        self.counters.measured(log, base, base + files, self.segments.log.has_failed());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(error = &error as &dyn std::error::Error, "events and heartbeats not written");
        }
        self.end_checkpoint();
    }
}

/// Removes what a stop left: drafts, and logs that the base holds. Only after all was found to be whole.
fn tidy(place: &Place, first: u64) -> io::Result<()> {
    place.folder.remove(&place.draft())?;
    place.folder.remove(&place.log_draft())?;
    let logs = place.logs().map_err(io::Error::other)?;
    logs.range(..first).try_for_each(|number| place.folder.remove(&place.log(*number)))
}
