//! A connection in memory: two directions of bytes, each with a bounded buffer, an end, and at most one waiter per side.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::lock;

/// Bytes that wait in one direction; then the writer waits. As much as Linux buffers for a socket by default, roughly.
pub(super) const CAPACITY: usize = 64 * 1024;

/// A writer that waits is woken when this much is free, so that it is not woken for every few bytes.
pub(super) const WORTH_WAKING: usize = CAPACITY / 4;

/// An empty buffer larger than this is freed: most connections of a cluster are idle most of the time.
const KEPT_WHEN_EMPTY: usize = 4 * 1024;

/// One end of a connection.
pub(super) struct Pipe {
    incoming: Arc<Direction>,
    outgoing: Arc<Direction>,
}

#[derive(Default)]
struct Direction(Mutex<State>);

#[derive(Default)]
struct State {
    buffer: VecDeque<u8>,
    /// What a reader finds after the buffered bytes.
    end: Option<End>,
    /// What a writer is told once nobody will read.
    refusal: Option<ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Reset,
}

impl Pipe {
    /// The two ends of a new connection.
    pub(super) fn pair() -> (Self, Self) {
        let (there, back) = (Arc::<Direction>::default(), Arc::<Direction>::default());
        let near = Self { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
        (near, Self { incoming: there, outgoing: back })
    }

    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = lock(&self.incoming.0);
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if state.buffer.is_empty() {
            return match state.end {
                Some(End::Finished) => Poll::Ready(Ok(())),
                Some(End::Reset) => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                None => wait(&mut state.reader, context),
            };
        }
        state.take_into(into);
        let free = CAPACITY - state.buffer.len();
        let writer = state.writer.take_if(|_| free >= WORTH_WAKING);
        drop(state);
        wake(writer);
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.outgoing.0);
        if let Some(refusal) = state.refusal {
            return Poll::Ready(Err(refusal.into()));
        }
        if state.end.is_some() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if state.buffer.len() == CAPACITY {
            return wait(&mut state.writer, context);
        }
        let written = state.put(parts);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Poll::Ready(Ok(written))
    }

    /// Says that no more will be written; the other end may go on writing.
    pub(super) fn finish(&self) {
        self.outgoing.end(End::Finished);
    }

    /// Ends both directions at once and throws away what is on the way.
    pub(super) fn reset(&self) {
        let mut state = lock(&self.outgoing.0);
        state.buffer = VecDeque::new();
        state.end = Some(End::Reset);
        drop(state);
        self.outgoing.end(End::Reset);
        self.incoming.refuse(ErrorKind::ConnectionReset);
    }
}

/// Closing is as on Linux: what was written still arrives, followed by the end, or by a reset if something was left unread.
impl Drop for Pipe {
    fn drop(&mut self) {
        let left_unread = self.incoming.refuse(ErrorKind::BrokenPipe);
        self.outgoing.end(if left_unread { End::Reset } else { End::Finished });
    }
}

impl Direction {
    /// Lets the reader find the end after what is buffered; the first end stays.
    fn end(&self, end: End) {
        let mut state = lock(&self.0);
        state.end.get_or_insert(end);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Refuses what is written from now on; tells whether something was left unread.
    fn refuse(&self, refusal: ErrorKind) -> bool {
        let mut state = lock(&self.0);
        state.refusal.get_or_insert(refusal);
        let left_unread = !state.buffer.is_empty();
        state.buffer = VecDeque::new();
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        left_unread
    }
}

impl State {
    fn take_into(&mut self, into: &mut ReadBuf<'_>) {
        let (front, back) = self.buffer.as_slices();
        let from_front = front.len().min(into.remaining());
        into.put_slice(&front[..from_front]);
        let from_back = back.len().min(into.remaining());
        into.put_slice(&back[..from_back]);
        self.buffer.drain(..from_front + from_back);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_WHEN_EMPTY {
            self.buffer = VecDeque::new();
        }
    }

    fn put(&mut self, parts: &[IoSlice<'_>]) -> usize {
        let before = self.buffer.len();
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        let after = before.saturating_add(offered).min(CAPACITY);
        if after > self.buffer.capacity() {
            self.buffer.reserve_exact(after.next_power_of_two() - before);
        }
        for part in parts {
            let fits = part.len().min(after - self.buffer.len());
            self.buffer.extend(&part[..fits]);
        }
        after - before
    }
}

fn wait<T>(place: &mut Option<Waker>, context: &Context<'_>) -> Poll<T> {
    match place {
        Some(waker) => waker.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
    Poll::Pending
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
