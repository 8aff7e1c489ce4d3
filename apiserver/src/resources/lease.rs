//! Leases: who leads, and which nodes are alive.

use api::Resource;
use api::field::FieldError;
use api::resource::LEASES;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::NOT_NEGATIVE;

/// The kind Lease.
pub struct Leases;

impl Builtin for Leases {
    type Typed = Lease;

    const RESOURCE: Resource = LEASES;

    const DEFINITION: Definition = Definition::new("lease");

    fn check(lease: &Lease, errors: &mut Vec<FieldError>) {
        let Some(spec) = &lease.spec else { return };
        if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
            let words = "must be greater than 0";
            errors.push(FieldError::invalid("spec.leaseDurationSeconds", seconds, words));
        }
        if let Some(count) = spec.lease_transitions.filter(|count| *count < 0) {
            errors.push(FieldError::invalid("spec.leaseTransitions", count, NOT_NEGATIVE));
        }
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, text("Holder", "Who holds the lease."), cells::AGE];

    fn row(lease: &Lease, now: Timestamp) -> Vec<Value> {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        vec![
            cells::name(&lease.metadata),
            holder.unwrap_or_default().into(),
            cells::age(&lease.metadata, now),
        ]
    }
}
