//! From an HTTP request to the connection under it: the answer that switches protocols, and what goes on afterwards.
//!
//! Whoever answers a request only says what is to be done with the upgraded connection. Whoever serves the connection does
//! it, in the place of requests: so it has an owner, takes a place among connections, and ends with the server.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::Clock;
use api::channels::derive_accept_key;
use axum::body::Body;
use axum::response::Response;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Extensions, HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::negotiate::{Offer, STREAM_PROTOCOL};

/// A connection on which nothing moves for so long, or up to twice as long, is ended: as long as a kubelet waits.
const IDLE: Duration = Duration::from_secs(4 * 60 * 60);

/// What goes on with a connection after its requests: put in by who answers, taken by who serves the connection.
#[derive(Clone, Default)]
pub struct Aftermath(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Aftermath {
    /// What is to be done, if anything.
    pub fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request whose connection may become something else.
pub struct Upgradable {
    upgrade: OnUpgrade,
    aftermath: Aftermath,
}

/// An upgraded connection, whose movements are counted.
pub struct Client {
    io: TokioIo<Upgraded>,
    moved: Arc<AtomicU64>,
}

impl Upgradable {
    /// Takes what a request says of its connection; none if that cannot become anything else.
    pub fn take(extensions: &mut Extensions) -> Option<Self> {
        let aftermath = extensions.get::<Aftermath>()?.clone();
        let upgrade = extensions.remove::<OnUpgrade>()?;
        Some(Self { upgrade, aftermath })
    }

    /// Has something done with the connection as soon as the answer is sent.
    pub fn begin<F: Future<Output = ()> + Send>(
        self,
        clock: Clock,
        work: impl FnOnce(Client) -> F + Send + 'static,
    ) {
        let upgrade = self.upgrade;
        let aftermath = async move {
            let io = match upgrade.await {
                Ok(upgraded) => TokioIo::new(upgraded),
                Err(error) => return tracing::debug!(%error, "a connection was not upgraded"),
            };
            let moved = Arc::<AtomicU64>::default();
            let client = Client { io, moved: Arc::clone(&moved) };
            tokio::select! {
                biased;
                () = work(client) => {}
                () = idle(&moved, &clock) => tracing::debug!("an idle stream was ended"),
            }
        };
        let mut place = self.aftermath.0.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::pin(aftermath));
    }
}

async fn idle(moved: &AtomicU64, clock: &Clock) {
    loop {
        let before = moved.load(Ordering::Relaxed);
        clock.sleep(IDLE).await;
        if moved.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// The answer that switches to what was agreed on.
pub fn switching(offer: &Offer, protocol: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    match offer {
        Offer::WebSocket { key, .. } => {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
            if !protocol.is_empty() {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
            }
        }
        Offer::Spdy { .. } => {
            headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
            let name = HeaderName::from_static(STREAM_PROTOCOL);
            headers.insert(name, HeaderValue::from_static(protocol));
        }
    }
    response
}

impl Client {
    fn moved(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(context, buffer));
        self.moved();
        Poll::Ready(read)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        self.moved();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
