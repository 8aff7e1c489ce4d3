//! A whole cluster under virtual time on one thread: a day passes in milliseconds, and a seed replays exactly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use api::Clock;
use apiserver::Storage;
use cli::cluster::{Cluster, ClusterConfig};
use runtime::engine::scripted::ScriptedEngine;
use runtime::logs::LogConfig;
use runtime::node::Capacity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// When simulated clusters begin.
const START: &str = "2026-01-01T00:00:00Z";

/// Longer than anything that happens at once, shorter than anything that waits.
const MOMENT: Duration = Duration::from_millis(1);

/// How long a connection may take to be answered.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster whose pods play scripts.
pub struct Simulated {
    /// The cluster.
    pub cluster: Cluster,
    /// What its images do.
    pub engine: ScriptedEngine,
}

impl Simulated {
    /// Starts a cluster with one node. Must be called on a current-thread runtime whose time is paused.
    pub async fn start(seed: u64) -> Result<Self> {
        let clock = Clock::virtual_from(START.parse().context("the start")?);
        let engine = ScriptedEngine::new(clock.clone());
        let capacity =
            Capacity { cpu_millis: 4_000, memory_bytes: 8 << 30, storage_bytes: None, pods: 2_000 };
        let config = ClusterConfig {
            clock,
            seed,
            engine: Arc::new(engine.clone()),
            images: Arc::new(engine.clone()),
            capacity,
            logs: LogConfig::default(),
            thresholds: Vec::new(),
            storage: Storage::Memory,
            folder: None,
            host_paths: vec![],
            access: None,
        };
        let simulated = Self { cluster: Cluster::start(config).await?, engine };
        simulated.settle().await;
        Ok(simulated)
    }

    /// Lets everything happen that is due now.
    pub async fn settle(&self) {
        self.pass(MOMENT).await;
    }

    /// Lets time pass.
    pub async fn pass(&self, span: Duration) {
        self.cluster.clock.sleep(span).await;
    }

    /// Connects to a service so many times, and counts who answered.
    pub async fn ask(&self, service: &str, port: u16, times: usize) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        for _ in 0..times {
            let answer = match tokio::time::timeout(PATIENCE, self.ask_once(service, port)).await {
                Ok(Ok(answer)) => answer.trim().to_owned(),
                Ok(Err(error)) => format!("error: {error}"),
                Err(_) => format!("error: no answer within {PATIENCE:?}"),
            };
            *answers.entry(answer).or_default() += 1;
        }
        answers
    }

    async fn ask_once(&self, service: &str, port: u16) -> Result<String> {
        let network = &self.cluster.network;
        let mut stream = network.connect_from_host_by_name("default", service, port).await?;
        stream.write_all(b"who is there?").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}
