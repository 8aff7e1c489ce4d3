//! What one service means: the addresses and ports it is known by, and the endpoints behind each port.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::Key;
use k8s_openapi::api::core::v1::{Service as ServiceObject, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint as EndpointObject, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The label by which a slice names the service it belongs to.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A service as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace and name.
    pub key: Key,
    /// How its name is answered.
    pub kind: Kind,
    /// Its TCP ports, in its own order.
    pub ports: Vec<Arc<Backends>>,
    /// Its ready endpoints, ordered by address, for its names.
    pub endpoints: Vec<Endpoint>,
}

/// How the name of a service is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With addresses of its own, behind which its endpoints are balanced.
    Cluster(Vec<IpAddr>),
    /// With the addresses of its endpoints.
    Headless,
    /// With another name.
    External(String),
}

/// A ready endpoint, as names find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's name below that of the service.
    pub hostname: Option<String>,
}

/// One port of a service and who takes connections to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backends {
    /// Which port of which service.
    pub id: PortId,
    /// The port at the service's addresses.
    pub port: u16,
    /// The port at every node.
    pub node_port: Option<u16>,
    /// Where connections go: the ready endpoints or, if there are none, those that still serve while they stop.
    pub endpoints: Vec<SocketAddr>,
}

/// Names a port of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortId {
    /// The service.
    pub service: Key,
    /// The port's name; empty if the service has a single port without a name.
    pub port: Arc<str>,
}

impl fmt::Display for PortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(formatter)?;
        if self.port.is_empty() {
            return Ok(());
        }
        write!(formatter, ":{}", self.port)
    }
}

impl Service {
    /// Makes it from its object and the slices that name it.
    pub fn build<'a>(service: &ServiceObject, slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Self {
        let slices: Vec<&EndpointSlice> = slices.into_iter().collect();
        let key = key(&service.metadata);
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let ports = ports.filter(|port| is_tcp(port.protocol.as_deref()));
        Self {
            kind: kind(service),
            ports: ports.filter_map(|port| backends(&key, port, &slices)).map(Arc::new).collect(),
            endpoints: named(&slices),
            key,
        }
    }

    /// The addresses of its own.
    pub fn addresses(&self) -> &[IpAddr] {
        match &self.kind {
            Kind::Cluster(addresses) => addresses,
            Kind::Headless | Kind::External(_) => &[],
        }
    }
}

pub(super) fn key(metadata: &ObjectMeta) -> Key {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    Key::new(namespace, metadata.name.as_deref().unwrap_or_default())
}

/// The service a slice belongs to.
pub(crate) fn owner(slice: &ObjectMeta) -> Option<Key> {
    let name = slice.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(Key::new(slice.namespace.as_deref()?, name.as_str()))
}

fn kind(service: &ServiceObject) -> Kind {
    let Some(spec) = &service.spec else {
        return Kind::Headless;
    };
    if spec.type_.as_deref() == Some("ExternalName") {
        return Kind::External(spec.external_name.clone().unwrap_or_default());
    }
    let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let addresses: BTreeSet<IpAddr> = all.filter_map(|address| address.parse().ok()).collect();
    if addresses.is_empty() {
        return Kind::Headless;
    }
    Kind::Cluster(addresses.into_iter().collect())
}

fn backends(service: &Key, port: &ServicePort, slices: &[&EndpointSlice]) -> Option<Backends> {
    let name = port.name.as_deref().unwrap_or_default();
    let mut ready = BTreeSet::new();
    let mut stopping = BTreeSet::new();
    for slice in slices {
        let Some(target) = target_port(slice, name) else {
            continue;
        };
        for endpoint in &slice.endpoints {
            let Some(address) = address(endpoint) else {
                continue;
            };
            let address = SocketAddr::new(address, target);
            match Readiness::of(endpoint) {
                Readiness::Ready => drop(ready.insert(address)),
                Readiness::ServingWhileStopping => drop(stopping.insert(address)),
                Readiness::Not => {}
            }
        }
    }
    let chosen = if ready.is_empty() { stopping } else { ready };
    Some(Backends {
        id: PortId { service: service.clone(), port: name.into() },
        port: number(port.port)?,
        node_port: port.node_port.and_then(number),
        endpoints: chosen.into_iter().collect(),
    })
}

/// The pods' port that stands behind the service's port of this name.
fn target_port(slice: &EndpointSlice, name: &str) -> Option<u16> {
    let mut ports = slice.ports.iter().flatten();
    let port = ports
        .find(|port| port.name.as_deref().unwrap_or_default() == name && is_tcp(port.protocol.as_deref()));
    number(port?.port?)
}

fn named(slices: &[&EndpointSlice]) -> Vec<Endpoint> {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let ready = endpoints.filter(|endpoint| Readiness::of(endpoint) == Readiness::Ready);
    let named = ready.filter_map(|endpoint| {
        Some(Endpoint { address: address(endpoint)?, hostname: endpoint.hostname.clone() })
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether an endpoint takes connections. What its conditions leave open is taken as said in its favor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    ServingWhileStopping,
    Not,
}

impl Readiness {
    fn of(endpoint: &EndpointObject) -> Self {
        let Some(conditions) = &endpoint.conditions else {
            return Self::Ready;
        };
        let ready = conditions.ready.unwrap_or(true);
        let serving = conditions.serving.unwrap_or(ready);
        match (ready, serving, conditions.terminating == Some(true)) {
            (true, _, _) => Self::Ready,
            (false, true, true) => Self::ServingWhileStopping,
            (false, _, _) => Self::Not,
        }
    }
}

fn address(endpoint: &EndpointObject) -> Option<IpAddr> {
    endpoint.addresses.first()?.parse().ok()
}

fn is_tcp(protocol: Option<&str>) -> bool {
    matches!(protocol, None | Some("" | "TCP"))
}

/// A port number; 0 means that there is none.
fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}
