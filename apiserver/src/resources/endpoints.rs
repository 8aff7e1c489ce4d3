//! Endpoints: the addresses behind a service, in the form older clients read.

use std::net::{IpAddr, Ipv6Addr};

use api::Resource;
use api::field::FieldError;
use api::resource::ENDPOINTS;
use api::selector::check_label_key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells;
use crate::names::{Form, port_mistake};
use crate::path::Path;
use crate::resources::pod_spec::PROTOCOLS;
use crate::tree;

/// So many addresses are shown in a table.
const MOST_SHOWN: usize = 3;

/// The kind Endpoints.
pub struct EndpointsKind;

impl Builtin for EndpointsKind {
    type Typed = Endpoints;

    const RESOURCE: Resource = ENDPOINTS;

    const DEFINITION: Definition = Definition { short_names: &["ep"], ..Definition::new("endpoints") };

    fn set_defaults(endpoints: &mut Value) {
        for subset in tree::items(endpoints, "subsets") {
            for port in tree::items(subset, "ports") {
                tree::set_default_text(port, "protocol", "TCP");
            }
        }
    }

    fn check(endpoints: &Endpoints, errors: &mut Vec<FieldError>) {
        let path = Path::new("subsets");
        // Those of the API server are written by itself and may say that it listens on the loopback only.
        let anywhere = endpoints.metadata.namespace.as_deref() == Some("default")
            && endpoints.metadata.name.as_deref() == Some("kubernetes");
        for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
            check_subset(subset, anywhere, &path.index(index), errors);
        }
    }

    const COLUMNS: &'static [Column] =
        &[cells::NAME, cells::text("Endpoints", "Addresses and ports that are ready."), cells::AGE];

    fn row(endpoints: &Endpoints, now: Timestamp) -> Vec<Value> {
        let subsets = endpoints.subsets.as_deref().unwrap_or_default();
        let shown: Vec<String> = subsets.iter().flat_map(ready).collect();
        let shown = cells::first_few(&shown, MOST_SHOWN, cells::NONE);
        vec![cells::name(&endpoints.metadata), shown.into(), cells::age(&endpoints.metadata, now)]
    }
}

/// Every ready address with every port.
fn ready(subset: &EndpointSubset) -> Vec<String> {
    let addresses = subset.addresses.as_deref().unwrap_or_default();
    let with = |port: i32| {
        addresses.iter().map(move |address| match address.ip.parse::<Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]:{port}"),
            Err(_) => format!("{}:{port}", address.ip),
        })
    };
    match subset.ports.as_deref().unwrap_or_default() {
        [] => addresses.iter().map(|address| address.ip.clone()).collect(),
        ports => ports.iter().flat_map(|port| with(port.port)).collect(),
    }
}

fn check_subset(subset: &EndpointSubset, anywhere: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let ready = subset.addresses.as_deref().unwrap_or_default();
    let not_ready = subset.not_ready_addresses.as_deref().unwrap_or_default();
    if ready.is_empty() && not_ready.is_empty() {
        errors.push(FieldError::required(*path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
        let path = path.child(field);
        for (index, address) in addresses.iter().enumerate() {
            check_address(address, anywhere, &path.index(index), errors);
        }
    }
    let ports = subset.ports.as_deref().unwrap_or_default();
    let path = path.child("ports");
    for (index, port) in ports.iter().enumerate() {
        check_port(port, ports.len() > 1, &path.index(index), errors);
    }
}

fn check_address(address: &EndpointAddress, anywhere: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let ip = address.ip.as_str();
    let mistake = match ip.parse::<IpAddr>() {
        Err(_) => Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()),
        Ok(_) if anywhere => None,
        Ok(parsed) => special(parsed, ip),
    };
    errors.extend(mistake.map(|words| FieldError::invalid(path.child("ip"), ip, words)));
    let names =
        [("hostname", &address.hostname, Form::Label), ("nodeName", &address.node_name, Form::Subdomain)];
    for (field, name, form) in names {
        let name = name.as_deref().unwrap_or_default();
        // An empty host name is none; an empty node name is a mistake.
        if !name.is_empty() || field == "nodeName" && address.node_name.is_some() {
            let mistakes = form.mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child(field), name, words)));
        }
    }
}

/// What is wrong with an address that leads nowhere, or to whoever asks.
fn special(ip: IpAddr, text: &str) -> Option<String> {
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    if ip.is_unspecified() {
        Some(format!("may not be unspecified ({text})"))
    } else if ip.is_loopback() {
        Some("may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned())
    } else if link_local {
        Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned())
    } else if link_local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned())
    } else {
        None
    }
}

fn check_port(port: &EndpointPort, needs_name: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match port.name.as_deref().unwrap_or_default() {
        "" if needs_name => errors.push(FieldError::required(path.child("name"), "")),
        "" => {}
        name => {
            let mistakes = Form::Label.mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child("name"), name, words)));
        }
    }
    if let Some(words) = port_mistake(port.port) {
        errors.push(FieldError::invalid(path.child("port"), port.port, words));
    }
    match port.protocol.as_deref().unwrap_or_default() {
        "" => errors.push(FieldError::required(path.child("protocol"), "")),
        protocol if !PROTOCOLS.contains(&protocol) => {
            errors.push(FieldError::unsupported(path.child("protocol"), protocol, &PROTOCOLS));
        }
        _ => {}
    }
    if let Some(protocol) = &port.app_protocol {
        let mistakes = check_label_key(protocol).into_iter();
        let path = path.child("appProtocol");
        errors.extend(mistakes.map(|words| FieldError::invalid(path, protocol.as_str(), words)));
    }
}
