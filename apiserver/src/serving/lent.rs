//! The body of a request, lent to those who answer it: a small rest that they leave is read before the answer is sent.
//!
//! With HTTP/2 the stream of a request that was not read is reset behind its answer. That is as it should be, but some
//! clients (curl 7.88) take it for a failure, and their users never see why they were refused.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;

/// A body that is longer is left: who sends so much must know how to stop.
const SMALL: u64 = 64 << 10;

/// How long the answer waits for the rest.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body in use. A clone is a reference.
pub struct Lent<B>(Arc<Mutex<B>>);

impl<B: Body + Unpin> Lent<B> {
    /// Lends a body.
    pub fn new(body: B) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads what is left and forgets it, if it is little and comes soon.
    pub async fn read_out(mut self) {
        let is_small = self.size_hint().upper().is_some_and(|bytes| bytes <= SMALL);
        if is_small && !self.is_end_stream() {
            let rest = async { while let Some(Ok(_)) = self.frame().await {} };
            // Whether it came in time makes no difference to what is answered.
            let _ = timeout(PATIENCE, rest).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, B> {
        // Who panicked while it was held has not answered, and nobody else reads it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Clone for Lent<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Body + Unpin> Body for Lent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body;
    use bytes::Bytes;
    use tokio::time::Instant;

    /// A body that says how long it is, and of which nothing comes.
    struct Late(u64);

    impl Body for Late {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_small_body_is_read_out() {
        let row = async |bytes: usize, left: usize| {
            let lent = Lent::new(body::Body::from("x".repeat(bytes)));
            drop(lent.clone());
            lent.clone().read_out().await;
            assert_eq!(lent.collect().await.unwrap().to_bytes().len(), left, "{bytes}");
        };
        row(0, 0).await;
        row(1_000, 0).await;
        row(100_000, 100_000).await;
        for (bytes, seconds) in [(10, 1), (100_000, 0)] {
            let begin = Instant::now();
            Lent::new(Late(bytes)).read_out().await;
            assert_eq!(begin.elapsed().as_secs(), seconds);
        }
    }
}
