//! ResourceClaims and their templates: devices that pods ask for.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::resource::v1::{ResourceClaim, ResourceClaimTemplate};
use serde_json::{Value, json};

use super::device_claims::{self, GROUP};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::IMMUTABLE;
use crate::path::Path;
use crate::registry::metadata::check_labels_and_annotations;
use crate::tree;

/// So many may use a claim at a time.
const MOST_CONSUMERS: usize = 256;

/// The kind ResourceClaim.
pub struct ResourceClaims;

/// The kind ResourceClaimTemplate.
pub struct ResourceClaimTemplates;

impl Builtin for ResourceClaims {
    type Typed = ResourceClaim;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "resourceclaims", "ResourceClaim", true);

    const DEFINITION: Definition =
        Definition { subresources: &["status"], ..Definition::new("resourceclaim") };

    fn set_defaults(claim: &mut Value) {
        device_claims::set_defaults(tree::object(claim, "spec"));
    }

    fn prepare_create(claim: &mut Value) {
        tree::set(claim, "status", Some(json!({})));
    }

    fn check_create(claim: &ResourceClaim, errors: &mut Vec<FieldError>) {
        if let Some(devices) = &claim.spec.devices {
            device_claims::check(devices, &Path::new("spec").child("devices"), errors);
        }
    }

    fn check_update(new: &ResourceClaim, old: &ResourceClaim, errors: &mut Vec<FieldError>) {
        if new.spec != old.spec {
            let value = serde_json::to_value(&new.spec).unwrap_or_default();
            errors.push(FieldError::invalid("spec", value, IMMUTABLE));
        }
    }

    fn check_status(claim: &ResourceClaim, errors: &mut Vec<FieldError>) {
        let Some(status) = &claim.status else { return };
        let reserved = status.reserved_for.as_deref().unwrap_or_default();
        let path = Path::new("status");
        let path = path.child("reservedFor");
        if reserved.len() > MOST_CONSUMERS {
            errors.push(FieldError::too_many(path, reserved.len(), MOST_CONSUMERS));
        }
        if !reserved.is_empty() && status.allocation.is_none() {
            let words = "may not be specified when `allocated` is not set";
            errors.push(FieldError::forbidden(path, words));
        }
        for (index, consumer) in reserved.iter().enumerate() {
            let path = path.index(index);
            for (field, value) in
                [("resource", &consumer.resource), ("name", &consumer.name), ("uid", &consumer.uid)]
            {
                if value.is_empty() {
                    errors.push(FieldError::required(path.child(field), ""));
                }
            }
            if reserved[..index].iter().any(|other| other.uid == consumer.uid) {
                errors.push(FieldError::duplicate(path.child("uid"), consumer.uid.as_str()));
            }
        }
    }

    const COLUMNS: &'static [Column] =
        &[cells::NAME, text("State", "Whether it has its devices and is used."), cells::AGE];

    fn row(claim: &ResourceClaim, now: Timestamp) -> Vec<Value> {
        let metadata = &claim.metadata;
        vec![cells::name(metadata), state(claim).into(), cells::age(metadata, now)]
    }
}

fn state(claim: &ResourceClaim) -> String {
    let goes = claim.metadata.deletion_timestamp.is_some();
    let status = claim.status.as_ref();
    let is_allocated = status.is_some_and(|status| status.allocation.is_some());
    let is_reserved = status
        .and_then(|status| status.reserved_for.as_ref())
        .is_some_and(|reserved| is_allocated && !reserved.is_empty());
    let states = [
        (goes, "deleted"),
        (!is_allocated && !goes, "pending"),
        (is_allocated, "allocated"),
        (is_reserved, "reserved"),
    ];
    cells::joined(states.into_iter().filter(|(holds, _)| *holds).map(|(_, state)| state), "")
}

impl Builtin for ResourceClaimTemplates {
    type Typed = ResourceClaimTemplate;

    const RESOURCE: Resource =
        Resource::new(GROUP, "v1", "resourceclaimtemplates", "ResourceClaimTemplate", true);

    const DEFINITION: Definition = Definition::new("resourceclaimtemplate");

    fn set_defaults(template: &mut Value) {
        device_claims::set_defaults(tree::object(tree::object(template, "spec"), "spec"));
    }

    fn check_create(template: &ResourceClaimTemplate, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        if let Some(metadata) = &template.spec.metadata {
            check_labels_and_annotations(metadata, &path.child("metadata"), errors);
        }
        if let Some(devices) = &template.spec.spec.devices {
            device_claims::check(devices, &path.child("spec").child("devices"), errors);
        }
    }

    fn check_update(new: &ResourceClaimTemplate, old: &ResourceClaimTemplate, errors: &mut Vec<FieldError>) {
        if new.spec != old.spec {
            let value = serde_json::to_value(&new.spec).unwrap_or_default();
            errors.push(FieldError::invalid("spec", value, IMMUTABLE));
        }
    }
}
