//! EndpointSlices: the addresses behind a service.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use api::Resource;
use api::field::FieldError;
use api::resource::ENDPOINT_SLICES;
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, IMMUTABLE, port_mistake};
use crate::path::Path;
use crate::tree;

const ADDRESS_TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const MOST_PORTS: usize = 20_000;

/// A line of a table has room for this many ports and addresses.
const MOST_SHOWN: usize = 3;
const UNSET: &str = "<unset>";

/// The kind EndpointSlice.
pub struct EndpointSlices;

impl Builtin for EndpointSlices {
    type Typed = EndpointSlice;

    const RESOURCE: Resource = ENDPOINT_SLICES;

    const DEFINITION: Definition =
        Definition { generation: &["addressType", "endpoints", "ports"], ..Definition::new("endpointslice") };

    fn set_defaults(slice: &mut Value) {
        for port in tree::items(slice, "ports") {
            tree::set_default(port, "name", "");
            tree::set_default(port, "protocol", "TCP");
        }
    }

    fn check(slice: &EndpointSlice, errors: &mut Vec<FieldError>) {
        let kind = slice.address_type.as_str();
        if kind.is_empty() {
            errors.push(FieldError::required("addressType", ""));
        } else if !ADDRESS_TYPES.contains(&kind) {
            errors.push(FieldError::unsupported("addressType", kind, &ADDRESS_TYPES));
        }
        check_endpoints(slice, errors);
        check_ports(slice, errors);
    }

    fn check_update(new: &EndpointSlice, old: &EndpointSlice, errors: &mut Vec<FieldError>) {
        if new.address_type != old.address_type {
            errors.push(FieldError::invalid("addressType", new.address_type.as_str(), IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("AddressType", "Kind of the addresses."),
        text("Ports", "Ports behind the addresses."),
        text("Endpoints", "The addresses."),
        cells::AGE,
    ];

    fn row(slice: &EndpointSlice, now: Timestamp) -> Vec<Value> {
        let ports: Vec<String> = slice.ports.iter().flatten().map(shown_port).collect();
        let addresses: Vec<&String> =
            slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses).collect();
        vec![
            cells::name(&slice.metadata),
            slice.address_type.as_str().into(),
            cells::first_few(&ports, MOST_SHOWN, UNSET).into(),
            cells::first_few(&addresses, MOST_SHOWN, UNSET).into(),
            cells::age(&slice.metadata, now),
        ]
    }
}

fn shown_port(port: &EndpointPort) -> String {
    match port.port {
        Some(number) => number.to_string(),
        None => port.name.clone().unwrap_or_else(|| "*".to_owned()),
    }
}

fn check_endpoints(slice: &EndpointSlice, errors: &mut Vec<FieldError>) {
    let path = Path::new("endpoints");
    if slice.endpoints.len() > MOST_ENDPOINTS {
        errors.push(FieldError::too_many(path, slice.endpoints.len(), MOST_ENDPOINTS));
        return;
    }
    for (index, endpoint) in slice.endpoints.iter().enumerate() {
        let path = path.index(index);
        let addresses = path.child("addresses");
        if endpoint.addresses.is_empty() {
            errors.push(FieldError::required(addresses, "must contain at least 1 address"));
        } else if endpoint.addresses.len() > MOST_ADDRESSES {
            errors.push(FieldError::too_many(addresses, endpoint.addresses.len(), MOST_ADDRESSES));
        }
        for (index, address) in endpoint.addresses.iter().enumerate() {
            if let Some(words) = address_mistake(&slice.address_type, address) {
                errors.push(FieldError::invalid(addresses.index(index), address.as_str(), words));
            }
        }
        if let Some(hostname) = &endpoint.hostname {
            let mistakes = Form::Label.mistakes(hostname).into_iter();
            errors.extend(
                mistakes.map(|words| FieldError::invalid(path.child("hostname"), hostname.as_str(), words)),
            );
        }
    }
}

fn address_mistake(kind: &str, address: &str) -> Option<&'static str> {
    match kind {
        "IPv4" if address.parse::<Ipv4Addr>().is_err() => Some("must be an IPv4 address"),
        "IPv6" if address.parse::<Ipv6Addr>().is_err() => Some("must be an IPv6 address"),
        "FQDN" if !Form::Subdomain.mistakes(address).is_empty() => Some("must be a domain name"),
        _ => None,
    }
}

fn check_ports(slice: &EndpointSlice, errors: &mut Vec<FieldError>) {
    let path = Path::new("ports");
    let ports = slice.ports.as_deref().unwrap_or_default();
    if ports.len() > MOST_PORTS {
        errors.push(FieldError::too_many(path, ports.len(), MOST_PORTS));
        return;
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() {
            // Those of a service's ports, which are longer than those of containers' ports may be.
            let mistakes = Form::Label.mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child("name"), name, words)));
        }
        if !names.insert(name) {
            errors.push(FieldError::duplicate(path.child("name"), name));
        }
        if let Some((port, words)) = port.port.and_then(|port| Some((port, port_mistake(port)?))) {
            errors.push(FieldError::invalid(path.child("port"), port, words));
        }
        let protocol = port.protocol.as_deref().unwrap_or_default();
        if !super::pod_spec::PROTOCOLS.contains(&protocol) {
            let supported = &super::pod_spec::PROTOCOLS;
            errors.push(FieldError::unsupported(path.child("protocol"), protocol, supported));
        }
    }
}
