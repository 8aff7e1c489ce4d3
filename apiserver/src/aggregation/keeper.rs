//! Follows the APIServices that name a service: there is a task for each, and requests are passed on as they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::backend::User;
use api::{Clock, Object};
use serde_json::Value;
use tokio::task::{AbortHandle, JoinSet};
use tracing::info;

use super::follower::{AVAILABLE, Follower, trust};
use super::{Remote, Remotes};
use crate::auth::authority::FrontProxy;
use crate::builtin::Builtin;
use crate::condition;
use crate::registry::Registry;
use crate::resources::api_service::ApiServices;
use crate::store::Collection;
use crate::tree;

/// Follows the APIServices.
pub struct Keeper {
    registry: Arc<Registry>,
    clock: Clock,
    front_proxy: Option<Arc<FrontProxy>>,
    followed: BTreeMap<String, (Value, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Keeper {
    /// A keeper that has not looked yet. Servers are shown the identity of the front proxy, if there is one.
    pub fn new(registry: Arc<Registry>, clock: Clock, front_proxy: Option<Arc<FrontProxy>>) -> Self {
        Self { registry, clock, front_proxy, followed: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Follows the APIServices for as long as the task lives.
    pub async fn run(mut self) {
        loop {
            let seen = self.registry.store().revision();
            self.look();
            // Those that were ended are forgotten.
            while self.tasks.try_join_next().is_some() {}
            self.registry.store().changed([Collection::from(&ApiServices::RESOURCE)], seen).await;
        }
    }

    /// Passes requests on as the APIServices say now.
    fn look(&mut self) {
        let (snapshot, _) = self.registry.store().snapshot(&Collection::from(&ApiServices::RESOURCE));
        let named = snapshot.iter().map(|object| (object.name(), object));
        let stored: BTreeMap<&str, &Object> =
            named.filter(|(_, object)| object.value()["spec"]["service"].is_object()).collect();
        self.followed.retain(|name, (spec, task)| {
            let is_same = stored.get(name.as_str()).is_some_and(|object| object.value()["spec"] == *spec);
            if !is_same {
                task.abort();
            }
            is_same
        });
        let identity = self.front_proxy.as_ref().map(|proxy| proxy.identity());
        let mut fresh = Vec::new();
        self.registry.change_remotes(|remotes| {
            fresh.clear();
            let mut next = Remotes::default();
            for (name, object) in &stored {
                let spec = &object.value()["spec"];
                let of = |field| tree::text(spec, field).unwrap_or_default();
                let known = remotes.get(of("group"), of("version"));
                let remote = match known.filter(|_| self.followed.contains_key(*name)) {
                    Some(known) => Some(Remote::clone(known)),
                    None => Remote::read(spec, trust(spec, identity.as_deref())),
                };
                let Some(mut remote) = remote else { continue };
                remote.is_available = condition::is_true(object.value(), AVAILABLE);
                fresh.extend((!self.followed.contains_key(*name)).then(|| (*name, spec, remote.clone())));
                next = next.with(remote);
            }
            next
        });
        for (name, spec, remote) in fresh {
            info!(api_service = name, "requests are passed on");
            let follower = Follower {
                registry: self.registry.clone(),
                clock: self.clock.clone(),
                user: User::component("apiserver"),
                front_proxy: self.front_proxy.clone(),
                identity: identity.clone(),
                name: name.to_owned(),
                spec: spec.clone(),
                remote,
            };
            self.followed.insert(name.to_owned(), (spec.clone(), self.tasks.spawn(follower.run())));
        }
    }
}
