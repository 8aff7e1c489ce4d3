//! Reads the bodies of custom resources: by the types of the metadata and the schema of the kind.

use api::backend::Body;
use api::{Resource, Status};
use serde_json::Value;

use super::schema::Node;
use super::{defaults, prune};
use crate::registry::decode;
use crate::schema::{self, Decoded, Finding, LARGEST_FINDINGS, Overlooked};

/// Reads an object of a custom kind, pruned and with its defaults.
pub fn read(resource: &Resource, schema: &Node, body: Body) -> Result<Decoded, Status> {
    let Decoded { mut value, mut findings } = decode::tree(resource, body)?;
    decode::check_kind(resource, &value)?;
    if !value.is_object() {
        return Err(decode::unreadable(resource, &"must be an object"));
    }
    findings.extend(read_metadata(resource, &mut value)?);
    let unknown = |path| Finding { what: Overlooked::UnknownField, path, suggestion: None };
    findings.extend(prune::prune(schema, &mut value).into_iter().map(unknown));
    findings.truncate(LARGEST_FINDINGS);
    defaults::fill_in(schema, &mut value);
    value["apiVersion"] = resource.api_version().into();
    value["kind"] = resource.kind.as_ref().into();
    Ok(Decoded { value, findings })
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
