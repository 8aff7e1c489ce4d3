//! A whole cluster in this process: API server, cache, controllers, scheduler, network and one node.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use api::backend::{DeleteOptions, User};
use api::dialer::{Connection, Destination, Dialer};
use api::event::Recorder;
use api::resource::{EVENTS, NODES, PODS, SERVICES};
use api::{Cache, Client, Clock, Key, Resource};
use apiserver::auth::Authorizer;
use apiserver::auth::authority::Authority;
use apiserver::{Apiserver, Registry, Storage};
use controllers::{Controllers, Settings};
use runtime::engine::Engine;
use runtime::engine::wasm::{EngineConfig, TOOLBOX, TOOLBOX_IMAGE, WasmEngine};
use runtime::images::{ImageStore, Puller, RegistryConfig};
use runtime::logs::LogConfig;

use runtime::network::{ApiServer, Network, NetworkConfig, Proxy};
use runtime::node::eviction::{EvictionConfig, MachineVitals, Signal, Threshold, Vitals};
use runtime::node::{Capacity, Images, Node, NodeConfig, NodeDialer};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::error;

/// The name of the one node.
const NODE: &str = "peapod";

/// Instances that a pod may have on average, so that a node full of pods leaves room in the pool.
const INSTANCES_PER_POD: u32 = 4;

/// What a cluster is made of.
pub struct ClusterConfig {
    /// The one clock.
    pub clock: Clock,
    /// From which names and uids follow.
    pub seed: u64,
    /// Runs containers.
    pub engine: Arc<dyn Engine>,
    /// Knows images.
    pub images: Arc<dyn Images>,
    /// What the node has.
    pub capacity: Capacity,
    /// The bounds of each container's log.
    pub logs: LogConfig,
    /// When pods have to go for lack of room; looked at only in real time.
    pub thresholds: Vec<Threshold>,
    /// Where objects are kept.
    pub storage: Storage,
    /// Where volumes and logs are kept; without one, in a folder that goes with the cluster.
    pub folder: Option<PathBuf>,
    /// The directories of the host below which pods may mount.
    pub host_paths: Vec<PathBuf>,
    /// How the API is reached from outside of the process, if it is.
    pub access: Option<Access>,
}

/// How the API of a cluster is reached from outside of its process, pods included.
pub struct Access {
    /// The cluster's CA and keys.
    pub authority: Arc<Authority>,
    /// Where the API listens.
    pub address: SocketAddr,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
}

impl ClusterConfig {
    /// A cluster in real time that leaves nothing behind but images.
    pub fn ephemeral(images: ImageStore, image_dir: &Path) -> Result<Self> {
        Self::with_pool(images, image_dir, largest_pool())
    }

    /// The same with room for so many instances; of all clusters in one process together at most what the machine can map.
    pub fn with_pool(images: ImageStore, image_dir: &Path, max_instances: u32) -> Result<Self> {
        images.import_bytes(TOOLBOX, &TOOLBOX_IMAGE.parse()?)?;
        let clock = Clock::real();
        let cache_dir = image_dir.join("compiled");
        let engine = EngineConfig { clock: clock.clone(), max_instances, cache_dir, compiler: None };
        Ok(Self {
            clock,
            seed: RandomState::new().hash_one(std::process::id()),
            engine: Arc::new(WasmEngine::new(engine)?),
            images: Arc::new(Puller::new(images, RegistryConfig::default(), Clock::real())?),
            capacity: Capacity::of_this_machine((max_instances / INSTANCES_PER_POD).max(1)),
            logs: LogConfig::default(),
            thresholds: memory_only(),
            storage: Storage::Memory,
            folder: None,
            host_paths: vec![],
            access: None,
        })
    }
}

impl ClusterConfig {
    /// The same with images that `registries` tells how to get.
    pub fn pulling(mut self, images: &ImageStore, registries: RegistryConfig) -> Result<Self> {
        self.images = Arc::new(Puller::new(images.clone(), registries, self.clock.clone())?);
        Ok(self)
    }
}

/// Where a cluster comes and goes, a disk that is nearly full is no reason to refuse it.
fn memory_only() -> Vec<Threshold> {
    let defaults = Threshold::defaults().into_iter();
    defaults.filter(|threshold| threshold.signal == Signal::MemoryAvailable).collect()
}

