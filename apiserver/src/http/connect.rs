//! What streams to pods have in common: the pod and its node, whether the connection may be made, and how it ends.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::backend::{Answer, Backend, Request, User, Verb};
use api::resource::PODS;
use api::{Clock, Key, Object, Resource, Status};
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use tokio::select;

use super::metrics::About;
use super::node::Relay;
use super::{Server, reply};
use crate::auth::Until;
use crate::stream::negotiate::{NothingKnown, Offer};
use crate::stream::upgrade::Upgradable;

/// How long a client may take to read what is left for it once the work is done.
const FAREWELL: Duration = Duration::from_secs(30);

/// A request that may become a stream.
pub(super) struct Asked<'r> {
    pub user: Arc<User>,
    pub key: Key,
    pub about: About,
    pub headers: &'r HeaderMap,
    pub upgrade: Option<Upgradable>,
    /// When the client is no longer who it said it is.
    pub until: Option<Until>,
}

impl Asked<'_> {
    /// What the client offers to speak, and the connection for it.
    pub fn offer(&mut self) -> Result<(Offer, Upgradable), Status> {
        let required = || Status::bad_request("Upgrade request required");
        let offer = Offer::of(self.headers).ok_or_else(required)?;
        Ok((offer, self.upgrade.take().ok_or_else(required)?))
    }
}

/// Reads an object for the server itself: who may have the stream may have what it takes to find its end.
pub(super) async fn read(server: &Server, resource: Resource, key: &Key) -> Result<Object, Status> {
    let user = User::component("apiserver");
    let request = Request { user, resource, key: key.clone(), subresource: "", verb: Verb::Get };
    match server.api.registry.call(request).await?.answer {
        Answer::Object(object) => Ok(object),
        _ => Err(Status::internal("an object was answered with something else")),
    }
}

/// The spec of a pod and the node it runs on.
pub(super) async fn pod(server: &Server, key: &Key) -> Result<(PodSpec, String), Status> {
    let object = read(server, PODS, key).await?;
    let pod: &Pod = object.typed().map_err(Status::internal)?;
    let mut spec = pod.spec.clone().unwrap_or_default();
    let node = spec.node_name.take().filter(|node| !node.is_empty());
    let homeless = || Status::bad_request(format!("pod {} does not have a host assigned", key.name));
    Ok((spec, node.ok_or_else(homeless)?))
}

/// Refuses an offer of which nothing is known, as clients expect it.
pub(super) fn refuse(offer: &Offer, nothing: &NothingKnown) -> Response {
    let code = match offer {
        Offer::WebSocket { .. } => StatusCode::BAD_REQUEST,
        Offer::Spdy { .. } => StatusCode::FORBIDDEN,
    };
    let mut response = reply::text(code, format!("{nothing}\n"));
    let name = HeaderName::from_static("x-accepted-stream-protocol-versions");
    for known in &nothing.known {
        response.headers_mut().append(name.clone(), HeaderValue::from_static(known));
    }
    response
}

/// Passes on a node's refusal as it is.
pub(super) fn pass_on(refused: http::Response<Relay>) -> Response {
    refused.map(Body::new)
}

/// Serves a client until it has gone. Once the work is done it has a while to take what is left.
pub(super) async fn attend(serving: impl Future<Output = ()>, work: impl Future<Output = ()>, clock: &Clock) {
    let mut serving = pin!(serving);
    select! {
        biased;
        () = serving.as_mut() => return,
        () = work => {}
    }
    select! {
        biased;
        () = serving => {}
        () = clock.sleep(FAREWELL) => {}
    }
}
