//! Ingresses: which requests from outside go to which service.

mod check;
mod columns;

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::tree;

/// The kind Ingress.
pub struct Ingresses;

impl Builtin for Ingresses {
    type Typed = Ingress;

    const RESOURCE: Resource = Resource::new("networking.k8s.io", "v1", "ingresses", "Ingress", true);

    const DEFINITION: Definition = Definition {
        short_names: &["ing"],
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("ingress")
    };

    fn prepare_create(ingress: &mut Value) {
        tree::set(ingress, "status", Some(json!({"loadBalancer": {}})));
    }

    fn check(ingress: &Ingress, errors: &mut Vec<FieldError>) {
        check::check(ingress, errors);
    }

    fn check_create(ingress: &Ingress, errors: &mut Vec<FieldError>) {
        check::check_class(ingress, errors);
    }

    fn check_status(ingress: &Ingress, errors: &mut Vec<FieldError>) {
        check::check_status(ingress, errors);
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(ingress: &Ingress, now: Timestamp) -> Vec<Value> {
        columns::row(ingress, now)
    }
}
