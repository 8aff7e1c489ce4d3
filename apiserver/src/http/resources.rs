//! Requests for objects that are stored: from the path and its parameters to the registry, and back as a response.

use std::sync::Arc;
use std::time::Duration;

use api::Status;
use api::backend::{Answer, Backend, Body, Patch, Reply, Request, User, Verb};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;

use super::accept::Offer;
use super::body::{self, PatchFormat};
use super::encode::Encoding;
use super::query::Query;
use super::reply::View;
use super::route::{Action, Found};
use super::table::Layout;
use super::watch::{Lines, Turns};
use super::{Server, accept, options, reply};
use crate::auth::Until;
use crate::codec::protobuf;

/// The shortest time a watch lasts for which the client set no limit; the longest is twice that.
const WATCH_AT_LEAST: Duration = Duration::from_secs(30 * 60);

impl Found {
    /// Carries it out.
    pub async fn answer(
        self,
        server: &Server,
        user: Arc<User>,
        until: Option<Until>,
        query: &Query,
        headers: &HeaderMap,
        body: axum::body::Body,
    ) -> Result<Response, Status> {
        let resource = self.version.resource();
        let wanted = accept::wanted(headers, query, self.offer())?;
        let now = server.api.clock.now();
        let view = View {
            layout: Layout { version: self.version.clone(), is_scale: self.part() == "scale", now },
            wanted,
        };
        let request = |verb| Request {
            user: user.clone(),
            resource: resource.clone(),
            key: self.key.clone(),
            subresource: self.part(),
            verb,
        };
        let kind = if self.part() == "scale" { "Scale" } else { &*resource.kind };
        let has_protobuf = self.version.kind().custom().is_none() || self.part() == "scale";
        let call = async |verb| server.api.registry.call(request(verb)).await;
        match self.action {
            Action::Get => respond(&view, StatusCode::OK, call(Verb::Get).await?),
            Action::List => {
                let reply = call(Verb::List(options::list(query)?)).await?;
                match view.is_costly(&reply.answer) {
                    true => {
                        super::other::apart(server, move || respond(&view, StatusCode::OK, reply)).await?
                    }
                    false => respond(&view, StatusCode::OK, reply),
                }
            }
            Action::Watch => {
                let mut options = options::watch(query)?;
                let longest = || random_timeout(server.api.registry.identity.number());
                options.timeout.get_or_insert_with(longest);
                let watching = server.watchers.begin(&user.name)?;
                let running = server.api.metrics.long_running(&self.about());
                let reply = match call(Verb::Watch(options)).await {
                    Ok(reply) => reply,
                    // Clients look for this among the events.
                    Err(status) if status.is_expired() => {
                        return Ok(stream(wanted.encoding, Lines::failed(status, view, running)));
                    }
                    Err(status) => return Err(status),
                };
                let Answer::Watch(events) = reply.answer else {
                    return Err(Status::internal("a watch was answered with something else"));
                };
                let turns = Turns { clock: server.api.clock.clone(), watching };
                let lines = Lines::new(events, view, turns, server.end(until), running);
                Ok(stream(wanted.encoding, lines))
            }
            Action::Create => {
                let options = options::write(query, headers, "CreateOptions")?;
                let reply =
                    call(Verb::Create(object(headers, body, has_protobuf, kind).await?, options)).await?;
                if ["binding", "eviction"].contains(&self.part()) {
                    let nothing = (serde_json::json!({}), serde_json::Value::Null);
                    let done = reply::success(nothing.0, nothing.1, StatusCode::CREATED);
                    return view.tree(StatusCode::CREATED, &done);
                }
                respond(&view, StatusCode::CREATED, reply)
            }
            Action::Update => {
                let options = options::write(query, headers, "UpdateOptions")?;
                let body = object(headers, body, has_protobuf, kind).await?;
                respond(&view, StatusCode::OK, call(Verb::Update(body, options)).await?)
            }
            Action::Patch => {
                let format = body::patch_format(headers)?;
                let options = options::patch(query, headers, format == PatchFormat::Apply)?;
                let bytes = body::read(body).await?;
                let patch = match format {
                    PatchFormat::Json => Patch::Json(Body::Json(bytes)),
                    PatchFormat::Merge => Patch::Merge(Body::Json(bytes)),
                    PatchFormat::Strategic => Patch::Strategic(Body::Json(bytes)),
                    PatchFormat::Apply => Patch::Apply(body::configuration(bytes)?),
                };
                respond(&view, StatusCode::OK, call(Verb::Patch(patch, options)).await?)
            }
            Action::Delete => {
                let given = delete_options(headers, query, body).await?;
                let is_cascading = given.orphan_dependents == Some(false);
                let reply = call(Verb::Delete(options::delete(given)?)).await?;
                // Kubernetes says so only to those who ask in the old way, as others did not expect it.
                let lingers = is_cascading && matches!(reply.answer, Answer::Object(_));
                let code = if lingers { StatusCode::ACCEPTED } else { StatusCode::OK };
                match reply::deleted(resource, &reply.answer) {
                    Some(status) => {
                        let mut response = view.tree(StatusCode::OK, &status)?;
                        reply::warn(response.headers_mut(), &reply.warnings);
                        Ok(response)
                    }
                    None => respond(&view, code, reply),
                }
            }
            Action::DeleteCollection => {
                let list = options::list(query)?;
                let options = options::delete_collection(delete_options(headers, query, body).await?)?;
                respond(&view, StatusCode::OK, call(Verb::DeleteCollection(list, options)).await?)
            }
        }
    }
}

