//! The node agent: runs the pods bound to this node and reports how they fare.
//!
//! [`machine`] decides the life of each pod, `worker` carries it out; one worker per pod, ended with the node.
//! Workers are told of changes by mail that holds only the newest state, so that nothing queues up.

pub mod allocation;
pub mod env;
pub mod eviction;
mod figures;
pub mod hostname;
mod images;
pub mod machine;
pub mod output;
pub mod plan;
mod post;
mod presence;
pub mod probes;
mod registration;
pub mod room;
pub mod server;
pub mod status;
mod storage;
#[cfg(test)]
mod tests;
pub mod usage;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::cache::CacheBuilder;
use api::clock::add;
use api::event::Recorder;
use api::resource::{
    CONFIG_MAPS, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, SECRETS, SERVICES,
};
use api::{Cache, Client, Clock, Key, Object};
use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, warn};

pub use figures::Figures;
pub use images::Images;
pub use room::Capacity;
pub use server::NodeDialer;

use crate::engine::Engine;
use crate::logs::LogConfig;
use crate::network::Network;
use crate::volumes::{self, Places, Source};
use eviction::{EvictionConfig, Evictions};
use output::Output;
use post::{Mail, Post, Postbox};
use presence::Presence;
use probes::ProbeFigures;
use room::Rooms;
use usage::{ContainerUsage, Usage};
use worker::Worker;
use worker::limits::RUNTIME_CLASSES;

/// What a node is made of.
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// Labels besides those every node has.
    pub labels: BTreeMap<String, String>,
    /// Where volumes and logs of its pods are.
    pub data_dir: PathBuf,
    /// Runs containers.
    pub engine: Arc<dyn Engine>,
    /// Knows images.
    pub images: Arc<dyn Images>,
    /// Connects pods.
    pub network: Network,
    /// The addresses of its pods, as `Node.spec.podCIDR` has it.
    pub pod_cidr: String,
    /// The node's own address.
    pub address: IpAddr,
    /// What it has for its pods.
    pub capacity: Capacity,
    /// The directories of the host below which pods may mount.
    pub host_paths: Vec<PathBuf>,
    /// The bounds of each container's log.
    pub logs: LogConfig,
    /// When pods have to go for lack of room.
    pub eviction: EvictionConfig,
    /// The one clock.
    pub clock: Clock,
    /// Writes in the node's name.
    pub client: Client,
    /// Holds at least what [`Node::cached`] asks for.
    pub cache: Cache,
    /// Tells people.
    pub recorder: Recorder,
}

/// A node that runs. A clone is a reference; it runs as long as the tasks it was started in.
#[derive(Clone)]
pub struct Node(Arc<Shared>);

/// What all workers of a node share.
struct Shared {
    config: NodeConfig,
    rooms: Rooms,
    output: Output,
    presence: Presence,
    usage: Usage,
    evictions: Evictions,
    probed: ProbeFigures,
    /// Where its volumes may be.
    places: Arc<Places>,
    /// When this process began to be the node.
    started: Timestamp,
    /// By when all pods are to have ended, once the node is to end.
    leave: watch::Sender<Option<Timestamp>>,
    /// Whether they have.
    is_left: watch::Sender<bool>,
}

impl Node {
    /// Adds what a node reads to a cache.
    pub fn cached(cache: CacheBuilder) -> CacheBuilder {
        let kinds = [
            &PODS,
            &NODES,
            &RUNTIME_CLASSES,
            &CONFIG_MAPS,
            &SECRETS,
            &SERVICES,
            &PERSISTENT_VOLUME_CLAIMS,
            &PERSISTENT_VOLUMES,
        ];
        kinds.into_iter().fold(cache, CacheBuilder::with)
    }

    /// Registers the node and runs what is bound to it, until `tasks` is dropped.
    pub fn start(mut config: NodeConfig, tasks: &mut JoinSet<()>) -> Self {
        // Under virtual time nothing may depend on the machine.
        if !config.clock.is_virtual() {
            config.capacity = config.capacity.with_storage_of(&config.data_dir);
        }
        let shared = Arc::new(Shared {
            rooms: Rooms::new(&config.capacity),
            output: Output::default(),
            presence: Presence::default(),
            usage: Usage::new(&config.clock),
            evictions: Evictions::new(config.clock.now()),
            probed: ProbeFigures::default(),
            places: Arc::new(Places {
                storage: config.data_dir.join("storage"),
                memory: volumes::memory_folder(&config.data_dir),
                host_paths: config.host_paths.clone(),
                hostname: config.name.clone(),
            }),
            started: config.clock.now(),
            leave: watch::Sender::new(None),
            is_left: watch::Sender::new(false),
            config,
        });
        tasks.spawn(registration::keep_alive(Arc::clone(&shared)));
        let sampled = Arc::clone(&shared);
        tasks.spawn(async move { sampled.usage.keep_sampling(&sampled.config.clock).await });
        tasks.spawn(storage::keep_clean(Arc::clone(&shared)));
        tasks.spawn(images::keep_collecting(Arc::clone(&shared)));
        tasks.spawn(eviction::keep_watch(Arc::clone(&shared)));
        tasks.spawn(Agent::new(Arc::clone(&shared)).run());
        Self(shared)
    }

