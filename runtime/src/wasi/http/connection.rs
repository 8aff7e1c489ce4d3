//! One connection to a `wasi:http` container: hyper in front, a guest behind each request.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use wasmtime_wasi_http::Error;

use crate::network::Stream;

use super::pool::{Pool, Refused};

/// What hyper may buffer of a request before its body.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How long a client may take for the head of a request; also how long it may stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an idle connection is kept when the container stops: a client that is about to use it gets its answer, and
/// with it the word that the connection closes.
const LINGER: Duration = Duration::from_secs(1);

/// Where requests of all connections go.
pub(super) struct Front {
    pub(super) pool: Arc<Pool>,
    /// The requests under way. Not in the pool, which they hold: dropping this ends them.
    pub(super) requests: Mutex<JoinSet<()>>,
    /// Whether the container stops.
    pub(super) draining: watch::Sender<bool>,
}

type Reply = Response<UnsyncBoxBody<Bytes, Error>>;

/// Serves a connection to its end, which is soon when the container stops.
pub(super) async fn serve(front: Arc<Front>, stream: Stream) {
    let mut draining = front.draining.subscribe();
    let clock = front.pool.handler().clock.clone();
    let service = service_fn(|request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.reply(request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .auto_date_header(!clock.is_virtual())
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let stopping = pin!(async {
        // An error means that the container is gone, and this task with it.
        drop(draining.wait_for(|draining| *draining).await);
        clock.sleep(LINGER).await;
    });
    // How a connection ends is its client's affair.
    if let Either::Right(((), _)) = select(connection.as_mut(), stopping).await {
        connection.as_mut().graceful_shutdown();
        drop(connection.await);
    }
}

impl Front {
    async fn reply(&self, request: http::Request<Incoming>) -> Reply {
        let mut reply = match self.ask(request).await {
            Ok(reply) => reply,
            Err((status, text)) => plain(status, text),
        };
        if *self.draining.borrow() {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    async fn ask(&self, mut request: http::Request<Incoming>) -> Result<Reply, (StatusCode, &'static str)> {
        let slot = self.pool.admit().await.map_err(|Refused::Overloaded| {
            (StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting for this container\n")
        })?;
        // HTTP/1.0 clients may leave it out; WASI needs an authority.
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        let (answer, answered) = oneshot::channel();
        self.start(Arc::clone(&self.pool).serve(slot, request, answer));
        match answered.await {
            Ok(Ok(reply)) => Ok(reply.map(|body| body.map_err(Into::into).boxed_unsync())),
            Ok(Err(_)) => Err((StatusCode::BAD_GATEWAY, "the program answered with an error\n")),
            Err(_) => Err((StatusCode::INTERNAL_SERVER_ERROR, "the program failed; its log tells how\n")),
        }
    }

    fn start(&self, request: impl Future<Output = ()> + Send + 'static) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        while requests.try_join_next().is_some() {}
        requests.spawn(request);
    }
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(Error::from).boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply
}
