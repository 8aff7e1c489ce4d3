//! A kind as the server works with it: a built-in one with its type erased, or a custom one.

use std::borrow::Cow;
use std::marker::PhantomData;

use api::backend::User;
use api::field::FieldError;
use api::object::DecodeError;
use api::{Object, Resource};
use jiff::Timestamp;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde_json::Value;

use super::{Builtin, Column, Definition};
use crate::custom::kind::CustomKind;
use crate::managed::node::Node;

/// An object that passed its checks. The typed value is not kept: it takes several times the object's bytes, and most
/// states are not looked at by anybody who needs it.
pub struct Checked {
    /// The metadata.
    pub metadata: ObjectMeta,
}

/// What clients may call a kind, besides its plural.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The name for one, in lower case.
    pub singular: String,
    /// The short names kubectl takes.
    pub short_names: Vec<String>,
    /// The groups of kinds it belongs to, such as `all`.
    pub categories: Vec<String>,
}

/// A kind in one version: a [`Builtin`] with its type erased, or a custom one.
pub trait Kind: Send + Sync {
    /// Its names and scope.
    fn resource(&self) -> &Resource;
    /// The other facts. What custom kinds can name themselves is asked for below.
    fn definition(&self) -> &Definition;
    /// What clients may call it.
    fn names(&self) -> Names {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let Definition { singular, short_names, categories, .. } = self.definition();
        Names { singular: (*singular).to_owned(), short_names: own(short_names), categories: own(categories) }
    }
    /// The kind of its lists.
    fn list_kind(&self) -> Cow<'_, str> {
        format!("{}List", self.resource().kind).into()
    }
    /// Whether selectors may ask for a field, besides `metadata.name` and `metadata.namespace`.
    fn selects_by(&self, field: &str) -> bool {
        self.definition().fields.contains(&field)
    }
    /// Whether its objects count generations.
    fn has_generations(&self) -> bool {
        !self.definition().generation.is_empty()
    }
    /// Whether the difference between two states counts as a new generation.
    fn is_new_generation(&self, new: &Value, old: &Value) -> bool {
        self.definition().generation.iter().any(|field| new.get(field) != old.get(field))
    }
    /// The type of its objects as far as the owners of fields go, if the built-in schema does not know it.
    fn ownership(&self) -> Option<&Node> {
        None
    }
    /// The same as a custom kind, if it is one.
    fn custom(&self) -> Option<&CustomKind> {
        None
    }
    /// See [`Builtin::set_defaults`].
    fn set_defaults(&self, object: &mut Value);
    /// See [`Builtin::prepare_create`].
    fn prepare_create(&self, object: &mut Value);
    /// See [`Builtin::prepare_create_by`].
    fn prepare_create_by(&self, _object: &mut Value, _user: &User) {}
    /// See [`Builtin::prepare_update`].
    fn prepare_update(&self, new: &mut Value, old: &Value);
    /// See [`Builtin::prepare_part`].
    fn prepare_part(&self, _part: &str, _new: &mut Value, _old: &Value, _now: Timestamp) {}
    /// See [`Builtin::check_part_update`].
    fn check_part_update(&self, _part: &str, _new: &Value, _old: &Value, _errors: &mut Vec<FieldError>) {}
    /// See [`Builtin::prepare_delete`].
    fn prepare_delete(&self, object: &mut Value);
    /// See [`Builtin::is_held`].
    fn is_held(&self, object: &Value) -> bool;
    /// Decodes a state that needs no checks, such as one the server made.
    fn decode(&self, object: &Value) -> Result<Checked, serde_json::Error>;
    /// Decodes and checks a new object. The metadata is checked by the caller.
    fn check_create(&self, object: &Value) -> Result<(Checked, Vec<FieldError>), serde_json::Error>;
    /// Decodes and checks the next state of an object. The metadata is checked by the caller.
    fn check_update(
        &self,
        new: &Value,
        old: &Object,
    ) -> Result<(Checked, Vec<FieldError>), serde_json::Error>;
    /// Decodes the next state of an object of which only a subresource changed, and checks that.
    fn check_part(&self, new: &Value, old: &Object) -> Result<(Checked, Vec<FieldError>), serde_json::Error>;
    /// The value of a field that selectors may ask for; none if it is absent.
    fn field<'a>(&self, object: &'a Object, field: &str) -> Option<Cow<'a, str>>;
    /// The columns of its table, if they are known when compiling.
    fn columns(&self) -> &'static [Column];
    /// The columns of its table as clients read them.
    fn column_definitions(&self) -> Vec<Value> {
        self.columns().iter().map(Column::definition).collect()
    }
    /// The cells of an object, one for each column.
    fn row(&self, object: &Object, now: Timestamp) -> Result<Vec<Value>, DecodeError>;
    /// Adds the descriptions of the typed value, and of everything it is made of.
    fn describe(&self, generator: &mut SchemaGenerator);
}