    /// Ends all containers, each with its grace but within `limit`. Their pods stay as they are, and run again with the node.
    pub async fn leave(&self, limit: Duration) {
        let clock = &self.0.config.clock;
        let deadline = add(clock.now(), limit);
        self.0.leave.send_replace(Some(deadline));
        let mut is_left = self.0.is_left.subscribe();
        tokio::select! { biased;
            _ = is_left.wait_for(|is_left| *is_left) => {}
            () = clock.sleep_until(add(deadline, LAST_MOMENT)) => warn!("pods left before they had ended"),
        }
    }

    /// The logs of the containers on this node.
    pub fn output(&self) -> &Output {
        &self.0.output
    }

    /// What the running containers of a pod use, in the order in which they were started.
    pub fn usage(&self, pod: &Key) -> Vec<ContainerUsage> {
        self.0.usage.of(pod)
    }
}

/// What containers may need beyond the time they are given: those that are asked late have two seconds.
const LAST_MOMENT: Duration = Duration::from_secs(3);

impl Shared {
    fn folder_of_pod(&self, uid: &str) -> PathBuf {
        self.config.data_dir.join("pods").join(plain(uid))
    }

    fn folder_of_logs(&self, key: &Key, uid: &str) -> PathBuf {
        let name = format!("{}_{}_{uid}", key.namespace, key.name);
        self.config.data_dir.join("logs").join(plain(&name))
    }
}

/// A name as one component of a path. The API allows no others in names and uids; a server gone wrong must not lead us out.
fn plain(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let plain: String =
        name.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    plain.trim_start_matches('.').to_owned()
}

/// Gives each pod its worker and each worker its mail.
struct Agent {
    shared: Arc<Shared>,
    workers: JoinSet<(Arc<str>, Life)>,
    pods: BTreeMap<Arc<str>, Tenant>,
    by_key: BTreeMap<Key, Arc<str>>,
    /// Who uses a ConfigMap or a Secret.
    users: BTreeMap<(Source, Key), BTreeSet<Arc<str>>>,
    /// By when all are to have ended, if the node ends.
    leave_by: Option<Timestamp>,
}

/// How a worker ended.
enum Life {
    Complete,
    Panicked,
}

/// A pod that has a worker.
struct Tenant {
    key: Key,
    post: Post,
    sources: BTreeSet<(Source, Key)>,
}

