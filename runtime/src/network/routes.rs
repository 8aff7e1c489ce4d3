//! Where each connection of the cluster goes: a plain value made of services and their endpoints, swapped whole.
//!
//! Services share nothing but the maps that find them, so a change of one endpoint rebuilds its own service only.

mod service;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::Key;
use imbl::OrdMap;
use k8s_openapi::api::core::v1::Service as ServiceObject;
use k8s_openapi::api::discovery::v1::EndpointSlice;

pub(super) use service::owner;
pub use service::{Backends, Endpoint, Kind, PortId, Service};

use super::address::AddressPlan;

/// A connection somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The pod it comes from; none if it comes from the host.
    pub from: Option<IpAddr>,
    /// Where it is meant to go.
    pub to: SocketAddr,
}

impl Flow {
    /// A connection from a pod, or from the host, to an address; IPv4 in the clothes of IPv6 is taken for what it is.
    pub fn new(from: Option<IpAddr>, to: SocketAddr) -> Self {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        Self { from, to }
    }
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To an endpoint of a service: these, in the order to try them.
    Balanced(Candidates),
    /// To the pod with this address.
    Pod(SocketAddr),
    /// To the pod it comes from.
    Own(SocketAddr),
    /// Nowhere.
    Refused(NoRoute),
    /// Out of the cluster, or to the host.
    Outside,
}

/// Why a connection goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// The service has no endpoint that takes connections.
    NoEndpoints(PortId),
    /// The service has no such TCP port.
    NoSuchPort(Key),
    /// No service has the address.
    NoSuchService,
    /// No service has the node port.
    NoSuchNodePort,
}

/// The endpoints of a port of a service, beginning with the one whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    backends: Arc<Backends>,
    first: usize,
}

impl Candidates {
    /// The endpoints, each once.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let (before, from) = self.backends.endpoints.split_at(self.first);
        from.iter().chain(before).copied()
    }
}

/// What services mean at one moment. A clone shares everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    plan: Arc<AddressPlan>,
    services: OrdMap<Key, Arc<Service>>,
    addresses: OrdMap<IpAddr, Key>,
    ports: OrdMap<SocketAddr, Arc<Backends>>,
    node_ports: OrdMap<u16, Arc<Backends>>,
}

impl Routes {
    /// A cluster without services.
    pub fn new(plan: AddressPlan) -> Self {
        Self {
            plan: Arc::new(plan),
            services: OrdMap::new(),
            addresses: OrdMap::new(),
            ports: OrdMap::new(),
            node_ports: OrdMap::new(),
        }
    }

    /// A cluster with these services and endpoints; slices say by a label whose endpoints they hold.
    pub fn build<'a>(
        plan: AddressPlan,
        services: impl IntoIterator<Item = &'a ServiceObject>,
        slices: impl IntoIterator<Item = &'a EndpointSlice> + Clone,
    ) -> Self {
        let mut routes = Self::new(plan);
        for service in services {
            let key = service::key(&service.metadata);
            let slices = slices.clone().into_iter();
            let own = slices.filter(|slice| owner(&slice.metadata).as_ref() == Some(&key));
            routes.set(&key, Some(Service::build(service, own)));
        }
        routes
    }

    /// Puts a service in place of its earlier state, or takes it out; tells whether that changed anything.
    pub fn set(&mut self, key: &Key, service: Option<Service>) -> bool {
        if self.services.get(key).map(Arc::as_ref) == service.as_ref() {
            return false;
        }
        if let Some(old) = self.services.remove(key) {
            self.unlink(&old);
        }
        if let Some(new) = service {
            self.link(&new);
            self.services.insert(key.clone(), Arc::new(new));
        }
        true
    }

    /// Decides where a connection goes; `pick` chooses among equals, in turn if it counts up.
    pub fn route(&self, flow: &Flow, pick: u64) -> Route {
        if let Some(backends) = self.balanced(flow) {
            return backends.pick(pick);
        }
        match flow.to.ip() {
            to if is_own(to) && flow.from.is_some() => Route::Own(flow.to),
            to if self.plan.pods.contains(to) => Route::Pod(flow.to),
            to => match self.addresses.get(&to) {
                Some(service) => Route::Refused(NoRoute::NoSuchPort(service.clone())),
                None if self.plan.services.contains(to) => Route::Refused(NoRoute::NoSuchService),
                None if is_own(to) => Route::Refused(NoRoute::NoSuchNodePort),
                None => Route::Outside,
            },
        }
    }

    /// The port of a service whose endpoints take a connection in turn; none if there is nothing to choose.
    pub fn balances(&self, flow: &Flow) -> Option<&PortId> {
        self.balanced(flow).map(|backends| &backends.id)
    }

    /// A service.
    pub fn service(&self, key: &Key) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// All services, ordered by namespace and name.
    pub fn services(&self) -> impl ExactSizeIterator<Item = (&Key, &Arc<Service>)> {
        self.services.iter()
    }

    /// The node ports, in order, and the port of a service that each stands for.
    pub fn node_ports(&self) -> impl Iterator<Item = (u16, &PortId)> {
        self.node_ports.iter().map(|(port, backends)| (*port, &backends.id))
    }

    fn balanced(&self, flow: &Flow) -> Option<&Arc<Backends>> {
        let to = flow.to;
        match (is_own(to.ip()), flow.from) {
            (true, Some(_)) => None,
            (true, None) => self.node_ports.get(&to.port()),
            (false, _) if self.plan.nodes.contains(&to.ip()) => self.node_ports.get(&to.port()),
            (false, _) => self.ports.get(&to),
        }
    }

    fn link(&mut self, service: &Service) {
        for address in service.addresses() {
            self.addresses.insert(*address, service.key.clone());
        }
        for backends in &service.ports {
            for address in service.addresses() {
                let at = SocketAddr::new(*address, backends.port);
                self.ports.insert(at, Arc::clone(backends));
            }
            if let Some(node_port) = backends.node_port {
                self.node_ports.insert(node_port, Arc::clone(backends));
            }
        }
    }

    /// Takes out what leads to the service, unless another has taken its place.
    fn unlink(&mut self, service: &Service) {
        for address in service.addresses() {
            if self.addresses.get(address) == Some(&service.key) {
                self.addresses.remove(address);
            }
        }
        for backends in &service.ports {
            let is_same =
                |found: Option<&Arc<Backends>>| found.is_some_and(|found| Arc::ptr_eq(found, backends));
            for address in service.addresses() {
                let at = SocketAddr::new(*address, backends.port);
                if is_same(self.ports.get(&at)) {
                    self.ports.remove(&at);
                }
            }
            if let Some(node_port) = backends.node_port.filter(|port| is_same(self.node_ports.get(port))) {
                self.node_ports.remove(&node_port);
            }
        }
    }
}

impl Backends {
    fn pick(self: &Arc<Self>, pick: u64) -> Route {
        match self.endpoints.len() as u64 {
            0 => Route::Refused(NoRoute::NoEndpoints(self.id.clone())),
            count => Route::Balanced(Candidates {
                backends: Arc::clone(self),
                first: usize::try_from(pick % count).expect("less than a length"),
            }),
        }
    }
}

/// Whether an address means the one who connects: loopback, or unspecified, which Linux takes for it.
pub(super) fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
pub(super) mod tests;
