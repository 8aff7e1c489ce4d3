//! Serves the port of a `wasi:http` container until it is told to stop, or fails as a whole.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::limits::memory::Charge;
use crate::network::{Listener, Stream};

use super::connection::{self, Front};
use super::pool::{Handler, IDLE_TIME, Pool};

/// How many connections a container may have open; more wait in the listener's backlog.
const MOST_CONNECTIONS: usize = 1024;
/// What the host keeps for an open connection.
const CONNECTION_BYTES: u64 = 16 << 10;

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and all that was asked is answered.
    Drained,
    /// An instance was refused memory and failed of it.
    OutOfMemory,
    /// The budget of fuel is spent.
    OutOfFuel,
}

/// Serves until `stop` resolves, then answers what was asked already. Dropping the future ends everything at once.
pub async fn serve(handler: Handler, listener: Listener, stop: impl Future<Output = ()>) -> Ended {
    let pool = Pool::new(handler);
    let front = Arc::new(Front {
        pool: Arc::clone(&pool),
        requests: Mutex::default(),
        draining: watch::Sender::new(false),
    });
    let mut server = Server { front, listener: Some(listener), connections: JoinSet::new() };
    tokio::select! {
        biased;
        () = pool.out_of_memory.notified() => Ended::OutOfMemory,
        () = pool.out_of_fuel.notified() => Ended::OutOfFuel,
        () = server.run(stop) => Ended::Drained,
        never = keep_trim(&pool) => match never {},
    }
}

struct Server {
    front: Arc<Front>,
    listener: Option<Listener>,
    connections: JoinSet<()>,
}

impl Server {
    async fn run(&mut self, stop: impl Future<Output = ()>) {
        self.accept_until(stop).await;
        self.take_backlog().await;
        self.front.draining.send_replace(true);
        while self.connections.join_next().await.is_some() {}
        // Guests may work on after their answer.
        let mut requests =
            std::mem::take(&mut *self.front.requests.lock().unwrap_or_else(PoisonError::into_inner));
        while requests.join_next().await.is_some() {}
    }

    async fn accept_until(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let has_room = self.connections.len() < MOST_CONNECTIONS;
            let accepted = async {
                match &mut self.listener {
                    Some(listener) if has_room => listener.accept().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                Some(_) = self.connections.join_next() => {}
                accepted = accepted => match accepted {
                    Some((stream, _peer)) => self.open(stream),
                    None => self.listener = None,
                },
            }
        }
    }

    /// Connections that were let in before the stop are served like the others.
    async fn take_backlog(&mut self) {
        if let Some(mut listener) = self.listener.take() {
            listener.close();
            while let Some((stream, _peer)) = listener.accept().await {
                self.open(stream);
            }
        }
    }

    /// Without memory for it, the connection is closed at once.
    fn open(&mut self, stream: Stream) {
        let pool = &self.front.pool;
        let charge = loop {
            match Charge::new(pool.handler().limits.memory(), CONNECTION_BYTES) {
                Some(charge) => break charge,
                None if pool.drop_one() => {}
                None => return,
            }
        };
        let front = Arc::clone(&self.front);
        self.connections.spawn(async move {
            connection::serve(front, stream).await;
            drop(charge);
        });
    }
}

/// Drops instances that have nothing to do.
async fn keep_trim(pool: &Pool) -> Infallible {
    loop {
        pool.rested.notified().await;
        loop {
            pool.handler().clock.sleep(IDLE_TIME).await;
            if !pool.drop_idle() {
                break;
            }
        }
    }
}
