//! Answers questions about users: who somebody is, and what somebody may do.

use std::sync::Arc;

use api::backend::{FieldValidation, User};
use api::field::FieldError;
use api::{Resource, Status};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accept::{self, Offer};
use super::catalog::{
    LOCAL_SUBJECT_ACCESS_REVIEWS, REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS, SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS,
};
use super::path::Address;
use super::query::Query;
use super::route::{Action, not_allowed, not_found};
use super::{Server, body, reply};
use crate::auth::Question;
use crate::registry::decode;

/// A question as it was sent.
pub(super) struct Asked<'a> {
    pub user: Arc<User>,
    pub address: &'a Address,
    pub action: Action,
    pub query: &'a Query,
    pub headers: &'a HeaderMap,
    pub body: axum::body::Body,
}

/// Whether an address is that of a question.
pub(super) fn is_at(address: &Address) -> bool {
    REVIEWS.iter().any(|(known, _)| known.group == address.group.as_str())
}

/// Answers a question.
pub(super) async fn answer(server: &Server, asked: Asked<'_>) -> Result<Response, Status> {
    let Asked { user, address, action, query, headers, body } = asked;
    let mut known = REVIEWS.iter().map(|(resource, _)| resource);
    let resource = known.find(|known| {
        known.group == address.group.as_str()
            && known.version == address.version.as_str()
            && known.plural == address.plural.as_str()
    });
    let resource = resource.ok_or_else(not_found)?;
    if address.namespace.is_some() != resource.namespaced || address.name.is_some() {
        return Err(not_found());
    }
    if action != Action::Create {
        return Err(not_allowed());
    }
    let offer = Offer { has_protobuf: true, is_watch: false };
    let encoding = accept::wanted(headers, query, offer)?.encoding;
    let format = body::format(headers)?;
    let sent = body::object(format, body::read(body).await?, &resource.kind)?;
    let mut review = decode::object(resource, sent, FieldValidation::Warn)?.value;
    let namespace = address.namespace.as_deref().unwrap_or_default();
    let status = status(server, &user, resource, namespace, &review)?;
    review["apiVersion"] = resource.api_version().into();
    review["kind"] = resource.kind.as_ref().into();
    review["status"] = status;
    if review["metadata"].is_null() {
        review["metadata"] = json!({});
    }
    reply::encoded(StatusCode::CREATED, encoding, &review)
}

fn status(
    server: &Server,
    user: &Arc<User>,
    resource: &Resource,
    namespace: &str,
    review: &Value,
) -> Result<Value, Status> {
    let spec = &review["spec"];
    if *resource == SELF_SUBJECT_REVIEWS {
        return Ok(json!({"userInfo": user.info()}));
    }
    if *resource == TOKEN_REVIEWS {
        return token(server, spec);
    }
    if *resource == SELF_SUBJECT_RULES_REVIEWS {
        let Some(namespace) = spec["namespace"].as_str().filter(|namespace| !namespace.is_empty()) else {
            return Err(Status::bad_request("no namespace on request"));
        };
        return Ok(server.api.authorizer.rules(user, namespace));
    }
    check_access(resource, namespace, review)?;
    if *resource == SELF_SUBJECT_ACCESS_REVIEWS {
        return Ok(access(server, user, spec));
    }
    let texts = |list: &Value| {
        let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let extra = spec["extra"].as_object().into_iter().flatten();
    let asked = User {
        name: text("user"),
        groups: texts(&spec["groups"]),
        uid: text("uid"),
        extra: extra.map(|(key, values)| (key.clone(), texts(values))).collect(),
    };
    Ok(access(server, &Arc::new(asked), spec))
}

/// Whose token it is.
fn token(server: &Server, spec: &Value) -> Result<Value, Status> {
    let Some(token) = spec["token"].as_str().filter(|token| !token.is_empty()) else {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    };
    let audiences = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let audiences: Vec<String> = audiences.map(str::to_owned).collect();
    let registry = &server.api.registry;
    let nobody = |why: String| json!({"user": {}, "error": why});
    Ok(match &registry.tokens {
        None => nobody("invalid bearer token".to_owned()),
        Some(tokens) => match tokens.review(token, &audiences, registry.store()) {
            Err(rejected) => nobody(format!("[invalid bearer token, {rejected}]")),
            Ok((user, good_for)) => {
                json!({"authenticated": true, "user": user.info(), "audiences": good_for})
            }
        },
    })
}

/// A question about access says what is to be accessed, and by whom.
fn check_access(resource: &Resource, namespace: &str, review: &Value) -> Result<(), Status> {
    let spec = &review["spec"];
    let mut errors = Vec::new();
    match (spec["resourceAttributes"].is_object(), spec["nonResourceAttributes"].is_object()) {
        (true, true) => {
            let words = "cannot be specified in combination with resourceAttributes";
            let value = spec["nonResourceAttributes"].clone();
            errors.push(FieldError::invalid("spec.nonResourceAttributes", value, words));
        }
        (false, false) => {
            let words = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid("spec.resourceAttributes", Value::Null, words));
        }
        _ => {}
    }
    let is_about_others = [SUBJECT_ACCESS_REVIEWS, LOCAL_SUBJECT_ACCESS_REVIEWS].contains(resource);
    let is_named = spec["user"].as_str().is_some_and(|user| !user.is_empty())
        || spec["groups"].as_array().is_some_and(|groups| !groups.is_empty());
    if is_about_others && !is_named {
        errors.push(FieldError::invalid("spec.user", "", "at least one of user or group must be specified"));
    }
    if *resource == LOCAL_SUBJECT_ACCESS_REVIEWS {
        if spec["nonResourceAttributes"].is_object() {
            let words = "disallowed on this kind of request";
            let value = spec["nonResourceAttributes"].clone();
            errors.push(FieldError::invalid("spec.nonResourceAttributes", value, words));
        }
        let asked = spec["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
        if spec["resourceAttributes"].is_object() && asked != namespace {
            let words = "must match metadata.namespace";
            errors.push(FieldError::invalid("spec.resourceAttributes.namespace", asked, words));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(resource, "", &errors)) }
}

/// Whether the user may do what the specification of the question describes.
fn access(server: &Server, user: &Arc<User>, spec: &Value) -> Value {
    let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let authorizer = &server.api.authorizer;
    let resource = &spec["resourceAttributes"];
    let result = if resource.is_object() {
        let question = Question {
            group: text(resource, "group"),
            version: text(resource, "version"),
            plural: text(resource, "resource"),
            part: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
        };
        question.ask(&**authorizer, &server.api.registry.served(), user, &text(resource, "verb"))
    } else {
        let path = &spec["nonResourceAttributes"];
        authorizer.authorize_path(user, &text(path, "verb"), &text(path, "path"))
    };
    match result {
        Ok(()) => json!({"allowed": true}),
        Err(status) => json!({"allowed": false, "reason": status.message}),
    }
}
