//! What is no resource: discovery, schemas, health, figures, the version, backups.

use api::Status;
use api::backend::User;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};

use super::query::Query;
use super::{Server, accept, backup, health, metrics, reply, route, schema, verb_of, version};

/// Answers what is no resource.
pub(super) async fn answer(
    server: &Server,
    user: &User,
    method: &Method,
    segments: &[String],
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Status> {
    let path = format!("/{}", segments.join("/"));
    server.api.authorizer.authorize_path(user, &verb_of(method), &path)?;
    if ![Method::GET, Method::HEAD].contains(method) {
        return Err(route::not_allowed());
    }
    let texts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let api = &server.api;
    match texts.as_slice() {
        ["version"] => Ok(reply::value(StatusCode::OK, &version::document())),
        ["metrics"] => metrics::show(&api.figures),
        ["peapod", "v1", "backup"] => backup::answer(server).await,
        ["healthz" | "livez" | "readyz", ..] => {
            health::show(&api.health, &texts, query).ok_or_else(route::not_found)
        }
        ["openapi", "v2"] => show_legacy_schema(server, headers).await,
        ["openapi", "v3", ..] => show_schema(server, &texts[2..], query, headers).await,
        [""] => Ok(reply::value(StatusCode::OK, &server.documents().paths())),
        _ => {
            let document = server.documents().show(path.trim_start_matches('/'), headers)?;
            document.ok_or_else(route::not_found)
        }
    }
}

async fn show_schema(
    server: &Server,
    path: &[&str],
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Status> {
    let path = path.join("/");
    let find = {
        let (openapi, path) = (server.api.openapi.clone(), path.clone());
        let remotes = server.api.registry.remotes();
        move || match path.as_str() {
            "" => Some(openapi.index().with(remotes.documents())),
            path => openapi.document(path),
        }
    };
    let document = apart(server, find).await?.ok_or_else(route::not_found)?;
    let json = document.json.clone();
    Ok(match path.as_str() {
        "" => schema::index(json, &document.hash, headers),
        path => schema::document(json, &document.hash, path, query, headers, server.api.clock.now()),
    })
}

/// Shows the one document of OpenAPI v2.
async fn show_legacy_schema(server: &Server, headers: &HeaderMap) -> Result<Response, Status> {
    let Some(form) = accept::legacy_schema(headers) else {
        return Ok(reply::text(StatusCode::NOT_ACCEPTABLE, ""));
    };
    let openapi = server.api.openapi.clone();
    let document = apart(server, move || openapi.legacy()).await?;
    Ok(schema::legacy(&document, form, headers))
}

/// Does what may be too much work to do it among other requests: a document is made when it is asked for first.
pub(super) async fn apart<T: Send + 'static>(
    server: &Server,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    match server.api.clock.is_virtual() {
        true => Ok(work()),
        false => tokio::task::spawn_blocking(work).await.map_err(Status::internal),
    }
}
