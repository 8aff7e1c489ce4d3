//! Counts the requests under way on a connection, so that one without any can be told and ended.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::timeout;

/// The requests under way on one connection. A clone is a reference.
#[derive(Clone, Default)]
pub struct Activity(Arc<watch::Sender<usize>>);

/// A request under way, until it is dropped.
pub struct Running(Activity);

/// The body of an answer; its request is under way until all of it is sent.
pub struct Answer {
    body: Body,
    _running: Running,
}

impl Activity {
    /// One more request.
    pub fn begin(&self) -> Running {
        self.0.send_modify(|running| *running += 1);
        Running(self.clone())
    }

    /// Waits until there was no request for too long: `first` for the first one, `later` between the others.
    pub async fn idle(&self, first: Duration, later: Duration) {
        let mut running = self.0.subscribe();
        let mut limit = first;
        loop {
            let is_idle = *running.borrow_and_update() == 0;
            let changed =
                if is_idle { timeout(limit, running.changed()).await } else { Ok(running.changed().await) };
            match changed {
                Err(_) => return,
                Ok(Ok(())) => limit = later,
                // `self` holds the sender.
                Ok(Err(_)) => pending().await,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.send_modify(|running| *running -= 1);
    }
}

impl Answer {
    /// The body of the answer to a request.
    pub fn new(body: Body, running: Running) -> Self {
        Self { body, _running: running }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::time::{Instant, advance};

    const FIRST: Duration = Duration::from_secs(10);
    const LATER: Duration = Duration::from_secs(90);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_without_requests() {
        let activity = Activity::default();
        let begin = Instant::now();
        activity.idle(FIRST, LATER).await;
        assert_eq!(begin.elapsed().as_secs(), 10, "no first request");

        let mut idle = Box::pin(activity.idle(FIRST, LATER));
        assert!((&mut idle).now_or_never().is_none());
        let (long, short) = (activity.begin(), activity.begin());
        assert!((&mut idle).now_or_never().is_none());
        advance(Duration::from_secs(3_600)).await;
        drop(short);
        assert!((&mut idle).now_or_never().is_none(), "one is still under way");
        drop(long);
        let begin = Instant::now();
        idle.await;
        assert_eq!(begin.elapsed().as_secs(), 90);
    }
}
