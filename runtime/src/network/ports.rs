//! The port space of a pod, shared by its containers: who listens at which port.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use super::backlog::Backlog;
use super::connect::Refusal;
use super::stream::Stream;
use super::{EPHEMERAL_PORTS, lock};

/// Why a port could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Another listener of the pod has it.
    #[error("listen at {0}: a container of this pod already listens there")]
    AddressInUse(SocketAddr),
    /// The address is not one of the pod's.
    #[error("listen at {0}: the pod does not have this address")]
    AddressNotAvailable(SocketAddr),
    /// Port 0 was asked for and no port is free.
    #[error("listen at {0}: no free port is left")]
    PortsExhausted(SocketAddr),
    /// The pod is gone.
    #[error("listen at {0}: the pod is stopping")]
    Stopping(SocketAddr),
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match error {
            ListenError::AddressInUse(_) | ListenError::PortsExhausted(_) => io::ErrorKind::AddrInUse,
            ListenError::AddressNotAvailable(_) => io::ErrorKind::AddrNotAvailable,
            ListenError::Stopping(_) => io::ErrorKind::NetworkDown,
        };
        Self::new(kind, error)
    }
}

/// Accepts the connections to one port. Dropping it frees the port and resets connections that nobody accepted.
pub struct Listener {
    backlog: Arc<Backlog>,
    local: SocketAddr,
    space: Arc<Mutex<Space>>,
}

impl Listener {
    /// The address it was opened at, with the port it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection and where it comes from; none once the listener is closed and has handed out what it took before.
    ///
    /// May be cancelled: no connection is lost.
    pub async fn accept(&mut self) -> Option<(Stream, SocketAddr)> {
        let stream = self.backlog.accept().await?;
        let peer = stream.peer_addr();
        Some((stream, peer))
    }

    /// Takes no more connections; [`accept`](Self::accept) still hands out those it took before.
    pub fn close(&self) {
        self.backlog.close();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.space).remove(self.local.port(), &self.backlog);
        self.backlog.abandon();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Listener({})", self.local)
    }
}

/// The addresses of its pod at which a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Loopback,
    Pod,
}

impl Scope {
    fn meets(self, other: Self) -> bool {
        self == other || self == Self::All || other == Self::All
    }
}

/// What a connector finds at a port.
pub(super) enum Found {
    Listening(Arc<Backlog>),
    Nothing,
    Stopping,
}

pub(super) struct Ports {
    address: Ipv4Addr,
    space: Arc<Mutex<Space>>,
}

#[derive(Default)]
struct Space {
    taken: BTreeMap<u16, Vec<(Scope, Arc<Backlog>)>>,
    /// Where the search for a free port goes on, so that a freed port is not reused at once.
    next_free: u16,
    stopping: bool,
}

impl Ports {
    pub(super) fn new(address: Ipv4Addr) -> Self {
        Self { address, space: Arc::default() }
    }

    pub(super) fn listen(&self, wanted: SocketAddr) -> Result<Listener, ListenError> {
        let scope = self.scope(wanted.ip()).ok_or(ListenError::AddressNotAvailable(wanted))?;
        let backlog = Backlog::new();
        let mut space = lock(&self.space);
        if space.stopping {
            return Err(ListenError::Stopping(wanted));
        }
        let port = match wanted.port() {
            0 => space.free_port(scope).ok_or(ListenError::PortsExhausted(wanted))?,
            port if space.is_free(port, scope) => port,
            _ => return Err(ListenError::AddressInUse(wanted)),
        };
        space.taken.entry(port).or_default().push((scope, Arc::clone(&backlog)));
        let local = SocketAddr::new(wanted.ip(), port);
        drop(space);
        Ok(Listener { backlog, local, space: Arc::clone(&self.space) })
    }

    /// Who takes connections to this address of the pod.
    pub(super) fn find(&self, to: SocketAddr) -> Found {
        let space = lock(&self.space);
        if space.stopping {
            return Found::Stopping;
        }
        let listeners = space.taken.get(&to.port());
        let met = self
            .scope(to.ip())
            .zip(listeners)
            .and_then(|(scope, listeners)| listeners.iter().find(|(listening, _)| listening.meets(scope)));
        met.map_or(Found::Nothing, |(_, backlog)| Found::Listening(Arc::clone(backlog)))
    }

    /// What a listener that takes no more means for the one who connects.
    pub(super) fn why_closed(&self) -> Refusal {
        if lock(&self.space).stopping { Refusal::Stopping } else { Refusal::NotListening }
    }

    /// Takes no more connections and no more listeners.
    pub(super) fn drain(&self) {
        let mut space = lock(&self.space);
        space.stopping = true;
        space.taken.values().flatten().for_each(|(_, backlog)| backlog.close());
    }

    /// Ends all listeners at once.
    pub(super) fn close(&self) {
        self.drain();
        let taken = std::mem::take(&mut lock(&self.space).taken);
        taken.values().flatten().for_each(|(_, backlog)| backlog.abandon());
    }

    fn scope(&self, address: IpAddr) -> Option<Scope> {
        match address {
            address if address.is_unspecified() => Some(Scope::All),
            address if address.is_loopback() => Some(Scope::Loopback),
            address if address == self.address => Some(Scope::Pod),
            _ => None,
        }
    }
}

impl Space {
    fn is_free(&self, port: u16, scope: Scope) -> bool {
        let listeners = self.taken.get(&port).into_iter().flatten();
        listeners.into_iter().all(|(taken, _)| !taken.meets(scope))
    }

    fn free_port(&mut self, scope: Scope) -> Option<u16> {
        let start = self.next_free.max(*EPHEMERAL_PORTS.start());
        let ports = (start..=*EPHEMERAL_PORTS.end()).chain(*EPHEMERAL_PORTS.start()..start);
        let port = ports.into_iter().find(|port| self.is_free(*port, scope))?;
        self.next_free = port + 1;
        Some(port)
    }

    fn remove(&mut self, port: u16, freed: &Arc<Backlog>) {
        let Some(listeners) = self.taken.get_mut(&port) else {
            return;
        };
        listeners.retain(|(_, backlog)| !Arc::ptr_eq(backlog, freed));
        if listeners.is_empty() {
            self.taken.remove(&port);
        }
    }
}
