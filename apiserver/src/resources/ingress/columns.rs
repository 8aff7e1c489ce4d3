//! How kubectl shows ingresses.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{Ingress, IngressRule};
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, text};

/// So many hosts are shown.
const MOST_HOSTS: usize = 3;

/// The columns.
pub const COLUMNS: &[Column] = &[
    cells::NAME,
    text("Class", "The ingress controller that serves it."),
    text("Hosts", "The hosts it is for."),
    text("Address", "Where it is reached."),
    text("Ports", "The ports on which it is reached."),
    cells::AGE,
];

/// The cells.
pub fn row(ingress: &Ingress, now: Timestamp) -> Vec<Value> {
    let spec = ingress.spec.as_ref();
    let class = spec.and_then(|spec| spec.ingress_class_name.as_deref());
    let rules = spec.and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    let is_secure = spec.and_then(|spec| spec.tls.as_ref()).is_some_and(|tls| !tls.is_empty());
    vec![
        cells::name(&ingress.metadata),
        cells::or(class, cells::NONE),
        hosts(rules).into(),
        addresses(ingress).into(),
        if is_secure { "80, 443" } else { "80" }.into(),
        cells::age(&ingress.metadata, now),
    ]
}

fn hosts(rules: &[IngressRule]) -> String {
    let named = rules.iter().filter_map(|rule| rule.host.as_deref()).filter(|host| !host.is_empty());
    let hosts: Vec<&str> = named.collect();
    cells::first_few(&hosts, MOST_HOSTS, "*")
}

fn addresses(ingress: &Ingress) -> String {
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let points = balancer.into_iter().flat_map(|balancer| balancer.ingress.iter().flatten());
    let given = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    let known: BTreeSet<String> =
        points.filter_map(|point| given(&point.ip).or_else(|| given(&point.hostname))).collect();
    cells::joined(known.iter().map(String::as_str), "")
}
