//! Namespaces: they terminate by their own finalizer, which the namespace controller removes when they are empty.

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::NAMESPACES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::Form;
use crate::tree;

/// The namespaces that are always there.
pub const ALWAYS_THERE: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// The namespaces that cannot be deleted.
pub const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The label that says a namespace's name, for selectors.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The kind Namespace.
pub struct Namespaces;

impl Builtin for Namespaces {
    type Typed = Namespace;

    const RESOURCE: Resource = NAMESPACES;

    const DEFINITION: Definition = Definition {
        short_names: &["ns"],
        subresources: &["status", "finalize"],
        names: Form::Label,
        fields: &["status.phase"],
        ..Definition::new("namespace")
    };

    fn set_defaults(namespace: &mut Value) {
        let name = namespace["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if !name.is_empty() {
            let labels = tree::object(tree::object(namespace, "metadata"), "labels");
            tree::set(labels, NAME_LABEL, Some(name.into()));
        }
    }

    fn prepare_create(namespace: &mut Value) {
        let spec = tree::object(namespace, "spec");
        let mut finalizers: Vec<Value> = spec["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.contains(&"kubernetes".into()) {
            finalizers.push("kubernetes".into());
        }
        tree::set(spec, "finalizers", Some(finalizers.into()));
        tree::set(namespace, "status", Some(json!({"phase": "Active"})));
    }

    fn prepare_update(new: &mut Value, old: &Value) {
        let finalizers = old["spec"].get("finalizers").cloned();
        tree::set(tree::object(new, "spec"), "finalizers", finalizers);
    }

    fn prepare_delete(namespace: &mut Value) {
        tree::set(tree::object(namespace, "status"), "phase", Some("Terminating".into()));
    }

    fn is_held(namespace: &Value) -> bool {
        namespace["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
    }

    fn check(namespace: &Namespace, errors: &mut Vec<FieldError>) {
        let finalizers = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
        for finalizer in finalizers {
            for words in api::selector::check_label_key(finalizer) {
                errors.push(FieldError::invalid("spec.finalizers", finalizer.as_str(), words));
            }
        }
    }

    fn field<'a>(namespace: &'a Namespace, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "status.phase" => namespace.status.as_ref()?.phase.as_deref().map(Cow::from),
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] =
        &[cells::NAME, text("Status", "Whether the namespace is in use or going."), cells::AGE];

    fn row(namespace: &Namespace, now: Timestamp) -> Vec<Value> {
        let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
        let metadata = &namespace.metadata;
        vec![cells::name(metadata), phase.unwrap_or_default().into(), cells::age(metadata, now)]
    }
}