/// Under virtual time nothing may depend on the machine.
fn eviction(clock: &Clock, thresholds: Vec<Threshold>, data_dir: &Path) -> EvictionConfig {
    if clock.is_virtual() {
        return EvictionConfig::none();
    }
    let vitals: Arc<dyn Vitals> = Arc::new(MachineVitals { folder: data_dir.to_owned() });
    EvictionConfig { thresholds, vitals: Some(vitals), ..EvictionConfig::none() }
}

/// As many instances as the kernel lets one process map: each takes four maps, and other things need some too.
fn largest_pool() -> u32 {
    let maps = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    let maps: u32 = maps.and_then(|text| text.trim().parse().ok()).unwrap_or(65_530);
    (maps / 10 * 7 / 4).clamp(64, 20_000)
}

/// A running cluster. Dropping it ends everything at once.
pub struct Cluster {
    /// The one clock.
    pub clock: Clock,
    /// Carries out requests to the API.
    pub registry: Arc<Registry>,
    /// Asks the API as a component.
    pub client: Client,
    /// Holds what the components look at.
    pub cache: Cache,
    /// Connects the pods.
    pub network: Network,
    /// Runs the pods.
    pub node: Node,
    /// How busy the controllers are.
    pub controllers: Arc<Controllers>,
    _dialer: Arc<dyn Dialer>,
    control: JoinSet<()>,
    tasks: JoinSet<()>,
    _folder: Option<TempDir>,
}

/// A connection that is being opened.
type Dialed<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send + 'a>>;

/// The API server's way to others for as long as the cluster is there: the node, which asks the API, must not keep it.
struct WhileThere(Weak<dyn Dialer>);

impl Dialer for WhileThere {
    fn dial(&self, destination: &Destination) -> Dialed<'_> {
        let (dialer, destination) = (self.0.upgrade(), destination.clone());
        Box::pin(async move {
            match dialer {
                Some(dialer) => dialer.dial(&destination).await,
                None => Err(io::Error::new(io::ErrorKind::NotConnected, "the cluster has ended")),
            }
        })
    }
}

impl Cluster {
    /// Starts a cluster; it is ready when this returns.
    pub async fn start(config: ClusterConfig) -> Result<Self> {
        let ClusterConfig {
            clock,
            seed,
            engine,
            images,
            capacity,
            logs,
            thresholds,
            storage,
            folder,
            host_paths,
            access,
        } = config;
        let (data_dir, temporary) = folder_or_temporary(folder)?;
        let (mut tasks, mut control) = (JoinSet::new(), JoinSet::new());

        let network = network_config(&clock, access.as_ref());
        let mut server = apiserver::Config { storage, ..apiserver::Config::in_memory(clock.clone(), seed) };
        if let Some(access) = &access {
            server.authorizer = Arc::clone(&access.authorizer);
            server.tokens = Some(access.authority.tokens());
            server.front_proxy = Some(access.authority.front_proxy());
            server.advertise = network.api_server.as_ref().map(|server| server.advertised);
        }
        let registry = Apiserver::start(server, &mut tasks).await?;
        let client = Client::new(registry.clone(), User::component("node"));
        let holds = [controllers::cache_builder, Proxy::cached, Node::cached];
        let builder = holds.into_iter().fold(Cache::builder().with(&EVENTS), |builder, hold| hold(builder));
        let cache = builder.start(&client, &clock, &mut tasks);
        let recorder = Recorder::start(client.clone(), clock.clone(), "peapod", &mut tasks);

        let pod_cidr = network.pod_cidr.to_string();
        let network = Network::new(network);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxy = Proxy {
            network: network.clone(),
            cache: cache.clone(),
            recorder: recorder.with_component("kube-proxy"),
            host_address: Some(address),
        };
        proxy.start(&mut tasks);
        let settings = Settings { root_ca: access.map(|access| access.authority.ca_pem().to_owned()) };
        let controllers = Controllers::start(&client, &cache, &clock, &recorder, settings, &mut control);
        let eviction = eviction(&clock, thresholds, &data_dir);
        let node = NodeConfig {
            name: NODE.to_owned(),
            labels: Default::default(),
            data_dir,
            engine,
            images,
            network: network.clone(),
            pod_cidr,
            address,
            capacity,
            host_paths,
            logs,
            eviction,
            clock: clock.clone(),
            client: client.clone(),
            cache: cache.clone(),
            recorder: recorder.with_component("kubelet"),
        };
        let node = Node::start(node, &mut tasks);
        let dialer: Arc<dyn Dialer> = Arc::new(NodeDialer::new(node.clone()));
        registry.reach_others_through(Arc::new(WhileThere(Arc::downgrade(&dialer))));
        cache.ready().await;
        until(&cache, &NODES, || !cache.snapshot(&NODES).is_empty()).await;
        Ok(Self {
            clock,
            registry,
            client,
            cache,
            network,
            node,
            _dialer: dialer,
            controllers: Arc::new(controllers),
            control,
            tasks,
            _folder: temporary,
        })
    }

