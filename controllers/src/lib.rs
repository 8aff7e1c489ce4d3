//! Every controller and the scheduler: they look at the cluster through the cache, decide, and write through the client.
//! Nothing here does I/O or reads a clock of its own.
//!
//! ```text
//! Cache ──change──▶ whom does it concern? ──▶ queue ──▶ observe ──▶ reconcile (pure) ──▶ Client
//!   ▲                                                                                      │
//!   └──────────────────── the object is left alone until the cache shows it ◀──────────────┘
//! ```

pub mod deployment;
pub mod endpointslice;
pub mod framework;
pub mod garbage;
pub mod namespace;
mod owner;
mod pod;
pub mod replicaset;
pub mod scheduler;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod typed;

use std::sync::Arc;

use api::backend::User;
use api::cache::CacheBuilder;
use api::event::Recorder;
use api::resource::{NODES, PODS};
use api::{Cache, Client, Clock};
use tokio::task::JoinSet;

use framework::{Controller, Load, Surroundings, Work};
pub use typed::Typed;

/// All controllers.
pub const CONTROLLERS: [&Controller; 5] = [
    &deployment::CONTROLLER,
    &replicaset::CONTROLLER,
    &endpointslice::CONTROLLER,
    &namespace::CONTROLLER,
    &garbage::CONTROLLER,
];

/// The name of the scheduler in events.
const SCHEDULER: &str = "default-scheduler";

/// Lets a cache hold what the controllers and the scheduler need.
pub fn cache_builder(builder: CacheBuilder) -> CacheBuilder {
    let builder = builder.with(&PODS).with(&NODES);
    CONTROLLERS.iter().fold(builder, |builder, controller| controller.prepare(builder))
}

/// The controllers and the scheduler at work.
pub struct Controllers {
    works: Vec<(&'static str, Arc<Work>)>,
}

impl Controllers {
    /// Starts them all; they end with `tasks`. The cache must have been built with [`cache_builder`].
    pub fn start(
        client: &Client,
        cache: &Cache,
        clock: &Clock,
        recorder: &Recorder,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let surroundings = |name: &str| Surroundings {
            client: client.with_user(User::component(name)),
            cache: cache.clone(),
            clock: clock.clone(),
            recorder: recorder.with_component(name),
        };
        let start = |controller: &&'static Controller| {
            let work = framework::start(controller, surroundings(controller.name), tasks);
            (controller.name, work)
        };
        let works = CONTROLLERS.iter().map(start).collect();
        scheduler::start(surroundings(SCHEDULER), tasks);
        Self { works }
    }

    /// How busy each controller is, for metrics.
    pub fn loads(&self) -> impl Iterator<Item = (&'static str, Load)> {
        self.works.iter().map(|(name, work)| (*name, work.load()))
    }
}
