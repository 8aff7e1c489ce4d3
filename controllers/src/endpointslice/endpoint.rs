//! What the slices of a Service say of one pod.

use std::collections::BTreeMap;

use api::Object;
use k8s_openapi::api::core::v1::{ContainerPort, Pod, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::State;
use crate::pod;
use crate::typed::Typed;

/// A port of endpoints, ordered so that endpoints with the same ports come together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) port: i32,
    pub(crate) protocol: String,
    pub(crate) app_protocol: Option<String>,
}

impl From<&EndpointPort> for Port {
    fn from(port: &EndpointPort) -> Self {
        Self {
            name: port.name.clone().unwrap_or_default(),
            port: port.port.unwrap_or(0),
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            app_protocol: port.app_protocol.clone(),
        }
    }
}

/// What slices tell of a pod, apart from its ports, which never change.
#[derive(PartialEq)]
pub(super) struct Told<'a> {
    addresses: Vec<&'a str>,
    ready: bool,
    terminating: bool,
    node: &'a str,
}

/// What slices tell of a pod; none if they do not tell of it at all.
pub(super) fn told_of(pod: &Pod) -> Option<Told<'_>> {
    let addresses = addresses(pod);
    (!addresses.is_empty() && !pod::is_finished(pod)).then(|| Told {
        addresses,
        ready: pod::is_ready(pod),
        terminating: pod::is_terminating(pod),
        node: pod::node_name(pod),
    })
}

/// What slices tell of a pod that may not be there.
pub(super) fn told(object: &Option<Object>) -> Option<Told<'_>> {
    told_of(object.as_ref()?.typed().ok()?)
}

/// The addresses of a pod.
pub(crate) fn addresses(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else {
        return vec![];
    };
    match status.pod_ips.as_deref() {
        Some(ips) if !ips.is_empty() => ips.iter().map(|ip| ip.ip.as_str()).collect(),
        _ => status.pod_ip.as_deref().into_iter().collect(),
    }
}

/// The endpoints of one address family, by the ports they have in common.
pub(super) fn wanted(state: &State, family: &str) -> BTreeMap<Vec<Port>, Vec<Endpoint>> {
    let mut wanted: BTreeMap<Vec<Port>, Vec<Endpoint>> = BTreeMap::new();
    for pod in &state.pods {
        let of_family = |address: &&str| address.contains(':') == (family == "IPv6");
        let Some(told) = told_of(pod) else {
            continue;
        };
        if let Some(address) = told.addresses.into_iter().find(of_family) {
            let endpoint = endpoint(state, pod, address);
            wanted.entry(ports(state, pod)).or_default().push(endpoint);
        }
    }
    wanted
}

fn endpoint(state: &State, pod: &Typed<Pod>, address: &str) -> Endpoint {
    let service = state.service.spec.as_ref();
    let always = service.and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let (serving, terminating) = (pod::is_ready(pod), pod::is_terminating(pod));
    let node_name = Some(pod::node_name(pod)).filter(|name| !name.is_empty());
    let zone = node_name.and_then(|name| state.zones.get(name));
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(always || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: pod::hostname_at(pod, state.service.object().name()),
        node_name: node_name.map(str::to_owned),
        target_ref: Some(pod::reference(pod.object())),
        zone: zone.filter(|zone| !zone.is_empty()).cloned(),
        ..Endpoint::default()
    }
}

/// The Service's ports as this pod has them: a named one differs from pod to pod, and may be missing.
fn ports(state: &State, pod: &Pod) -> Vec<Port> {
    let ports = state.service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let mut ports: Vec<Port> = ports.into_iter().flatten().filter_map(|port| port_of(port, pod)).collect();
    ports.sort();
    ports
}

/// A Service's port as this pod has it.
pub(crate) fn port_of(port: &ServicePort, pod: &Pod) -> Option<Port> {
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        port: target_port(port, pod)?,
        protocol: protocol(port.protocol.as_deref()).to_owned(),
        app_protocol: port.app_protocol.clone(),
    })
}

fn protocol(given: Option<&str>) -> &str {
    given.unwrap_or("TCP")
}

fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) if name.is_empty() => Some(port.port),
        Some(IntOrString::String(name)) => {
            let wanted = protocol(port.protocol.as_deref());
            let named = |port: &&ContainerPort| {
                port.name.as_ref() == Some(name) && protocol(port.protocol.as_deref()) == wanted
            };
            let spec = pod.spec.as_ref()?;
            let mut ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
            ports.find(named).map(|port| port.container_port)
        }
    }
}
