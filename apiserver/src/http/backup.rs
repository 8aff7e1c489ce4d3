//! Sends a backup of the store while it goes on.

use api::Status;
use api::status::Reason;
use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tracing::info;

use super::Server;

/// The header that says at which revision the backup shows the cluster.
const REVISION: HeaderName = HeaderName::from_static("peapod-revision");

/// Answers `/peapod/v1/backup`. A client knows by the end of the backup itself that it has all of it.
pub(super) async fn answer(server: &Server) -> Result<Response, Status> {
    let backup = server.api.registry.store().backup().await;
    let backup = backup.map_err(|refused| Status::new(Reason::ServiceUnavailable, refused.to_string()))?;
    info!(revision = %backup.revision(), "backup begun");
    let revision = backup.revision().0;
    let pieces = stream::iter(backup).map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(pieces.take_until(server.stopping())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(REVISION, revision.into());
    Ok(response)
}
