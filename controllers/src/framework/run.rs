//! The loop that is the same for all controllers.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::cache::Change;
use api::event::Recorder;
use api::{Cache, Client, Clock, Resource};
use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, debug, debug_span, error};

use super::apply::Applier;
use super::queue::{Ending, Load, Queue};
use super::{Concerns, ConcernsOfEvery, Controller, Target, View, Watch};
use crate::Settings;
use crate::kinds::Kinds;

/// What the controllers work with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) client: Client,
    pub(crate) cache: Cache,
    pub(crate) kinds: Arc<Kinds>,
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
) -> (Arc<Work>, AbortHandle) {
    let queue = Mutex::new(Queue::new(controller.pace));
    let work = Arc::new(Work { queue, added: Notify::new(), clock: surroundings.clock.clone() });
    for watch in controller.watches {
        if let Watch::Of(resource, concerns) = watch {
            follow(resource, *concerns, &surroundings.cache, &work);
        }
    }
    for resource in surroundings.cache.resources() {
        watch_kind(controller, &resource, &surroundings.cache, &surroundings.kinds, &work);
    }
    let running = tasks.spawn(run(controller, surroundings, Arc::clone(&work)));
    (work, running)
}

/// Adds what changes concern. Holds the cache weakly, as the cache holds its subscribers.
fn follow(resource: &Resource, concerns: Concerns, cache: &Cache, work: &Arc<Work>) {
    let (weak, work) = (cache.downgrade(), Arc::clone(work));
    let subscriber = Box::new(move |change: &_| {
        if let Some(cache) = weak.upgrade() {
            concerns(&cache, change, &mut |target| work.add(target));
        }
    });
    cache.subscribe(resource, subscriber);
}

/// Has a controller follow a resource if it follows every one.
pub(crate) fn watch_kind(
    controller: &Controller,
    resource: &Resource,
    cache: &Cache,
    kinds: &Arc<Kinds>,
    work: &Arc<Work>,
) {
    for concerns in of_every(controller) {
        let (weak, kinds, work) = (cache.downgrade(), Arc::clone(kinds), Arc::clone(work));
        let of = resource.clone();
        let subscriber = Box::new(move |change: &_| {
            if let Some(cache) = weak.upgrade() {
                concerns(&cache, &kinds, &of, change, &mut |target| work.add(target));
            }
        });
        cache.subscribe(resource, subscriber);
    }
}

/// Shows a controller that follows every resource all there is, as if it were new: what a reference means has changed.
pub(crate) fn look_again(controller: &Controller, cache: &Cache, kinds: &Kinds, work: &Work) {
    for concerns in of_every(controller) {
        cache.each(|resource, snapshot| {
            for object in snapshot.iter() {
                let change = Change { old: None, new: Some(object.clone()) };
                concerns(cache, kinds, resource, &change, &mut |target| work.add(target));
            }
        });
    }
}

fn of_every(controller: &Controller) -> impl Iterator<Item = ConcernsOfEvery> {
    controller.watches.iter().filter_map(|watch| match watch {
        Watch::Every(concerns) => Some(*concerns),
        Watch::Of(..) => None,
    })
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
    let Surroundings { client, cache, kinds, clock, recorder, settings } = surroundings;
    let view = View { cache, kinds, settings, now: clock.now() };
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
