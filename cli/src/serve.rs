//! `peapod serve`: a cluster that stays, with its API over TLS.

mod exposition;
pub mod front;
mod home;
mod notify;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::Clock;
use apiserver::auth::authority::{Authority, ServerNames};
use apiserver::auth::{AlwaysAllow, Authorizer, Standard};
use runtime::images::{ImageStore, RegistryConfig};
use runtime::node::eviction::Threshold;
use tokio::net::TcpListener;
use tracing::warn;

use crate::cluster::{self, Access, Cluster, ClusterConfig};
use crate::kubeconfig::{self, Written};
use crate::signals;
use crate::terminal::Terminal;
use front::Serving;
use home::Home;

/// How long pods may take at the end: the grace they have unless they say otherwise.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// How long requests under way may take at the end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// More names and addresses by which clients reach it.
    pub names: Vec<String>,
    /// Where everything is kept; the user's own folder if not given.
    pub data_dir: Option<PathBuf>,
    /// Keep nothing.
    pub ephemeral: bool,
    /// Where images and their compiled code are kept; in the data directory if not given.
    pub image_dir: Option<PathBuf>,
    /// The directories of this machine below which pods may mount.
    pub host_paths: Vec<PathBuf>,
    /// Where images come from.
    pub registries: RegistryConfig,
    /// The kubeconfig that learns of the cluster; the user's own if not given.
    pub kubeconfig: Option<PathBuf>,
    /// The name of its context.
    pub context: String,
    /// Who may do what.
    pub authorization: AuthorizationMode,
    /// How little may be left of what the node has before a pod has to go.
    pub eviction_hard: String,
}

/// Who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AuthorizationMode {
    /// Members of system:masters may do everything, others may look around
    #[value(name = "Standard")]
    Standard,
    /// Everybody may do everything
    #[value(name = "AlwaysAllow")]
    AlwaysAllow,
}

impl AuthorizationMode {
    fn authorizer(self) -> Arc<dyn Authorizer> {
        match self {
            Self::Standard => Arc::new(Standard),
            Self::AlwaysAllow => Arc::new(AlwaysAllow),
        }
    }
}

/// Serves until Ctrl-C or until the process is asked to end.
pub fn serve(options: ServeOptions, terminal: &Terminal) -> Result<ExitCode> {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("peapod")
        .build()
        .context("start the threads of the cluster")?;
    threads.block_on(run(options, terminal))
}

async fn run(options: ServeOptions, terminal: &Terminal) -> Result<ExitCode> {
    let clock = Clock::real();
    let started = clock.now();
    let home = Home::open(&options)?;
    let listen = options.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    let address = listener.local_addr().context("ask where the API listens")?;
    let authority = Arc::new(authority(&home, &options, address.ip(), &clock)?);

    let images = ImageStore::open(home.images())?;
    let config = ClusterConfig::ephemeral(images.clone(), home.images())?;
    let mut config = config.pulling(&images, options.registries.clone())?;
    config.storage = home.storage();
    config.folder = home.node();
    config.host_paths = allowed(&options.host_paths)?;
    config.thresholds = Threshold::read(&options.eviction_hard, Duration::ZERO).context("--eviction-hard")?;
    let authorizer = options.authorization.authorizer();
    let access = Access { authority: Arc::clone(&authority), address, authorizer: Arc::clone(&authorizer) };
    config.access = Some(access);
    let mut cluster = Cluster::start(config).await?;
    let serving = Serving::start(&cluster, &authority, authorizer, listener, STOP_WITHIN);

    let server = server(address);
    home.tell(&server)?;
    let written = write_kubeconfig(&options, &server, &authority)?;
    tell(terminal, &options, &home, &server, &written);
    let took = clock.now().duration_since(started).as_secs_f64();
    terminal.line(&format!("{} in {took:.2} s; Ctrl-C stops", terminal.good("ready    ")));
    notify::notify("READY=1");

    signals::interrupted().await;
    notify::notify("STOPPING=1");
    terminal.line(&terminal.dim("stopping"));
    serving.stop().await;
    tokio::select! {
        () = cluster.leave(LEAVE_WITHIN) => {}
        () = signals::interrupted() => {}
    }
    cluster.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The directories as pods name them: from the root, and there.
fn allowed(host_paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let whole = |path: &PathBuf| {
        ensure!(path.is_dir(), "--allow-host-path {}: there is no such directory", path.display());
        std::path::absolute(path).with_context(|| format!("--allow-host-path {}", path.display()))
    };
    host_paths.iter().map(whole).collect()
}

/// The cluster's CA and keys, and a certificate with every name the server is known to have.
fn authority(home: &Home, options: &ServeOptions, address: IpAddr, clock: &Clock) -> Result<Authority> {
    let (network, _) = apiserver::Config::in_memory(clock.clone(), 0).service_cidr;
    let first = Ipv4Addr::from_bits(network.to_bits() + 1);
    let mut names = ServerNames::new(first).with_address(address).with_host_name();
    for name in &options.names {
        names = names.with(name)?;
    }
    Ok(match home.data_dir() {
        Some(data_dir) => Authority::open(&data_dir.keys(), &names, clock)?,
        None => Authority::ephemeral(&names, clock)?,
    })
}

fn write_kubeconfig(options: &ServeOptions, server: &str, authority: &Authority) -> Result<Written> {
    let path = options.kubeconfig.clone().map_or_else(kubeconfig::of_user, Ok)?;
    let admin = authority.admin();
    let access = kubeconfig::Access {
        name: options.context.clone(),
        server: server.to_owned(),
        ca: authority.ca_pem().to_owned(),
        certificate: admin.certificate_pem.clone(),
        key: admin.key_pem.clone(),
    };
    kubeconfig::write(&path, &access)
}

/// Where clients on this machine find the API; one on all addresses is also at the loopback.
fn server(address: SocketAddr) -> String {
    format!("https://{}", cluster::reachable(address))
}

fn tell(terminal: &Terminal, options: &ServeOptions, home: &Home, server: &str, written: &Written) {
    if options.authorization == AuthorizationMode::AlwaysAllow {
        warn!("authorization mode AlwaysAllow: whoever reaches the API may do everything");
    }
    let line = |name: &str, text: &str| terminal.line(&format!("{} {text}", terminal.good(name)));
    line("serving  ", server);
    match home.data_dir() {
        Some(data_dir) => line("data     ", &data_dir.path().display().to_string()),
        None => line("data     ", "kept in memory only"),
    }
    let context = if written.is_current { String::new() } else { format!(" --context {}", options.context) };
    let path = terminal.dim(&written.path.display().to_string());
    line("access   ", &format!("kubectl{context} get nodes  {path}"));
}
