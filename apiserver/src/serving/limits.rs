//! How much clients may take: connections by what the process can open, and how long they may take to get on with it.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// The most connections that are still shaking hands, and the most of the others: enough for any cluster of this size,
/// and little memory (16 KiB and 60 KiB each at most).
const MOST: (usize, usize) = (1_000, 10_000);

/// Descriptors of clients are at most one in so many; files, pods and nodes need them too.
const SHARE: u64 = 2;

/// Of the descriptors for clients, one in so many is for handshakes.
const HANDSHAKE_SHARE: u64 = 8;

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that have not finished their handshake; beyond, the oldest gives way.
    pub handshakes: usize,
    /// Connections that have; beyond, those that shake hands wait.
    pub connections: usize,
    /// Requests at once on a connection with HTTP/2.
    pub streams: u32,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long the headers of the first request may take.
    pub first_request: Duration,
    /// How long a connection may be without a request afterwards.
    pub idle: Duration,
    /// How long requests may go on when the server stops.
    pub grace: Duration,
}

impl Limits {
    /// The limits for a process that can have this many files and connections open.
    pub fn new(descriptors: u64) -> Self {
        let clients = descriptors / SHARE;
        let handshakes = clients / HANDSHAKE_SHARE;
        let at_most = |count: u64, most: usize| usize::try_from(count).unwrap_or(most).clamp(1, most);
        Self {
            handshakes: at_most(handshakes, MOST.0),
            connections: at_most(clients - handshakes, MOST.1),
            streams: 250,
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            // Longer than the intervals at which clients commonly poll.
            idle: Duration::from_secs(90),
            grace: Duration::from_secs(10),
        }
    }

    /// The limits for this process, which from now on may have as many files and connections open as the system allows.
    pub fn of_process() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: maximum, maximum };
        let current = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => maximum,
            Err(error) => {
                warn!(%error, "could not raise the limit of open files");
                current
            }
        };
        Self::new(current.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_take_all_that_can_be_open() {
        let check = |descriptors, handshakes, connections| {
            let limits = Limits::new(descriptors);
            assert_eq!((limits.handshakes, limits.connections), (handshakes, connections), "{descriptors}");
        };
        check(0, 1, 1);
        check(256, 16, 112);
        check(1_024, 64, 448);
        check(16_384, 1_000, 7_168);
        check(u64::MAX, 1_000, 10_000);
    }
}
