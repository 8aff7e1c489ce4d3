//! Group commit: one writer writes for all that have queued, in one transaction.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::Revision;
use tokio::sync::oneshot;

use super::history::{Change, Effect, Shelf, Snapshot, lock};
use super::keys::Collection;
use super::redb::{Disk, Row, StoreError};
use super::{Expected, Inner, Next, Outcome, Refused, Write};

/// Revisions reserved at once. A start skips at most so many; reserving rides on a commit that happens anyway.
pub(super) const BLOCK: u64 = 10_000;

/// Writes committed in one transaction at most, so that the first does not wait long for the last.
const LARGEST_GROUP: usize = 512;

/// The writes of one caller, and where the answer goes.
pub(super) struct Waiting {
    pub writes: Vec<Write>,
    pub answer: oneshot::Sender<Vec<Outcome>>,
}

/// What only the one who writes may touch.
pub(super) struct Pen {
    pub disk: Disk,
    pub last: Revision,
    pub reserved: Revision,
}

/// A group while it is put together: nothing of it can be seen yet.
#[derive(Default)]
struct Group {
    rows: Vec<Row>,
    shelves: BTreeMap<Collection, (Arc<Shelf>, Snapshot, Vec<Change>)>,
}

impl Inner {
    /// Writes for everybody who waits, shows it, and answers.
    pub(super) fn write_group(&self, pen: &mut Pen) {
        let waiting = self.take_waiting();
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
        let failure = if group.rows.is_empty() { None } else { pen.write(&group.rows).err() };
        match failure {
            None => self.publish(group, pen.last),
            Some(failure) => refuse(&mut answers, failure),
        }
        drop(holds);
        for (answer, outcomes) in answers {
            // Whoever gave up waiting does not need it.
            let _ = answer.send(outcomes);
        }
    }

    /// At least one, and no more than fit a group. Those whose writer gave up are left out.
    fn take_waiting(&self) -> Vec<Waiting> {
        let mut queue = lock(&self.queue);
        let mut taken: Vec<Waiting> = Vec::new();
        let mut writes = 0;
        while let Some(next) = queue.front() {
            writes += next.writes.len();
            if !taken.is_empty() && writes > LARGEST_GROUP {
                break;
            }
            taken.extend(queue.pop_front().filter(|waiting| !waiting.answer.is_closed()));
        }
        taken
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
            return Err(Refused::Conflict(old));
        }
        pen.last.0 += 1;
        let (effect, draft) = match next {
            Next::Put(draft) => (Effect::Put, draft),
            Next::Remove(draft) => (Effect::Removed, draft),
        };
        let object = draft.at(pen.last);
        let bytes = (effect == Effect::Put).then(|| object.json().clone());
        group.rows.push((key.encode(), bytes));
        let change = Change { effect, object: object.clone(), old };
        snapshot.apply(&change);
        changes.push(change);
        Ok(object)
    }

    fn publish(&self, group: Group, last: Revision) {
        for (shelf, snapshot, changes) in group.shelves.into_values() {
            if !changes.is_empty() {
                shelf.publish(snapshot, changes);
            }
        }
        self.shelves.progress.send_replace(last);
    }
}

impl Pen {
    fn write(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let more = (self.last > self.reserved).then(|| Revision(self.last.0 + BLOCK));
        self.disk.write(rows, more)?;
        self.reserved = more.unwrap_or(self.reserved);
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
