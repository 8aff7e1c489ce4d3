//! The sentences about types and their fields, which the crate of the typed values brings along.

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::autoscaling::v1::{HorizontalPodAutoscaler, Scale};
use k8s_openapi::api::core::v1::Binding;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, Patch, Status};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::builtin::Kind;

/// The descriptions of some kinds and of everything they are made of.
pub struct Descriptions(Map<String, Value>);

impl Descriptions {
    /// Those of `kinds`, and of what their subresources and operations take and answer, and their other versions.
    pub fn of(kinds: &[&'static dyn Kind]) -> Self {
        let mut generator = SchemaGenerator::new(SchemaSettings::openapi3());
        for kind in kinds {
            kind.describe(&mut generator);
        }
        // Each answers with a reference to what it added.
        let _ = (
            generator.subschema_for::<Binding>(),
            generator.subschema_for::<DeleteOptions>(),
            generator.subschema_for::<Event>(),
            generator.subschema_for::<Eviction>(),
            generator.subschema_for::<HorizontalPodAutoscaler>(),
            generator.subschema_for::<ListMeta>(),
            generator.subschema_for::<Patch>(),
            generator.subschema_for::<Scale>(),
            generator.subschema_for::<Status>(),
            generator.subschema_for::<TokenRequest>(),
        );
        Self(generator.take_definitions(false))
    }

    /// What a component is, by its full name.
    pub fn of_type(&self, component: &str) -> Option<&str> {
        self.0.get(component)?.get("description")?.as_str()
    }

    /// What a field of a component says.
    pub fn of_field(&self, component: &str, field: &str) -> Option<&str> {
        self.0.get(component)?.get("properties")?.get(field)?.get("description")?.as_str()
    }
}
