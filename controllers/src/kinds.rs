//! Every kind there is: has the cache hold them all as they come and go, and knows what a reference to an owner means.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::resource::EVENTS;
use api::{Cache, Resource, Revision};
use tokio::task::JoinSet;
use tracing::{debug, error};

use crate::framework::{Controller, Surroundings, Work, look_again, watch_kind};
use crate::owner;

/// Kinds that change too often to be followed. They own nothing, and nobody waits for their end.
pub static UNSEEN: [Resource; 1] = [EVENTS];

/// So many owners are remembered after they went. Those whose kind is still served can be asked for instead.
const REMEMBERED: usize = 4096;

/// What is known of kinds.
pub struct Kinds {
    served: api::kinds::Kinds,
    gone: Mutex<Gone>,
}

/// The last owners that went: their uids with their namespaces, and in which order they went.
#[derive(Default)]
struct Gone {
    namespaces: BTreeMap<Arc<str>, Box<str>>,
    order: VecDeque<Arc<str>>,
}

impl Kinds {
    /// What is known at first: the kinds that are served.
    pub fn new(served: api::kinds::Kinds) -> Self {
        Self { served, gone: Mutex::default() }
    }

    /// The resource whose objects a reference means, as the cache holds it; none if no such kind is served.
    pub fn find(&self, cache: &Cache, api_version: &str, kind: &str) -> Option<Resource> {
        let served = self.served.borrow();
        let named = |version: &Resource| owner::is_of(version, api_version, kind);
        let known = served.iter().find(|known| known.versions.iter().any(named))?;
        let held = known.versions.iter().find(|version| cache.holds(version));
        let resource = held.unwrap_or(&known.resource);
        (!UNSEEN.contains(&known.resource)).then(|| resource.clone())
    }

    /// Remembers that an owner went.
    pub fn note_gone(&self, uid: &str, namespace: &str) {
        let mut gone = self.gone();
        let uid: Arc<str> = uid.into();
        if gone.namespaces.insert(Arc::clone(&uid), namespace.into()).is_some() {
            return;
        }
        gone.order.push_back(uid);
        if gone.order.len() > REMEMBERED
            && let Some(oldest) = gone.order.pop_front()
        {
            gone.namespaces.remove(&oldest);
        }
    }

    /// Whether an owner was seen to go that objects of this namespace could have.
    pub fn is_gone(&self, uid: &str, namespace: &str) -> bool {
        let gone = self.gone();
        gone.namespaces.get(uid).is_some_and(|known| known.is_empty() || **known == *namespace)
    }

    fn gone(&self) -> MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the cache hold every kind that is served, one version of each, for as long as that is served.
pub(crate) struct Keeper {
    around: Surroundings,
    served: api::kinds::Kinds,
    /// Those who want to see every kind.
    works: Arc<Vec<(&'static Controller, Arc<Work>)>>,
    /// One for each kind; ends when the kind is no longer served.
    feeds: JoinSet<Resource>,
}

impl Keeper {
    /// A keeper that has not looked yet.
    pub(crate) fn new(around: Surroundings, served: api::kinds::Kinds) -> Self {
        Self { around, served, works: Arc::default(), feeds: JoinSet::new() }
    }

    /// Looks once: what is served now is held afterwards.
    pub(crate) fn settle(&mut self) {
        let served = self.served.borrow_and_update().clone();
        let seen = served.iter().filter(|kind| !UNSEEN.contains(&kind.resource));
        for kind in seen {
            if !kind.versions.iter().any(|version| self.around.cache.holds(version)) {
                self.hold(&kind.resource);
            }
        }
    }

    /// Goes on for as long as the task lives, and shows what comes to those who want to see every kind.
    pub(crate) async fn run(mut self, works: Vec<(&'static Controller, Arc<Work>)>) {
        self.works = Arc::new(works);
        let mut goes_on = true;
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.feeds.join_next() => match ended {
                    Ok(resource) => self.around.cache.release(&resource),
                    Err(error) => error!(%error, "a kind is no longer followed"),
                },
                changed = self.served.changed(), if goes_on => goes_on = changed.is_ok(),
                else => std::future::pending().await,
            }
            self.settle();
        }
    }

    fn hold(&mut self, resource: &Resource) {
        let Surroundings { client, cache, kinds, clock, .. } = &self.around;
        debug!(%resource, "kind followed");
        cache.hold(resource);
        for (controller, work) in self.works.iter() {
            watch_kind(controller, resource, cache, kinds, work);
        }
        let feed = cache.clone().feed(resource.clone(), client.clone(), clock.clone());
        let (works, cache, kinds) = (Arc::clone(&self.works), cache.clone(), Arc::clone(kinds));
        let resource = resource.clone();
        self.feeds.spawn(async move {
            let known = async {
                cache.reach(&resource, Revision(0)).await;
                works.iter().for_each(|(controller, work)| look_again(controller, &cache, &kinds, work));
                std::future::pending().await
            };
            tokio::select! {
                biased;
                () = feed => {}
                () = known => {}
            }
            resource
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let kinds = Kinds::new(tokio::sync::watch::channel(Arc::from([])).1);
        for number in 0..=REMEMBERED {
            kinds.note_gone(&number.to_string(), "n");
            kinds.note_gone("1", "n");
        }
        let known = |uid: &str, namespace: &str| kinds.is_gone(uid, namespace);
        assert!(!known("0", "n") && known("1", "n") && known(&REMEMBERED.to_string(), "n"));
        assert!(!known("1", "other") && !known("1", ""));
        kinds.note_gone("cluster", "");
        assert!(known("cluster", "n") && known("cluster", ""));
        assert_eq!(kinds.gone().order.len(), REMEMBERED);
    }
}
