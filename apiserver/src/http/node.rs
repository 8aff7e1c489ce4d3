//! Asks the agent of a node, over HTTP on a connection that the dialer opens.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use api::Status;
use api::dialer::{Connection, Destination, Dialer};
use axum::body::HttpBody;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

type Driver = http1::Connection<TokioIo<Box<dyn Connection>>, Empty<Bytes>>;

/// The body of a node's answer together with its connection, which goes on only while the body is read.
pub(super) struct Relay {
    body: Incoming,
    driver: Option<Driver>,
    /// When it comes the body ends.
    end: BoxFuture<'static, ()>,
}

/// Sends a GET to the agent of a node. The answer ends with `end` at the latest.
pub(super) async fn get(
    dialer: &dyn Dialer,
    node: &str,
    path: &str,
    end: BoxFuture<'static, ()>,
) -> Result<Response<Relay>, Status> {
    let failed = |error: &dyn std::fmt::Display| Status::internal(format_args!("ask node {node:?}: {error}"));
    let connection =
        dialer.dial(&Destination::Node(node.to_owned())).await.map_err(|error| failed(&error))?;
    let (mut sender, mut driver) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| failed(&error))?;
    let request = Request::get(path)
        .header(http::header::HOST, "node")
        .body(Empty::new())
        .map_err(|error| failed(&error))?;
    let response = sender.send_request(request);
    tokio::pin!(response);
    let (response, driver) = tokio::select! {
        biased;
        response = &mut response => (response, Some(driver)),
        // The connection may be over with the whole answer read.
        ended = &mut driver => match ended {
            Ok(()) => (response.await, None),
            Err(error) => return Err(failed(&error)),
        },
    };
    Ok(response.map_err(|error| failed(&error))?.map(|body| Relay { body, driver, end }))
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
