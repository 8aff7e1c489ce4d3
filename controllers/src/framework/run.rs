//! The loop that is the same for all controllers.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::event::Recorder;
use api::{Cache, Client, Clock};
use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{Instrument, debug, debug_span, error};

use super::apply::Applier;
use super::queue::{Ending, Load, Queue};
use super::{Controller, Target, View, Watch};
use crate::Settings;

/// What the controllers work with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) client: Client,
    pub(crate) cache: Cache,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) settings: Arc<Settings>,
}

/// A queue shared by those who add to it and the loop that works on it.
pub(crate) struct Work {
    queue: Mutex<Queue>,
    added: Notify,
    clock: Clock,
}

impl Work {
    fn add(&self, target: Target) {
        self.queue().add(target, self.clock.now());
        self.added.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How busy the controller is.
    pub(crate) fn load(&self) -> Load {
        self.queue().load(self.clock.now())
    }
}

/// Starts a controller; it ends with `tasks`.
pub(crate) fn start(
    controller: &'static Controller,
    surroundings: Surroundings,
    tasks: &mut JoinSet<()>,
) -> Arc<Work> {
    let queue = Mutex::new(Queue::new(controller.pace));
    let work = Arc::new(Work { queue, added: Notify::new(), clock: surroundings.clock.clone() });
    for watch in controller.watches {
        follow(watch, &surroundings.cache, &work);
    }
    tasks.spawn(run(controller, surroundings, Arc::clone(&work)));
    work
}

/// Adds what changes concern. Holds the cache weakly, as the cache holds its subscribers.
fn follow(watch: &'static Watch, cache: &Cache, work: &Arc<Work>) {
    match watch {
        Watch::Of(resource, concerns) => {
            let (weak, work) = (cache.downgrade(), Arc::clone(work));
            let subscriber = Box::new(move |change: &_| {
                if let Some(cache) = weak.upgrade() {
                    concerns(&cache, change, &mut |target| work.add(target));
                }
            });
            cache.subscribe(resource, subscriber);
        }
        Watch::Every(concerns) => {
            for resource in cache.resources() {
                let (weak, work) = (cache.downgrade(), Arc::clone(work));
                let of = resource.clone();
                let subscriber = Box::new(move |change: &_| {
                    if let Some(cache) = weak.upgrade() {
                        concerns(&cache, &of, change, &mut |target| work.add(target));
                    }
                });
                cache.subscribe(resource, subscriber);
            }
        }
    }
}

async fn run(controller: &'static Controller, surroundings: Surroundings, work: Arc<Work>) {
    surroundings.cache.ready().await;
    let clock = surroundings.clock.clone();
    let mut looks: JoinSet<(Target, Ending)> = JoinSet::new();
    loop {
        while looks.len() < controller.workers {
            let Some(target) = work.queue().take(clock.now()) else {
                break;
            };
            let surroundings = surroundings.clone();
            looks.spawn(look(controller, surroundings, target));
        }
        let free = looks.len() < controller.workers;
        let next = work.queue().next_time().filter(|_| free);
        tokio::select! {
            biased;
            Some(look) = looks.join_next() => {
                let (target, ending) = look.expect("a look catches its panics and nobody aborts it");
                work.queue().done(target, ending, clock.now());
            }
            () = work.added.notified(), if free => {}
            () = async { clock.sleep_until(next.unwrap_or_default()).await }, if next.is_some() => {}
        }
    }
}

/// One look at one object. A mistake in a controller costs the object it stumbled over and no other.
async fn look(
    controller: &'static Controller,
    surroundings: Surroundings,
    target: Target,
) -> (Target, Ending) {
    let span = debug_span!("look", controller = controller.name, %target);
    let attempt = attempt(controller, &surroundings, &target).instrument(span);
    let ending = AssertUnwindSafe(attempt).catch_unwind().await;
    let ending = ending.unwrap_or_else(|_| {
        error!(controller = controller.name, %target, "panicked");
        Ending::Failed
    });
    (target, ending)
}

async fn attempt(controller: &'static Controller, surroundings: &Surroundings, target: &Target) -> Ending {
    let Surroundings { client, cache, clock, recorder, settings } = surroundings;
    let view = View { cache, settings, now: clock.now() };
    let actions = match (controller.decide)(&view, target) {
        Ok(actions) => actions,
        Err(error) => {
            error!(%error, "object not understood");
            return Ending::Failed;
        }
    };
    if actions.is_empty() {
        return Ending::Done(None);
    }
    debug!(?actions, "decided");
    let applier = Applier { client, cache, recorder, clock };
    match applier.apply(&actions).await {
        Ok(wake) => Ending::Done(wake),
        Err(status) => {
            debug!(error = %status, "failed, tried again later");
            Ending::Failed
        }
    }
}
