//! Requests that guests send, over their pod's place in the network.

mod tls;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::Clock;
use bytes::Bytes;
use futures::future::{Either, select};
use http::uri::{PathAndQuery, Scheme, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either as Line;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::limits::memory::{Account, Charge};
use crate::network::{ConnectError, Interface, Refusal, Stream};

/// How many requests one instance may have under way.
const MOST_REQUESTS: usize = 128;
/// What the host keeps for each: hyper's buffer and what the guest writes ahead.
const REQUEST_BYTES: u64 = (READ_BUFFER_BYTES + WRITE_AHEAD_BYTES) as u64;
const READ_BUFFER_BYTES: usize = 64 << 10;
/// What TLS keeps besides: a record and what is around it, in each direction.
const TLS_BYTES: u64 = 64 << 10;
pub(super) const WRITE_AHEAD_BYTES: usize = 64 << 10;
/// How long a guest waits that set no limit itself: to connect, for the first byte, and between bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Sends the requests of one instance.
pub struct Outgoing {
    interface: Interface,
    clock: Clock,
    memory: Arc<Account>,
    slots: Arc<Semaphore>,
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

impl Outgoing {
    /// Sends over `interface`, charging `memory` for what is buffered.
    pub(in crate::wasi) fn new(interface: Interface, clock: Clock, memory: &Arc<Account>) -> Self {
        Self { interface, clock, memory: Arc::clone(memory), slots: Arc::new(Semaphore::new(MOST_REQUESTS)) }
    }

    fn hold(&self, is_secure: bool) -> Result<Held, Error> {
        let bytes = if is_secure { REQUEST_BYTES + TLS_BYTES } else { REQUEST_BYTES };
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)?;
        let charge = Charge::new(&self.memory, bytes).ok_or_else(|| {
            Error::InternalError(Some("the container's memory limit leaves no room for a request".into()))
        })?;
        Ok(Held { _slot: slot, _charge: charge })
    }
}

/// What a request occupies until its connection is done.
struct Held {
    _slot: OwnedSemaphorePermit,
    _charge: Charge,
}

impl WasiHttpHooks for Outgoing {
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTP)
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_AHEAD_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let held = self.hold(request.uri().scheme() == Some(&Scheme::HTTPS));
        let (interface, clock) = (self.interface.clone(), self.clock.clone());
        Box::new(async move { send(&interface, clock, request, options.unwrap_or_default(), held?).await })
    }
}

async fn send(
    interface: &Interface,
    clock: Clock,
    mut request: http::Request<WasiBody>,
    options: RequestOptions,
    held: Held,
) -> Sent {
    let connect_timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let connecting = connect(interface, request.uri());
    let stream = within(&clock, connect_timeout, Error::ConnectionTimeout, connecting).await?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(READ_BUFFER_BYTES).handshake(TokioIo::new(stream)).await?;
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));

    // The request moves only while the connection is driven.
    let mut connection = Some(Box::pin(connection));
    let responding = async {
        let sending = Box::pin(sender.send_request(request));
        match select(sending, connection.as_mut().expect("it was just made")).await {
            Either::Left((response, _)) => Ok(response?),
            Either::Right((ended, sending)) => {
                connection = None;
                ended?;
                Ok(sending.await?)
            }
        }
    };
    let patience = options.first_byte_timeout.unwrap_or(RESPONSE_TIMEOUT);
    let response = within(&clock, patience, Error::ConnectionReadTimeout, responding).await?;

    let patience = options.between_bytes_timeout.unwrap_or(RESPONSE_TIMEOUT);
    let response = response.map(|body| TimedBody::new(body, clock, patience).boxed_unsync());
    let io = async move {
        let _held = held;
        match connection {
            Some(connection) => connection.await.map_err(Error::from),
            None => Ok(()),
        }
    };
    Ok((response, Box::new(io)))
}

async fn connect(interface: &Interface, uri: &Uri) -> Result<Line<Stream, TlsStream<Stream>>, Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let is_secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(Error::HttpRequestUriInvalid),
    };
    let host = authority.host();
    let stream =
        reach(interface, host, authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 })).await?;
    if is_secure {
        return tls::secure(interface, host, stream).await.map(Line::Right);
    }
    Ok(Line::Left(stream))
}

async fn reach(interface: &Interface, host: &str, port: u16) -> Result<Stream, Error> {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let connected = match address {
        Ok(address) => interface.connect(SocketAddr::new(address, port)).await,
        Err(_) => interface.connect_name(host, port).await,
    };
    connected.map_err(|error| match error {
        ConnectError::Refused { why: Refusal::NoSuchPod | Refusal::NoSuchService, .. } => {
            Error::DestinationUnavailable
        }
        ConnectError::Refused { .. } => Error::ConnectionRefused,
        ConnectError::Outside { .. } => Error::DestinationIpProhibited,
        ConnectError::TimedOut { .. } => Error::ConnectionTimeout,
        ConnectError::NotResolved(error) => {
            Error::DnsError { rcode: Some(error.to_string()), info_code: None }
        }
    })
}

async fn within<T>(
    clock: &Clock,
    span: Duration,
    late: Error,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match select(std::pin::pin!(work), std::pin::pin!(clock.sleep(span))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(((), _)) => Err(late),
    }
}

/// A response body that fails when it brings nothing for too long.
struct TimedBody {
    body: Incoming,
    clock: Clock,
    patience: Duration,
    deadline: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl TimedBody {
    fn new(body: Incoming, clock: Clock, patience: Duration) -> Self {
        Self { body, clock, patience, deadline: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let (clock, patience) = (this.clock.clone(), this.patience);
        let deadline =
            this.deadline.get_or_insert_with(|| Box::pin(async move { clock.sleep(patience).await }));
        deadline.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
