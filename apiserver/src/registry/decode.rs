//! Reads what clients send: by the schema, so that mistakes have a path and unknown fields do not pass unseen.

use std::fmt;

use api::backend::{Body, FieldValidation};
use api::manifest::SetAgain;
use api::status::{Cause, Details};
use api::{Resource, Status};
use serde_json::Value;

use crate::schema::{self, DecodeError, Decoded, Finding, LARGEST_DEPTH, Overlooked, StrictError};
use crate::served::Version;

/// So much of a body that makes no sense is shown.
const SHOWN_BYTES: usize = 30;

/// What Go reads a tree into, as its messages name it.
pub const TREE: &str = "map[string]interface {}";

/// What Go reads every object into to learn its kind, as its messages name it.
const TYPE_META: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// An object as it can be stored, and what the user should know about it.
pub struct Incoming {
    pub value: Value,
    pub warnings: Vec<String>,
}

/// Reads an object in the version that was asked for, as one of the kind that does the work.
pub fn in_version(version: &Version, body: Body, validation: FieldValidation) -> Result<Incoming, Status> {
    finished(version.resource(), decoded_in_version(version, body)?, validation)
}

/// The same before anybody minds what was overlooked.
pub fn decoded_in_version(version: &Version, body: Body) -> Result<Decoded, Status> {
    if let Some(kind) = version.kind().custom() {
        return kind.read(body);
    }
    let resource = version.resource();
    let Some(other) = version.other() else {
        return decoded(resource, body);
    };
    let has_schema = schema::builtin().kind(&resource.group, &resource.version, &resource.kind).is_some();
    let mut read = if has_schema { decoded(resource, body)? } else { tree(resource, body)? };
    check_kind(resource, &read.value)?;
    let name = read.value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    other.take_in(&mut read.value).map_err(|error| Status::invalid(resource, &name, &[error]))?;
    if has_schema {
        return Ok(read);
    }
    let Decoded { value, findings } = decoded(&other.kind, Body::Value(read.value))?;
    read.findings.extend(findings);
    Ok(Decoded { value, findings: read.findings })
}

/// Reads an object that must be of this resource.
pub fn object(resource: &Resource, body: Body, validation: FieldValidation) -> Result<Incoming, Status> {
    finished(resource, decoded(resource, body)?, validation)
}

/// The same before anybody minds what was overlooked.
pub fn decoded(resource: &Resource, body: Body) -> Result<Decoded, Status> {
    let known = schema::builtin().kind(&resource.group, &resource.version, &resource.kind);
    let of = known.ok_or_else(|| Status::internal(format_args!("no schema for {resource}")))?;
    let of_tree = |value: Value| {
        check_kind(resource, &value)?;
        schema::normalize(of, value).map_err(|error| not_understood(resource, &error))
    };
    match body {
        Body::Json(json) => schema::decode(of, &json).map_err(|error| {
            // Another kind than expected is the first thing to say, but only a failure makes it worth looking.
            let other =
                serde_json::from_slice(&json).ok().and_then(|value| check_kind(resource, &value).err());
            other.unwrap_or_else(|| not_read(resource, &json, &error))
        }),
        Body::Value(value) => of_tree(value),
        Body::Yaml(value, again) => of_tree(value).map(|decoded| with_again(again, decoded)),
    }
}

/// The object, or why it is refused for what was overlooked in it.
fn finished(resource: &Resource, decoded: Decoded, validation: FieldValidation) -> Result<Incoming, Status> {
    finish(decoded, validation).map_err(|error| not_strict(resource, &error))
}

/// A body that is no object of the resource.
pub fn unreadable(resource: &Resource, why: &dyn fmt::Display) -> Status {
    cannot_be_handled(resource, why, Vec::new())
}

/// Reads an object whose fields nobody knows yet.
pub fn tree(resource: &Resource, body: Body) -> Result<Decoded, Status> {
    match body {
        Body::Json(json) => schema::untyped(&json).map_err(|error| not_read(resource, &json, &error)),
        Body::Value(value) => Ok(Decoded { value, findings: Vec::new() }),
        Body::Yaml(value, again) => Ok(with_again(again, Decoded { value, findings: Vec::new() })),
    }
}

/// What was set again comes first, as it was found first.
fn with_again(again: Vec<SetAgain>, decoded: Decoded) -> Decoded {
    let again = again.into_iter().map(Finding::from);
    Decoded { findings: again.chain(decoded.findings).collect(), ..decoded }
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

/// A text that is no object of the resource: one that is none of any kind is told apart, as in Kubernetes.
fn not_read(resource: &Resource, json: &[u8], error: &DecodeError) -> Status {
    let words = match (error, serde_json::from_slice::<Value>(json)) {
        (DecodeError::Syntax(words), _) => words.clone(),
        (_, Ok(tree)) if !tree.is_object() && !tree.is_null() => cannot_unmarshal(&tree, TYPE_META),
        (error, _) => return not_understood(resource, error),
    };
    let words = format!("couldn't get version/kind; json parse error: {words}");
    unrecognized(&resource.kind, &words, json)
}

/// What Go says of a tree that it cannot read into a value of its own.
pub fn cannot_unmarshal(tree: &Value, target: &str) -> String {
    let found = match tree {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {target}")
}

/// A body that is not an object of any kind, in Kubernetes' words, which show how it begins.
pub fn unrecognized(kind: &str, why: &dyn fmt::Display, body: &[u8]) -> Status {
    let shown = &body[..body.len().min(SHOWN_BYTES)];
    let more = if body.len() > SHOWN_BYTES { " ..." } else { "" };
    let summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => shown.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
    };
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({summary}{more})"
    ))
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
    // A key alone is not the path of a field.
    let fields = error.findings.iter().filter(|finding| !matches!(finding.what, Overlooked::SetAgain(_)));
    let causes = fields.map(|finding| at_field(&finding.path, finding.sentence())).collect();
    cannot_be_handled(resource, error, causes)
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

/// The object, or what it is refused for; nobody is told of what is to be ignored.
pub fn finish(decoded: Decoded, validation: FieldValidation) -> Result<Incoming, StrictError> {
    let warnings = match validation {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn => decoded.findings.iter().map(ToString::to_string).collect(),
        FieldValidation::Strict => {
            return decoded.strict().map(|value| Incoming { value, warnings: Vec::new() });
        }
    };
    Ok(Incoming { value: decoded.value, warnings })
}
