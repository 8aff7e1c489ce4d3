//! Measures many pods on one node: how fast they start, and what they hold: `cargo bench -p tests --bench pods`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use api::Object;
use api::cache::Change;
use api::resource::PODS;
use cli::cluster::{Cluster, ClusterConfig};
use k8s_openapi::api::core::v1::Pod;
use runtime::images::{ImageStore, Reference};
use serde_json::{Value, json};
use tests::figures::{resident_mib, row, single};
use tests::load::{self, IN_FLIGHT};
use tokio::sync::watch;

const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");

/// How many pods are started at once.
const STARTS: usize = 2_000;
/// How many pods live in the end.
const LIVE: usize = 10_000;
/// How often the small figures are measured.
const ROUNDS: usize = 50;
/// Longer than anything takes that works.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    load::run("cargo bench -p tests --bench pods", measure())
}

async fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let images = ImageStore::open(folder.path())?;
    images.import_bytes(HELLO, &Reference::local("hello")?)?;
    let mut config = ClusterConfig::ephemeral(images, folder.path())?;
    config.capacity.pods = LIVE as u32 + 1;
    let cluster = Cluster::start(config).await?;
    let running = Running::of(&cluster);
    let idle = resident_mib("self")?;

    let (mut alone, mut paired) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        alone.push(start(&cluster, &running, &format!("alone-{round}"), 1).await?);
        paired.push(start(&cluster, &running, &format!("paired-{round}"), 2).await?);
    }
    row("pod of one container, create -> Running", &alone[1..]);
    row("pod of two containers, create -> Running", &paired[1..]);

    let begin = Instant::now();
    create(&cluster, 2 * ROUNDS, STARTS).await?;
    running.until(|running| running.len() == STARTS).await?;
    let rate = (STARTS - 2 * ROUNDS) as f64 / begin.elapsed().as_secs_f64();
    single(&format!("pods started, {IN_FLIGHT} creates in flight"), &format!("{rate:.0}/s"));

    create(&cluster, STARTS, LIVE).await?;
    running.until(|running| running.len() == LIVE).await?;
    let full = resident_mib("self")?;
    single(&format!("memory, idle and with {LIVE} live pods"), &format!("{idle}, {full} MiB"));
    cluster.stop(Duration::ZERO).await;
    Ok(())
}

/// How long one pod takes.
async fn start(cluster: &Cluster, running: &Running, name: &str, containers: u16) -> Result<Duration> {
    let begin = Instant::now();
    cluster.client.create(&PODS, "default", &pod(name, containers)).await?;
    running.until(|running| running.contains(name)).await?;
    Ok(begin.elapsed())
}

/// Creates the pods with these numbers.
async fn create(cluster: &Cluster, from: usize, to: usize) -> Result<()> {
    load::at_once(|client| {
        let api = cluster.client.clone();
        async move {
            for number in (from + client..to).step_by(IN_FLIGHT) {
                api.create(&PODS, "default", &pod(&format!("pod-{number}"), 1)).await?;
            }
            Ok(())
        }
    })
    .await
}

/// The pods that run, by name.
#[derive(Clone)]
struct Running(watch::Sender<BTreeSet<String>>);

impl Running {
    fn of(cluster: &Cluster) -> Self {
        let running = watch::Sender::default();
        let counted = running.clone();
        let count = move |change: &Change| {
            let pod = change.object();
            counted.send_modify(|running: &mut BTreeSet<String>| match is_running(pod) {
                true => drop(running.insert(pod.name().to_owned())),
                false => drop(running.remove(pod.name())),
            });
        };
        cluster.cache.subscribe(&PODS, Box::new(count));
        Self(running)
    }

    async fn until(&self, is_so: impl FnMut(&BTreeSet<String>) -> bool) -> Result<()> {
        let mut seen = self.0.subscribe();
        let waited = tokio::time::timeout(GIVE_UP_AFTER, seen.wait_for(is_so)).await;
        waited.context("gave up waiting")?.map(drop).context("nobody counts")
    }
}

/// Reads what the node reads of the pod, so that looking makes no pod larger.
fn is_running(pod: &Object) -> bool {
    let status = pod.typed::<Pod>().ok().and_then(|pod| pod.status.as_ref());
    status.and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// With ports of their own where there are several containers, as they share an address.
fn pod(name: &str, containers: u16) -> Value {
    let container = |number: u16| json!({"name": format!("c{number}"), "image": "localhost/hello", "ports": [{"containerPort": 8080 + number}]});
    let containers: Vec<Value> = (0..containers).map(container).collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}})
}
