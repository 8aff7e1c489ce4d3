//! The connections that wait at a port until its listener accepts them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::lock;
use super::stream::Stream;

/// Connections that may wait to be accepted at one port; the next ones are routed elsewhere or wait to be taken.
pub const BACKLOG: usize = 128;

/// The queue between those who connect and the one who accepts.
pub(super) struct Backlog {
    queue: Mutex<Queue>,
    room: Semaphore,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Stream>,
    closed: bool,
}

/// Why a connection was not taken; it is given back.
pub(super) enum NotTaken {
    /// Too many wait already.
    Full(Stream),
    /// The listener takes no more.
    Closed(Stream),
}

impl Backlog {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), room: Semaphore::new(BACKLOG), arrived: Notify::new() })
    }

    /// Takes the connection if there is room.
    pub(super) fn offer(&self, stream: Stream) -> Result<(), NotTaken> {
        use tokio::sync::TryAcquireError::{Closed, NoPermits};
        match self.room.try_acquire() {
            Ok(place) => self.put(stream, place).map_err(NotTaken::Closed),
            Err(NoPermits) => Err(NotTaken::Full(stream)),
            Err(Closed) => Err(NotTaken::Closed(stream)),
        }
    }

    /// Takes the connection as soon as there is room; gives it back if the listener closes before.
    pub(super) async fn offer_patiently(&self, stream: Stream) -> Result<(), Stream> {
        match self.room.acquire().await {
            Ok(place) => self.put(stream, place),
            Err(_closed) => Err(stream),
        }
    }

    fn put(&self, stream: Stream, place: SemaphorePermit<'_>) -> Result<(), Stream> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(stream);
        }
        queue.waiting.push_back(stream);
        drop(queue);
        place.forget();
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes no more connections; those that wait can still be accepted.
    pub(super) fn close(&self) {
        lock(&self.queue).closed = true;
        self.room.close();
        self.arrived.notify_one();
    }

    /// Takes no more connections and resets those that wait.
    pub(super) fn abandon(&self) {
        self.close();
        let waiting = std::mem::take(&mut lock(&self.queue).waiting);
        waiting.into_iter().for_each(Stream::reset);
    }

    /// The next connection, in the order they came; none once it is closed and empty. May be cancelled, nothing is lost.
    pub(super) async fn accept(&self) -> Option<Stream> {
        loop {
            {
                let mut queue = lock(&self.queue);
                if let Some(stream) = queue.waiting.pop_front() {
                    self.room.add_permits(1);
                    return Some(stream);
                }
                if queue.closed {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }
}
