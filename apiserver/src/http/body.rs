//! Reads the bodies of requests: bounded, and in the formats clients send.

use api::backend;
use api::status::Reason;
use api::{Status, manifest};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::registry::decode;
use crate::schema::Decoded;
use crate::{codec, schema};

/// The largest body that is read: Kubernetes' own limit, twice what etcd lets an object be.
pub(super) const LARGEST: u64 = 3 << 20;

/// How an object is written in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// How a patch changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchFormat {
    Json,
    Merge,
    Strategic,
    Apply,
}

const FORMATS: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("application/yaml", Format::Yaml),
    ("application/vnd.kubernetes.protobuf", Format::Protobuf),
];

const PATCH_FORMATS: [(&str, PatchFormat); 4] = [
    ("application/json-patch+json", PatchFormat::Json),
    ("application/merge-patch+json", PatchFormat::Merge),
    ("application/strategic-merge-patch+json", PatchFormat::Strategic),
    ("application/apply-patch+yaml", PatchFormat::Apply),
];

/// The whole body. One that says that it is too large is refused without being read.
pub(super) async fn read(body: Body) -> Result<Bytes, Status> {
    if body.size_hint().lower() > LARGEST {
        return Err(too_large());
    }
    let most = usize::try_from(LARGEST).expect("3 MiB fit every address space");
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Status::bad_request(format!("read the body of the request: {error}"))),
    }
}

fn too_large() -> Status {
    Status::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {LARGEST}"))
}

/// How the body of a write is written. Nothing said means JSON.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Status> {
    match media_type(headers)?.as_str() {
        "" => Ok(Format::Json),
        given => one_of(&FORMATS, given),
    }
}

/// The same for an object that has no form in protobuf.
pub(super) fn text_format(headers: &HeaderMap) -> Result<Format, Status> {
    match media_type(headers)?.as_str() {
        "" => Ok(Format::Json),
        given => one_of(&FORMATS[..2], given),
    }
}

/// How a patch is to be understood.
pub(super) fn patch_format(headers: &HeaderMap) -> Result<PatchFormat, Status> {
    one_of(&PATCH_FORMATS, &media_type(headers)?)
}

fn one_of<F: Copy>(known: &[(&str, F)], given: &str) -> Result<F, Status> {
    let found = known.iter().find(|(name, _)| *name == given).map(|(_, format)| *format);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let words = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            names.join(", ")
        );
        Status::new(Reason::UnsupportedMediaType, words)
    })
}

/// The media type of the body without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Result<String, Status> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(String::new());
    };
    let text = value.to_str().map_err(|_| Status::bad_request("the header Content-Type is not text"))?;
    let media_type = text.split(';').next().unwrap_or_default();
    Ok(media_type.trim().to_ascii_lowercase())
}

/// The object in a body, which is to be of this kind.
pub(super) fn object(format: Format, bytes: Bytes, kind: &str) -> Result<backend::Body, Status> {
    match format {
        Format::Json => Ok(backend::Body::Json(bytes)),
        Format::Protobuf => {
            let decoded = codec::protobuf::decode(&bytes);
            decoded.map(backend::Body::Value).map_err(|error| Status::bad_request(with_causes(&error)))
        }
        Format::Yaml => yaml(&bytes)
            .map_err(|problem| decode::unrecognized(kind, &format_args!("yaml: {problem}"), &bytes)),
    }
}

/// The configuration in a body that is to be applied: YAML, which JSON is as well.
pub(super) fn configuration(bytes: Bytes) -> Result<backend::Body, Status> {
    // Most of it is JSON, which needs no YAML to be read, unless there is to be told on which line something is.
    if bytes.first() == Some(&b'{')
        && let Ok(Decoded { value, findings }) = schema::untyped(&bytes)
        && findings.is_empty()
    {
        return Ok(backend::Body::Value(value));
    }
    yaml(&bytes).map_err(|problem| {
        Status::bad_request(format!("error decoding YAML: error converting YAML to JSON: yaml: {problem}"))
    })
}

fn yaml(bytes: &[u8]) -> Result<backend::Body, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8".to_owned())?;
    let read = manifest::read_value("body", text);
    let (value, again) = read.map_err(|error| format!("line {}: {}", error.line, error.problem))?;
    let value = value.ok_or_else(|| "the text holds no object".to_owned())?;
    Ok(if again.is_empty() { backend::Body::Value(value) } else { backend::Body::Yaml(value, again) })
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
