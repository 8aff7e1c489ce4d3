//! RuntimeClasses: the ways in which nodes can run pods.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::{Value, json};

use super::pod_spec::{amounts, scheduling};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, IMMUTABLE};
use crate::path::Path;

/// The classes every cluster has: those that manifests in the world name, which all mean the same here, and the one whose
/// pods pay in fuel.
const NAMES: [&str; 14] = [
    "wasmtime",
    "wasmedge",
    "wasmer",
    "wasm",
    "wasmtime-spin",
    "wasmtime-spin-v2",
    "spin",
    "wws",
    "lunatic",
    "slight",
    "crun",
    "crun-wasm",
    "crun-wasmtime",
    "fuel",
];

/// The objects every cluster has.
pub fn always_there() -> impl Iterator<Item = Value> {
    NAMES.iter().map(|name| json!({"metadata": {"name": name}, "handler": name}))
}

/// The kind RuntimeClass.
pub struct RuntimeClasses;

impl Builtin for RuntimeClasses {
    type Typed = RuntimeClass;

    const RESOURCE: Resource = Resource::new("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false);

    const DEFINITION: Definition = Definition::new("runtimeclass");

    fn check(class: &RuntimeClass, errors: &mut Vec<FieldError>) {
        Form::Label.check(&class.handler, &Path::new("handler"), errors);
        if let Some(overhead) = &class.overhead {
            let limits = ResourceRequirements { limits: overhead.pod_fixed.clone(), ..Default::default() };
            amounts::check(&limits, &Path::new("overhead"), errors);
        }
        if let Some(found) = &class.scheduling {
            // What is said here is added to the pods.
            let pod = PodSpec {
                node_selector: found.node_selector.clone(),
                tolerations: found.tolerations.clone(),
                ..PodSpec::default()
            };
            scheduling::check(&pod, &Path::new("scheduling"), errors);
        }
    }

    fn check_update(new: &RuntimeClass, old: &RuntimeClass, errors: &mut Vec<FieldError>) {
        if new.handler != old.handler {
            errors.push(FieldError::invalid("handler", new.handler.as_str(), IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, text("Handler", "What the node calls it."), cells::AGE];

    fn row(class: &RuntimeClass, now: Timestamp) -> Vec<Value> {
        let metadata = &class.metadata;
        vec![cells::name(metadata), class.handler.as_str().into(), cells::age(metadata, now)]
    }
}
