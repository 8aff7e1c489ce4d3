//! CustomResourceDefinitions: kinds that users declare.

mod check;
mod default;
mod schema;
mod structural;

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::Metadata;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells;
use crate::condition;
use crate::tree;

/// `customresourcedefinitions.apiextensions.k8s.io`.
pub const RESOURCE: Resource = Resource::new(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
);

/// Keeps a definition until the objects of its kind are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The kind.
pub struct CustomResourceDefinitions;

impl Builtin for CustomResourceDefinitions {
    type Typed = CustomResourceDefinition;

    const RESOURCE: Resource = RESOURCE;

    const DEFINITION: Definition = Definition {
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("customresourcedefinition")
    };

    fn set_defaults(definition: &mut Value) {
        let Some(spec) = tree::field(definition, "spec") else {
            return;
        };
        if let Some(names) = tree::field(spec, "names") {
            let kind = tree::text(names, "kind").unwrap_or_default().to_owned();
            if !kind.is_empty() {
                tree::set_default_text(names, "singular", &kind.to_lowercase());
                tree::set_default_text(names, "listKind", &format!("{kind}List"));
            }
        }
        tree::set_default(spec, "conversion", json!({"strategy": "None"}));
        let webhook =
            tree::field(spec, "conversion").and_then(|conversion| tree::field(conversion, "webhook"));
        let service = webhook
            .and_then(|webhook| tree::field(webhook, "clientConfig"))
            .and_then(|config| tree::field(config, "service"));
        if let Some(service) = service {
            tree::set_default(service, "port", 443);
        }
    }

    fn prepare_create(definition: &mut Value) {
        let stored: Vec<Value> = storage(definition).into_iter().map(Value::from).collect();
        let names = json!({"kind": "", "plural": ""});
        let status = json!({"acceptedNames": names, "conditions": [], "storedVersions": stored});
        tree::set(definition, "status", Some(status));
    }

    fn prepare_update(new: &mut Value, _old: &Value) {
        // Objects may be stored in every version that ever was the one for it.
        let Some(storage) = storage(new) else {
            return;
        };
        let mut stored = new["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
        if !stored.iter().any(|known| *known == storage) {
            stored.push(storage.into());
            tree::set(tree::object(new, "status"), "storedVersions", Some(stored.into()));
        }
    }

    fn prepare_delete(definition: &mut Value) {
        let metadata = tree::object(definition, "metadata");
        let since = tree::text(metadata, "deletionTimestamp").unwrap_or_default().to_owned();
        let mut finalizers = metadata["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|known| known == FINALIZER) {
            finalizers.push(FINALIZER.into());
        }
        tree::set(metadata, "finalizers", Some(finalizers.into()));
        let words = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        let status = tree::object(definition, "status");
        let condition = ["True", "InstanceDeletionPending", words];
        let conditions = condition::set(&status["conditions"], "Terminating", condition, &since);
        tree::set(status, "conditions", Some(conditions));
    }

    fn check(definition: &CustomResourceDefinition, errors: &mut Vec<FieldError>) {
        check::definition(definition, errors);
    }

    fn check_update(
        new: &CustomResourceDefinition,
        old: &CustomResourceDefinition,
        errors: &mut Vec<FieldError>,
    ) {
        check::update(new, old, errors);
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, cells::CREATED];

    fn row(definition: &CustomResourceDefinition, _now: Timestamp) -> Vec<Value> {
        let metadata = definition.metadata();
        vec![cells::name(metadata), cells::created(metadata)]
    }
}

/// The version in which objects are to be stored.
fn storage(definition: &Value) -> Option<String> {
    let versions = definition["spec"]["versions"].as_array()?;
    let storage = versions.iter().find(|version| version["storage"] == true)?;
    storage["name"].as_str().map(str::to_owned)
}
