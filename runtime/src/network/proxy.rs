//! Keeps the routes of a node in step with the cluster's services and endpoints, and its host's ports with the routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};

use api::cache::{CacheBuilder, Change, Index};
use api::event::{Involved, Occurrence, Recorder, Severity};
use api::resource::{ENDPOINT_SLICES, SERVICES};
use api::{Cache, Key, Object, Resource, Revision};
use k8s_openapi::api::core::v1::Service as ServiceObject;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::node_ports::{NodePorts, NotBound};
use super::routes::{Routes, Service, owner};
use super::unsupported::unsupported;
use super::{Network, lock};

/// Finds the slices of a service by `namespace/name`.
const SLICES_BY_SERVICE: Index = Index {
    name: "service",
    texts: |slice| owner(slice.metadata()).map(|service| service.to_string()).into_iter().collect(),
};

/// What kube-proxy is elsewhere.
pub struct Proxy {
    /// The network that gets the routes.
    pub network: Network,
    /// Holds what [`cached`](Self::cached) asks for.
    pub cache: Cache,
    /// Tells of node ports that could not be opened.
    pub recorder: Recorder,
    /// The host's address at which node ports are opened; none for a node without. Under virtual time none is opened.
    pub host_address: Option<IpAddr>,
}

impl Proxy {
    /// Adds to a cache what it needs there.
    #[must_use]
    pub fn cached(builder: CacheBuilder) -> CacheBuilder {
        builder.with(&SERVICES).with_index(&ENDPOINT_SLICES, SLICES_BY_SERVICE)
    }

    /// Starts to follow the cluster; ends with `tasks`.
    pub fn start(self, tasks: &mut JoinSet<()>) {
        let dirty = Arc::<Dirty>::default();
        dirty.follow(&self.cache, &SERVICES, |service| Some(service.key()));
        dirty.follow(&self.cache, &ENDPOINT_SLICES, |slice| owner(slice.metadata()));
        tasks.spawn(self.run(dirty));
    }

    async fn run(self, dirty: Arc<Dirty>) {
        let mut routes = Routes::clone(&self.network.routes());
        let mut warned = BTreeMap::new();
        let mut node_ports = NodePorts::new(self.network.clone(), self.host_address);
        loop {
            tokio::select! {
                biased;
                () = dirty.changed.notified() => {}
                () = node_ports.retry_due() => {}
            }
            let services = std::mem::take(&mut *lock(&dirty.services));
            services.iter().for_each(|key| self.warn_once(key, &mut warned));
            let changes = services.iter().filter(|key| routes.set(key, self.service(key))).count();
            if changes > 0 {
                debug!(changes, "routes changed");
                self.network.set_routes(Arc::new(routes.clone()));
            }
            for not_bound in node_ports.reconcile(&routes).await {
                self.report(not_bound);
            }
        }
    }

    /// The service as it is now; none if it is gone.
    fn service(&self, key: &Key) -> Option<Service> {
        let object = self.cache.get(&SERVICES, key)?;
        let service = typed::<ServiceObject>(&object)?;
        let slices = self.cache.snapshot(&ENDPOINT_SLICES);
        let text = key.to_string();
        let own = slices.by_index(SLICES_BY_SERVICE.name, &text);
        Some(Service::build(service, own.filter_map(typed::<EndpointSlice>)))
    }

    /// Tells what a service asks for in vain, once for each of its revisions.
    fn warn_once(&self, key: &Key, warned: &mut BTreeMap<Key, Revision>) {
        let Some(object) = self.cache.get(&SERVICES, key) else {
            warned.remove(key);
            return;
        };
        if warned.insert(key.clone(), object.revision()) == Some(object.revision()) {
            return;
        }
        for sentence in typed::<ServiceObject>(&object).map(unsupported).unwrap_or_default() {
            self.warn(&object, "Unsupported", &sentence);
        }
    }

    fn report(&self, not_bound: NotBound) {
        warn!(service = %not_bound.port, address = %not_bound.address, "node port not opened");
        if let Some(service) = self.cache.get(&SERVICES, &not_bound.port.service) {
            self.warn(&service, "NodePortNotBound", &not_bound.to_string());
        }
    }

    fn warn(&self, service: &Object, reason: &str, message: &str) {
        self.recorder.record(Occurrence {
            involved: Involved::object(service),
            severity: Severity::Warning,
            reason: reason.into(),
            message: message.into(),
        });
    }
}

fn typed<K: serde::de::DeserializeOwned + Send + Sync + 'static>(object: &Object) -> Option<&K> {
    object.typed().inspect_err(|error| warn!(%error, "left out of the routes")).ok()
}

/// The services that changed since the routes were made; many changes of one count once.
#[derive(Default)]
struct Dirty {
    services: Mutex<BTreeSet<Key>>,
    changed: Notify,
}

impl Dirty {
    fn follow(self: &Arc<Self>, cache: &Cache, resource: &Resource, service: fn(&Object) -> Option<Key>) {
        let dirty = Arc::downgrade(self);
        let mark = move |change: &Change| {
            if let Some(dirty) = Weak::upgrade(&dirty) {
                lock(&dirty.services).extend(change.objects().filter_map(service));
                dirty.changed.notify_one();
            }
        };
        cache.subscribe(resource, Box::new(mark));
    }
}

#[cfg(test)]
mod tests;
