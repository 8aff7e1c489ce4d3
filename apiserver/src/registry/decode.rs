//! Reads what clients send: by the schema, so that mistakes have a path and unknown fields do not pass unseen.

use std::fmt;

use api::backend::{Body, FieldValidation};
use api::status::{Cause, Details};
use api::{Resource, Status};
use serde_json::Value;

use crate::schema::{self, DecodeError, Decoded, Finding, LARGEST_DEPTH, StrictError};
use crate::served::Version;

/// An object as it can be stored, and what the user should know about it.
pub struct Incoming {
    pub value: Value,
    pub warnings: Vec<String>,
}

/// Reads an object in the version that was asked for, as one of the kind that does the work.
pub fn in_version(version: &Version, body: Body, validation: FieldValidation) -> Result<Incoming, Status> {
    if let Some(kind) = version.kind().custom() {
        return kind.read(body, validation);
    }
    let resource = version.resource();
    let Some(other) = version.other() else {
        return object(resource, body, validation);
    };
    let has_schema = schema::builtin().kind(&resource.group, &resource.version, &resource.kind).is_some();
    let mut incoming = match has_schema {
        true => object(resource, body, validation)?,
        false => {
            let value = tree(body)?;
            check_kind(resource, &value)?;
            Incoming { value, warnings: Vec::new() }
        }
    };
    let name = incoming.value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    other.take_in(&mut incoming.value).map_err(|error| Status::invalid(resource, &name, &[error]))?;
    match has_schema {
        true => Ok(incoming),
        false => object(&other.kind, Body::Value(incoming.value), validation),
    }
}

/// Reads an object that must be of this resource.
pub fn object(resource: &Resource, body: Body, validation: FieldValidation) -> Result<Incoming, Status> {
    let known = schema::builtin().kind(&resource.group, &resource.version, &resource.kind);
    let of = known.ok_or_else(|| Status::internal(format_args!("no schema for {resource}")))?;
    let named = |value: &Value| check_kind(resource, value);
    let decoded = match body {
        Body::Json(json) => {
            // Another kind than expected is the first thing to say, but only a failure makes it worth looking.
            let decoded = schema::decode(of, &json);
            if decoded.is_err() {
                serde_json::from_slice(&json).ok().map_or(Ok(()), |value| named(&value))?;
            }
            decoded
        }
        Body::Value(value) => {
            named(&value)?;
            schema::normalize(of, value)
        }
    };
    let decoded = decoded.map_err(|error| not_understood(resource, &error))?;
    finished(resource, decoded, validation)
}

/// The object, or why it is refused for what was overlooked in it.
pub fn finished(
    resource: &Resource,
    decoded: Decoded,
    validation: FieldValidation,
) -> Result<Incoming, Status> {
    finish(decoded, validation).map_err(|error| not_strict(resource, &error))
}

/// A body that is no object of the resource.
pub fn unreadable(resource: &Resource, why: &dyn fmt::Display) -> Status {
    cannot_be_handled(resource, why, Vec::new())
}

/// Reads a patch, which has no schema of its own.
pub fn tree(body: Body) -> Result<Value, Status> {
    match body {
        Body::Value(value) => Ok(value),
        Body::Json(json) => serde_json::from_slice(&json)
            .map_err(|error| Status::bad_request(format!("error decoding patch: {error}"))),
    }
}

/// Refuses an object of another kind or version.
pub fn check_kind(resource: &Resource, value: &Value) -> Result<(), Status> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let expected = resource.api_version();
    let version = text("apiVersion").unwrap_or(&expected);
    let kind = text("kind").unwrap_or(&resource.kind);
    if version == expected && kind == resource.kind {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the API version in the data ({version}, Kind={kind}) does not match the expected API version ({expected}, \
         Kind={})",
        resource.kind
    )))
}

fn not_understood(resource: &Resource, error: &DecodeError) -> Status {
    let cause = match error {
        DecodeError::Syntax(_) => None,
        DecodeError::Field(error) => Some(Cause::from(error)),
        DecodeError::TooDeep(field) => {
            Some(at_field(field, format!("nested deeper than {LARGEST_DEPTH} levels")))
        }
    };
    cannot_be_handled(resource, error, cause.into_iter().collect())
}

fn not_strict(resource: &Resource, error: &StrictError) -> Status {
    let cause = |finding: &Finding| at_field(&finding.path, finding.sentence());
    cannot_be_handled(resource, error, error.findings.iter().map(cause).collect())
}

fn at_field(field: &str, message: String) -> Cause {
    Cause { reason: "FieldValueInvalid".to_owned(), message, field: field.to_owned() }
}

/// Kubernetes' words, and for each field a cause that says more.
fn cannot_be_handled(resource: &Resource, why: &dyn fmt::Display, causes: Vec<Cause>) -> Status {
    let Resource { version, kind, .. } = resource;
    let message = format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}");
    let details = (!causes.is_empty()).then(|| Box::new(Details { causes, ..Details::default() }));
    Status { details, ..Status::bad_request(message) }
}

fn finish(decoded: Decoded, validation: FieldValidation) -> Result<Incoming, StrictError> {
    let warnings = match validation {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn => decoded.findings.iter().map(ToString::to_string).collect(),
        FieldValidation::Strict => {
            return decoded.strict().map(|value| Incoming { value, warnings: Vec::new() });
        }
    };
    Ok(Incoming { value: decoded.value, warnings })
}
