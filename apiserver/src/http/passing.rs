//! Passes a request on to another server and brings back its answer, all but what concerns one connection only.

use std::io;

use api::Status;
use api::dialer::Connection;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::select;

use super::Server;
use super::metrics::Running;
use super::node::{self, Relay};
use crate::auth::Until;
use crate::stream::upgrade::Upgradable;

/// Headers that concern one connection, not the request.
const OF_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What goes on as long as an answer does.
pub(super) struct Going {
    /// The connection of a client that wants it to become something else.
    pub upgrade: Option<Upgradable>,
    /// When the client is no longer who it said it is.
    pub until: Option<Until>,
    /// Counts it.
    pub running: Running,
}

/// The headers of a request as the other server gets them.
pub(super) fn headers(given: &HeaderMap, upgrades: bool, host: &str) -> Result<HeaderMap, Status> {
    let mut sent = given.clone();
    OF_CONNECTION.iter().for_each(|name| drop(sent.remove(name)));
    sent.remove("x-forwarded-for");
    if upgrades && let Some(protocol) = given.get(UPGRADE) {
        sent.insert(UPGRADE, protocol.clone());
        sent.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    sent.insert(HOST, HeaderValue::try_from(host).map_err(Status::internal)?);
    Ok(sent)
}

/// Sends a request and begins to bring back the answer.
pub(super) async fn pass(
    server: &Server,
    connection: Box<dyn Connection>,
    request: Request<Body>,
    going: Going,
) -> io::Result<Response> {
    let answered = node::send(connection, request, server.end(going.until)).await?;
    match (answered.status(), going.upgrade) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) => {
            switch(server, answered, upgrade, going.until, going.running).await
        }
        (StatusCode::SWITCHING_PROTOCOLS, None) => {
            Err(io::Error::other("it switched protocols without being asked"))
        }
        _ => Ok(plain(answered, going.running)),
    }
}

/// An answer with its body, counted while it goes on.
fn plain(answered: http::Response<Relay>, running: Running) -> Response {
    let mut response = answered.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &running;
            frame
        }))
    });
    OF_CONNECTION.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    response
}

/// Joins the two connections under an answer that switches protocols.
async fn switch(
    server: &Server,
    answered: http::Response<Relay>,
    upgrade: Upgradable,
    until: Option<Until>,
    running: Running,
) -> io::Result<Response> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answered.status();
    *response.headers_mut() = answered.headers().clone();
    let mut far = node::upgraded(answered).await?;
    let end = server.end(until);
    upgrade.begin(server.api.clock.clone(), move |mut near| async move {
        let _running = running;
        select! {
            biased;
            () = end => {}
            // However it ends, it is over.
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        }
    });
    Ok(response)
}
