//! IPAddresses: which service has which address of the cluster.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::IPAddress;
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, IMMUTABLE};
use crate::path::Path;

/// The kind IPAddress.
pub struct IpAddresses;

impl Builtin for IpAddresses {
    type Typed = IPAddress;

    const RESOURCE: Resource = Resource::new("networking.k8s.io", "v1", "ipaddresses", "IPAddress", false);

    const DEFINITION: Definition =
        Definition { short_names: &["ip"], names: Form::Address, ..Definition::new("ipaddress") };

    fn check(address: &IPAddress, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let path = path.child("parentRef");
        let Some(parent) = address.spec.as_ref().map(|spec| &spec.parent_ref) else {
            errors.push(FieldError::required(path, ""));
            return;
        };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(group) = given(&parent.group) {
            Form::Subdomain.check(&group, &path.child("group"), errors);
        }
        Form::PathSegment.require(&parent.resource, &path.child("resource"), errors);
        Form::PathSegment.require(&parent.name, &path.child("name"), errors);
        if let Some(namespace) = given(&parent.namespace) {
            Form::PathSegment.check(&namespace, &path.child("namespace"), errors);
        }
    }

    fn check_update(new: &IPAddress, old: &IPAddress, errors: &mut Vec<FieldError>) {
        if new.spec != old.spec {
            let parent = new.spec.as_ref().map(|spec| &spec.parent_ref);
            let value = serde_json::to_value(parent).unwrap_or_default();
            errors.push(FieldError::invalid("spec.parentRef", value, IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, text("ParentRef", "Whose address it is.")];

    fn row(address: &IPAddress, _now: Timestamp) -> Vec<Value> {
        let parent = address.spec.as_ref().map(|spec| {
            let parent = &spec.parent_ref;
            let of = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
            let resource = match of(&parent.group) {
                Some(group) => format!("{}.{group}", parent.resource),
                None => parent.resource.clone(),
            };
            [Some(resource), of(&parent.namespace), Some(parent.name.clone())]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("/")
        });
        vec![cells::name(&address.metadata), cells::or(parent.as_deref(), cells::NONE)]
    }
}
