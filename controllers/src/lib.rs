//! Every controller and the scheduler: they look at the cluster through the cache, decide, and write through the client.
//! Nothing here does I/O or reads a clock of its own.
//!
//! ```text
//! Cache ──change──▶ whom does it concern? ──▶ queue ──▶ observe ──▶ reconcile (pure) ──▶ Client
//!   ▲                                                                                      │
//!   └──────────────────── the object is left alone until the cache shows it ◀──────────────┘
//! ```

pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod endpointslice;
pub mod ephemeral_volume;
pub mod framework;
pub mod garbage;
pub mod job;
pub mod kinds;
pub mod namespace;
pub mod node_lifecycle;
mod owner;
pub mod persistent_volume;
mod pod;
pub mod replicaset;
pub mod resource_quota;
pub mod root_ca;
pub mod scheduler;
pub mod service_account;
mod storage;
pub mod storage_protection;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod ttl_after_finished;
mod typed;

use std::sync::Arc;

use api::backend::User;
use api::cache::CacheBuilder;
use api::event::Recorder;
use api::resource::{NODES, PODS};
use api::{Cache, Client, Clock};
use tokio::task::{AbortHandle, JoinSet};

use framework::{Controller, Load, Surroundings, Work};
use kinds::{Keeper, Kinds};
pub use typed::Typed;

/// All controllers.
pub const CONTROLLERS: [&Controller; 17] = [
    &deployment::CONTROLLER,
    &replicaset::CONTROLLER,
    &job::CONTROLLER,
    &endpointslice::CONTROLLER,
    &endpoints::CONTROLLER,
    &service_account::CONTROLLER,
    &root_ca::CONTROLLER,
    &ttl_after_finished::CONTROLLER,
    &namespace::CONTROLLER,
    &garbage::CONTROLLER,
    &resource_quota::CONTROLLER,
    &disruption::CONTROLLER,
    &node_lifecycle::CONTROLLER,
    &persistent_volume::CONTROLLER,
    &storage_protection::CLAIMS,
    &storage_protection::VOLUMES,
    &ephemeral_volume::CONTROLLER,
];

/// The name of the scheduler in events.
const SCHEDULER: &str = "default-scheduler";

/// Lets a cache hold what the controllers and the scheduler need.
pub fn cache_builder(builder: CacheBuilder) -> CacheBuilder {
    let builder = builder.with(&PODS).with(&NODES);
    CONTROLLERS.iter().fold(builder, |builder, controller| controller.prepare(builder))
}

/// What is settled when the controllers are started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The certificate of the cluster's CA, in PEM, to be published in every namespace; none publishes nothing.
    pub root_ca: Option<String>,
}

/// The controllers and the scheduler at work.
pub struct Controllers {
    works: Vec<(&'static Controller, Arc<Work>)>,
    loops: Vec<(&'static str, AbortHandle)>,
    scheduler: Arc<scheduler::Meter>,
    scheduling: AbortHandle,
}

impl Controllers {
    /// Starts them all; they end with `tasks`. The cache must have been built with [`cache_builder`], and is made to hold
    /// every kind there is.
    pub fn start(
        client: &Client,
        cache: &Cache,
        clock: &Clock,
        recorder: &Recorder,
        settings: Settings,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let settings = Arc::new(settings);
        let kinds = Arc::new(Kinds::new(client.kinds()));
        let surroundings = |name: &str| Surroundings {
            client: client.with_user(User::component(name)),
            cache: cache.clone(),
            kinds: Arc::clone(&kinds),
            clock: clock.clone(),
            recorder: recorder.with_component(name),
            settings: Arc::clone(&settings),
        };
        let mut keeper = Keeper::new(surroundings("kinds"), client.kinds());
        keeper.settle();
        let (mut works, mut loops) = (Vec::new(), Vec::new());
        for controller in CONTROLLERS {
            let (work, running) = framework::start(controller, surroundings(controller.name), tasks);
            works.push((controller, work));
            loops.push((controller.name, running));
        }
        loops.push(("kinds", tasks.spawn(keeper.run(works.clone()))));
        let (scheduler, scheduling) = scheduler::start(surroundings(SCHEDULER), tasks);
        Self { works, loops, scheduler, scheduling }
    }

    /// How busy each controller is, for metrics.
    pub fn loads(&self) -> impl Iterator<Item = (&'static str, Load)> {
        self.works.iter().map(|(controller, work)| (controller.name, work.load()))
    }

    /// A controller that no longer works, if there is one: each is to go on for as long as the process.
    pub fn ended(&self) -> Option<&'static str> {
        let mut ended = self.loops.iter().filter(|(_, running)| running.is_finished());
        ended.next().map(|(name, _)| *name)
    }

    /// The scheduler, if it no longer works.
    pub fn ended_scheduler(&self) -> Option<&'static str> {
        self.scheduling.is_finished().then_some(SCHEDULER)
    }

    /// How busy the scheduler is, for metrics.
    pub fn scheduler(&self) -> scheduler::Load {
        self.scheduler.load()
    }
}
