//! Nodes: the machines pods run on. A node registers itself with its status.

mod columns;

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::NODES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::names::NOT_NEGATIVE;
use crate::path::Path;
use crate::resources::pod_spec::scheduling::check_taints;
use crate::tree;

/// The kind Node.
pub struct Nodes;

impl Builtin for Nodes {
    type Typed = Node;

    const RESOURCE: Resource = NODES;

    const DEFINITION: Definition = Definition {
        short_names: &["no"],
        subresources: &["status"],
        status_at_create: true,
        fields: &["spec.unschedulable"],
        ..Definition::new("node")
    };

    fn set_defaults(node: &mut Value) {
        let spec = tree::object(node, "spec");
        if let Some(cidr) = tree::text(spec, "podCIDR").map(str::to_owned) {
            tree::set_default(spec, "podCIDRs", json!([cidr]));
        }
        if let Some(status) = tree::field(node, "status")
            && let Some(capacity) = status.get("capacity").cloned()
        {
            tree::set_default(status, "allocatable", capacity);
        }
    }

    fn check(node: &Node, errors: &mut Vec<FieldError>) {
        let spec = Path::new("spec");
        if let Some(taints) = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()) {
            check_taints(taints, &spec.child("taints"), errors);
        }
    }

    fn check_status(node: &Node, errors: &mut Vec<FieldError>) {
        let status = Path::new("status");
        let Some(found) = &node.status else { return };
        for (name, amounts) in [("capacity", &found.capacity), ("allocatable", &found.allocatable)] {
            for (resource, amount) in amounts.iter().flatten() {
                let negative = amount.0.starts_with('-');
                if negative {
                    let path = status.child(name);
                    errors.push(FieldError::invalid(path.key(resource), amount.0.as_str(), NOT_NEGATIVE));
                }
            }
        }
    }

    fn check_update(new: &Node, old: &Node, errors: &mut Vec<FieldError>) {
        let cidr = |node: &Node| node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone());
        if let Some(old) = cidr(old).filter(|cidr| !cidr.is_empty())
            && cidr(new).as_ref() != Some(&old)
        {
            let words = "node updates may not change podCIDR except from \"\" to valid";
            errors.push(FieldError::forbidden("spec.podCIDRs", words));
        }
        let provider = |node: &Node| node.spec.as_ref().and_then(|spec| spec.provider_id.clone());
        if let Some(old) = provider(old).filter(|id| !id.is_empty())
            && provider(new).as_ref() != Some(&old)
        {
            let words = "node updates may not change providerID except from \"\" to valid";
            errors.push(FieldError::forbidden("spec.providerID", words));
        }
    }

    fn field<'a>(node: &'a Node, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "spec.unschedulable" => {
                let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable);
                Some(if unschedulable == Some(true) { "true".into() } else { "false".into() })
            }
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(node: &Node, now: Timestamp) -> Vec<Value> {
        columns::row(node, now)
    }
}