/// Makes a [`Kind`] of a [`Builtin`].
pub(super) struct Erased<B>(PhantomData<B>);

impl<B: Builtin> Kind for Erased<B> {
    fn resource(&self) -> &Resource {
        const { &B::RESOURCE }
    }

    fn definition(&self) -> &Definition {
        const { &B::DEFINITION }
    }

    fn set_defaults(&self, object: &mut Value) {
        B::set_defaults(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        B::prepare_create(object);
    }

    fn prepare_create_by(&self, object: &mut Value, user: &User) {
        B::prepare_create_by(object, user);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        B::prepare_update(new, old);
    }

    fn prepare_part(&self, part: &str, new: &mut Value, old: &Value, now: Timestamp) {
        B::prepare_part(part, new, old, now);
    }

    fn check_part_update(&self, part: &str, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
        B::check_part_update(part, new, old, errors);
    }

    fn prepare_delete(&self, object: &mut Value) {
        B::prepare_delete(object);
    }

    fn is_held(&self, object: &Value) -> bool {
        B::is_held(object)
    }

    fn decode(&self, object: &Value) -> Result<Checked, serde_json::Error> {
        B::Typed::deserialize(object).map(checked)
    }

    fn check_create(&self, object: &Value) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        let typed = B::Typed::deserialize(object)?;
        let mut errors = Vec::new();
        B::check(&typed, &mut errors);
        B::check_status(&typed, &mut errors);
        B::check_create(&typed, &mut errors);
        Ok((checked(typed), errors))
    }

    fn check_update(
        &self,
        new: &Value,
        old: &Object,
    ) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        let typed = B::Typed::deserialize(new)?;
        let mut errors = Vec::new();
        B::check(&typed, &mut errors);
        if let Ok(old) = old.typed::<B::Typed>() {
            B::check_update(&typed, old, &mut errors);
        }
        Ok((checked(typed), errors))
    }

    fn check_part(
        &self,
        new: &Value,
        _old: &Object,
    ) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
        let typed = B::Typed::deserialize(new)?;
        let mut errors = Vec::new();
        B::check_status(&typed, &mut errors);
        Ok((checked(typed), errors))
    }

    fn field<'a>(&self, object: &'a Object, field: &str) -> Option<Cow<'a, str>> {
        B::field(object.typed::<B::Typed>().ok()?, field)
    }

    fn columns(&self) -> &'static [Column] {
        B::COLUMNS
    }

    fn row(&self, object: &Object, now: Timestamp) -> Result<Vec<Value>, DecodeError> {
        object.peek::<B::Typed>().map(|typed| B::row(&typed, now))
    }

    fn describe(&self, generator: &mut SchemaGenerator) {
        // It answers with a reference to what it added.
        let _ = generator.subschema_for::<B::Typed>();
    }
}

fn checked<K: Metadata<Ty = ObjectMeta> + Send + Sync + 'static>(mut typed: K) -> Checked {
    // It is kept as text, with the object.
    typed.metadata_mut().managed_fields = None;
    Checked { metadata: std::mem::take(typed.metadata_mut()) }
}

/// A built-in kind with its type erased.
pub(super) const fn of<B: Builtin>() -> &'static Erased<B> {
    &Erased(PhantomData)
}
