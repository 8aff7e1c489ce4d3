//! CSIDrivers: what the drivers of volumes can do and want to know.

use std::collections::BTreeSet;

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::{CSIDriver, TokenRequest};
use serde_json::{Value, json};

use super::storage_class::GROUP;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, flag, text};
use crate::names::IMMUTABLE;
use crate::path::Path;
use crate::tree;

const GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
const MODES: [&str; 2] = ["Persistent", "Ephemeral"];

/// Shorter and longer lives of tokens are mistakes.
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 600..=1 << 32;

const SHORTEST_PERIOD_SECONDS: i64 = 10;

/// The kind CSIDriver.
pub struct CsiDrivers;

impl Builtin for CsiDrivers {
    type Typed = CSIDriver;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "csidrivers", "CSIDriver", false);

    const DEFINITION: Definition = Definition { generation: &["spec"], ..Definition::new("csidriver") };

    fn set_defaults(driver: &mut Value) {
        let spec = tree::object(driver, "spec");
        tree::set_default(spec, "attachRequired", true);
        tree::set_default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        for field in ["podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"] {
            tree::set_default(spec, field, false);
        }
        if spec["volumeLifecycleModes"].as_array().is_none_or(Vec::is_empty) {
            tree::set(spec, "volumeLifecycleModes", Some(json!(["Persistent"])));
        }
    }

    fn check(driver: &CSIDriver, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let spec = &driver.spec;
        if let Some(policy) =
            spec.fs_group_policy.as_deref().filter(|policy| !GROUP_POLICIES.contains(policy))
        {
            errors.push(FieldError::unsupported(path.child("fsGroupPolicy"), policy, &GROUP_POLICIES));
        }
        let requests = spec.token_requests.as_deref().unwrap_or_default();
        check_tokens(requests, &path.child("tokenRequests"), errors);
        let modes = spec.volume_lifecycle_modes.iter().flatten();
        for mode in modes.filter(|mode| !MODES.contains(&mode.as_str())) {
            errors.push(FieldError::unsupported(path.child("volumeLifecycleModes"), mode.as_str(), &MODES));
        }
        let period = spec.node_allocatable_update_period_seconds;
        if let Some(period) = period.filter(|period| *period < SHORTEST_PERIOD_SECONDS) {
            let words = "must be greater than or equal to 10 seconds";
            let path = path.child("nodeAllocatableUpdatePeriodSeconds");
            errors.push(FieldError::invalid(path, period, words));
        }
    }

    fn check_update(new: &CSIDriver, old: &CSIDriver, errors: &mut Vec<FieldError>) {
        let (new, old) = (&new.spec, &old.spec);
        let path = Path::new("spec");
        if new.attach_required != old.attach_required {
            // Kubernetes, too, says this of a field with another name.
            errors.push(FieldError::invalid(path.child("attachedRequired"), new.attach_required, IMMUTABLE));
        }
        if new.volume_lifecycle_modes != old.volume_lifecycle_modes {
            let modes = new.volume_lifecycle_modes.clone();
            errors.push(FieldError::invalid(path.child("volumeLifecycleModes"), modes, IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        flag("AttachRequired", "Whether volumes are attached before they are mounted."),
        flag("PodInfoOnMount", "Whether the driver is told about the pod."),
        flag("StorageCapacity", "Whether the driver says how much there is."),
        text("TokenRequests", "For whom the driver gets tokens of the pod."),
        flag("RequiresRepublish", "Whether the driver is called again and again."),
        text("Modes", "How long the volumes live."),
        cells::AGE,
    ];

    fn row(driver: &CSIDriver, now: Timestamp) -> Vec<Value> {
        let spec = &driver.spec;
        let audiences = spec
            .token_requests
            .as_ref()
            .map(|requests| cells::joined(requests.iter().map(|request| request.audience.as_str()), ""));
        let modes = spec.volume_lifecycle_modes.iter().flatten().map(String::as_str);
        vec![
            cells::name(&driver.metadata),
            spec.attach_required.unwrap_or(true).into(),
            spec.pod_info_on_mount.unwrap_or(false).into(),
            spec.storage_capacity.unwrap_or(false).into(),
            audiences.unwrap_or_else(|| "<unset>".to_owned()).into(),
            spec.requires_republish.unwrap_or(false).into(),
            cells::joined(modes, cells::NONE).into(),
            cells::age(&driver.metadata, now),
        ]
    }
}

fn check_tokens(requests: &[TokenRequest], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut audiences = BTreeSet::new();
    for (index, request) in requests.iter().enumerate() {
        let path = path.index(index);
        if !audiences.insert(&request.audience) {
            errors.push(FieldError::duplicate(path.child("audience"), request.audience.as_str()));
            continue;
        }
        let Some(seconds) = request.expiration_seconds else { continue };
        let words = match seconds {
            seconds if seconds < *TOKEN_SECONDS.start() => "may not specify a duration less than 10 minutes",
            seconds if seconds > *TOKEN_SECONDS.end() => {
                "may not specify a duration larger than 2^32 seconds"
            }
            _ => continue,
        };
        errors.push(FieldError::invalid(path.child("expirationSeconds"), seconds, words));
    }
}
