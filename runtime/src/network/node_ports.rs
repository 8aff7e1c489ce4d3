//! The ports of the host at which services are reached from outside of the cluster.
//!
//! A connection that the host accepts is handed to a pod as it is; its bytes are not copied on the way.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::Network;
use super::routes::{Flow, PortId, Routes};
use super::stream::Stream;

/// How long until a port that could not be opened is tried again, if nothing else happens before.
const RETRY: Duration = Duration::from_secs(30);

/// How long to rest when the host cannot accept, for want of file descriptors mostly.
const REST: Duration = Duration::from_millis(100);

/// Connections of one port that may wait until a pod takes them; the next are reset.
const WAITING: usize = 1024;

/// A node port that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePortAddress {
    /// The port of the service it leads to.
    pub port: PortId,
    /// Where the host listens.
    pub address: SocketAddr,
}

/// A node port that could not be opened.
#[derive(Debug)]
pub(super) struct NotBound {
    pub(super) port: PortId,
    pub(super) address: SocketAddr,
    error: io::ErrorKind,
}

impl fmt::Display for NotBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot listen at {} for port {}: ", self.address, self.port)?;
        let remedy = match self.error {
            io::ErrorKind::AddrInUse => {
                "another program has this port; stop it, or choose another nodePort in the service"
            }
            io::ErrorKind::PermissionDenied => {
                "the system does not let this user have the port; choose a nodePort from 30000 to 32767"
            }
            io::ErrorKind::AddrNotAvailable => {
                "the host does not have this address; start with one that it has"
            }
            other => return write!(formatter, "{other}; choose another nodePort in the service"),
        };
        formatter.write_str(remedy)
    }
}

/// The node ports of this host.
pub(super) struct NodePorts {
    network: Network,
    host_address: Option<IpAddr>,
    /// A set of one task each, which closes the port when dropped.
    open: BTreeMap<u16, JoinSet<()>>,
    failed: BTreeMap<u16, (PortId, io::ErrorKind)>,
}

impl NodePorts {
    pub(super) fn new(network: Network, host_address: Option<IpAddr>) -> Self {
        let has_sockets = !network.0.config.clock.is_virtual();
        Self {
            host_address: host_address.filter(|_| has_sockets),
            network,
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Waits until it is worth trying again what failed.
    pub(super) async fn retry_due(&self) {
        if self.failed.is_empty() {
            pending::<()>().await;
        }
        self.network.0.config.clock.sleep(RETRY).await;
    }

    /// Opens and closes ports until those of the routes are open; returns failures that are new.
    pub(super) async fn reconcile(&mut self, routes: &Routes) -> Vec<NotBound> {
        let Some(host_address) = self.host_address else {
            return Vec::new();
        };
        let wanted: BTreeMap<u16, PortId> =
            routes.node_ports().map(|(number, port)| (number, port.clone())).collect();
        self.close_all_but(&wanted).await;
        let mut failures = Vec::new();
        for (number, port) in &wanted {
            let address = SocketAddr::new(host_address, *number);
            if let Err(error) = self.open(address).await {
                let before = self.failed.insert(*number, (port.clone(), error));
                if before.is_none_or(|before| before != (port.clone(), error)) {
                    failures.push(NotBound { port: port.clone(), address, error });
                }
            }
        }
        self.publish(host_address, wanted);
        failures
    }

    async fn close_all_but(&mut self, wanted: &BTreeMap<u16, PortId>) {
        self.failed.retain(|number, _| wanted.contains_key(number));
        let unwanted: Vec<u16> =
            self.open.keys().filter(|number| !wanted.contains_key(number)).copied().collect();
        for number in unwanted {
            if let Some(mut task) = self.open.remove(&number) {
                task.shutdown().await;
                debug!(number, "node port closed");
            }
        }
    }

    async fn open(&mut self, address: SocketAddr) -> Result<(), io::ErrorKind> {
        let number = address.port();
        if self.open.contains_key(&number) {
            return Ok(());
        }
        let listener = TcpListener::bind(address).await.map_err(|error| error.kind())?;
        let mut task = JoinSet::new();
        task.spawn(serve(listener, self.network.clone(), number));
        self.open.insert(number, task);
        self.failed.remove(&number);
        debug!(number, "node port opened");
        Ok(())
    }

    fn publish(&self, host_address: IpAddr, wanted: BTreeMap<u16, PortId>) {
        let open = wanted.into_iter().filter(|(number, _)| self.open.contains_key(number));
        let addresses: Vec<NodePortAddress> = open
            .map(|(number, port)| NodePortAddress { port, address: SocketAddr::new(host_address, number) })
            .collect();
        self.network.0.node_ports.send_if_modified(|published| {
            let is_new = **published != *addresses;
            if is_new {
                *published = addresses.into();
            }
            is_new
        });
    }
}

/// Accepts at one port and hands over. A connection that no pod takes at once waits aside, so that the next can pass.
async fn serve(listener: TcpListener, network: Network, number: u16) {
    let flow = Flow::new(None, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), number));
    let mut waiting = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(_) = waiting.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((socket, peer)) => handed_over(socket, peer, &network, flow.to),
            Err(error) => {
                warn!(%error, number, "connection not accepted");
                network.0.config.clock.sleep(REST).await;
                continue;
            }
        };
        let Err(setback) = network.hand_over(&flow, stream) else {
            continue;
        };
        if waiting.len() >= WAITING {
            setback.stream.reset();
            continue;
        }
        let network = network.clone();
        waiting.spawn(async move {
            if let Err(error) = network.insist(&flow, setback).await {
                debug!(%error, "connection from the host refused");
            }
        });
    }
}

/// The connection as pods see it. A peer at the host's loopback address is the host: to the pod, loopback is the pod itself.
fn handed_over(socket: TcpStream, peer: SocketAddr, network: &Network, local: SocketAddr) -> Stream {
    // Without it small answers may wait for acknowledgements; a socket that cannot set it works all the same.
    let _ = socket.set_nodelay(true);
    let peer = match peer.ip() {
        address if address.is_loopback() => SocketAddr::new(network.host_address(), peer.port()),
        _ => peer,
    };
    Stream::host(socket, local, peer)
}
