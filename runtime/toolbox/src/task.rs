//! Runs everything in one thread: the stages of a pipeline and jobs take turns, and wait for input and time together.
//!
//! A future that waits for another stage is polled again after each round in which something moved. Only when nothing moved
//! does the instance block, on the earliest time and, where somebody reads it or it is a terminal, on standard input.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use wasi::clocks::monotonic_clock;
use wasi::io::poll::{Pollable, poll};

use crate::stdin;

/// How often a stream of the host is looked at.
const LOOK_AGAIN_NANOSECONDS: u64 = 1_000_000;

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

#[derive(Default)]
struct Rounds {
    /// Something moved in this round.
    moved: Cell<bool>,
    /// Somebody waits for standard input.
    wants_input: Cell<bool>,
    /// The earliest time that somebody waits for, on the monotonic clock.
    earliest: Cell<Option<u64>>,
    /// The terminal's user asks to interrupt what runs.
    is_interrupted: Cell<bool>,
    /// How many places within one another hear of interrupts: the innermost does.
    interruptible: Cell<u32>,
    jobs: RefCell<Vec<Boxed<'static, ()>>>,
}

thread_local! {
    static ROUNDS: Rounds = Rounds::default();
}

/// Runs a future and the jobs it starts, until the future has ended.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        begin_round();
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        poll_jobs(&mut context);
        end_round();
    }
}

fn begin_round() {
    ROUNDS.with(|rounds| {
        rounds.moved.set(false);
        rounds.wants_input.set(false);
        rounds.earliest.set(None);
    });
}

fn poll_jobs(context: &mut Context<'_>) {
    // A job may start another one.
    let mut jobs = ROUNDS.with(|rounds| rounds.jobs.take());
    jobs.retain_mut(|job| job.as_mut().poll(context).is_pending());
    ROUNDS.with(|rounds| {
        let started = rounds.jobs.replace(jobs);
        rounds.jobs.borrow_mut().extend(started);
    });
}

/// Blocks if nothing moved. A terminal is looked at in any case: its user may want to interrupt.
fn end_round() {
    let (moved, wants_input, earliest) =
        ROUNDS.with(|rounds| (rounds.moved.get(), rounds.wants_input.get(), rounds.earliest.get()));
    let listens = wants_input || stdin::is_terminal();
    if moved {
        if stdin::is_terminal() && stdin::is_ready() {
            stdin::fill();
        }
        return;
    }
    let input = (listens && !stdin::has_ended()).then(stdin::subscribe);
    let time = earliest.map(monotonic_clock::subscribe_instant);
    let awaited: Vec<_> = input.iter().chain(&time).collect();
    if awaited.is_empty() {
        // Nobody could ever go on: a stage waits for itself.
        std::process::exit(1);
    }
    poll(&awaited);
    if input.is_some_and(|input| input.ready()) {
        stdin::fill();
    }
}

/// Says that something moved: others may be able to go on.
pub fn moved() {
    ROUNDS.with(|rounds| rounds.moved.set(true));
}

/// Says that somebody waits for standard input.
pub fn wants_input() {
    ROUNDS.with(|rounds| rounds.wants_input.set(true));
}

/// Lets others have their turn.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|_| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        moved();
        Poll::Pending
    })
    .await;
}

/// Waits so many nanoseconds.
pub async fn sleep(nanoseconds: u64) {
    let end = monotonic_clock::now().saturating_add(nanoseconds);
    poll_fn(|_| {
        if monotonic_clock::now() >= end {
            return Poll::Ready(());
        }
        ROUNDS.with(|rounds| {
            rounds.earliest.set(Some(rounds.earliest.get().map_or(end, |earliest| earliest.min(end))));
        });
        Poll::Pending
    })
    .await;
}

/// Waits for something of the host.
pub async fn until(pollable: &Pollable) {
    // Alone it could wait in the host, but others and the terminal want their turns.
    while !pollable.ready() {
        sleep(LOOK_AGAIN_NANOSECONDS).await;
    }
}

/// The terminal's user asks to interrupt what runs.
pub fn interrupt() {
    ROUNDS.with(|rounds| rounds.is_interrupted.set(true));
    moved();
}

/// A place that interrupts reach before those around it, until it is dropped.
pub struct Inner(u32);

/// Keeps interrupts from what is around: one that comes when nothing within can be interrupted waits for what can.
pub fn inner() -> Inner {
    ROUNDS.with(|rounds| {
        rounds.interruptible.set(rounds.interruptible.get() + 1);
        Inner(rounds.interruptible.get())
    })
}

impl Drop for Inner {
    fn drop(&mut self) {
        ROUNDS.with(|rounds| rounds.interruptible.set(self.0 - 1));
    }
}

/// Runs a future unless it is interrupted: then the answer is none.
pub async fn interruptible<T>(future: impl Future<Output = T>) -> Option<T> {
    let Inner(depth) = &inner();
    let mut future = pin!(future);
    poll_fn(|context| {
        let is_meant = ROUNDS
            .with(|rounds| rounds.interruptible.get() == *depth && rounds.is_interrupted.replace(false));
        if is_meant { Poll::Ready(None) } else { future.as_mut().poll(context).map(Some) }
    })
    .await
}

/// Runs futures side by side until all have ended.
pub async fn join_all<T>(futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut running: Vec<Option<Boxed<'_, T>>> = futures.into_iter().map(Some).collect();
    let mut ended: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_over = true;
        for (future, ended) in running.iter_mut().zip(&mut ended) {
            if let Some(polled) = future {
                match polled.as_mut().poll(context) {
                    Poll::Ready(output) => {
                        *ended = Some(output);
                        // Its ends of pipes close with it, which others may wait for.
                        *future = None;
                        moved();
                    }
                    Poll::Pending => is_over = false,
                }
            }
        }
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    ended.into_iter().flatten().collect()
}

/// Something that runs in the background.
#[derive(Clone, Default)]
pub struct Job {
    status: Rc<Cell<Option<i32>>>,
    is_cancelled: Rc<Cell<bool>>,
}

impl Job {
    /// Starts a future that ends with an exit code. It ends with the program at the latest.
    pub fn start(future: Boxed<'static, i32>) -> Self {
        let job = Self::default();
        let own = job.clone();
        let mut future = future;
        let running = poll_fn(move |context| {
            if own.is_cancelled.get() {
                own.end(TERMINATED);
                return Poll::Ready(());
            }
            future.as_mut().poll(context).map(|code| own.end(code))
        });
        ROUNDS.with(|rounds| rounds.jobs.borrow_mut().push(Box::pin(running)));
        moved();
        job
    }

    fn end(&self, code: i32) {
        self.status.set(Some(code));
        moved();
    }

    /// Its exit code, once it has ended.
    pub fn status(&self) -> Option<i32> {
        self.status.get()
    }

    /// Ends it.
    pub fn cancel(&self) {
        self.is_cancelled.set(true);
        moved();
    }

    /// Waits for its end.
    pub async fn wait(&self) -> i32 {
        poll_fn(|_| self.status.get().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// As a shell reports what SIGTERM ended.
const TERMINATED: i32 = 143;
