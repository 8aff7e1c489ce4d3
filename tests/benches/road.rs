//! Measures the road from start to a thousand pods, and the memory they need: `cargo bench -p tests`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use api::resource::{DEPLOYMENTS, PODS};
use api::{Key, Resource};
use cli::cluster::{Cluster, ClusterConfig, until};
use runtime::images::{ImageStore, Reference};
use serde_json::{Value, json};
use tests::figures::{self, resident_mib, row, single};

/// The guest that every pod runs: the component of examples/hello, without its volume.
const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");

/// How many pods the large Deployment asks for.
const REPLICAS: u64 = 1_000;

/// Longer than anything takes that works.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// How often the small figures are measured.
const ROUNDS: usize = 20;

fn main() -> Result<()> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    figures::head("cargo bench -p tests --bench road");
    threads.block_on(measure())
}

async fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let images = ImageStore::open(folder.path())?;
    images.import_bytes(HELLO, &Reference::local("hello")?)?;

    let mut starts = Vec::new();
    let mut first_pods = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let bench = Bench::start(&images, folder.path()).await?;
        starts.push(begin.elapsed());
        bench.create_pod("first").await?;
        first_pods.push(begin.elapsed());
        bench.cluster.stop(Duration::ZERO).await;
    }
    // The very first round compiled the guest.
    row("start -> ready", &starts[1..]);
    row("start -> first pod Running", &first_pods[1..]);

    let bench = Bench::start(&images, folder.path()).await?;
    let idle = resident_mib("self")?;
    let mut pods = Vec::new();
    for round in 0..ROUNDS {
        let begin = Instant::now();
        bench.create_pod(&format!("pod-{round}")).await?;
        pods.push(begin.elapsed());
    }
    row("one pod, create -> Running", &pods);

    let begin = Instant::now();
    bench.cluster.client.create(&DEPLOYMENTS, "default", &deployment()).await?;
    bench.until_settled(REPLICAS).await?;
    row(&format!("Deployment 0 -> {REPLICAS} ready"), &[begin.elapsed()]);
    let full = resident_mib("self")?;

    let begin = Instant::now();
    let rolled = json!({"spec": {"template": {"metadata": {"annotations": {"round": "2"}}}}});
    bench.patch(rolled).await?;
    bench.until_settled(REPLICAS).await?;
    row(&format!("Deployment of {REPLICAS} rolled"), &[begin.elapsed()]);

    let begin = Instant::now();
    bench.patch(json!({"spec": {"replicas": 0}})).await?;
    bench.until(&PODS, |bench| bench.pods_of_deployment() == 0).await?;
    row(&format!("Deployment {REPLICAS} -> 0, pods gone"), &[begin.elapsed()]);

    single("memory, idle", &format!("{idle} MiB"));
    single(&format!("memory, {REPLICAS} pods"), &format!("{full} MiB"));
    bench.cluster.stop(Duration::ZERO).await;
    Ok(())
}

struct Bench {
    cluster: Cluster,
}

impl Bench {
    async fn start(images: &ImageStore, image_dir: &Path) -> Result<Self> {
        let config = ClusterConfig::ephemeral(images.clone(), image_dir)?;
        Ok(Self { cluster: Cluster::start(config).await? })
    }

    async fn create_pod(&self, name: &str) -> Result<()> {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod_spec()});
        self.cluster.client.create(&PODS, "default", &pod).await?;
        let key = Key::new("default", name);
        let is_running = |bench: &Self| {
            let pod = bench.cluster.cache.get(&PODS, &key);
            pod.is_some_and(|pod| pod.value()["status"]["phase"] == "Running")
        };
        self.until(&PODS, is_running).await
    }

    async fn patch(&self, merge: Value) -> Result<()> {
        let patched =
            self.cluster.client.patch(&DEPLOYMENTS, &Key::new("default", "large"), "", merge).await?;
        self.cluster.cache.reach(&DEPLOYMENTS, patched.revision()).await;
        Ok(())
    }

    /// Waits until the Deployment says that all its replicas are updated and available, and nothing else is left.
    async fn until_settled(&self, replicas: u64) -> Result<()> {
        self.until(&DEPLOYMENTS, |bench| {
            let deployment = bench.cluster.cache.get(&DEPLOYMENTS, &Key::new("default", "large"));
            deployment.is_some_and(|deployment| {
                let (value, status) = (deployment.value(), &deployment.value()["status"]);
                let count = |name: &str| status[name].as_u64().unwrap_or(0);
                status["observedGeneration"] == value["metadata"]["generation"]
                    && count("updatedReplicas") == replicas
                    && count("availableReplicas") == replicas
                    && count("replicas") == replicas
            })
        })
        .await
    }

    fn pods_of_deployment(&self) -> usize {
        self.cluster.cache.snapshot(&PODS).iter().filter(|pod| pod.label("app") == Some("large")).count()
    }

    /// Waits until `is_so`, looking again at each change of `resource`.
    async fn until(&self, resource: &Resource, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let wait = until(&self.cluster.cache, resource, || is_so(self));
        tokio::time::timeout(GIVE_UP_AFTER, wait).await.context("gave up waiting")
    }
}

fn deployment() -> Value {
    let labels = json!({"app": "large"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "large"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec()},
        },
    })
}

fn pod_spec() -> Value {
    json!({"containers": [{
        "name": "main", "image": "localhost/hello", "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "100u", "memory": "64Ki"}},
    }]})
}
