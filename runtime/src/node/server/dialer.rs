//! Connects to the agent of a node in this process.

use std::io;
use std::sync::{Mutex, PoisonError};

use api::dialer::{Connection, Destination, Dialer};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinSet;

use super::super::Node;

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
        let opened = match destination {
            Destination::Node(name) if name == self.node.name() => self.open(),
            Destination::Node(name) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("node {name:?} is not known here")))
            }
        };
        std::future::ready(opened).boxed()
    }
}