impl Agent {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            workers: JoinSet::new(),
            pods: BTreeMap::new(),
            by_key: BTreeMap::new(),
            users: BTreeMap::new(),
            leave_by: None,
        }
    }

    async fn run(mut self) {
        let cache = self.shared.config.cache.clone();
        cache.ready().await;
        let postbox = Postbox::subscribe(&cache, &self.shared.config.name);
        self.sweep(&cache);
        let mut leave = self.shared.leave.subscribe();
        leave.mark_changed();
        loop {
            let leaves = self.leave_by.is_some();
            if leaves && self.workers.is_empty() {
                self.shared.is_left.send_replace(true);
            }
            tokio::select! { biased;
                Ok(()) = leave.changed(), if !leaves => {
                    self.leave_by = *leave.borrow();
                    if let Some(by) = self.leave_by {
                        self.pods.values().for_each(|tenant| tenant.post.send_modify(|mail| mail.leave(by)));
                    }
                }
                Some(ended) = self.workers.join_next() => match ended {
                    Ok((uid, Life::Complete)) => self.dismiss(&cache, &uid),
                    Ok((uid, Life::Panicked)) => {
                        error!(%uid, "pod worker failed; the pod gets another when it changes");
                        self.dismiss(&cache, &uid);
                        self.by_key.retain(|_, known| *known != uid);
                    }
                    Err(failure) => error!(error = %failure, "pod worker lost"),
                },
                waiting = postbox.take() => {
                    for key in waiting.pods {
                        self.deliver(&cache, key);
                    }
                    for source in waiting.sources {
                        self.announce(&source);
                    }
                }
            }
        }
    }

    /// Gives the worker of the pod its newest state. Another pod of the same name has a worker of its own.
    fn deliver(&mut self, cache: &Cache, key: Key) {
        let object = cache.get(&PODS, &key).filter(|object| self.is_ours(object));
        let uid: Option<Arc<str>> = object.as_ref().map(|object| object.uid().into());
        let known = self.by_key.get(&key).cloned();
        if known.is_some() && known != uid {
            let tenant = known.as_ref().and_then(|known| self.pods.get(known));
            if let Some(tenant) = tenant {
                tenant.post.send_modify(Mail::pod_is_gone);
            }
            self.by_key.remove(&key);
        }
        let (Some(object), Some(uid)) = (object, uid) else {
            return;
        };
        match self.pods.get(&uid) {
            Some(tenant) => tenant.post.send_modify(|mail| mail.pod_changed(object)),
            // Its life here is over; only the cache still shows it.
            None if known == Some(uid.clone()) || self.leave_by.is_some() => {}
            None => self.employ(object, uid, key),
        }
    }

    fn is_ours(&self, object: &Object) -> bool {
        post::is_on(object, &self.shared.config.name)
    }

    fn employ(&mut self, object: Object, uid: Arc<str>, key: Key) {
        let pod = match object.typed::<Pod>() {
            Ok(pod) => pod,
            Err(error) => return warn!(pod = %key, %error, "pod not understood"),
        };
        let sources = sources_of(pod, &key);
        for source in &sources {
            let users = self.users.entry(source.clone()).or_default();
            users.insert(Arc::clone(&uid));
        }
        let (post, mail) = post::open(object);
        self.shared.evictions.know(&uid, &post);
        let worker = Worker::new(Arc::clone(&self.shared), mail);
        let employed = Arc::clone(&uid);
        self.workers.spawn(async move {
            match AssertUnwindSafe(worker.run()).catch_unwind().await {
                Ok(()) => (employed, Life::Complete),
                Err(_) => (employed, Life::Panicked),
            }
        });
        self.by_key.insert(key.clone(), Arc::clone(&uid));
        let tenant = Tenant { key, post, sources };
        self.pods.insert(uid, tenant);
    }

    /// Forgets a pod whose worker has ended. Its name is remembered as long as the cache shows it, so that it never runs again.
    fn dismiss(&mut self, cache: &Cache, uid: &Arc<str>) {
        let Some(tenant) = self.pods.remove(uid) else {
            return;
        };
        self.shared.evictions.forget(uid);
        let shown = cache.get(&PODS, &tenant.key);
        let lingers = shown.is_some_and(|object| object.uid() == &**uid);
        if !lingers && self.by_key.get(&tenant.key) == Some(uid) {
            self.by_key.remove(&tenant.key);
        }
        for source in tenant.sources {
            if let Some(users) = self.users.get_mut(&source) {
                users.remove(uid);
                if users.is_empty() {
                    self.users.remove(&source);
                }
            }
        }
    }

    fn announce(&self, source: &(Source, Key)) {
        for uid in self.users.get(source).into_iter().flatten() {
            if let Some(tenant) = self.pods.get(uid) {
                tenant.post.send_modify(Mail::sources_changed);
            }
        }
    }

    /// Removes what pods left that went while the node was down.
    fn sweep(&self, cache: &Cache) {
        let pods = cache.snapshot(&PODS);
        let ours: BTreeSet<String> =
            pods.iter().filter(|object| self.is_ours(object)).map(|object| plain(object.uid())).collect();
        let folders = ["pods", "logs"].map(|part| self.shared.config.data_dir.join(part));
        let folders: Vec<PathBuf> = folders.into_iter().chain(self.shared.places.memory.clone()).collect();
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let uid = name.rsplit('_').next().unwrap_or_default();
            if !ours.contains(uid)
                && let Err(error) = volumes::remove_tree(&entry.path())
            {
                warn!(path = %entry.path().display(), %error, "left-over folder not removed");
            }
        }
    }
}

/// The ConfigMaps and Secrets the pod uses.
fn sources_of(pod: &Pod, key: &Key) -> BTreeSet<(Source, Key)> {
    let shown = volumes::sources_of(pod);
    let shown = shown.iter().map(|(source, name)| (*source, name.as_str()));
    let all = shown.chain(env::sources(pod));
    all.map(|(source, name)| (source, Key::new(Arc::clone(&key.namespace), name))).collect()
}
