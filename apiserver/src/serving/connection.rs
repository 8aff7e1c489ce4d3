//! One connection: the handshake, who the client is, and its requests until it, the server or idleness ends it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use api::Status;
use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::select;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::activity::{Activity, Answer};
use super::handshakes::Ticket;
use super::lent::Lent;
use super::{Shared, Stop};
use crate::auth::{Authenticator, Certified};
use crate::http::Peer;
use crate::stream::upgrade::Aftermath;

/// The most that the headers of a request may have, as a token and a long list of groups fit many times.
const HEADER_BYTES: usize = 64 * 1024;

/// How often a client with HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// How long a client may take to hear that its idle connection is over.
const FAREWELL: Duration = Duration::from_secs(5);

/// The first byte of every TLS connection: the record that holds a handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What to say to those who forgot the s in https; clients of Go servers know these words.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Serves a connection to its end.
pub async fn run(stream: TcpStream, mut ticket: Ticket, shared: Arc<Shared>, stop: Stop) {
    // One that is gone already has no address, and nobody will miss it.
    let peer = stream.peer_addr().ok().map(Peer);
    let established = async {
        let stream = open(stream, &shared).await?;
        // Until there is a place for it, the connection may still have to give way.
        let place = Arc::clone(&shared.places).acquire_owned().await.ok()?;
        Some((stream, place))
    };
    let established = select! {
        biased;
        () = ticket.given_up() => return,
        established = timeout(shared.limits.handshake, established) => established,
    };
    drop(ticket);
    if let Ok(Some((stream, _place))) = established {
        serve(stream, peer, &shared, stop).await;
    }
}

/// The handshake; none if it fails, about which the client was told.
async fn open(mut stream: TcpStream, shared: &Shared) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    // One that hangs up says nothing.
    stream.peek(&mut first).await.ok().filter(|read| *read == 1)?;
    if first[0] != HANDSHAKE_RECORD && first[0].is_ascii_uppercase() {
        let _ = refuse_plain(&mut stream).await;
        return None;
    }
    // Small answers are not held back; an error here shows again when something is written.
    let _ = stream.set_nodelay(true);
    let opened = TlsAcceptor::from(Arc::clone(&shared.tls)).accept(stream).await;
    opened.inspect_err(|error| debug!(%error, "a TLS handshake failed")).ok()
}

async fn refuse_plain(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(NOT_TLS).await?;
    stream.shutdown().await?;
    // Closed with something unread, the connection would be reset and the answer perhaps be lost.
    let mut rest = [0; 4 * 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn serve(stream: TlsStream<TcpStream>, peer: Option<Peer>, shared: &Shared, mut stop: Stop) {
    let (_, session) = stream.get_ref();
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let certified = certificate.and_then(|certificate| Certified::read(certificate));
    let activity = Activity::default();
    let aftermath = Aftermath::default();
    let front = FrontDoor {
        authenticator: Arc::clone(&shared.authenticator),
        certified,
        peer,
        activity: activity.clone(),
        // A connection with HTTP/2 carries other requests too, and is not given away for one.
        aftermath: (!is_http2).then(|| aftermath.clone()),
        router: TowerToHyperService::new(shared.router.clone()),
    };
    let io = TokioIo::new(stream);
    let idle = activity.idle(shared.limits.first_request, shared.limits.idle);
    // Both kinds of connection are driven alike but have no type in common.
    macro_rules! drive {
        ($connection:expr) => {{
            let mut connection = pin!($connection);
            let ended = select! {
                ended = connection.as_mut() => ended,
                () = stop.asked() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
                () = idle => {
                    connection.as_mut().graceful_shutdown();
                    timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a connection failed");
            }
        }};
    }
    if is_http2 {
        let requests = Arc::default();
        let mut builder = http2::Builder::new(Requests(Arc::downgrade(&requests)));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(shared.limits.streams)
            .max_header_list_size(HEADER_BYTES as u32)
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1);
        drive!(builder.serve_connection(io, front));
    } else {
        let mut builder = http1::Builder::new();
        // Idleness is watched here for both protocols, and with it how long headers take.
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(HEADER_BYTES);
        drive!(builder.serve_connection(io, front).with_upgrades());
    }
    if let Some(aftermath) = aftermath.take() {
        aftermath.await;
    }
}

/// Owns the requests of a connection with HTTP/2: they end with it.
#[derive(Clone)]
struct Requests(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Requests {
    fn execute(&self, request: F) {
        let Some(requests) = self.0.upgrade() else {
            return;
        };
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        while requests.try_join_next().is_some() {}
        requests.spawn(request);
    }
}

/// Lets requests in, with the user who sent them.
struct FrontDoor {
    authenticator: Arc<Authenticator>,
    certified: Option<Certified>,
    peer: Option<Peer>,
    activity: Activity,
    aftermath: Option<Aftermath>,
    router: TowerToHyperService<Router>,
}

type Answered = Result<Response<Answer>, Infallible>;

impl Service<Request<Incoming>> for FrontDoor {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answered> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let running = self.activity.begin();
        // Nobody behind this door needs the secret.
        let authorization = request.headers_mut().remove(AUTHORIZATION);
        let authorization = authorization.as_ref().map(HeaderValue::as_bytes);
        let user = self.authenticator.authenticate_until(self.certified.as_ref(), authorization);
        let request = request.map(Lent::new);
        let body = request.body().clone();
        let peer = self.peer;
        let routed = user.map(|(user, until)| {
            let mut request = request;
            request.extensions_mut().insert(user);
            if let Some(aftermath) = &self.aftermath {
                request.extensions_mut().insert(aftermath.clone());
            }
            if let Some(until) = until {
                request.extensions_mut().insert(until);
            }
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            self.router.call(request)
        });
        Box::pin(async move {
            let response = match routed {
                Ok(routed) => match routed.await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
                Err(status) => refusal(&status),
            };
            body.read_out().await;
            Ok(response.map(|body| Answer::new(body, running)))
        })
    }
}

fn refusal(status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::from(status.to_value().to_string()));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::UNAUTHORIZED);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
