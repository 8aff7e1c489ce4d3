//! Listens for clients: TLS, who they are, and bounds on what they may take.
//!
//! ```text
//! accepted ──handshake──▶ established ──requests──▶ ended
//!    │ oldest of too many      │ idle too long
//!    │ too slow, no TLS        │ server stops: requests finish within the grace
//!    ▼                         ▼
//!  dropped                   ended
//! ```

mod activity;
mod connection;
mod handshakes;
mod lent;
mod limits;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::auth::Authenticator;
use handshakes::Handshakes;
pub use limits::Limits;

/// How long to wait when no connection can be accepted, for lack of descriptors or memory.
const BREATHER: Duration = Duration::from_millis(50);

/// What stands between clients and the router.
pub struct Front {
    /// How the server presents itself, and which certificates of clients it takes.
    pub tls: Arc<ServerConfig>,
    /// Tells who a client is.
    pub authenticator: Arc<Authenticator>,
    /// What clients may take.
    pub limits: Limits,
}

/// What all connections share.
struct Shared {
    tls: Arc<ServerConfig>,
    authenticator: Arc<Authenticator>,
    limits: Limits,
    router: Router,
    /// One for each connection that may be established.
    places: Arc<Semaphore>,
}

/// Tells that the server is to stop.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the server is to stop; whoever could say so being gone means the same.
    async fn asked(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Serves `router` to the clients of the listeners until `stop` is true, then lets requests finish within the grace.
/// The router finds the user in the extensions of a request, as an `Arc<User>`.
///
/// What never ends by itself, such as a watch, is for the router to end when `stop` is true. Dropping the future ends
/// everything at once.
pub async fn serve(listeners: Vec<TcpListener>, router: Router, front: Front, stop: watch::Receiver<bool>) {
    let Front { tls, authenticator, limits } = front;
    let places = Arc::new(Semaphore::new(limits.connections));
    let shared = Arc::new(Shared { tls, authenticator, limits, router, places });
    let handshakes = Handshakes::new(limits.handshakes);
    let mut stop = Stop(stop);
    let told = stop.clone();
    let mut accepting = Accepting { listeners, turn: 0, is_short: false };
    let mut connections = JoinSet::new();
    loop {
        select! {
            biased;
            () = stop.asked() => break,
            Some(_) = connections.join_next() => {}
            stream = accepting.next(&handshakes) => {
                let ticket = handshakes.begin();
                connections.spawn(connection::run(stream, ticket, Arc::clone(&shared), told.clone()));
            }
        }
    }
    drop(accepting);
    handshakes.give_up_all();
    let finished = timeout(limits.grace, async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        warn!(connections = connections.len(), "ended connections whose requests did not finish");
    }
}

/// Takes connections from all listeners in turn.
struct Accepting {
    listeners: Vec<TcpListener>,
    turn: usize,
    is_short: bool,
}

impl Accepting {
    /// The next connection. Nothing is lost if this is dropped.
    async fn next(&mut self, handshakes: &Handshakes) -> TcpStream {
        loop {
            match self.accept().await {
                Ok(stream) => {
                    self.is_short = false;
                    return stream;
                }
                // Only the one that wanted to connect has failed.
                Err(error) if is_about_client(&error) => {}
                Err(error) => {
                    if !self.is_short {
                        warn!(%error, "could not accept a connection");
                    }
                    self.is_short = true;
                    handshakes.give_up_oldest();
                    sleep(BREATHER).await;
                }
            }
        }
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        poll_fn(|context| {
            for _ in 0..self.listeners.len() {
                self.turn = (self.turn + 1) % self.listeners.len();
                if let Poll::Ready(accepted) = self.listeners[self.turn].poll_accept(context) {
                    return Poll::Ready(accepted.map(|(stream, _)| stream));
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn is_about_client(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
