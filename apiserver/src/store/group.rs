//! Group commit: the writes of all who wait are checked, written together, shown, and answered.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::Revision;
use tokio::sync::oneshot;

use super::cut::Cut;
use super::disk::Disk;
use super::error::StoreError;
use super::history::{Change, Effect, Shelf, Snapshot};
use super::keys::Collection;
use super::record::Row;
use super::volatile::is_volatile;
use super::writer::Waiting;
use super::{Expected, Next, Outcome, Refused, Shared, Write};

/// Revisions reserved at once. A start skips at most so many; reserving rides on a group that is written anyway.
pub(super) const BLOCK: u64 = 10_000;

/// What only the one who writes may touch.
pub(super) struct Pen {
    /// None in memory.
    pub disk: Option<Disk>,
    pub last: Revision,
    pub reserved: Revision,
}

/// A group while it is put together: nothing of it can be seen yet.
#[derive(Default)]
struct Group {
    rows: Vec<Row>,
    /// Whether it must be on disk before anybody sees it.
    durable: bool,
    writes: u64,
    conflicts: u64,
    shelves: BTreeMap<Collection, (Arc<Shelf>, Snapshot, Vec<Change>)>,
}

impl Shared {
    /// Carries out the writes, shows them, and answers.
    pub(super) fn write_group(&self, pen: &mut Pen, waiting: Vec<Waiting>) {
        let mut group = Group::default();
        let mut answers = Vec::with_capacity(waiting.len());
        let mut holds = Vec::new();
        for Waiting { writes, answer } in waiting {
            let mut outcomes = Vec::with_capacity(writes.len());
            for write in writes {
                outcomes.push(self.stage(write, pen, &mut group, &mut holds));
            }
            answers.push((answer, outcomes));
        }
        let written = pen.write(&mut group);
        self.counters.grouped(group.writes, group.conflicts, written.is_err());
        match written {
            Ok(()) => self.publish(group, pen),
            Err(failure) => refuse(&mut answers, failure),
        }
        drop(holds);
        for (answer, outcomes) in answers {
            // Whoever gave up waiting does not need it.
            let _ = answer.send(outcomes);
        }
        if let Some(disk) = &mut pen.disk {
            disk.keep_bounded();
        }
    }

    fn stage(
        &self,
        write: Write,
        pen: &mut Pen,
        group: &mut Group,
        holds: &mut Vec<Box<dyn Any + Send>>,
    ) -> Outcome {
        let Write { key, expected, next, hold } = write;
        holds.extend(hold);
        let (_, snapshot, changes) = group.shelves.entry(key.collection.clone()).or_insert_with(|| {
            let shelf = self.shelves.get(&key.collection);
            let snapshot = Snapshot::clone(&shelf.snapshot());
            (shelf, snapshot, Vec::new())
        });
        let old = snapshot.get(&key.key).cloned();
        let as_expected = match expected {
            Expected::Absent => old.is_none(),
            Expected::At(revision) => old.as_ref().is_some_and(|old| old.revision() == revision),
        };
        if !as_expected {
            group.conflicts += 1;
            return Err(Refused::Conflict(old));
        }
        pen.last.0 += 1;
        let (effect, draft) = match next {
            Next::Put(draft) => (Effect::Put, draft),
            Next::Remove(draft) => (Effect::Removed, draft),
        };
        let object = draft.at(pen.last);
        if pen.disk.is_some() {
            let bytes = (effect == Effect::Put).then(|| object.json().clone());
            group.rows.push((key.encode(), bytes));
            group.durable |= !is_volatile(&key);
        }
        group.writes += 1;
        let change = Change { effect, object: object.clone(), old };
        snapshot.apply(&change);
        changes.push(change);
        Ok(object)
    }

    fn publish(&self, group: Group, pen: &Pen) {
        for (shelf, snapshot, changes) in group.shelves.into_values() {
            if !changes.is_empty() {
                shelf.publish(snapshot, changes);
            }
        }
        self.shelves.progress.send_replace(pen.last);
        self.tell_deferred(pen);
    }

    /// Writes what waits to be written.
    pub(super) fn flush(&self, pen: &mut Pen) -> Result<(), Refused> {
        let flushed = pen.disk.as_mut().map_or(Ok(()), Disk::flush);
        self.tell_deferred(pen);
        flushed.map_err(|error| Refused::Failed(Arc::new(error)))
    }

    /// What fails to be written now may be written later, unless the disk failed for good.
    fn tell_deferred(&self, pen: &Pen) {
        let deferred = pen.disk.as_ref().is_some_and(Disk::has_deferred);
        self.deferred.send_if_modified(|known| std::mem::replace(known, deferred) != deferred);
    }

    /// What there is now. Only the one who writes may ask, or collections may be at different revisions.
    pub(super) fn cut(&self, pen: &Pen) -> Cut {
        let shelves = self.shelves.by_collection.load();
        let collections = shelves.iter().map(|(collection, shelf)| (collection.clone(), shelf.snapshot()));
        let revision = *self.shelves.progress.borrow();
        Cut { revision, reserved: pen.reserved, collections: collections.collect() }
    }
}

impl Pen {
    /// Nothing that may be seen has a revision beyond what is reserved on disk.
    fn write(&mut self, group: &mut Group) -> Result<(), StoreError> {
        let Some(disk) = self.disk.as_mut().filter(|_| group.writes > 0) else {
            return Ok(());
        };
        let rows = std::mem::take(&mut group.rows);
        let more = self.last > self.reserved;
        if !(group.durable || more || disk.is_urgent()) {
            disk.defer(rows);
            return Ok(());
        }
        let reserved = if more { Revision(self.last.0 + BLOCK) } else { self.reserved };
        disk.write(rows, reserved)?;
        self.reserved = reserved;
        Ok(())
    }
}

/// The group failed as a whole: what was accepted was not written either. Its revisions are never used again.
fn refuse(answers: &mut [(oneshot::Sender<Vec<Outcome>>, Vec<Outcome>)], failure: StoreError) {
    tracing::error!(error = &failure as &dyn std::error::Error, "write failed");
    let failure = Arc::new(failure);
    for outcome in answers.iter_mut().flat_map(|(_, outcomes)| outcomes) {
        if outcome.is_ok() {
            *outcome = Err(Refused::Failed(Arc::clone(&failure)));
        }
    }
}
