//! Reads the bodies of custom resources: by the types of the metadata and the schema of the kind.

mod text;

use api::backend::{Body, FieldValidation};
use api::{Resource, Status};
use serde_json::Value;

use super::schema::Node;
use super::{defaults, prune};
use crate::registry::decode::{self, Incoming};
use crate::schema::{self, Decoded, Finding, LARGEST_FINDINGS, Overlooked};

/// Reads an object of a custom kind, pruned and with its defaults.
pub fn read(
    resource: &Resource,
    schema: &Node,
    body: Body,
    validation: FieldValidation,
) -> Result<Incoming, Status> {
    let (mut value, duplicates) = match body {
        Body::Value(value) => (value, Vec::new()),
        Body::Json(json) => text::read(&json).map_err(|error| decode::unreadable(resource, &error))?,
    };
    decode::check_kind(resource, &value)?;
    if !value.is_object() {
        return Err(decode::unreadable(resource, &"must be an object"));
    }
    let found = |what| move |path| Finding { what, path, suggestion: None };
    let mut findings: Vec<Finding> = duplicates.into_iter().map(found(Overlooked::DuplicateField)).collect();
    findings.extend(read_metadata(resource, &mut value)?);
    findings.extend(prune::prune(schema, &mut value).into_iter().map(found(Overlooked::UnknownField)));
    findings.truncate(LARGEST_FINDINGS);
    defaults::fill_in(schema, &mut value);
    value["apiVersion"] = resource.api_version().into();
    value["kind"] = resource.kind.as_ref().into();
    decode::finished(resource, Decoded { value, findings }, validation)
}

/// Brings the metadata into the form all objects have; returns what was overlooked there.
fn read_metadata(resource: &Resource, value: &mut Value) -> Result<Vec<Finding>, Status> {
    let Some(metadata) = value.get_mut("metadata") else {
        return Ok(Vec::new());
    };
    let of = schema::builtin().named("meta.v1.ObjectMeta");
    let of = of.ok_or_else(|| Status::internal("the metadata has no type"))?;
    let given = match metadata.take() {
        Value::Null => Value::Object(serde_json::Map::new()),
        given => given,
    };
    let decoded = schema::normalize(of, given);
    let decoded = decoded.map_err(|error| decode::unreadable(resource, &format!("metadata: {error}")))?;
    *metadata = decoded.value;
    let below = |finding: Finding| Finding { path: format!("metadata.{}", finding.path), ..finding };
    Ok(decoded.findings.into_iter().map(below).collect())
}
