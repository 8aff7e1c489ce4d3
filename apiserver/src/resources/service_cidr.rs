//! ServiceCIDRs: the ranges from which services are to get their addresses.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use serde_json::{Value, json};

use super::network_policy::{NOT_A_NETWORK, network};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::IMMUTABLE;
use crate::path::Path;
use crate::tree;

/// One for each family of addresses.
const MOST: usize = 2;

/// The kind ServiceCIDR.
pub struct ServiceCidrs;

impl Builtin for ServiceCidrs {
    type Typed = ServiceCIDR;

    const RESOURCE: Resource = Resource::new("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", false);

    const DEFINITION: Definition = Definition { subresources: &["status"], ..Definition::new("servicecidr") };

    fn prepare_create(range: &mut Value) {
        tree::set(range, "status", Some(json!({})));
    }

    fn check(range: &ServiceCIDR, errors: &mut Vec<FieldError>) {
        let cidrs = cidrs(range);
        let path = Path::new("spec");
        let path = path.child("cidrs");
        if cidrs.is_empty() {
            errors.push(FieldError::required(path, "at least one CIDR required"));
        } else if cidrs.len() > MOST {
            errors.push(FieldError::invalid(path, cidrs.to_vec(), "may only hold up to 2 values"));
        } else {
            check_cidrs(cidrs, &path, errors);
        }
    }

    fn check_update(new: &ServiceCIDR, old: &ServiceCIDR, errors: &mut Vec<FieldError>) {
        let (new, old) = (cidrs(new), cidrs(old));
        let path = Path::new("spec");
        let path = path.child("cidrs");
        // A second family may be added.
        if new.len() != old.len() && !(old.len() == 1 && new.len() == 2) {
            errors.push(FieldError::invalid(path, new.to_vec(), IMMUTABLE));
            return;
        }
        for (index, (new, _)) in new.iter().zip(old).enumerate().filter(|(_, (new, old))| new != old) {
            errors.push(FieldError::invalid(path.index(index), new.as_str(), IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, text("CIDRs", "The ranges."), cells::AGE];

    fn row(range: &ServiceCIDR, now: Timestamp) -> Vec<Value> {
        let shown = cells::joined(cidrs(range).iter().map(String::as_str), "");
        vec![cells::name(&range.metadata), shown.into(), cells::age(&range.metadata, now)]
    }
}

fn cidrs(range: &ServiceCIDR) -> &[String] {
    range.spec.as_ref().and_then(|spec| spec.cidrs.as_deref()).unwrap_or_default()
}

fn check_cidrs(cidrs: &[String], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut families = Vec::new();
    for (index, text) in cidrs.iter().enumerate() {
        let path = path.index(index);
        let Some((address, length)) = network(text) else {
            errors.push(FieldError::invalid(path, text.as_str(), NOT_A_NETWORK));
            continue;
        };
        families.push(address.is_ipv4());
        let canonical = format!("{address}/{length}");
        if canonical != *text {
            let words = format!("must be in canonical form ({canonical:?})");
            errors.push(FieldError::invalid(path, text.as_str(), words));
        }
    }
    if let [one, other] = families[..]
        && one == other
    {
        let words =
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(*path, cidrs.to_vec(), words));
    }
}
