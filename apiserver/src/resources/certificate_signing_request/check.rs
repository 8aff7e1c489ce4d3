//! What users get wrong in requests for certificates.

use std::collections::BTreeSet;

use api::field::FieldError;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use super::request;
use crate::names::{Form, report};
use crate::path::Path;

/// In the order in which they are listed to users.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

const SHORTEST_SECONDS: i32 = 600;

/// Conditions that are true or not there.
const ONLY_TRUE: [&str; 3] = ["Approved", "Denied", "Failed"];

/// The longest path of a signer: the names of a namespace and of a resource, with a dot between.
const LONGEST_SIGNER_PATH: usize = 253 + 1 + 63;

/// Checks what is asked for.
pub(super) fn check(asked: &CertificateSigningRequest, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let spec = &asked.spec;
    if let Some(words) = request::mistake(&spec.request.0) {
        let value = serde_json::to_value(&spec.request).unwrap_or_default();
        errors.push(FieldError::invalid(path.child("request"), value, words));
    }
    let usages = spec.usages.as_deref().unwrap_or_default();
    let usages_path = path.child("usages");
    if usages.is_empty() {
        errors.push(FieldError::required(usages_path, ""));
    }
    let unknown = usages.iter().enumerate().filter(|(_, usage)| !USAGES.contains(&usage.as_str()));
    for (index, usage) in unknown {
        errors.push(FieldError::unsupported(usages_path.index(index), usage.as_str(), &USAGES));
    }
    let mut seen = BTreeSet::new();
    for (index, usage) in usages.iter().enumerate() {
        if !seen.insert(usage) {
            errors.push(FieldError::duplicate(usages_path.index(index), usage.as_str()));
        }
    }
    check_signer(&spec.signer_name, &path.child("signerName"), errors);
    if let Some(seconds) = spec.expiration_seconds.filter(|seconds| *seconds < SHORTEST_SECONDS) {
        let words = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(path.child("expirationSeconds"), seconds, words));
    }
}

/// A domain and a path, as in `example.com/signer`.
fn check_signer(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if name == "kubernetes.io/legacy-unknown" {
        let words = "the legacy signerName is not allowed via this API version";
        errors.push(FieldError::invalid(*path, name, words));
        return;
    }
    if name.is_empty() {
        errors.push(FieldError::required(*path, ""));
        return;
    }
    let Some((domain, rest)) = name.split_once('/').filter(|(_, rest)| !rest.contains('/')) else {
        let words = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(FieldError::invalid(*path, name, words));
        return;
    };
    report(domain, Form::Subdomain.mistakes(domain), path, errors);
    if !domain.contains('.') {
        let words = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(*path, domain, words));
    }
    if rest.len() > LONGEST_SIGNER_PATH {
        errors.push(FieldError::too_long(*path, LONGEST_SIGNER_PATH));
    }
    for label in rest.split('.') {
        report(label, Form::Subdomain.mistakes(label), path, errors);
    }
}

/// Checks what was decided.
pub(super) fn check_status(asked: &CertificateSigningRequest, errors: &mut Vec<FieldError>) {
    let conditions =
        asked.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let path = Path::new("status");
    let path = path.child("conditions");
    let mut seen = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let kind = condition.type_.as_str();
        if kind.is_empty() {
            errors.push(FieldError::required(path.child("type"), ""));
        }
        let allowed: &[&str] =
            if ONLY_TRUE.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        match condition.status.as_str() {
            "" => errors.push(FieldError::required(path.child("status"), "")),
            status if !allowed.contains(&status) => {
                errors.push(FieldError::unsupported(path.child("status"), status, allowed));
            }
            _ => {}
        }
        let excluded = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if seen.contains(excluded) {
            let words = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(path.child("type"), kind, words));
        }
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(path.child("type"), kind));
        }
    }
}
