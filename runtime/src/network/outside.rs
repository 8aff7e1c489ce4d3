//! The one place where a guest's connection leaves the cluster for a socket of the host.
//!
//! It may leave for the API server, at the address by which the cluster knows it, and for nothing else: a pod that tries is
//! told so at once.

use std::future::Future;
use std::net::{SocketAddr, SocketAddrV4};

use api::Clock;
use tokio::net::TcpStream;

use super::connect::{ConnectError, PATIENCE, Refusal};
use super::routes::{Flow, Route};
use super::stream::Stream;

/// The API server, as pods reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiServer {
    /// The address the cluster knows it by, as an endpoint of the service `kubernetes`. No pod has it.
    pub advertised: SocketAddrV4,
    /// Where this host reaches it.
    pub dial: SocketAddr,
}

/// Whether a connection may leave, and for where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It stays within the cluster.
    Stays,
    /// It goes to the API server.
    ApiServer(SocketAddr),
    /// It would leave for somewhere else.
    Forbidden,
}

/// Decides whether a connection leaves.
pub(super) fn exit(route: &Route, api_server: Option<ApiServer>) -> Exit {
    let leads_to_api = |to: SocketAddr| api_server.filter(|server| to == SocketAddr::V4(server.advertised));
    let found = match route {
        Route::Outside => return Exit::Forbidden,
        Route::Pod(to) => leads_to_api(*to),
        Route::Balanced(candidates) => candidates.iter().find_map(leads_to_api),
        Route::Own(_) | Route::Refused(_) => None,
    };
    found.map_or(Exit::Stays, |server| Exit::ApiServer(server.dial))
}

/// Refuses a connection to the outside.
pub(super) fn refuse(flow: &Flow) -> ConnectError {
    ConnectError::Outside { to: flow.to }
}

/// Opens a connection to the API server. Under virtual time there are no sockets.
pub(super) async fn connect(
    flow: &Flow,
    source: SocketAddr,
    dial: SocketAddr,
    clock: &Clock,
) -> Result<Stream, ConnectError> {
    if clock.is_virtual() {
        return Err(refuse(flow));
    }
    let Some(connected) = within_patience(clock, TcpStream::connect(dial)).await else {
        return Err(ConnectError::TimedOut { to: flow.to });
    };
    let socket = connected.map_err(|_| ConnectError::Refused { to: flow.to, why: Refusal::NotListening })?;
    // Without it small requests may wait for acknowledgements; a socket that cannot set it works all the same.
    let _ = socket.set_nodelay(true);
    Ok(Stream::host(socket, source, flow.to))
}

async fn within_patience<T>(clock: &Clock, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(PATIENCE) => None,
    }
}
