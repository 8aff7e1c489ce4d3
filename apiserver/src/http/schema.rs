//! Serves the OpenAPI documents: an index with a hash for each, and the documents, kept by clients as long as the hash is right.

use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderValue, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::accept::LegacySchema;
use super::query::Query;
use super::reply;
use crate::openapi::Legacy;

/// The media type of version 2 as protobuf, whichever of its two names was asked for.
const LEGACY_PROTOBUF: HeaderValue =
    HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");

/// A document that never changes may be kept this long.
const KEPT: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Shows the index.
pub(super) fn index(json: Bytes, hash: &str, headers: &HeaderMap) -> Response {
    tagged(json, hash, headers)
}

/// Shows the document of a group version at `path`.
pub(super) fn document(
    json: Bytes,
    hash: &str,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
    now: Timestamp,
) -> Response {
    match query.text("hash") {
        None => tagged(json, hash, headers),
        Some(asked) if asked == hash => {
            let mut response = tagged(json, hash, headers);
            let expires = (now + KEPT).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            insert(headers, EXPIRES, &expires);
            response
        }
        Some(_) => {
            let mut response = reply::text(StatusCode::MOVED_PERMANENTLY, "");
            insert(response.headers_mut(), LOCATION, &format!("/openapi/v3/{path}?hash={hash}"));
            response
        }
    }
}

/// Shows the document of version 2.
pub(super) fn legacy(document: &Legacy, form: LegacySchema, headers: &HeaderMap) -> Response {
    match form {
        LegacySchema::Json => tagged(document.json.clone(), &document.hash, headers),
        LegacySchema::Protobuf => {
            let mut response = tagged(document.protobuf.clone(), &document.hash, headers);
            response.headers_mut().insert(CONTENT_TYPE, LEGACY_PROTOBUF);
            response
        }
    }
}

fn tagged(bytes: Bytes, hash: &str, headers: &HeaderMap) -> Response {
    let tag = format!("\"{hash}\"");
    let mut response = match is_known(&tag, headers) {
        true => reply::json(StatusCode::NOT_MODIFIED, Bytes::new()),
        false => reply::json(StatusCode::OK, bytes),
    };
    insert(response.headers_mut(), ETAG, &tag);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// Whether the client has what the tag stands for already.
fn is_known(tag: &str, headers: &HeaderMap) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    known
        .flat_map(|known| known.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_for_as_long_as_its_hash_is_right() {
        let now = Timestamp::UNIX_EPOCH;
        let show = |query: &str, headers: &HeaderMap| {
            let json = Bytes::from_static(b"{}");
            document(json, "AB", "apis/apps/v1", &Query::parse(Some(query)), headers, now)
        };
        let right = show("hash=AB", &HeaderMap::new());
        assert_eq!(right.headers()[CACHE_CONTROL], "public, immutable");
        assert_eq!(right.headers()[EXPIRES], "Fri, 01 Jan 1971 00:00:00 GMT");
        let wrong = show("hash=CD", &HeaderMap::new());
        assert_eq!(wrong.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(wrong.headers()[LOCATION], "/openapi/v3/apis/apps/v1?hash=AB");
        let plain = show("", &HeaderMap::new());
        assert_eq!((plain.status(), plain.headers()[ETAG].as_bytes()), (StatusCode::OK, &b"\"AB\""[..]));
        let known = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"AB\""))]);
        assert_eq!(show("", &known).status(), StatusCode::NOT_MODIFIED);
        let others = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(r#""CD", W/"AB""#))]);
        assert_eq!(show("", &others).status(), StatusCode::NOT_MODIFIED);
        let other = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("AB"))]);
        assert_eq!(show("", &other).status(), StatusCode::OK);
    }
}
