//! Connects the API server to the agent of a node in this process, to pods and services, and to servers outside.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use api::dialer::{Connection, Destination, Dialer};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::Node;
use crate::network::{ConnectError, PATIENCE};

/// Bytes on the way in each direction; then the one who writes waits.
const BUFFER_BYTES: usize = 64 << 10;
/// Connections to a node at once: people who follow logs, mostly.
const MOST_CONNECTIONS: usize = 4096;

/// Dials the node it was made for. Dropping it ends all connections.
pub struct NodeDialer {
    node: Node,
    connections: Mutex<JoinSet<()>>,
}

impl NodeDialer {
    /// Reaches `node`, and no other.
    pub fn new(node: Node) -> Self {
        Self { node, connections: Mutex::default() }
    }

    fn open(&self) -> io::Result<Box<dyn Connection>> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while connections.try_join_next().is_some() {}
        let name = self.node.name();
        if connections.len() >= MOST_CONNECTIONS {
            let words = format!("node {name:?} has {MOST_CONNECTIONS} connections open, which is the most");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, words));
        }
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        let node = self.node.clone();
        connections.spawn(async move { node.serve(far).await });
        Ok(Box::new(near))
    }
}

impl Dialer for NodeDialer {
    fn dial(&self, destination: &Destination) -> BoxFuture<'_, io::Result<Box<dyn Connection>>> {
        let destination = destination.clone();
        async move {
            let config = &self.node.0.config;
            match destination {
                Destination::Node(name) if name == self.node.name() => self.open(),
                Destination::Node(name) => {
                    Err(io::Error::new(io::ErrorKind::NotFound, format!("node {name:?} is not known here")))
                }
                Destination::Cluster(address) => {
                    let connected = config.network.connect_from_host(address).await;
                    connected.map(boxed).map_err(|error| in_words_of_go(address, &error))
                }
                // Under virtual time there are no sockets.
                Destination::Outside(host, port) if config.clock.is_virtual() => {
                    let words = format!("dial tcp {host}:{port}: there is no outside under virtual time");
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
                }
                Destination::Outside(host, port) => {
                    let socket = tokio::select! {
                        biased;
                        connected = TcpStream::connect((host.as_str(), port)) => connected,
                        () = config.clock.sleep(PATIENCE) => Err(io::ErrorKind::TimedOut.into()),
                    };
                    let failed = |error| io::Error::other(format!("dial tcp {host}:{port}: {error}"));
                    let socket = socket.map_err(failed)?;
                    // Without it small requests may wait for acknowledgements; a socket that cannot set it works as well.
                    let _ = socket.set_nodelay(true);
                    Ok(boxed(socket))
                }
            }
        }
        .boxed()
    }
}

fn boxed(connection: impl Connection + 'static) -> Box<dyn Connection> {
    Box::new(connection)
}

/// Clients and their users know these words.
fn in_words_of_go(address: SocketAddr, error: &ConnectError) -> io::Error {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("dial tcp {address}: {words}"))
}
