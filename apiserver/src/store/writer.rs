//! Who writes: jobs queue, and one after the other they are carried out for everybody who waits.
//!
//! A store whose writes wait for a device has a thread of its own for that, which ends with the store. In memory and in
//! virtual time whoever brings a job carries out all there are.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{io, mem};

use tokio::sync::oneshot;

use super::cut::Cut;
use super::group::Pen;
use super::history::lock;
use super::{Outcome, Refused, Shared, Write};

/// Writes committed in one group at most, so that the first does not wait long for the last.
const LARGEST_GROUP: usize = 512;

/// The JSON of a group at most, unless one caller brings more.
const LARGEST_GROUP_BYTES: usize = 8 << 20;

/// Something to do between two groups or in one.
pub(super) enum Job {
    /// The writes of one caller.
    Write(Waiting),
    /// Take what there is at one revision.
    Cut(oneshot::Sender<Cut>),
    /// Write what waits to be written.
    Flush(oneshot::Sender<Result<(), Refused>>),
}

/// The writes of one caller, and where the answer goes.
pub(super) struct Waiting {
    pub writes: Vec<Write>,
    pub answer: oneshot::Sender<Vec<Outcome>>,
}

/// The jobs to be done. Each is waited for by its caller, so there are no more of them than callers.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// What is done next.
enum Batch {
    Group(Vec<Waiting>),
    Cut(oneshot::Sender<Cut>),
    Flush(oneshot::Sender<Result<(), Refused>>),
}

impl Queue {
    /// A job is dropped if nobody will do it, which its caller sees.
    fn push(&self, job: Job) {
        let mut state = lock(&self.state);
        if !state.closed {
            state.jobs.push_back(job);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Waits for a job; false if there will be none.
    fn wait(&self) -> bool {
        let state = lock(&self.state);
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let state = self.wake.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let dropped = mem::take(&mut state.jobs);
        drop(state);
        drop(dropped);
        self.wake.notify_all();
    }

    /// At least one job if there is one, and no more than fit a group. Writes that nobody waits for are left out.
    fn take(&self) -> Option<Batch> {
        let mut state = lock(&self.state);
        let mut group: Vec<Waiting> = Vec::new();
        let (mut writes, mut bytes) = (0, 0);
        while let Some(job) = state.jobs.pop_front() {
            match job {
                Job::Write(waiting) if waiting.answer.is_closed() => {}
                Job::Write(waiting) => {
                    writes += waiting.writes.len();
                    bytes += waiting.writes.iter().map(Write::size).sum::<usize>();
                    if !group.is_empty() && (writes > LARGEST_GROUP || bytes > LARGEST_GROUP_BYTES) {
                        state.jobs.push_front(Job::Write(waiting));
                        break;
                    }
                    group.push(waiting);
                }
                other if !group.is_empty() => {
                    state.jobs.push_front(other);
                    break;
                }
                Job::Cut(answer) => return Some(Batch::Cut(answer)),
                Job::Flush(answer) => return Some(Batch::Flush(answer)),
            }
        }
        (!group.is_empty()).then_some(Batch::Group(group))
    }
}

/// The one who writes.
pub(super) enum Writer {
    /// Whoever has a job.
    Caller(Box<Mutex<Pen>>),
    /// A thread; none once it was told to end.
    Thread(Option<JoinHandle<()>>),
}

impl Writer {
    pub(super) fn thread(shared: &Arc<Shared>, pen: Pen) -> io::Result<Self> {
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || write(&shared, pen))?;
        Ok(Self::Thread(Some(thread)))
    }

    /// Sees to it that a job is done.
    pub(super) fn submit(&self, shared: &Shared, job: Job) {
        shared.queue.push(job);
        if let Self::Caller(pen) = self {
            let mut pen = lock(pen);
            // Others who bring jobs wait for the pen, so this ends.
            while shared.work(&mut pen) {}
        }
    }

    /// Does what was begun, and writes what waits to be written.
    pub(super) fn end(&mut self, shared: &Shared) {
        shared.queue.close();
        if let Self::Thread(thread) = self {
            // A panic there was shown where it happened.
            thread.take().map(JoinHandle::join);
        }
    }
}

/// The thread. However it ends, nobody waits for an answer in vain.
fn write(shared: &Shared, mut pen: Pen) {
    struct Close<'a>(&'a Queue);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let _close = Close(&shared.queue);
    while shared.queue.wait() {
        while shared.work(&mut pen) {}
    }
}

impl Shared {
    /// Does what is next; false if there is nothing.
    fn work(&self, pen: &mut Pen) -> bool {
        let Some(batch) = self.queue.take() else {
            return false;
        };
        // Whoever gave up waiting needs no answer.
        match batch {
            Batch::Group(waiting) => self.write_group(pen, waiting),
            Batch::Cut(answer) => drop(answer.send(self.cut(pen))),
            Batch::Flush(answer) => drop(answer.send(self.flush(pen))),
        }
        true
    }
}
