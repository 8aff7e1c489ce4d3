//! NetworkPolicies: which connections of pods are allowed.

use std::net::IpAddr;

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::label_selector;
use super::pod_spec::PROTOCOLS;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{port_mistake, port_name_mistakes, report};
use crate::path::Path;
use crate::tree;

const TYPES: [&str; 2] = ["Egress", "Ingress"];

/// The kind NetworkPolicy.
pub struct NetworkPolicies;

impl Builtin for NetworkPolicies {
    type Typed = NetworkPolicy;

    const RESOURCE: Resource =
        Resource::new("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true);

    const DEFINITION: Definition =
        Definition { short_names: &["netpol"], generation: &["spec"], ..Definition::new("networkpolicy") };

    fn set_defaults(policy: &mut Value) {
        let spec = tree::object(policy, "spec");
        tree::object(spec, "podSelector");
        for direction in ["ingress", "egress"] {
            for rule in tree::items(spec, direction) {
                for port in tree::items(rule, "ports") {
                    tree::set_default(port, "protocol", "TCP");
                }
            }
        }
        let is_empty = |list: Option<&Value>| list.and_then(Value::as_array).is_none_or(Vec::is_empty);
        if is_empty(spec.get("policyTypes")) {
            let types =
                if is_empty(spec.get("egress")) { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
            tree::set(spec, "policyTypes", Some(types));
        }
    }

    fn check(policy: &NetworkPolicy, errors: &mut Vec<FieldError>) {
        if let Some(spec) = &policy.spec {
            check_spec(spec, &Path::new("spec"), errors);
        }
    }

    const COLUMNS: &'static [Column] =
        &[cells::NAME, text("Pod-Selector", "The pods whose connections it rules."), cells::AGE];

    fn row(policy: &NetworkPolicy, now: Timestamp) -> Vec<Value> {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        let metadata = &policy.metadata;
        vec![cells::name(metadata), cells::selector(selector), cells::age(metadata, now)]
    }
}

fn check_spec(spec: &NetworkPolicySpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    label_selector::check(spec.pod_selector.as_ref(), &path.child("podSelector"), errors);
    let ingress = path.child("ingress");
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        check_rule(rule.ports.as_deref(), "from", rule.from.as_deref(), &ingress.index(index), errors);
    }
    let egress = path.child("egress");
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        check_rule(rule.ports.as_deref(), "to", rule.to.as_deref(), &egress.index(index), errors);
    }
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let path = path.child("policyTypes");
    if types.len() > TYPES.len() {
        errors.push(FieldError::invalid(path, types.to_vec(), "may not specify more than two policyTypes"));
        return;
    }
    for (index, kind) in types.iter().enumerate().filter(|(_, kind)| !TYPES.contains(&kind.as_str())) {
        errors.push(FieldError::unsupported(path.index(index), kind.as_str(), &["Ingress", "Egress"]));
    }
}

fn check_rule(
    ports: Option<&[NetworkPolicyPort]>,
    side: &str,
    peers: Option<&[NetworkPolicyPeer]>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let ports_path = path.child("ports");
    for (index, port) in ports.unwrap_or_default().iter().enumerate() {
        check_port(port, &ports_path.index(index), errors);
    }
    let peers_path = path.child(side);
    for (index, peer) in peers.unwrap_or_default().iter().enumerate() {
        check_peer(peer, &peers_path.index(index), errors);
    }
}

fn check_port(port: &NetworkPolicyPort, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(protocol) = port.protocol.as_deref().filter(|protocol| !PROTOCOLS.contains(protocol)) {
        let allowed = ["TCP", "UDP", "SCTP"];
        errors.push(FieldError::unsupported(path.child("protocol"), protocol, &allowed));
    }
    let end_path = path.child("endPort");
    let path = path.child("port");
    match (&port.port, port.end_port) {
        (Some(IntOrString::Int(first)), end) => {
            errors.extend(port_mistake(*first).map(|words| FieldError::invalid(path, *first, words)));
            if let Some(end) = end {
                if end < *first {
                    let words = "must be greater than or equal to `port`";
                    errors.push(FieldError::invalid(end_path, end, words));
                }
                errors.extend(port_mistake(end).map(|words| FieldError::invalid(end_path, end, words)));
            }
        }
        (Some(IntOrString::String(name)), end) => {
            if let Some(end) = end {
                let words = "may not be specified when `port` is non-numeric";
                errors.push(FieldError::invalid(end_path, end, words));
            }
            report(name, port_name_mistakes(name), &path, errors);
        }
        (None, Some(end)) => {
            let words = "may not be specified when `port` is not specified";
            errors.push(FieldError::invalid(end_path, end, words));
        }
        (None, None) => {}
    }
}

fn check_peer(peer: &NetworkPolicyPeer, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    label_selector::check(peer.pod_selector.as_ref(), &path.child("podSelector"), errors);
    label_selector::check(peer.namespace_selector.as_ref(), &path.child("namespaceSelector"), errors);
    let has_selector = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match &peer.ip_block {
        None if !has_selector => errors.push(FieldError::required(*path, "must specify a peer")),
        None => {}
        Some(block) => {
            check_block(block, &path.child("ipBlock"), errors);
            if has_selector {
                errors.push(FieldError::forbidden(*path, "may not specify both ipBlock and another peer"));
            }
        }
    }
}

fn check_block(block: &IPBlock, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let cidr_path = path.child("cidr");
    if block.cidr.is_empty() {
        errors.push(FieldError::required(cidr_path, ""));
        return;
    }
    let Some(whole) = network(&block.cidr) else {
        errors.push(FieldError::invalid(cidr_path, block.cidr.as_str(), NOT_A_NETWORK));
        return;
    };
    let path = path.child("except");
    for (index, text) in block.except.iter().flatten().enumerate() {
        let path = path.index(index);
        match network(text) {
            None => errors.push(FieldError::invalid(path, text.as_str(), NOT_A_NETWORK)),
            Some(part) if !holds(whole, part) => {
                errors.push(FieldError::invalid(path, text.as_str(), "must be a strict subset of `cidr`"));
            }
            Some(_) => {}
        }
    }
}

/// The words for a text that is no network.
pub const NOT_A_NETWORK: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// An address and the length of its prefix.
pub fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length = is_number.then(|| length.parse::<u32>().ok()).flatten()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some((address, length))
}

/// Whether a network is a part of another and not the whole.
fn holds((whole, length): (IpAddr, u32), (part, part_length): (IpAddr, u32)) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    let differing = bits(whole) ^ bits(part);
    whole.is_ipv4() == part.is_ipv4() && part_length > length && differing.leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_part_is_smaller_than_the_whole_and_within_it() {
        let row = |whole: &str, part: &str, expected: bool| {
            assert_eq!(holds(network(whole).unwrap(), network(part).unwrap()), expected, "{whole} {part}");
        };
        row("10.0.0.0/8", "10.1.0.0/16", true);
        row("10.0.0.0/8", "10.0.0.0/8", false);
        row("10.0.0.0/8", "11.0.0.0/16", false);
        row("0.0.0.0/0", "11.0.0.0/16", true);
        row("::/0", "11.0.0.0/16", false);
        row("2001:db8::/32", "2001:db8:1::/48", true);
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/+8", "10.0.0.0/", "::/129"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
