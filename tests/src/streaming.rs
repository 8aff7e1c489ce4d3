//! A cluster whose pods play scripts, in real time and served over TLS: for clients that stream.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use api::Clock;
use apiserver::Storage;
use apiserver::auth::AlwaysAllow;
use apiserver::auth::authority::{Authority, ServerNames};
use cli::cluster::{Access, Cluster, ClusterConfig};
use cli::kubeconfig;
use cli::serve::front::Serving;
use runtime::engine::scripted::ScriptedEngine;
use runtime::logs::LogConfig;
use runtime::node::Capacity;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long requests may go on when it stops: streams end at once.
const GRACE: Duration = Duration::from_secs(5);

/// A served cluster.
pub struct Streaming {
    /// The cluster.
    pub cluster: Cluster,
    /// What its images do.
    pub engine: ScriptedEngine,
    serving: Serving,
    home: TempDir,
}

impl Streaming {
    /// Starts an empty cluster on a free port.
    pub async fn start() -> Result<Self> {
        let clock = Clock::real();
        let home = tempfile::Builder::new().prefix("peapod-test-").tempdir()?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?;
        let names = ServerNames::new(Ipv4Addr::new(10, 96, 0, 1)).with_address(address.ip());
        let authority = Arc::new(Authority::ephemeral(&names, &clock)?);
        let engine = ScriptedEngine::new(clock.clone());
        let capacity = Capacity { cpu_millis: 4_000, memory_bytes: 8 << 30, storage_bytes: None, pods: 100 };
        let access = Access { authority: Arc::clone(&authority), address, authorizer: Arc::new(AlwaysAllow) };
        let config = ClusterConfig {
            clock,
            seed: 1,
            engine: Arc::new(engine.clone()),
            images: Arc::new(engine.clone()),
            capacity,
            logs: LogConfig::default(),
            thresholds: Vec::new(),
            storage: Storage::Memory,
            folder: None,
            host_paths: vec![],
            access: Some(access),
        };
        let cluster = Cluster::start(config).await?;
        let serving = Serving::start(&cluster, &authority, Arc::new(AlwaysAllow), listener, GRACE);
        let admin = authority.admin();
        let access = kubeconfig::Access {
            name: "streaming".to_owned(),
            server: format!("https://{address}"),
            ca: authority.ca_pem().to_owned(),
            certificate: admin.certificate_pem.clone(),
            key: admin.key_pem.clone(),
        };
        kubeconfig::write(&home.path().join("kubeconfig"), &access)?;
        Ok(Self { cluster, engine, serving, home })
    }

    /// A folder that ends with it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// How clients find it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Stops serving, then everything.
    pub async fn stop(self) {
        self.serving.stop().await;
        self.cluster.close().await;
    }
}
