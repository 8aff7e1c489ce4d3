//! Asks the agent of a node, or a pod or a server, over HTTP on a connection that the dialer opens.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use api::Status;
use api::dialer::{Connection, Destination, Dialer};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

/// Moves the bytes of a connection for as long as it is polled.
type Driver = BoxFuture<'static, hyper::Result<()>>;

/// Any sixteen bytes will do on a connection of our own: the key protects from proxies that answer from memory.
const KEY: &str = "cGVhcG9kIHRvIGEgbm9kZQ==";

/// The body of an answer together with its connection, which goes on only while the body is read.
pub(super) struct Relay {
    body: Incoming,
    driver: Option<Driver>,
    /// When it comes the body ends.
    end: BoxFuture<'static, ()>,
}

/// What a node makes of the request for a stream.
pub(super) enum Opened {
    /// It speaks the channels of a WebSocket now.
    Stream(TokioIo<Upgraded>),
    /// It does not want to, and says why.
    Refused(Response<Relay>),
}

/// Sends a GET to the agent of a node. The answer ends with `end` at the latest.
pub(super) async fn get(
    dialer: &dyn Dialer,
    node: &str,
    path: &str,
    end: BoxFuture<'static, ()>,
) -> Result<Response<Relay>, Status> {
    let request = Request::get(path).header(HOST, "node").body(Body::empty());
    ask(dialer, node, request, end).await
}

/// Opens a stream to a node.
pub(super) async fn open(dialer: &dyn Dialer, node: &str, path: &str) -> Result<Opened, Status> {
    let request = Request::get(path)
        .header(HOST, "node")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, KEY)
        .body(Body::empty());
    let response = ask(dialer, node, request, Box::pin(std::future::pending())).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Opened::Refused(response));
    }
    upgraded(response).await.map(Opened::Stream).map_err(|error| failed(node, &error))
}

async fn ask(
    dialer: &dyn Dialer,
    node: &str,
    request: http::Result<Request<Body>>,
    end: BoxFuture<'static, ()>,
) -> Result<Response<Relay>, Status> {
    let asked = async {
        let connection = dialer.dial(&Destination::Node(node.to_owned())).await?;
        send(connection, request.map_err(io::Error::other)?, end).await
    };
    asked.await.map_err(|error| failed(node, &error))
}

fn failed(node: &str, error: &io::Error) -> Status {
    Status::internal(format_args!("ask node {node:?}: {error}"))
}

/// Sends a request over a new connection. The answer ends with `end` at the latest.
pub(super) async fn send(
    connection: Box<dyn Connection>,
    request: Request<Body>,
    end: BoxFuture<'static, ()>,
) -> io::Result<Response<Relay>> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await.map_err(io::Error::other)?;
    let mut driver: Driver = Box::pin(driver.with_upgrades());
    let response = sender.send_request(request);
    tokio::pin!(response);
    let (response, driver) = tokio::select! {
        biased;
        response = &mut response => (response, Some(driver)),
        // The connection may be over with the whole answer read.
        ended = &mut driver => match ended {
            Ok(()) => (response.await, None),
            Err(error) => return Err(io::Error::other(error)),
        },
    };
    Ok(response.map_err(io::Error::other)?.map(|body| Relay { body, driver, end }))
}

/// The connection under an answer that switches protocols.
pub(super) async fn upgraded(mut response: Response<Relay>) -> io::Result<TokioIo<Upgraded>> {
    let upgrade = hyper::upgrade::on(&mut response);
    if let Some(driver) = response.into_body().driver {
        driver.await.map_err(io::Error::other)?;
    }
    upgrade.await.map(TokioIo::new).map_err(io::Error::other)
}

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if this.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Some(driver) = &mut this.driver
            && Pin::new(driver).poll(context).is_ready()
        {
            // Its error, if it had one, is that of the body too.
            this.driver = None;
        }
        Pin::new(&mut this.body).poll_frame(context)
    }
}