    /// Where the node ports of these services can be reached, as `http://127.0.0.1:30080  Service/hello`.
    pub fn urls(&self, objects: &[(Resource, Key)]) -> Vec<String> {
        let services: Vec<&Key> =
            objects.iter().filter(|(resource, _)| *resource == SERVICES).map(|(_, key)| key).collect();
        let bound = self.network.node_port_addresses().borrow().clone();
        let of_services = bound.iter().filter(|bound| services.contains(&&bound.port.service));
        of_services
            .map(|bound| format!("http://{}  Service/{}", bound.address, bound.port.service.name))
            .collect()
    }

    /// Stops the controllers, then all pods, each with its grace but within `limit` as a whole, then everything else.
    pub async fn stop(mut self, limit: Duration) {
        self.control.shutdown().await;
        let deadline = api::clock::add(self.clock.now(), limit);
        self.delete_pods(limit).await;
        let pods = PODS;
        tokio::select! {
            biased;
            () = until(&self.cache, &pods, || self.cache.snapshot(&PODS).is_empty()) => {}
            () = self.clock.sleep_until(deadline) => {}
        }
    }

    /// Stops the controllers and ends all containers, each with its grace but within `limit`. The pods stay as they are.
    pub async fn leave(&mut self, limit: Duration) {
        self.control.shutdown().await;
        self.node.leave(limit).await;
    }

    /// Stops everything and leaves the objects as they are: the pods start again with the cluster.
    pub async fn close(mut self) {
        self.control.shutdown().await;
        self.tasks.shutdown().await;
        if let Err(error) = self.registry.store().flush().await {
            error!(
                error = &error as &dyn std::error::Error,
                "what may be lost in a power cut was not written"
            );
        }
    }

    async fn delete_pods(&self, limit: Duration) {
        let pods: Vec<Key> = self.cache.snapshot(&PODS).iter().map(api::Object::key).collect();
        for pod in pods {
            let options = DeleteOptions { grace_seconds: Some(limit.as_secs()), ..DeleteOptions::default() };
            // A pod that is gone already is what was wanted.
            let _ = self.client.delete(&PODS, &pod, options).await;
        }
    }
}

fn folder_or_temporary(folder: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>)> {
    if let Some(folder) = folder {
        return Ok((folder, None));
    }
    let made = tempfile::Builder::new().prefix("peapod-").tempdir();
    let made = made.context("make a folder for volumes and logs")?;
    Ok((made.path().to_owned(), Some(made)))
}

/// A network in which pods reach the API, if it is served, at the node's own address.
fn network_config(clock: &Clock, access: Option<&Access>) -> NetworkConfig {
    let mut network = NetworkConfig::new(clock.clone());
    if let Some(access) = access {
        let advertised = SocketAddrV4::new(network.gateway(), access.address.port());
        network.api_server = Some(ApiServer { advertised, dial: reachable(access.address) });
        network.trusted_ca_pem = Some(access.authority.ca_pem().to_owned());
    }
    network
}

/// Where this machine reaches a listener: one on all addresses also listens on the loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// Waits until `is_so`, looking again at each change of `resource`.
pub async fn until(cache: &Cache, resource: &Resource, is_so: impl Fn() -> bool) {
    let changes = Arc::new(Notify::new());
    let wake = Arc::clone(&changes);
    cache.subscribe(resource, Box::new(move |_| wake.notify_one()));
    while !is_so() {
        changes.notified().await;
    }
}
