//! Bytes on their way from a guest to somebody who reads them: a bounded buffer, so that a guest waits for a slow reader and
//! holds no more than that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// A guest may write as long as less than this waits to be read.
const ENOUGH_BYTES: usize = 16 << 10;

/// What a guest writes and a client reads. A clone is a reference.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was taken, or nothing will be any more.
    taken: Notify,
    /// Something was written, or nothing will be any more.
    written: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Nobody reads any more.
    is_unread: bool,
    /// Nobody writes any more.
    is_complete: bool,
}

impl Feed {
    /// Adds bytes. They are lost if nobody reads.
    pub fn write(&self, bytes: &[u8]) {
        let mut state = self.lock();
        if !state.is_unread {
            state.bytes.extend_from_slice(bytes);
        }
        drop(state);
        self.0.written.notify_one();
    }

    /// Waits until more may be written.
    pub async fn ready(&self) {
        loop {
            let taken = self.0.taken.notified();
            tokio::pin!(taken);
            // From here on no change is missed.
            taken.as_mut().enable();
            if self.wants_more() {
                return;
            }
            taken.await;
        }
    }

    fn wants_more(&self) -> bool {
        let state = self.lock();
        state.is_unread || state.bytes.len() < ENOUGH_BYTES
    }

    /// Whether nobody reads any more.
    pub fn is_unread(&self) -> bool {
        self.lock().is_unread
    }

    /// Says that nothing more will be written.
    pub fn complete(&self) {
        self.lock().is_complete = true;
        self.0.written.notify_one();
    }

    /// Passes on what is written until it is complete, or until the reader is gone.
    pub async fn pass_on(&self, mut to: impl AsyncWrite + Unpin) {
        while let Some(bytes) = self.next().await {
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let mut state = self.lock();
        state.is_unread = true;
        state.bytes = Vec::new();
        drop(state);
        self.0.taken.notify_waiters();
    }

    async fn next(&self) -> Option<Vec<u8>> {
        loop {
            let (bytes, is_complete) = self.take();
            if !bytes.is_empty() {
                self.0.taken.notify_waiters();
                return Some(bytes);
            }
            if is_complete {
                return None;
            }
            self.0.written.notified().await;
        }
    }

    fn take(&self) -> (Vec<u8>, bool) {
        let mut state = self.lock();
        (std::mem::take(&mut state.bytes), state.is_complete)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_writer_waits_for_its_reader() {
        let feed = Feed::default();
        feed.write(&[b'x'; ENOUGH_BYTES]);
        assert!(feed.ready().now_or_never().is_none());
        let (near, mut far) = tokio::io::duplex(ENOUGH_BYTES);
        let mut passing = Box::pin(feed.pass_on(near));
        assert!((&mut passing).now_or_never().is_none());
        feed.ready().await;
        feed.write(b"end");
        feed.complete();
        let mut read = Vec::new();
        tokio::join!(passing, far.read_to_end(&mut read)).1.expect("read");
        assert_eq!((read.len(), read.ends_with(b"end")), (ENOUGH_BYTES + 3, true));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_reader_that_has_gone() {
        let feed = Feed::default();
        feed.write(&[b'x'; ENOUGH_BYTES]);
        let (near, far) = tokio::io::duplex(1);
        drop(far);
        feed.pass_on(near).await;
        feed.ready().await;
        feed.write(b"lost");
        assert!(feed.is_unread());
        assert!(feed.lock().bytes.is_empty());
    }
}
