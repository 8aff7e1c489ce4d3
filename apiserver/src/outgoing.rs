//! Requests of the server itself to others over HTTPS: webhooks, and servers of other API groups.
//!
//! Each request has a connection of its own. It ends with the request, and nothing outlives its caller.

mod address;
mod tls;
mod words;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api::Clock;
use api::dialer::{Connection, Dialer};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_rustls::client::TlsStream;

pub use address::{Address, Place, Target};
pub use tls::{Trust, secure};

use crate::store::Store;

/// An answer longer than this is refused: it holds one object of the largest that bodies may have, or smaller ones.
const LARGEST_ANSWER: usize = 4 << 20;

/// How the server names itself to others.
const AGENT: &str = concat!("kube-apiserver-admission peapod/", env!("CARGO_PKG_VERSION"));

/// A connection over which the other side is sure to be the one that was meant.
pub type Secured = TlsStream<Box<dyn Connection>>;

/// The server's way to others. A clone is a reference.
#[derive(Clone)]
pub struct Outgoing {
    dialer: Arc<dyn Dialer>,
    clock: Clock,
    store: Store,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outgoing")
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    /// The code.
    pub code: StatusCode,
    /// All of the body.
    pub body: Bytes,
}

impl Reply {
    /// The body of a good answer; otherwise what a Go client says of its code.
    pub fn good(self) -> Result<Bytes, String> {
        if self.code.is_success() { Ok(self.body) } else { Err(words::code(self.code)) }
    }
}

impl Outgoing {
    /// Reaches others over connections of `dialer`; services are looked up in `store`.
    pub fn new(dialer: Arc<dyn Dialer>, clock: Clock, store: Store) -> Self {
        Self { dialer, clock, store }
    }

    /// Connects to where an address leads; an error is in the words of a Go client.
    pub async fn connect(&self, target: &Target, trust: &Trust) -> Result<Secured, String> {
        self.connect_to(&target.place(&self.store)?, &target.server_name(), trust).await
    }

    async fn connect_to(&self, place: &Place, name: &str, trust: &Trust) -> Result<Secured, String> {
        let dialed = self.dialer.dial(&place.destination).await;
        let connection = dialed.map_err(|error| words::dial(place, &error))?;
        secure(connection, name, trust, &self.clock).await
    }

    /// Posts JSON and reads all of the answer, within a time; an error is in the words of a Go client.
    pub async fn post(
        &self,
        address: &Address,
        trust: &Trust,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Reply, String> {
        let url = address.url(timeout);
        let exchange = async {
            let connection = self.connect(&address.target, trust).await?;
            let path = url.splitn(4, '/').nth(3).unwrap_or_default();
            let request = Request::post(format!("/{path}"))
                .header(HOST, address.target.authority())
                .header(USER_AGENT, AGENT)
                .header(ACCEPT, "application/json, */*")
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, body.len());
            exchange(connection, request.body(Full::new(Bytes::from(body)))).await
        };
        let answer = self.within(timeout, exchange).await;
        answer.map_err(|words| format!("Post {url:?}: {words}"))
    }

    /// Gets JSON at a path, with these headers besides, and reads all of the answer, within a time; an error is in the words
    /// of a Go client.
    pub async fn get(
        &self,
        target: &Target,
        trust: &Trust,
        path: &str,
        headers: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Reply, String> {
        let place = target.place(&self.store)?;
        let exchange = async {
            let connection = self.connect_to(&place, &target.server_name(), trust).await?;
            let mut request = Request::get(path)
                .header(HOST, target.authority())
                .header(USER_AGENT, AGENT)
                .header(ACCEPT, "application/json");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            exchange(connection, request.body(Full::default())).await
        };
        let answer = self.within(timeout, exchange).await;
        answer.map_err(|words| format!("Get \"https://{}{path}\": {words}", place.shown))
    }

    async fn within<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(timeout) => Err("context deadline exceeded".to_owned()),
        }
    }
}

async fn exchange(connection: Secured, request: http::Result<Request<Full<Bytes>>>) -> Result<Reply, String> {
    let request = request.map_err(|error| error.to_string())?;
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| words::http(&error))?;
        let (parts, body) = answer.into_parts();
        Ok(Reply { code: parts.status, body: read(body).await? })
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        reply = &mut exchange => reply,
        // The connection may be over with all of the answer read.
        _ = driver => exchange.await,
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, String> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| words::http(&error))?;
        if let Some(data) = frame.data_ref() {
            if all.len() + data.len() > LARGEST_ANSWER {
                return Err(format!("the response is larger than {LARGEST_ANSWER} bytes"));
            }
            all.extend_from_slice(data);
        }
    }
    Ok(all.freeze())
}

#[cfg(test)]
pub(crate) mod tests;
