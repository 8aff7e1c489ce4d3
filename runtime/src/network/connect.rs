//! Opens connections: asks the routes, offers the connection to each candidate, and waits where waiting helps.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::Key;

use super::backlog::{Backlog, NotTaken};
use super::names::ResolveError;
use super::outside::Exit;
use super::ports::Found;
use super::routes::{Candidates, Flow, NoRoute, PortId, Route};
use super::stream::Stream;
use super::{Network, outside};

/// How long a connection waits for a full listener, or for routes that lead past pods that are stopping.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Endpoints tried for one connection before it counts as refused.
const TRIES: usize = 16;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nobody takes it.
    #[error("connect to {to}: {why}")]
    Refused {
        /// Where it was meant to go.
        to: SocketAddr,
        /// Why nobody does.
        why: Refusal,
    },
    /// It would leave the cluster.
    #[error("connect to {to}: pods may not connect to the host or the outside of the cluster")]
    Outside {
        /// Where it was meant to go.
        to: SocketAddr,
    },
    /// It waited as long as it may.
    #[error("connect to {to}: not accepted within {} s", PATIENCE.as_secs())]
    TimedOut {
        /// Where it was meant to go.
        to: SocketAddr,
    },
    /// The name has no address.
    #[error(transparent)]
    NotResolved(#[from] ResolveError),
}

/// Why nobody takes a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The pod is there but nobody listens.
    #[error("connection refused, nothing listens there")]
    NotListening,
    /// The pod takes no connections any more.
    #[error("connection refused, the pod is stopping")]
    Stopping,
    /// No pod of this node has the address.
    #[error("no pod has this address")]
    NoSuchPod,
    /// The service has no endpoint that takes connections.
    #[error("connection refused, service {0} has no ready endpoints")]
    NoEndpoints(PortId),
    /// The service has no such TCP port.
    #[error("connection refused, service {0} has no such port")]
    NoSuchPort(Key),
    /// No service has the address.
    #[error("connection refused, no service has this address")]
    NoSuchService,
    /// No service has the node port.
    #[error("connection refused, no service has this node port")]
    NoSuchNodePort,
    /// It leads out of the cluster by now, and what is under way within the cluster is not sent there.
    #[error("connection refused, it leads out of the cluster")]
    Outside,
}

impl From<NoRoute> for Refusal {
    fn from(why: NoRoute) -> Self {
        match why {
            NoRoute::NoEndpoints(port) => Self::NoEndpoints(port),
            NoRoute::NoSuchPort(service) => Self::NoSuchPort(service),
            NoRoute::NoSuchService => Self::NoSuchService,
            NoRoute::NoSuchNodePort => Self::NoSuchNodePort,
        }
    }
}

