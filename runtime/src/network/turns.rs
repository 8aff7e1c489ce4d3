//! Whose turn it is: a counter per port of each service, outside of the routes so that these stay a plain value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use imbl::OrdMap;

use super::routes::{PortId, Routes};

/// Counters of services that are gone are dropped when there are twice as many counters as were kept last, and this many more.
const SLACK: usize = 256;

#[derive(Default)]
pub(super) struct Turns {
    counters: ArcSwap<OrdMap<PortId, Arc<AtomicU64>>>,
    kept: AtomicUsize,
}

impl Turns {
    /// Counts one connection to the port, beginning with 0.
    pub(super) fn next(&self, port: &PortId) -> u64 {
        if let Some(turn) = self.counters.load().get(port) {
            return turn.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.rcu(|counters| match counters.get(port) {
            Some(_) => OrdMap::clone(counters),
            None => counters.update(port.clone(), Arc::default()),
        });
        let counters = self.counters.load();
        counters.get(port).map_or(0, |turn| turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Forgets services that are gone, once there may be many of them.
    pub(super) fn keep(&self, routes: &Routes) {
        if self.counters.load().len() <= 2 * self.kept.load(Ordering::Relaxed) + SLACK {
            return;
        }
        self.counters.rcu(|counters| {
            let counters = counters.iter().filter(|(port, _)| routes.service(&port.service).is_some());
            let kept: OrdMap<_, _> = counters.map(|(port, turn)| (port.clone(), Arc::clone(turn))).collect();
            self.kept.store(kept.len(), Ordering::Relaxed);
            kept
        });
    }
}
