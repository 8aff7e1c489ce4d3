//! What a controller is: which changes concern which object, and what to do about that object as it is now.
//!
//! A controller looks at everything again whenever something changed ([`Controller::decide`]: observe, then a pure
//! reconcile), its actions are carried out, and the object is not looked at again before the cache shows what was
//! written. Meanwhile any number of changes collapse into one.

mod action;
mod apply;
mod latency;
mod queue;
mod run;

use std::time::Duration;

use api::cache::{CacheBuilder, Change, Index};
use api::object::DecodeError;
use api::{Cache, Resource};
use jiff::Timestamp;

use crate::Settings;
use crate::kinds::Kinds;

#[cfg(test)]
pub(crate) use action::describe;
pub use action::{Action, Create, Refusal, Report, Target};
pub use latency::{BOUNDS_SECONDS, Latencies};
pub use queue::Load;
pub(crate) use run::{Surroundings, Work, look_again, start, watch_kind};

/// One controller, as a row of [`crate::CONTROLLERS`].
pub struct Controller {
    /// The name in logs, events and of its user, such as `replicaset-controller`.
    pub name: &'static str,
    /// What it follows, and whom a change concerns.
    pub watches: &'static [Watch],
    /// What else it reads, and the indexes it finds objects by.
    pub reads: &'static [(Resource, Option<Index>)],
    /// Looks at one object and says what to do.
    pub decide: Decide,
    /// How many objects it may work on at once.
    pub workers: usize,
    /// An object is looked at again no sooner than this: a burst of changes costs one look each time, a single one no wait.
    pub pace: Duration,
}

/// Observes one object in the cache and reconciles it.
pub type Decide = fn(&View<'_>, &Target) -> Result<Vec<Action>, DecodeError>;

/// All that a decision may be made from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The cluster as far as it is known.
    pub cache: &'a Cache,
    /// What is known of kinds.
    pub kinds: &'a Kinds,
    /// What was settled when the controllers were started.
    pub settings: &'a Settings,
    /// The time.
    pub now: Timestamp,
}

/// Names the objects concerned by a change.
pub type Concerns = fn(&Cache, &Change, &mut dyn FnMut(Target));

/// Names the objects concerned by a change of an object of any resource.
pub type ConcernsOfEvery = fn(&Cache, &Kinds, &Resource, &Change, &mut dyn FnMut(Target));

/// A kind of objects that a controller follows, and whom a change of them concerns.
pub enum Watch {
    /// The objects of one resource.
    Of(Resource, Concerns),
    /// The objects of every resource there is, those that come later included.
    Every(ConcernsOfEvery),
}

impl Controller {
    /// Lets the cache hold what the controller needs.
    pub fn prepare(&self, mut builder: CacheBuilder) -> CacheBuilder {
        for watch in self.watches {
            if let Watch::Of(resource, _) = watch {
                builder = builder.with(resource);
            }
        }
        for (resource, index) in self.reads {
            builder = match index {
                Some(index) => builder.with_index(resource, *index),
                None => builder.with(resource),
            };
        }
        builder
    }
}
