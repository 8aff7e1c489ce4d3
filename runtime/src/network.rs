//! The virtual network: pods with addresses, connections in memory, and routes that decide where each connection goes.
//!
//! A pod attaches to the [`Network`] and gets an [`Interface`]; all containers of the pod share it, with its address and
//! its ports. What services mean is a value, [`Routes`], which the [`Proxy`] keeps up to date and swaps whole: opening a
//! connection reads it without a lock. A connection between pods is a pair of pipes in memory. A connection that came in
//! through a port of the host is handed to the pod as it is, and one to the API server may leave through a socket of the
//! host. Nothing else touches one.

mod address;
mod backlog;
mod connect;
mod hosts;
mod names;
mod node_ports;
mod outside;
mod pipe;
mod ports;
mod proxy;
mod routes;
mod stream;
mod tls;
mod turns;
mod unsupported;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use api::{Clock, Key};
use arc_swap::ArcSwap;
use imbl::OrdMap;
use rustls::ClientConfig;
use tokio::sync::watch;

pub use address::{AddressPlan, AddressesExhausted, Cidr, NotACidr};
pub use backlog::BACKLOG;
pub use connect::{ConnectError, PATIENCE, Refusal};
pub use hosts::HostNames;
pub use names::ResolveError;
pub use node_ports::NodePortAddress;
pub use outside::ApiServer;
pub use ports::{ListenError, Listener};
pub use proxy::Proxy;
pub use routes::{Backends, Candidates, Endpoint, Flow, Kind, NoRoute, PortId, Route, Routes, Service};
pub use stream::Stream;

use address::Addresses;
use names::Question;
use ports::Ports;
use turns::Turns;

/// What a network is made from.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The addresses this node gives to its pods.
    pub pod_cidr: Cidr,
    /// Which addresses mean what in the whole cluster.
    pub plan: AddressPlan,
    /// The domain below which the cluster's names live.
    pub cluster_domain: String,
    /// Bounds how long a connection may wait to be accepted.
    pub clock: Clock,
    /// The API server, if pods may reach it.
    pub api_server: Option<ApiServer>,
    /// The certificate, in PEM, of the one authority that pods' HTTPS requests trust.
    pub trusted_ca_pem: Option<String>,
}

impl NetworkConfig {
    /// The first node of a cluster with the usual ranges and `cluster.local`.
    pub fn new(clock: Clock) -> Self {
        let plan = AddressPlan::default();
        Self {
            pod_cidr: plan.node(0).expect("the plan has room for one node"),
            plan,
            cluster_domain: "cluster.local".to_owned(),
            clock,
            api_server: None,
            trusted_ca_pem: None,
        }
    }

    /// The address at which this node's pods see what the node itself offers them, such as the API server. No pod gets it.
    pub fn gateway(&self) -> Ipv4Addr {
        self.pod_cidr.gateway()
    }
}

/// The network of one node. A clone is a reference.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    config: NetworkConfig,
    addresses: Mutex<Addresses>,
    pods: ArcSwap<OrdMap<Ipv4Addr, Arc<Attachment>>>,
    routes: ArcSwap<InForce>,
    /// The newest number of the routes, for connections that wait for the next ones.
    newest: watch::Sender<u64>,
    turns: Turns,
    node_ports: watch::Sender<Arc<[NodePortAddress]>>,
    host_source: SourcePorts,
    /// Made when first needed: most pods make no HTTPS requests.
    tls: OnceLock<Arc<ClientConfig>>,
}

/// The routes in force, numbered by how often they were swapped.
struct InForce {
    routes: Arc<Routes>,
    number: u64,
}

/// Whose interface it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// The pod's namespace and name.
    pub key: Key,
    /// Tells it from other pods of the same name, earlier and later.
    pub uid: Arc<str>,
}

/// What the network knows of one pod.
struct Attachment {
    pod: PodIdentity,
    names: HostNames,
    address: Ipv4Addr,
    ports: Ports,
    source: SourcePorts,
}

impl Network {
    /// A network without pods and services.
    pub fn new(config: NetworkConfig) -> Self {
        let routes = Arc::new(Routes::new(config.plan.clone()));
        Self(Arc::new(Shared {
            addresses: Mutex::new(Addresses::new(config.pod_cidr)),
            pods: ArcSwap::default(),
            routes: ArcSwap::from_pointee(InForce { routes, number: 0 }),
            newest: watch::Sender::new(0),
            turns: Turns::default(),
            node_ports: watch::Sender::new(Arc::new([])),
            host_source: SourcePorts::default(),
            tls: OnceLock::new(),
            config,
        }))
    }

    /// Gives a pod an address, its own until the last clone of the interface is dropped. It knows itself by its name.
    pub fn attach(&self, pod: &PodIdentity) -> Result<Interface, AddressesExhausted> {
        let names = HostNames { own: vec![pod.key.name.to_string()], aliases: Vec::new() };
        self.attach_with(pod, names)
    }

    /// The same for a pod that knows these names.
    pub fn attach_with(&self, pod: &PodIdentity, names: HostNames) -> Result<Interface, AddressesExhausted> {
        let address = lock(&self.0.addresses).take()?;
        let attachment = Arc::new(Attachment {
            pod: pod.clone(),
            names,
            address,
            ports: Ports::new(address),
            source: SourcePorts::default(),
        });
        self.0.pods.rcu(|pods| pods.update(address, Arc::clone(&attachment)));
        Ok(Interface(Arc::new(Held { network: self.clone(), attachment })))
    }

