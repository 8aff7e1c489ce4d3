//! What users get wrong in services.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use api::field::FieldError;
use api::selector::{check_label_key, check_label_value};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::HEADLESS;
use crate::names::{Form, port_mistake, port_name_mistakes};
use crate::path::Path;
use crate::resources::pod_spec::PROTOCOLS;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const LONGEST_AFFINITY_SECONDS: i32 = 86_400;

/// Checks one state of a service.
pub(super) fn check(service: &Service, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let Some(spec) = &service.spec else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let kind = spec.type_.as_deref().unwrap_or_default();
    if !TYPES.contains(&kind) {
        errors.push(FieldError::unsupported(path.child("type"), kind, &TYPES));
    }
    check_ports(spec, kind, &path, errors);
    check_addresses(spec, kind, &path, errors);
    check_selector(spec, &path, errors);
    check_affinity(spec, &path, errors);
    let policies = [
        ("externalTrafficPolicy", &spec.external_traffic_policy),
        ("internalTrafficPolicy", &spec.internal_traffic_policy),
    ];
    for (field, policy) in policies {
        if let Some(policy) = policy.as_deref().filter(|policy| !POLICIES.contains(policy)) {
            errors.push(FieldError::unsupported(path.child(field), policy, &POLICIES));
        }
    }
    if spec.external_traffic_policy.is_some() && matches!(kind, "ClusterIP" | "ExternalName") {
        let words = "may only be set for externally-accessible services";
        let policy = spec.external_traffic_policy.clone();
        errors.push(FieldError::invalid(path.child("externalTrafficPolicy"), policy, words));
    }
}

fn check_ports(spec: &ServiceSpec, kind: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("ports");
    let ports = spec.ports.as_deref().unwrap_or_default();
    let headless = spec.cluster_ip.as_deref() == Some(HEADLESS);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required(path, ""));
    }
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    let mut node_ports = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        check_port(port, ports.len() > 1, &mut names, &path, errors);
        let protocol = port.protocol.as_deref().unwrap_or_default();
        let node_port = port.node_port.filter(|port| *port != 0);
        if let Some(number) = node_port {
            if kind == "ClusterIP" {
                let words = "may not be used when `type` is 'ClusterIP'";
                errors.push(FieldError::forbidden(path.child("nodePort"), words));
            }
            if !node_ports.insert((protocol, number)) {
                errors.push(FieldError::duplicate(path.child("nodePort"), number));
            }
        }
        if !numbers.insert((protocol, port.port)) {
            errors.push(FieldError::duplicate(path, serde_json::to_value(port).unwrap_or_default()));
        }
    }
}

fn check_port<'a>(
    port: &'a ServicePort,
    needs_name: bool,
    names: &mut BTreeSet<&'a str>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    match port.name.as_deref().unwrap_or_default() {
        "" if needs_name => errors.push(FieldError::required(path.child("name"), "")),
        "" => {}
        name => {
            let mistakes = Form::Label.mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child("name"), name, words)));
            if !names.insert(name) {
                errors.push(FieldError::duplicate(path.child("name"), name));
            }
        }
    }
    if let Some(words) = port_mistake(port.port) {
        errors.push(FieldError::invalid(path.child("port"), port.port, words));
    }
    let protocol = port.protocol.as_deref().unwrap_or_default();
    if protocol.is_empty() {
        errors.push(FieldError::required(path.child("protocol"), ""));
    } else if !PROTOCOLS.contains(&protocol) {
        errors.push(FieldError::unsupported(path.child("protocol"), protocol, &PROTOCOLS));
    }
    match &port.target_port {
        // The port itself stands in for a target that was left out.
        Some(IntOrString::Int(target)) if *target != port.port => {
            if let Some(words) = port_mistake(*target) {
                errors.push(FieldError::invalid(path.child("targetPort"), *target, words));
            }
        }
        Some(IntOrString::String(target)) => {
            let mistakes = port_name_mistakes(target).into_iter();
            let path = path.child("targetPort");
            errors.extend(mistakes.map(|words| FieldError::invalid(path, target.as_str(), words)));
        }
        Some(IntOrString::Int(_)) | None => {}
    }
}

