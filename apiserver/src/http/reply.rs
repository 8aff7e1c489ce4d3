//! Makes responses: JSON, text, errors, warnings.

use api::backend::{Answer, ObjectList};
use api::status::Reason;
use api::{Object, Resource, Status};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accept::{Shape, Wanted};
use super::encode::Encoding;
use super::table::Layout;

/// All warnings of a response together have at most this many characters, as in Kubernetes: more is cut.
const WARNINGS_LIMIT: usize = 4096;
/// A warning has at most this many characters once all together are too long.
const WARNING_LIMIT: usize = 256;

/// Rows and messages of so many objects take some milliseconds.
const LONG_LIST: usize = 200;

/// The media type of JSON.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A response in JSON.
pub(super) fn json(code: StatusCode, body: impl Into<Body>) -> Response {
    with_type(code, JSON, body.into())
}

/// A JSON tree as the response.
pub(super) fn value(code: StatusCode, value: &Value) -> Response {
    json(code, value.to_string())
}

/// A response in plain text.
pub(super) fn text(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = with_type(code, TEXT, body.into());
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(HeaderName::from_static("x-content-type-options"), nosniff);
    response
}

/// A response of any media type.
pub(super) fn with_type(code: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// An error as the response.
pub(super) fn failure(status: &Status, encoding: Encoding) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match encoding.tree(&status.to_value()) {
        Ok(bytes) => with_type(code, encoding.media_type(), bytes.into()),
        Err(_) => value(code, &status.to_value()),
    };
    if let Some(seconds) = status.details.as_ref().and_then(|details| details.retry_after_seconds) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// How objects become a response.
pub(super) struct View {
    pub layout: Layout,
    pub wanted: Wanted,
}

impl View {
    /// What is shown.
    pub fn resource(&self) -> &Resource {
        self.layout.version.resource()
    }

    /// Whether it takes so long to write an answer that other requests should not wait for it.
    pub fn is_costly(&self, answer: &Answer) -> bool {
        let is_written = self.wanted.shape == Shape::Whole && self.wanted.encoding == Encoding::Json;
        matches!(answer, Answer::List(list) if !is_written && list.items.len() > LONG_LIST)
    }

    /// One object.
    pub fn object(&self, code: StatusCode, object: &Object) -> Result<Response, Status> {
        let Wanted { shape, api_version, encoding } = self.wanted;
        let bytes = match shape {
            Shape::Whole => encoding.object(object)?,
            Shape::Metadata => encoding.metadata(object, api_version)?,
            Shape::MetadataList => return Err(self.mismatch("PartialObjectMetadataList", "not a list", "")),
            Shape::Table(include) => {
                let list = ObjectList { revision: object.revision(), ..ObjectList::default() };
                let objects = std::slice::from_ref(object);
                encoding.text(self.layout.table(api_version, &list, objects, include, true)?)?
            }
        };
        Ok(with_type(code, encoding.media_type(), bytes.into()))
    }

    /// A collection.
    pub fn list(&self, list: &ObjectList) -> Result<Response, Status> {
        let Wanted { shape, api_version, encoding } = self.wanted;
        let body = match shape {
            Shape::Whole => {
                let (kind, api_version) = (self.layout.version.list_kind(), self.resource().api_version());
                encoding.list(&kind, &api_version, list)?
            }
            Shape::Metadata => return Err(self.mismatch("PartialObjectMetadata", "a list", "List")),
            Shape::MetadataList => encoding.metadata_list(api_version, list)?,
            Shape::Table(include) => {
                encoding.text(self.layout.table(api_version, list, &list.items, include, true)?)?.into()
            }
        };
        Ok(with_type(StatusCode::OK, encoding.media_type(), body))
    }

    /// Something of the schema that is not stored, such as a Status.
    pub fn tree(&self, code: StatusCode, tree: &Value) -> Result<Response, Status> {
        encoded(code, self.wanted.encoding, tree)
    }

    /// The metadata of one was asked for where there are many, or the other way round.
    fn mismatch(&self, asked: &str, is: &str, suffix: &str) -> Status {
        let Resource { group, kind, .. } = self.resource();
        let package = group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
        let words =
            format!("you requested {asked}, but the requested object is {is} (*{package}.{kind}{suffix})");
        Status::new(Reason::NotAcceptable, words)
    }
}

/// Something of the schema that is not stored, in this encoding.
pub(super) fn encoded(code: StatusCode, encoding: Encoding, tree: &Value) -> Result<Response, Status> {
    Ok(with_type(code, encoding.media_type(), encoding.tree(tree)?.into()))
}

/// The kinds of which a DELETE answers the last state; of the others it only says that they are gone. Clients with types
/// expect the one or the other.
const SHOWN_WHEN_DELETED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
    ),
    ("resource.k8s.io", &["deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
    (
        "storage.k8s.io",
        &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"],
    ),
];

/// What a DELETE answers when the object is gone; none if the object itself is the answer.
pub(super) fn deleted(resource: &Resource, answer: &Answer) -> Option<Value> {
    let Answer::Deleted(object) = answer else {
        return None;
    };
    let mut shown = SHOWN_WHEN_DELETED.iter().filter(|(group, _)| *group == resource.group);
    if shown.any(|(_, plurals)| plurals.contains(&&*resource.plural)) {
        return None;
    }
    let mut details = json!({"name": object.name(), "kind": resource.plural, "uid": object.uid()});
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_ref().into();
    }
    Some(success(json!({"resourceVersion": object.revision().to_string()}), details, StatusCode::OK))
}

/// What a request answers that did its work and has nothing to show.
pub(super) fn success(metadata: Value, details: Value, code: StatusCode) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Success"});
    if details.is_null() {
        status["code"] = code.as_u16().into();
    } else {
        status["details"] = details;
    }
    status
}

/// Adds sentences for the user.
pub(super) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    let total: usize = warnings.iter().map(|warning| warning.chars().count()).sum();
    let each = if total > WARNINGS_LIMIT { WARNING_LIMIT } else { WARNINGS_LIMIT };
    let mut left = WARNINGS_LIMIT;
    for warning in warnings {
        let shown: String = warning.chars().take(each.min(left)).collect();
        left -= shown.chars().count();
        if !shown.is_empty()
            && let Ok(header) = HeaderValue::from_bytes(quoted(&shown).as_bytes())
        {
            headers.append(WARNING, header);
        }
    }
}

fn quoted(warning: &str) -> String {
    let mut text = String::from("299 - \"");
    for c in warning.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The same JSON, laid out for people.
pub(super) async fn laid_out(response: Response) -> Result<Response, Status> {
    let (mut parts, body) = response.into_parts();
    if parts.headers.get(CONTENT_TYPE) != Some(&JSON) {
        return Ok(Response::from_parts(parts, body));
    }
    let bytes: Bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(Status::internal)?;
    let text = serde_json::from_slice::<Value>(&bytes)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .map_err(Status::internal)?;
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(text + "\n")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn warnings_are_quoted_and_bounded() {
        let shown = |warnings: &[String]| {
            let mut headers = HeaderMap::new();
            warn(&mut headers, warnings);
            headers.get_all(WARNING).iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>()
        };
        let one = shown(&["unknown field \"spec.a\\b\"\nnext".to_owned()]);
        assert_eq!(one, [br#"299 - "unknown field \"spec.a\\b\" next""#.to_vec()]);
        let many = shown(&vec!["x".repeat(1000); 50]);
        let total: usize = many.iter().map(Vec::len).sum();
        assert_eq!(many.len(), 16);
        assert!(total < WARNINGS_LIMIT + 16 * 16, "{total}");
    }
}
