//! Answers questions of a client about itself: who it is, and what it may do.

use std::sync::Arc;

use api::Status;
use api::backend::{Body, User};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::catalog::{SELF_SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_REVIEWS};
use super::path::Address;
use super::permission;
use super::route::{Action, not_allowed, not_found};
use super::{Server, body, reply};

/// Whether an address is that of a question.
pub(super) fn is_at(address: &Address) -> bool {
    [SELF_SUBJECT_REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS]
        .iter()
        .any(|known| known.group == address.group.as_str())
}

/// Answers a question.
pub(super) async fn answer(
    server: &Server,
    user: Arc<User>,
    address: &Address,
    action: Action,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Status> {
    let known = [SELF_SUBJECT_REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS].into_iter().find(|known| {
        known.group == address.group.as_str()
            && known.version == address.version.as_str()
            && known.plural == address.plural.as_str()
    });
    let resource = known.ok_or_else(not_found)?;
    if address.namespace.is_some() || address.name.is_some() {
        return Err(not_found());
    }
    if action != Action::Create {
        return Err(not_allowed());
    }
    let asked = read(headers, body).await?;
    let status = match resource == SELF_SUBJECT_REVIEWS {
        true => json!({"userInfo": {"username": user.name, "groups": user.groups}}),
        false => access(server, &user, &asked["spec"])?,
    };
    let answer = json!({
        "kind": resource.kind,
        "apiVersion": resource.api_version(),
        "metadata": {"creationTimestamp": null},
        "spec": asked.get("spec").cloned().unwrap_or_else(|| json!({})),
        "status": status,
    });
    Ok(reply::value(StatusCode::CREATED, &answer))
}

async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Value, Status> {
    let format = body::format(headers)?;
    match body::object(format, body::read(body).await?)? {
        Body::Value(value) => Ok(value),
        Body::Json(bytes) => {
            let wrong = |error| Status::bad_request(format!("the body cannot be read: {error}"));
            serde_json::from_slice(&bytes).map_err(wrong)
        }
    }
}

/// Whether the user may do what the specification of the question describes.
fn access(server: &Server, user: &Arc<User>, spec: &Value) -> Result<Value, Status> {
    let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let authorizer = &server.api.authorizer;
    let result = match (&spec["resourceAttributes"], &spec["nonResourceAttributes"]) {
        (resource @ Value::Object(_), Value::Null) => {
            let named = |field: &str| Some(text(resource, field)).filter(|text| !text.is_empty());
            let address = Address {
                is_watch: false,
                group: text(resource, "group"),
                version: text(resource, "version"),
                namespace: named("namespace"),
                plural: text(resource, "resource"),
                name: named("name"),
                part: text(resource, "subresource"),
            };
            let served = server.api.registry.served();
            let verbs = actions(&text(resource, "verb")).into_iter();
            verbs
                .map(|action| permission::request(&served, user, action, &address))
                .try_for_each(|request| authorizer.authorize(&request))
        }
        (Value::Null, path @ Value::Object(_)) => {
            authorizer.authorize_path(user, &text(path, "verb"), &text(path, "path"))
        }
        _ => {
            let words = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(Status::bad_request(words));
        }
    };
    Ok(match result {
        Ok(()) => json!({"allowed": true}),
        Err(status) => json!({"allowed": false, "reason": status.message}),
    })
}

/// What a name stands for. One that is not known is allowed to those who may do everything.
fn actions(name: &str) -> Vec<Action> {
    let is_known = Action::ALL.iter().any(|action| action.name() == name);
    Action::ALL.into_iter().filter(|action| !is_known || action.name() == name).collect()
}
