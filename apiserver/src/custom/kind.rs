//! A custom kind in one version, as the registry sees every kind.

use std::borrow::Cow;
use std::sync::Arc;

use api::backend::Body;
use api::field::FieldError;
use api::object::DecodeError;
use api::{Object, Resource, Status};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde_json::Value;

use super::columns::Columns;
use super::conversion::Family;
use super::json_path::JsonPath;
use super::scale::Scale;
use super::schema::Node;
use super::{body, defaults, prune, validate};
use crate::builtin::{Checked, Column, Definition, Kind, Names};
use crate::managed::node::Node as Ownership;
use crate::schema::Decoded;

/// A custom kind in one version.
pub struct CustomKind {
    /// Its names and scope.
    pub resource: Resource,
    /// What clients may call it.
    pub names: Names,
    /// The kind of its lists.
    pub list_kind: String,
    /// Its schema.
    pub schema: Node,
    /// The types of its fields, as far as their owners go.
    pub ownership: Ownership,
    /// The columns of its table.
    pub columns: Columns,
    /// The fields selectors may ask for, by the names they have there.
    pub selectable: Vec<(String, JsonPath)>,
    /// Where its scale is; none if it has none.
    pub scale: Option<Scale>,
    /// Whether its status has a life of its own.
    pub has_status: bool,
    /// Whether its definition is being deleted: nothing new is taken then.
    pub is_terminating: bool,
    /// What users of this version are told.
    pub warning: Option<String>,
    /// What it has in common with its other versions.
    pub family: Arc<Family>,
}

/// The facts that need no code, by which subresources there are.
static DEFINITIONS: [Definition; 4] = [
    Definition { subresources: &[], ..Definition::new("") },
    Definition { subresources: &["status"], ..Definition::new("") },
    Definition { subresources: &["scale"], ..Definition::new("") },
    Definition { subresources: &["status", "scale"], ..Definition::new("") },
];

impl CustomKind {
    /// Reads a body.
    pub fn read(&self, body: Body) -> Result<Decoded, Status> {
        body::read(&self.resource, &self.schema, body)
    }

    /// A tree in this version as it would be, had it been written by the schema of today; whether it differs.
    pub fn renew(&self, value: &mut Value) -> bool {
        let before = value.clone();
        prune::prune(&self.schema, value);
        defaults::fill_in(&self.schema, value);
        *value != before
    }

    fn check(
        &self,
        new: &Value,
        old: Option<&Value>,
    ) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        let checked = self.decode(new)?;
        Ok((checked, validate::check(&self.schema, new, old)))
    }
}

impl Kind for CustomKind {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    fn definition(&self) -> &Definition {
        &DEFINITIONS[usize::from(self.has_status) + 2 * usize::from(self.scale.is_some())]
    }

    fn names(&self) -> Names {
        self.names.clone()
    }

    fn list_kind(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.list_kind)
    }

    fn selects_by(&self, field: &str) -> bool {
        self.selectable.iter().any(|(name, _)| name == field)
    }

    fn has_generations(&self) -> bool {
        true
    }

    fn is_new_generation(&self, new: &Value, old: &Value) -> bool {
        let counts = |name: &str| name != "metadata" && !(self.has_status && name == "status");
        let differs = |one: &Value, other: &Value| {
            let fields = one.as_object().into_iter().flatten();
            fields.filter(|(name, _)| counts(name)).any(|(name, value)| other.get(name) != Some(value))
        };
        differs(new, old) || differs(old, new)
    }

    fn ownership(&self) -> Option<&Ownership> {
        Some(&self.ownership)
    }

    fn custom(&self) -> Option<&CustomKind> {
        Some(self)
    }

    fn set_defaults(&self, object: &mut Value) {
        defaults::fill_in(&self.schema, object);
    }

    fn prepare_create(&self, _object: &mut Value) {}

    fn prepare_update(&self, _new: &mut Value, _old: &Value) {}

    fn prepare_delete(&self, _object: &mut Value) {}

    fn is_held(&self, _object: &Value) -> bool {
        false
    }

    fn decode(&self, object: &Value) -> Result<Checked, serde_json::Error> {
        let mut metadata = ObjectMeta::deserialize(&object["metadata"])?;
        // It is kept as text, with the object.
        metadata.managed_fields = None;
        Ok(Checked { metadata })
    }

    fn check_create(&self, object: &Value) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        self.check(object, None)
    }

    fn check_update(
        &self,
        new: &Value,
        old: &Object,
    ) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        self.check(new, Some(old.value()))
    }

    fn check_part(&self, new: &Value, old: &Object) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        self.check(new, Some(old.value()))
    }

    fn field<'a>(&self, object: &'a Object, field: &str) -> Option<Cow<'a, str>> {
        let (_, path) = self.selectable.iter().find(|(name, _)| name == field)?;
        match path.first(object.value())? {
            Value::Null => None,
            Value::String(text) => Some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_string())),
        }
    }

    fn columns(&self) -> &'static [Column] {
        &[]
    }

    fn column_definitions(&self) -> Vec<Value> {
        self.columns.definitions()
    }

    fn row(&self, object: &Object, now: Timestamp) -> Result<Vec<Value>, DecodeError> {
        Ok(self.columns.row(object, now))
    }

    fn describe(&self, _generator: &mut SchemaGenerator) {}
}