impl Found {
    /// What can be shown of the objects: custom ones and versions that are gone have no messages.
    fn offer(&self) -> Offer {
        let resource = self.version.resource();
        let has_protobuf = protobuf::type_of(&resource.api_version(), &resource.kind).is_some();
        Offer { has_protobuf, is_watch: self.action == Action::Watch }
    }
}

/// An answer of the registry as a response.
pub(super) fn respond(view: &View, code: StatusCode, reply: Reply) -> Result<Response, Status> {
    let mut response = match reply.answer {
        Answer::Created(object) => view.object(StatusCode::CREATED, &object)?,
        Answer::Object(object) | Answer::Deleted(object) => view.object(code, &object)?,
        Answer::List(list) => view.list(&list)?,
        Answer::Watch(_) => return Err(Status::internal("a watch nobody asked for")),
    };
    reply::warn(response.headers_mut(), &reply.warnings);
    Ok(response)
}

fn stream(encoding: Encoding, lines: Lines) -> Response {
    reply::with_type(StatusCode::OK, encoding.media_type_of_watch(), axum::body::Body::new(lines))
}

/// The object of this kind in a body.
async fn object(
    headers: &HeaderMap,
    body: axum::body::Body,
    has_protobuf: bool,
    kind: &str,
) -> Result<Body, Status> {
    let format = if has_protobuf { body::format(headers)? } else { body::text_format(headers)? };
    body::object(format, body::read(body).await?, kind)
}

/// How to delete: as the body says, or else the parameters.
async fn delete_options(
    headers: &HeaderMap,
    query: &Query,
    body: axum::body::Body,
) -> Result<meta::DeleteOptions, Status> {
    let bytes = body::read(body).await?;
    if bytes.is_empty() {
        return options::delete_query(query);
    }
    let unfit = |error: serde_json::Error| {
        Status::bad_request(format!("cannot be handled as DeleteOptions: {error}"))
    };
    let tree: serde_json::Value = match body::object(body::format(headers)?, bytes, "DeleteOptions")? {
        Body::Json(bytes) => serde_json::from_slice(&bytes).map_err(unfit)?,
        Body::Value(value) | Body::Yaml(value, _) => value,
    };
    // What was meant for another request must not delete anything.
    if tree["kind"].as_str().is_some_and(|kind| !["", "DeleteOptions"].contains(&kind)) {
        return Err(Status::bad_request("decoded object cannot be converted to DeleteOptions"));
    }
    meta::DeleteOptions::deserialize(tree).map_err(unfit)
}

/// Between 30 and 60 minutes, so that the watches of many clients do not all begin anew at once.
fn random_timeout(number: u64) -> Duration {
    WATCH_AT_LEAST + Duration::from_secs(number % WATCH_AT_LEAST.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_last_from_half_an_hour_to_an_hour() {
        let row = |number: u64, seconds: u64| assert_eq!(random_timeout(number).as_secs(), seconds);
        row(0, 1800);
        row(1799, 3599);
        row(1800, 1800);
        assert!(random_timeout(u64::MAX).as_secs() < 3600);
    }
}