impl ConnectError {
    /// The nearest error of the operating system.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Refused { why: Refusal::NoSuchPod, .. } => io::ErrorKind::HostUnreachable,
            Self::Refused { .. } => io::ErrorKind::ConnectionRefused,
            Self::Outside { .. } => io::ErrorKind::PermissionDenied,
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
            Self::NotResolved(_) => io::ErrorKind::NotFound,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Tries one address of a name after the other; the last failure counts.
pub(super) async fn first<F>(
    addresses: Vec<IpAddr>,
    port: u16,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<Stream, ConnectError>
where
    F: Future<Output = Result<Stream, ConnectError>>,
{
    let mut addresses = addresses.into_iter().take(TRIES).peekable();
    loop {
        let address = addresses.next().expect("a name that is found has an address");
        match connect(SocketAddr::new(address, port)).await {
            Err(_) if addresses.peek().is_some() => {}
            result => return result,
        }
    }
}

/// A connection that was not taken at once, and what to do about it.
pub(super) struct Setback {
    pub(super) stream: Stream,
    next: Next,
}

enum Next {
    GiveUp(Refusal),
    WaitForRoom(Arc<Backlog>),
    /// Its endpoints are stopping or gone: the routes are about to change.
    WaitForRoutesAfter(u64),
}

impl Setback {
    fn new(stream: Stream, next: Next) -> Box<Self> {
        Box::new(Self { stream, next })
    }
}

impl Network {
    /// Opens a connection and gives one end to whoever takes it.
    pub(super) async fn open(&self, flow: Flow, source: SocketAddr) -> Result<Stream, ConnectError> {
        let route = self.route(&flow);
        match outside::exit(&route.1, self.0.config.api_server) {
            Exit::Stays => {}
            Exit::ApiServer(dial) => {
                return outside::connect(&flow, source, dial, &self.0.config.clock).await;
            }
            Exit::Forbidden => return Err(outside::refuse(&flow)),
        }
        let (near, far) = Stream::pair(source, flow.to);
        match self.offer(&flow, route, far) {
            Ok(()) => Ok(near),
            Err(setback) => self.insist(&flow, setback).await.map(|()| near),
        }
    }

    /// Gives one end of a connection to whoever takes it at once.
    pub(super) fn hand_over(&self, flow: &Flow, stream: Stream) -> Result<(), Box<Setback>> {
        self.offer(flow, self.route(flow), stream)
    }

    /// Goes on offering a connection until it is taken, refused, or has waited long enough.
    pub(super) async fn insist(&self, flow: &Flow, setback: Box<Setback>) -> Result<(), ConnectError> {
        tokio::select! {
            biased;
            result = self.offer_again(flow, setback) => result,
            () = self.0.config.clock.sleep(PATIENCE) => Err(ConnectError::TimedOut { to: flow.to }),
        }
    }

    async fn offer_again(&self, flow: &Flow, mut setback: Box<Setback>) -> Result<(), ConnectError> {
        loop {
            let stream = match setback.next {
                Next::GiveUp(why) => {
                    setback.stream.reset();
                    return Err(ConnectError::Refused { to: flow.to, why });
                }
                Next::WaitForRoom(backlog) => match backlog.offer_patiently(setback.stream).await {
                    Ok(()) => return Ok(()),
                    Err(stream) => stream,
                },
                Next::WaitForRoutesAfter(seen) => {
                    let mut newest = self.0.newest.subscribe();
                    let newer = newest.wait_for(|number| *number > seen).await;
                    drop(newer.expect("the network outlives the wait, and with it the sender"));
                    setback.stream
                }
            };
            match self.hand_over(flow, stream) {
                Ok(()) => return Ok(()),
                Err(again) => setback = again,
            }
        }
    }

    /// The route, and the number of the routes that said so.
    fn route(&self, flow: &Flow) -> (u64, Route) {
        let in_force = self.0.routes.load();
        let routes = &in_force.routes;
        let pick = routes.balances(flow).map_or(0, |port| self.0.turns.next(port));
        (in_force.number, routes.route(flow, pick))
    }

    fn offer(&self, flow: &Flow, (seen, route): (u64, Route), stream: Stream) -> Result<(), Box<Setback>> {
        match route {
            Route::Balanced(candidates) => self.offer_to_any(&candidates, seen, stream),
            Route::Pod(to) => self.offer_to(to.ip(), to, stream),
            Route::Own(to) => self.offer_to(flow.from.unwrap_or(to.ip()), to, stream),
            Route::Refused(why) => Err(Setback::new(stream, Next::GiveUp(why.into()))),
            Route::Outside => Err(Setback::new(stream, Next::GiveUp(Refusal::Outside))),
        }
    }

    /// Offers to each candidate in turn. If none takes it: better to wait for room than for other routes, and either than to give up.
    fn offer_to_any(
        &self,
        candidates: &Candidates,
        seen: u64,
        mut stream: Stream,
    ) -> Result<(), Box<Setback>> {
        let mut best = Next::GiveUp(Refusal::NotListening);
        for to in candidates.iter().take(TRIES) {
            let setback = match self.offer_to(to.ip(), to, stream) {
                Ok(()) => return Ok(()),
                Err(setback) => setback,
            };
            stream = setback.stream;
            best = match (best, setback.next) {
                (best @ Next::WaitForRoom(_), _) => best,
                (_, full @ Next::WaitForRoom(_)) => full,
                (_, Next::GiveUp(Refusal::Stopping | Refusal::NoSuchPod)) => Next::WaitForRoutesAfter(seen),
                (best, _) => best,
            };
        }
        Err(Setback::new(stream, best))
    }

    fn offer_to(&self, pod: IpAddr, to: SocketAddr, stream: Stream) -> Result<(), Box<Setback>> {
        let give_up = |stream, why| Err(Setback::new(stream, Next::GiveUp(why)));
        let Some(pod) = self.pod_at(pod) else {
            return give_up(stream, Refusal::NoSuchPod);
        };
        match pod.ports.find(to) {
            Found::Nothing => give_up(stream, Refusal::NotListening),
            Found::Stopping => give_up(stream, Refusal::Stopping),
            Found::Listening(backlog) => match backlog.offer(stream.at(to)) {
                Ok(()) => Ok(()),
                Err(NotTaken::Full(stream)) => Err(Setback::new(stream, Next::WaitForRoom(backlog))),
                Err(NotTaken::Closed(stream)) => give_up(stream, pod.ports.why_closed()),
            },
        }
    }
}
