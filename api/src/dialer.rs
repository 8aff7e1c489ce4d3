//! The API server's way out of its process or into another part of it: it reaches nodes, pods and others only through a
//! [`Dialer`].

use std::io;
use std::net::SocketAddr;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection in both directions.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

/// Whom to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The agent of the node with this name: speaks HTTP/1.1 with the paths of the kubelet.
    Node(String),
    /// A pod or a service, at an address of the cluster's network.
    Cluster(SocketAddr),
    /// A server outside of the cluster: a name or an address, and its port.
    Outside(String, u16),
}

/// Opens connections for the API server.
pub trait Dialer: Send + Sync + 'static {
    /// Opens one connection; an error names what could not be reached.
    fn dial(&self, destination: &Destination) -> BoxFuture<'_, io::Result<Box<dyn Connection>>>;
}
