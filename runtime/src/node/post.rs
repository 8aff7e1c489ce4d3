//! Mail for pod workers: only the newest state is kept, so nothing queues up.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use api::cache::Change;
use api::resource::{CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS};
use api::{Cache, Key, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Notify, watch};

use super::machine::Eviction;
use crate::volumes::Source;

/// What a worker has to know.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    /// The pod as it is now, or was last.
    pub(super) object: Object,
    /// Whether it is gone.
    pub(super) is_gone: bool,
    /// By when it is to have ended, if the node ends.
    pub(super) leave_by: Option<Timestamp>,
    /// Counts the changes of what the pod shows or takes variables from.
    pub(super) sources: u64,
    /// Why the pod has to go, if it has to.
    pub(super) eviction: Option<Eviction>,
}

/// The sender of one worker's mail.
pub(super) type Post = watch::Sender<Mail>;

/// Opens the mail of a new worker.
pub(super) fn open(object: Object) -> (Post, watch::Receiver<Mail>) {
    watch::channel(Mail { object, is_gone: false, leave_by: None, sources: 0, eviction: None })
}

impl Mail {
    pub(super) fn pod_changed(&mut self, object: Object) {
        self.object = object;
    }

    pub(super) fn pod_is_gone(&mut self) {
        self.is_gone = true;
    }

    /// The first reason stays.
    pub(super) fn must_go(&mut self, eviction: Eviction) {
        self.eviction.get_or_insert(eviction);
    }

    pub(super) fn leave(&mut self, by: Timestamp) {
        self.leave_by = Some(by);
    }

    pub(super) fn sources_changed(&mut self) {
        self.sources += 1;
    }
}

/// Collects the keys of what has changed until the agent takes them; bounded by the number of objects.
pub(super) struct Postbox(Arc<Inside>);

#[derive(Default)]
struct Inside {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

/// What has changed.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) pods: BTreeSet<Key>,
    pub(super) sources: BTreeSet<(Source, Key)>,
}

impl Postbox {
    /// Collects what concerns the node from now on, and what there is.
    pub(super) fn subscribe(cache: &Cache, node_name: &str) -> Self {
        let inside = Arc::new(Inside::default());
        let (collector, node_name) = (Arc::clone(&inside), node_name.to_owned());
        let pods = move |change: &Change| {
            if change.objects().any(|object| is_on(object, &node_name)) {
                collector.put(|waiting| waiting.pods.insert(change.object().key()));
            }
        };
        cache.subscribe(&PODS, Box::new(pods));
        let followed = [
            (Source::ConfigMap, &CONFIG_MAPS),
            (Source::Secret, &SECRETS),
            (Source::Claim, &PERSISTENT_VOLUME_CLAIMS),
        ];
        for (source, resource) in followed {
            let collector = Arc::clone(&inside);
            let sources = move |change: &Change| {
                collector.put(|waiting| waiting.sources.insert((source, change.object().key())));
            };
            cache.subscribe(resource, Box::new(sources));
        }
        Self(inside)
    }

    /// Waits until something has changed, then takes all that has.
    pub(super) async fn take(&self) -> Waiting {
        loop {
            let waiting = std::mem::take(&mut *self.0.lock());
            if !waiting.pods.is_empty() || !waiting.sources.is_empty() {
                return waiting;
            }
            self.0.arrived.notified().await;
        }
    }
}

impl Inside {
    fn put(&self, put: impl FnOnce(&mut Waiting) -> bool) {
        put(&mut self.lock());
        self.arrived.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a pod is bound to this node.
pub(super) fn is_on(object: &Object, node_name: &str) -> bool {
    let is_there =
        |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node_name));
    object.peek::<Pod>().is_ok_and(|pod| is_there(&pod))
}
