//! A cluster in real time with real WebAssembly, for what cannot be shown with scripted pods.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::backend::DeleteOptions;
use api::cache::Change;
use api::resource::PODS;
use api::{Key, Object, Resource};
use cli::cluster::{Cluster, ClusterConfig, until};
use runtime::images::{ImageStore, Reference};
use runtime::logs::{LogConfig, LogFile};
use runtime::network::Routes;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// When a test gives up on something that should have happened long before.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Bounds that a guest reaches soon.
pub const LOGS: LogConfig =
    LogConfig { max_bytes: 64 << 10, max_files: 3, rate_bytes_per_second: 1 << 20, burst_bytes: 256 << 10 };

/// A running cluster with an image store of its own.
pub struct RealCluster {
    /// The cluster.
    pub cluster: Cluster,
    /// Its images.
    pub images: ImageStore,
    _folder: tempfile::TempDir,
}

impl RealCluster {
    /// Starts an empty cluster.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let images = ImageStore::open(folder.path())?;
        let mut config = ClusterConfig::with_pool(images.clone(), folder.path(), 64)?;
        config.logs = LOGS;
        let cluster = Cluster::start(config).await?;
        Ok(Self { cluster, images, _folder: folder })
    }

    /// Imports a program as `localhost/NAME:latest`.
    pub fn import(&self, name: &str, program: &[u8]) -> Result<()> {
        self.images.import_bytes(program, &Reference::local(name)?)?;
        Ok(())
    }

    /// Creates the objects of a manifest.
    pub async fn create(&self, manifest: &str) -> Result<()> {
        for document in api::manifest::read("manifest", manifest)? {
            let text = |name: &str| document.value[name].as_str().unwrap_or_default().to_owned();
            let resource = apiserver::discovery::find(&text("apiVersion"), &text("kind"));
            let resource = resource.map_err(anyhow::Error::msg)?;
            self.cluster.client.create(&resource, "default", &document.value).await?;
        }
        Ok(())
    }

    /// Waits until an object is as `is_so` says, or is gone (`None`); fails when it takes all too long.
    pub async fn wait(
        &self,
        resource: &Resource,
        name: &str,
        is_so: impl Fn(Option<&Value>) -> bool,
    ) -> Result<Option<Object>> {
        let key = Key::new("default", name);
        let cache = &self.cluster.cache;
        let state = || cache.get(resource, &key);
        let wait = until(cache, resource, || is_so(state().as_ref().map(Object::value)));
        let waited = tokio::time::timeout(GIVE_UP_AFTER, wait).await;
        waited.with_context(|| {
            let status = state().map(|object| object.value()["status"].to_string());
            format!("{}/{name} did not come to be as awaited; it is {status:?}", resource.kind)
        })?;
        Ok(state())
    }

    /// Waits until connections to a service find a pod.
    pub async fn wait_for_endpoints(&self, service: &str) -> Result<()> {
        let network = &self.cluster.network;
        let mut changes = network.route_changes();
        let key = Key::new("default", service);
        let leads_somewhere = |routes: &Routes| {
            let service = routes.service(&key);
            service.is_some_and(|service| service.ports.iter().all(|port| !port.endpoints.is_empty()))
        };
        let wait = async {
            while !leads_somewhere(&network.routes()) {
                changes.changed().await?;
            }
            Ok(())
        };
        tokio::time::timeout(GIVE_UP_AFTER, wait).await.with_context(|| format!("{service} leads nowhere"))?
    }

    /// The states of an object from now on; the last one stays when it is gone.
    pub fn states(&self, resource: &Resource, name: &str) -> watch::Receiver<Option<Object>> {
        let (states, seen) = watch::channel(None);
        let name = name.to_owned();
        let keep = move |change: &Change| {
            if change.object().name() == name {
                states.send_replace(Some(change.object().clone()));
            }
        };
        self.cluster.cache.subscribe(resource, Box::new(keep));
        seen
    }

    /// Deletes an object and does not wait.
    pub async fn delete(&self, resource: &Resource, name: &str, grace_seconds: u64) -> Result<()> {
        let options = DeleteOptions { grace_seconds: Some(grace_seconds), ..DeleteOptions::default() };
        self.cluster.client.delete(resource, &Key::new("default", name), options).await?;
        Ok(())
    }

    /// Asks a service for `/` and gives the body of its answer.
    pub async fn get(&self, service: &str, port: u16) -> Result<String> {
        self.ask(service, port, "GET / HTTP/1.1\r\n\r\n").await
    }

    /// Sends a service a request, without the headers that all have, and gives the body of its answer.
    pub async fn ask(&self, service: &str, port: u16, request: &str) -> Result<String> {
        let network = &self.cluster.network;
        let mut stream = network.connect_from_host_by_name("default", service, port).await?;
        let (line, rest) = request.split_once("\r\n").context("a line")?;
        let request = format!("{line}\r\nhost: test\r\nconnection: close\r\n{rest}");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8(answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "the answer is {answer:?}");
        Ok(answer.split("\r\n\r\n").skip(1).collect())
    }

    /// Waits until a pod of one container has succeeded, and gives what it wrote to standard output.
    pub async fn output(&self, pod: &str) -> Result<Vec<u8>> {
        let has_ended = |pod: Option<&Value>| {
            let phase = pod.and_then(|pod| pod["status"]["phase"].as_str());
            phase.is_some_and(|phase| ["Succeeded", "Failed"].contains(&phase))
        };
        let ended = self.wait(&PODS, pod, has_ended).await?.context("the pod")?;
        let log = self.log(pod).await.context("a log")?;
        let written = stdout(&fs::read(log.path())?);
        let status = &ended.value()["status"];
        ensure!(status["phase"] == "Succeeded", "{status}\n{}", String::from_utf8_lossy(&written));
        Ok(written)
    }

    /// The log of a pod's container; waits until there is one.
    pub async fn log(&self, pod: &str) -> Option<LogFile> {
        let mut logs = self.cluster.node.output().subscribe();
        while let Some(log) = logs.next().await {
            if *log.pod.name == *pod {
                return Some(log.file);
            }
        }
        None
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.cluster.stop(Duration::from_secs(5)).await;
    }
}

/// The bytes written to standard output, put together from the entries of a log.
fn stdout(log: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for entry in log.split_inclusive(|byte| *byte == b'\n') {
        let mut parts = entry.splitn(4, |byte| *byte == b' ').skip(1);
        let (stream, tag, text) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        if stream == Some(b"stdout") {
            let end = if tag == Some(b"F") { 0 } else { 1 };
            written.extend_from_slice(&text[..text.len() - end]);
        }
    }
    written
}
