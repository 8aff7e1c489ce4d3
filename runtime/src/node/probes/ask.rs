//! Carries out probes: commands in the container, and connections from the node to the pod.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::Clock;
use api::clock::add;
use jiff::Timestamp;

use super::outcome::Outcome;
use super::plan::{Check, Port, Probe};
use super::{command, grpc, http};
use crate::engine::Commands;
use crate::network::{ConnectError, Network, Refusal, Stream};

/// The version of Kubernetes that probes and hooks call themselves by.
pub(super) const VERSION: &str = "1.35";

/// How often a probe is tried whose answer could not be told.
const TRIES: usize = 3;

/// The container that is asked, and how it is reached.
#[derive(Clone)]
pub struct Target {
    /// The network the node and the pod are in.
    pub network: Network,
    /// Bounds how long an answer may take.
    pub clock: Clock,
    /// The pod's namespace, in which names are looked up.
    pub namespace: Arc<str>,
    /// The pod's address.
    pub address: IpAddr,
    /// Runs commands in the container, if anything can.
    pub commands: Option<Arc<dyn Commands>>,
}

/// Asks what the probe asks.
pub async fn ask(probe: &Probe, target: &Target) -> Outcome {
    let mut outcome = try_once(probe, target).await;
    for _ in 1..TRIES {
        if outcome.success().is_some() {
            break;
        }
        outcome = try_once(probe, target).await;
    }
    outcome
}

async fn try_once(probe: &Probe, target: &Target) -> Outcome {
    let deadline = add(target.clock.now(), probe.timeout);
    match &probe.check {
        Check::Exec(words) => command::probe(words, target, deadline).await,
        Check::Http(get) => http::probe(get, target, deadline).await,
        Check::Tcp { host, port } => tcp(host.as_deref(), port, target, deadline).await,
        Check::Grpc { port, service } => grpc::probe(*port, service, target, probe.timeout).await,
        Check::Missing => Outcome::unknown("missing probe handler"),
    }
}

/// Whether the port takes a connection.
async fn tcp(host: Option<&str>, port: &Port, target: &Target, deadline: Timestamp) -> Outcome {
    let port = match port {
        Ok(port) => *port,
        Err(message) => return Outcome::unknown(message),
    };
    match target.within(deadline, target.dial(host, port)).await {
        Some(Ok(_connection)) => Outcome::Success,
        Some(Err(words)) => Outcome::Failure(words),
        None => Outcome::Failure(format!("dial tcp {}: i/o timeout", target.authority(host, port))),
    }
}

impl Target {
    /// Opens a connection from the node to the pod, or to another host.
    pub(super) async fn dial(&self, host: Option<&str>, port: u16) -> Result<Stream, String> {
        let connected = match host.map(str::parse::<IpAddr>) {
            None => self.network.connect_from_host(SocketAddr::new(self.address, port)).await,
            Some(Ok(address)) => self.network.connect_from_host(SocketAddr::new(address, port)).await,
            Some(Err(_)) => {
                let host = host.unwrap_or_default();
                self.network.connect_from_host_by_name(&self.namespace, host, port).await
            }
        };
        connected.map_err(|error| refusal(&error, host.unwrap_or_default()))
    }

    /// `host:port`, with brackets where they belong.
    pub(super) fn authority(&self, host: Option<&str>, port: u16) -> String {
        match host.map(str::parse::<IpAddr>) {
            None => SocketAddr::new(self.address, port).to_string(),
            Some(Ok(address)) => SocketAddr::new(address, port).to_string(),
            Some(Err(_)) => format!("{}:{port}", host.unwrap_or_default()),
        }
    }

    /// The result of some work, or none if it took until the deadline.
    pub(super) async fn within<T>(&self, deadline: Timestamp, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! { biased;
            done = work => Some(done),
            () = self.clock.sleep_until(deadline) => None,
        }
    }

    pub(super) async fn pause(&self, span: Duration) {
        self.clock.sleep(span).await;
    }
}

/// Why there is no connection, as Go says it.
fn refusal(error: &ConnectError, host: &str) -> String {
    match error {
        ConnectError::Refused { to, why: Refusal::NoSuchPod } => {
            format!("dial tcp {to}: connect: no route to host")
        }
        ConnectError::Refused { to, .. } => format!("dial tcp {to}: connect: connection refused"),
        ConnectError::Outside { to } => {
            format!("dial tcp {to}: connect: permission denied: probes and hooks do not leave the cluster")
        }
        ConnectError::TimedOut { to } => format!("dial tcp {to}: i/o timeout"),
        ConnectError::NotResolved(_) => format!("dial tcp: lookup {host}: no such host"),
    }
}