    /// Puts new routes in place of all old ones.
    pub fn set_routes(&self, routes: Arc<Routes>) {
        self.0.turns.keep(&routes);
        self.0.newest.send_modify(|number| {
            *number += 1;
            let number = *number;
            self.0.routes.store(Arc::new(InForce { routes, number }));
        });
    }

    /// Changes each time new routes come into force.
    pub fn route_changes(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The routes in force.
    pub fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.0.routes.load().routes)
    }

    /// Opens a connection from the host: to a service's address, a pod, or a node port at the host's loopback address.
    pub async fn connect_from_host(&self, to: SocketAddr) -> Result<Stream, ConnectError> {
        let source = SocketAddr::new(self.host_address(), self.0.host_source.next());
        self.open(Flow::new(None, to), source).await
    }

    /// Looks up a name as a pod of `namespace` sees it, and opens a connection from the host to what it names.
    pub async fn connect_from_host_by_name(
        &self,
        namespace: &str,
        host: &str,
        port: u16,
    ) -> Result<Stream, ConnectError> {
        let question = self.question(namespace, host);
        let addresses = self.look_up(&question)?;
        connect::first(addresses, port, |to| self.connect_from_host(to)).await
    }

    /// The node ports that listen at the host, as they change.
    pub fn node_port_addresses(&self) -> watch::Receiver<Arc<[NodePortAddress]>> {
        self.0.node_ports.subscribe()
    }

    /// The address under which pods see connections from the host: that of the node's pod network itself.
    pub fn host_address(&self) -> IpAddr {
        self.0.config.pod_cidr.first().into()
    }

    /// The domain of the cluster's names: `cluster.local`.
    pub fn cluster_domain(&self) -> &str {
        &self.0.config.cluster_domain
    }

    fn tls(&self) -> Arc<ClientConfig> {
        let config = &self.0.config;
        let make = || tls::config(config.trusted_ca_pem.as_deref(), &config.clock);
        Arc::clone(self.0.tls.get_or_init(make))
    }

    fn question<'a>(&'a self, namespace: &'a str, name: &'a str) -> Question<'a> {
        Question { name, namespace, domain: &self.0.config.cluster_domain, own: None }
    }

    fn look_up(&self, question: &Question<'_>) -> Result<Vec<IpAddr>, ResolveError> {
        let answer = names::resolve(&self.0.routes.load().routes, question)?;
        let mut addresses = answer.addresses;
        if let Some(headless) = answer.headless {
            let first = self.0.turns.next(&headless) % addresses.len() as u64;
            addresses.rotate_left(first as usize);
        }
        Ok(addresses)
    }

    fn pod_at(&self, address: IpAddr) -> Option<Arc<Attachment>> {
        match address {
            IpAddr::V4(address) => self.0.pods.load().get(&address).cloned(),
            IpAddr::V6(_) => None,
        }
    }
}

/// A pod's place in the network, shared by its containers. Dropping the last clone closes its ports and frees its address.
#[derive(Clone)]
pub struct Interface(Arc<Held>);

struct Held {
    network: Network,
    attachment: Arc<Attachment>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let address = self.attachment.address;
        self.network.0.pods.rcu(|pods| pods.without(&address));
        self.attachment.ports.close();
        lock(&self.network.0.addresses).give_back(address);
    }
}

impl Interface {
    /// The pod's address.
    pub fn address(&self) -> IpAddr {
        self.0.attachment.address.into()
    }

    /// The pod it belongs to.
    pub fn pod(&self) -> &PodIdentity {
        &self.0.attachment.pod
    }

    /// The names it knows by itself.
    pub fn names(&self) -> &HostNames {
        &self.0.attachment.names
    }

    /// Opens a connection: to a pod, a service's address, or the pod's own loopback address.
    pub async fn connect(&self, to: SocketAddr) -> Result<Stream, ConnectError> {
        let own =
            if routes::is_own(to.ip().to_canonical()) { Ipv4Addr::LOCALHOST.into() } else { self.address() };
        let source = SocketAddr::new(own, self.0.attachment.source.next());
        let from = Some(self.address());
        self.0.network.open(Flow::new(from, to), source).await
    }

    /// Looks up a name and opens a connection to the first of its addresses that takes it.
    pub async fn connect_name(&self, host: &str, port: u16) -> Result<Stream, ConnectError> {
        let addresses = self.resolve(host).await?;
        connect::first(addresses, port, |to| self.connect(to)).await
    }

    /// The addresses of a name, as the resolver of a pod finds them: search domains, then the name itself.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut question = self.0.network.question(&self.pod().key.namespace, name);
        question.own = Some((self.names(), self.address()));
        self.0.network.look_up(&question)
    }

    /// Takes a port on all addresses of the pod; port 0 takes a free one.
    pub fn listen(&self, port: u16) -> Result<Listener, ListenError> {
        self.listen_at(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
    }

    /// Takes a port on one address: the pod's own, its loopback address, or, if unspecified, all.
    pub fn listen_at(&self, address: SocketAddr) -> Result<Listener, ListenError> {
        self.0.attachment.ports.listen(address)
    }

    /// How the pod's requests over HTTPS are secured.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.0.network.tls()
    }

    /// Stops the pod's listeners: each hands out the connections it has taken and then ends. New ones are routed elsewhere.
    pub fn drain(&self) {
        self.0.attachment.ports.drain();
    }
}

/// Gives each connection the next port of the range that Linux uses.
#[derive(Default)]
struct SourcePorts(AtomicU64);

const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

impl SourcePorts {
    fn next(&self) -> u16 {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) % EPHEMERAL_PORTS.len() as u64;
        EPHEMERAL_PORTS.start() + turn as u16
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