fn check_addresses(spec: &ServiceSpec, kind: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let address = spec.cluster_ip.as_deref().unwrap_or_default();
    let path_of_addresses = path.child("clusterIPs");
    let first = path_of_addresses.index(0);
    if kind == "ExternalName" {
        if !address.is_empty() {
            let words = "may not be set for ExternalName services";
            errors.push(FieldError::forbidden(path_of_addresses, words));
        }
        match spec.external_name.as_deref().unwrap_or_default() {
            "" => errors.push(FieldError::required(path.child("externalName"), "")),
            name => {
                let mistakes = Form::Subdomain.mistakes(name.strip_suffix('.').unwrap_or(name)).into_iter();
                let path = path.child("externalName");
                errors.extend(mistakes.map(|words| FieldError::invalid(path, name, words)));
            }
        }
        return;
    }
    if address == HEADLESS && matches!(kind, "NodePort" | "LoadBalancer") {
        let words = format!("may not be set to 'None' for {kind} services");
        errors.push(FieldError::invalid(first, address, words));
    } else if !address.is_empty() && address != HEADLESS && address.parse::<Ipv4Addr>().is_err() {
        let words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid(first, address, words));
    }
    let addresses = spec.cluster_ips.as_deref().unwrap_or_default();
    if addresses.len() > 1 {
        errors.push(FieldError::invalid(
            path_of_addresses,
            addresses.to_vec(),
            "may only hold up to 1 values",
        ));
    }
    if addresses.first().is_some_and(|first| first != address) {
        let words = "first value must match `clusterIP`";
        errors.push(FieldError::invalid(path_of_addresses, addresses.to_vec(), words));
    }
    let families_path = path.child("ipFamilies");
    for (index, family) in
        spec.ip_families.iter().flatten().enumerate().filter(|(_, family)| *family != "IPv4")
    {
        let words = "not configured on this cluster";
        errors.push(FieldError::invalid(families_path.index(index), family.as_str(), words));
    }
    if spec.ip_family_policy.as_deref() == Some("RequireDualStack") {
        let words = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(path.child("ipFamilyPolicy"), "RequireDualStack", words));
    }
    for (index, address) in spec.external_ips.iter().flatten().enumerate() {
        if address.parse::<std::net::IpAddr>().is_err() {
            let words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            let path = path.child("externalIPs");
            errors.push(FieldError::invalid(path.index(index), address.as_str(), words));
        }
    }
}

fn check_selector(spec: &ServiceSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("selector");
    for (key, value) in spec.selector.iter().flatten() {
        errors.extend(
            check_label_key(key).into_iter().map(|words| FieldError::invalid(path, key.as_str(), words)),
        );
        errors.extend(
            check_label_value(value)
                .into_iter()
                .map(|words| FieldError::invalid(path, value.as_str(), words)),
        );
    }
}

fn check_affinity(spec: &ServiceSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let affinity = spec.session_affinity.as_deref().unwrap_or_default();
    if !AFFINITIES.contains(&affinity) {
        errors.push(FieldError::unsupported(path.child("sessionAffinity"), affinity, &AFFINITIES));
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    if affinity == "None" && spec.session_affinity_config.is_some() {
        let words = "must not be set when session affinity is None";
        errors.push(FieldError::forbidden(path.child("sessionAffinityConfig"), words));
    } else if let Some(seconds) = config.and_then(|config| config.timeout_seconds)
        && !(1..=LONGEST_AFFINITY_SECONDS).contains(&seconds)
    {
        let path = path.child("sessionAffinityConfig");
        let path = path.child("clientIP");
        let words = "must be greater than 0 and less than or equal to 86400";
        errors.push(FieldError::invalid(path.child("timeoutSeconds"), seconds, words));
    }
}

/// An address stays as long as the service has one.
pub(super) fn check_update(new: &Service, old: &Service, errors: &mut Vec<FieldError>) {
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else {
        return;
    };
    let external = |spec: &ServiceSpec| spec.type_.as_deref() == Some("ExternalName");
    let had = old.cluster_ip.as_deref().unwrap_or_default();
    if external(new) || external(old) || had.is_empty() {
        return;
    }
    if new.cluster_ip.as_deref().unwrap_or_default() != had {
        let addresses = new.cluster_ips.clone().unwrap_or_default();
        errors.push(FieldError::invalid("spec.clusterIPs[0]", addresses, "may not change once set"));
    }
}
