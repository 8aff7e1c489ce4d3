//! Measures requests to a `wasi:http` pod, beside wasmtime's own server with the same guest: `cargo bench -p tests --bench http`.
//!
//! The server to compare with is a package of its own; `PEAPOD_PEER` names its program:
//! `cargo build --release --manifest-path tests/peer/Cargo.toml`.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::resource::{PODS, SERVICES};
use api::{Key, Object};
use cli::cluster::{Cluster, ClusterConfig, until};
use k8s_openapi::api::core::v1::{Pod, Service};
use runtime::images::{ImageStore, Reference};
use serde_json::json;
use tests::figures::single;
use tests::load::{self, IN_FLIGHT};
use tests::require::require;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n";
const ANSWER: &[u8] = b"\r\n\r\nok\n";
/// How long is counted, after half as long of warming up.
const SPAN: Duration = Duration::from_secs(4);
/// Each is measured so often, one after the other, so that a moment's mood of the machine meets all.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    load::run("cargo bench -p tests --bench http", measure())
}

async fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let images = ImageStore::open(folder.path())?;
    images.import_bytes(HELLO, &Reference::local("hello")?)?;
    let cluster = Cluster::start(ClusterConfig::ephemeral(images, folder.path())?).await?;
    let (pod, node_port) = deploy(&cluster).await?;
    let peer = Peer::start(folder.path())?;
    let (mut own, mut ports, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let network = cluster.network.clone();
        own.push(
            rate(move || {
                let network = network.clone();
                async move { Ok(network.connect_from_host(pod).await?) }
            })
            .await?,
        );
        ports.push(rate(move || dial(node_port)).await?);
        if let Some(peer) = &peer {
            let address = peer.address;
            others.push(rate(move || dial(address)).await?);
        }
    }
    show("requests/s, a pod's own address", own);
    show("requests/s, node port over TCP", ports);
    show("requests/s, wasmtime's ProxyHandler over TCP", others);
    cluster.stop(Duration::ZERO).await;
    Ok(())
}

fn show(name: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    if let Some(median) = rates.get(rates.len() / 2) {
        single(name, &format!("{median:.0}"));
    }
}

async fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Answers in a second to clients that each ask again as soon as they are answered.
async fn rate<S, F>(connect: impl Fn() -> F) -> Result<f64>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Result<S>>,
{
    let mut clients = JoinSet::new();
    let begin = Instant::now() + SPAN / 2;
    for _ in 0..IN_FLIGHT {
        clients.spawn(client(connect().await?, begin));
    }
    let counts: Result<Vec<u64>> = clients.join_all().await.into_iter().collect();
    Ok(counts?.iter().sum::<u64>() as f64 / SPAN.as_secs_f64())
}

/// How many answers came in the span.
async fn client<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, begin: Instant) -> Result<u64> {
    let (mut count, mut buffer) = (0, vec![0; 4096]);
    while begin.elapsed() < SPAN {
        stream.write_all(REQUEST).await?;
        let mut length = 0;
        while !buffer[..length].ends_with(ANSWER) {
            let read = stream.read(&mut buffer[length..]).await?;
            ensure!(read > 0, "the connection ended after {:?}", String::from_utf8_lossy(&buffer[..length]));
            length += read;
        }
        count += u64::from(Instant::now() >= begin);
    }
    Ok(count)
}

/// Where the pod and its node port are.
async fn deploy(cluster: &Cluster) -> Result<(SocketAddr, SocketAddr)> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hello", "labels": {"app": "hello"}},
        "spec": {"containers": [{"name": "hello", "image": "localhost/hello", "ports": [{"containerPort": 8080}]}]}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hello"},
        "spec": {"type": "NodePort", "selector": {"app": "hello"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    cluster.client.create(&PODS, "default", &pod).await?;
    cluster.client.create(&SERVICES, "default", &service).await?;
    let key = Key::new("default", "hello");
    let ready = || cluster.cache.get(&PODS, &key).and_then(|pod| address(&pod));
    until(&cluster.cache, &PODS, || ready().is_some()).await;
    let service = cluster.cache.get(&SERVICES, &key).context("the service")?;
    let ports = service.typed::<Service>()?.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let node_port = ports.and_then(|ports| ports.first()?.node_port).context("a node port")?;
    let mut listening = cluster.network.node_port_addresses();
    listening.wait_for(|ports| !ports.is_empty()).await?;
    let node_port = SocketAddr::new([127, 0, 0, 1].into(), u16::try_from(node_port)?);
    Ok((SocketAddr::new(ready().context("an address")?, 8080), node_port))
}

fn address(pod: &Object) -> Option<std::net::IpAddr> {
    let status = pod.typed::<Pod>().ok()?.status.as_ref()?;
    let running = status.phase.as_deref() == Some("Running");
    status.pod_ip.as_deref().filter(|_| running)?.parse().ok()
}

/// The other server. Dropping it ends it.
struct Peer {
    process: Child,
    address: SocketAddr,
}

impl Peer {
    fn start(folder: &std::path::Path) -> Result<Option<Self>> {
        let program = std::env::var_os("PEAPOD_PEER").map(PathBuf::from);
        let how = "build tests/peer and set PEAPOD_PEER to its program";
        let Some(program) = require("peer", program, how) else { return Ok(None) };
        let guest = folder.join("peer.wasm");
        std::fs::write(&guest, HELLO)?;
        let mut process = Command::new(program).arg(guest).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its output")?).read_line(&mut line)?;
        Ok(Some(Self { process, address: line.trim().parse()? }))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
