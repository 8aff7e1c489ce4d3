//! ResourceQuotas: how much all objects of a namespace may ask for together, and how many there may be.

mod check;

use api::Resource;
use api::field::FieldError;
use api::resource::RESOURCE_QUOTAS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::tree;

/// The kind ResourceQuota.
pub struct ResourceQuotas;

impl Builtin for ResourceQuotas {
    type Typed = ResourceQuota;

    const RESOURCE: Resource = RESOURCE_QUOTAS;

    const DEFINITION: Definition =
        Definition { short_names: &["quota"], subresources: &["status"], ..Definition::new("resourcequota") };

    fn prepare_create(quota: &mut Value) {
        tree::set(quota, "status", Some(json!({})));
    }

    fn check(quota: &ResourceQuota, errors: &mut Vec<FieldError>) {
        check::check(quota, errors);
    }

    fn check_status(quota: &ResourceQuota, errors: &mut Vec<FieldError>) {
        check::check_status(quota, errors);
    }

    fn check_update(new: &ResourceQuota, old: &ResourceQuota, errors: &mut Vec<FieldError>) {
        check::check_update(new, old, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Request", "What is asked for, of what may be."),
        text("Limit", "What is the most that is used, of what may be."),
        cells::AGE,
    ];

    fn row(quota: &ResourceQuota, now: Timestamp) -> Vec<Value> {
        let status = quota.status.as_ref();
        let used = |resource: &str| {
            let used = status.and_then(|status| status.used.as_ref()?.get(resource));
            used.map_or("0", |used| used.0.as_str())
        };
        let (mut requests, mut limits) = (Vec::new(), Vec::new());
        for (resource, hard) in status.iter().flat_map(|status| status.hard.iter().flatten()) {
            let list = if resource.starts_with("limits") { &mut limits } else { &mut requests };
            list.push(format!("{resource}: {}/{}", used(resource), hard.0));
        }
        vec![
            cells::name(&quota.metadata),
            requests.join(", ").into(),
            limits.join(", ").into(),
            cells::age(&quota.metadata, now),
        ]
    }
}
