//! CertificateSigningRequests: asked for by those who need a certificate, approved by people, signed by a signer.

mod check;
mod decision;
mod request;

use std::borrow::Cow;

use api::Resource;
use api::backend::User;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::Form;
use crate::tree;

/// The kind CertificateSigningRequest.
pub struct CertificateSigningRequests;

impl Builtin for CertificateSigningRequests {
    type Typed = CertificateSigningRequest;

    const RESOURCE: Resource = Resource::new(
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        false,
    );

    const DEFINITION: Definition = Definition {
        short_names: &["csr"],
        subresources: &["status", "approval"],
        names: Form::PathSegment,
        fields: &["spec.signerName"],
        ..Definition::new("certificatesigningrequest")
    };

    fn prepare_create(request: &mut Value) {
        tree::set(request, "status", Some(json!({})));
    }

    /// Who asks is who sent the request, whatever it says: signers rely on it.
    fn prepare_create_by(request: &mut Value, user: &User) {
        let spec = tree::object(request, "spec");
        let groups = (!user.groups.is_empty()).then(|| user.groups.clone().into());
        tree::set(spec, "username", Some(user.name.clone().into()));
        tree::set(spec, "groups", groups);
        tree::set(spec, "uid", None);
        tree::set(spec, "extra", None);
    }

    /// What was asked for stays: an approval was given to it.
    fn prepare_update(new: &mut Value, old: &Value) {
        tree::set(new, "spec", old.get("spec").cloned());
    }

    fn prepare_part(_part: &str, new: &mut Value, old: &Value, now: Timestamp) {
        decision::date(new, old, now);
    }

    fn check_part_update(part: &str, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
        decision::check(part, new, old, errors);
    }

    fn check(request: &CertificateSigningRequest, errors: &mut Vec<FieldError>) {
        check::check(request, errors);
    }

    fn check_status(request: &CertificateSigningRequest, errors: &mut Vec<FieldError>) {
        check::check_status(request, errors);
    }

    fn field<'a>(request: &'a CertificateSigningRequest, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "spec.signerName" => Some(request.spec.signer_name.as_str().into()),
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        cells::AGE,
        text("SignerName", "Who is to sign it."),
        text("Requestor", "Who asked for it."),
        text("RequestedDuration", "How long the certificate is to be good for."),
        text("Condition", "Whether it was approved, denied and signed."),
    ];

    fn row(request: &CertificateSigningRequest, now: Timestamp) -> Vec<Value> {
        let spec = &request.spec;
        let duration = spec.expiration_seconds.map(|seconds| cells::span(seconds.into()));
        vec![
            cells::name(&request.metadata),
            cells::age(&request.metadata, now),
            cells::or(Some(&spec.signer_name), cells::NONE),
            spec.username.as_deref().unwrap_or_default().into(),
            cells::or(duration.as_deref(), cells::NONE),
            condition(request).into(),
        ]
    }
}

fn condition(request: &CertificateSigningRequest) -> String {
    let status = request.status.as_ref();
    let has = |kind: &str| {
        let mut conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == kind)
    };
    let is_signed = status
        .and_then(|status| status.certificate.as_ref())
        .is_some_and(|certificate| !certificate.0.is_empty());
    let decided = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if is_signed { ",Issued" } else { "" };
    format!("{decided}{failed}{issued}")
}
