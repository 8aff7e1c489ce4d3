//! Bindings as a resource of their own, which older schedulers create instead of the subresource of a pod.

use std::sync::Arc;

use api::backend::{Backend, Body, Request, User, Verb};
use api::resource::PODS;
use api::{Key, Resource, Status};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::path::Address;
use super::query::Query;
use super::route::{Action, not_allowed};
use super::{Server, body, options, reply};

/// The resource; nothing of it is stored.
pub(super) const BINDINGS: Resource = Resource::new("", "v1", "bindings", "Binding", true);

/// Whether the address is that of the resource.
pub(super) fn is_at(address: &Address) -> bool {
    let Address { group, version, plural, part, .. } = address;
    group.is_empty() && version == "v1" && plural == "bindings" && part.is_empty()
}

/// Binds the pod that the binding is called after.
pub(super) async fn answer(
    server: &Server,
    user: Arc<User>,
    address: &Address,
    action: Action,
    query: &Query,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Status> {
    let namespace =
        address.namespace.as_deref().filter(|_| action == Action::Create).ok_or_else(not_allowed)?;
    let options = options::write(query, headers, "CreateOptions")?;
    let binding = body::object(body::format(headers)?, body::read(body).await?, "Binding")?;
    let name = name_of(&binding);
    if name.is_empty() {
        return Err(Status::bad_request("name must be provided"));
    }
    let (key, verb) = (Key::new(namespace, name), Verb::Create(binding, options));
    let request = Request { user, resource: PODS, key, subresource: "binding", verb };
    let answered = server.api.registry.call(request).await?;
    let done = reply::success(serde_json::json!({}), serde_json::Value::Null, StatusCode::CREATED);
    let mut response = reply::value(StatusCode::CREATED, &done);
    reply::warn(response.headers_mut(), &answered.warnings);
    Ok(response)
}

fn name_of(binding: &Body) -> String {
    let name = |value: &serde_json::Value| value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    match binding {
        Body::Value(value) | Body::Yaml(value, _) => name(value),
        // What cannot be read is refused with its own words where it is decoded, but then nobody knows for which pod.
        Body::Json(json) => serde_json::from_slice(json).map(|value| name(&value)).unwrap_or_default(),
    }
}
