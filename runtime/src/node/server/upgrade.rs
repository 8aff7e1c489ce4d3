//! Streams: a request becomes the channels of a WebSocket, and what is done with them runs in the connection's own task.

use std::sync::{Mutex, PoisonError};

use api::channels::{Channel, Form, Role, carry, derive_accept_key};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::upgrade;
use hyper_util::rt::TokioIo;
use tokio::select;
use tracing::debug;

use super::{Body, Refusal};

/// What goes on with a connection after its requests.
#[derive(Default)]
pub(super) struct Aftermath(Mutex<Option<BoxFuture<'static, ()>>>);

/// What a stream does: the channels it has, and who uses their other ends.
pub(super) struct Work {
    pub(super) channels: Vec<Channel>,
    pub(super) work: BoxFuture<'static, ()>,
}

impl Aftermath {
    pub(super) fn take(self) -> Option<BoxFuture<'static, ()>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers that the connection is the channels of a WebSocket from now on.
pub(super) fn accept(
    request: &mut Request<Incoming>,
    aftermath: &Aftermath,
    work: Work,
) -> Result<Response<Body>, Refusal> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY);
    let Some(key) = key.filter(|_| request.headers().contains_key(UPGRADE)) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "Upgrade request required"));
    };
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let upgraded = upgrade::on(request);
    let Work { channels, work } = work;
    let stream = async move {
        let stream = match upgraded.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => return debug!(%error, "a stream was not begun"),
        };
        let carried = carry(stream, Role::Server, Form::ENDING, channels, &[]);
        tokio::pin!(carried);
        select! {
            biased;
            // The other side has gone, and nobody needs the work.
            () = carried.as_mut() => return,
            () = work => {}
        }
        carried.await;
    };
    *aftermath.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(stream));
    let mut response = Response::new(Empty::<Bytes>::new().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}
