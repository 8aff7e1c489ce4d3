//! Starts an API server: opens its store and puts in what every cluster has.

mod initial;
mod published;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use api::{Clock, Status};
use tokio::task::JoinSet;

use crate::aggregation;
use crate::auth::authority::FrontProxy;
use crate::auth::tokens::Tokens;
use crate::auth::{Authorizer, Standard};
use crate::custom::keeper::Keeper;
use crate::expiry;
use crate::registry::Registry;
use crate::resources::service::ranges::{AddressRange, Ranges};
use crate::store::{self, Store, StoreError};

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory, until the process ends.
    Memory,
    /// In a file, made if there is none.
    File(PathBuf),
}

/// How an API server is to be.
#[derive(Clone)]
pub struct Config {
    /// The clock of the process.
    pub clock: Clock,
    /// Where objects are kept.
    pub storage: Storage,
    /// From which uids, generated names and chosen addresses follow, with the revision at which the store is opened.
    pub seed: u64,
    /// The addresses of services: a network and the length of its prefix.
    pub service_cidr: (Ipv4Addr, u8),
    /// The ports of services on nodes.
    pub node_ports: RangeInclusive<u16>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Signs the tokens of service accounts; without, there are none.
    pub tokens: Option<Arc<Tokens>>,
    /// Who this server is to the servers of other API groups; they are also told so in the cluster.
    pub front_proxy: Option<Arc<FrontProxy>>,
    /// Where pods reach this server, published as the service `kubernetes`; none if it is not served.
    pub advertise: Option<SocketAddrV4>,
}

impl Config {
    /// A server in memory with the usual ranges.
    pub fn in_memory(clock: Clock, seed: u64) -> Self {
        Self {
            clock,
            storage: Storage::Memory,
            seed,
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 12),
            node_ports: 30_000..=32_767,
            authorizer: Arc::new(Standard),
            tokens: None,
            front_proxy: None,
            advertise: None,
        }
    }
}

/// The API server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its store cannot be opened.
    #[error("open the store")]
    Store(#[from] StoreError),
    /// The range of service addresses cannot be used.
    #[error("use {0}/{1} for services: the prefix must be from 8 to 30")]
    ServiceRange(Ipv4Addr, u8),
    /// The range of node ports is empty.
    #[error("use node ports {0} to {1}: there are none")]
    NodePorts(u16, u16),
    /// What every cluster has cannot be put in.
    #[error("create {resource} {name}")]
    Initial {
        /// The resource, such as `namespaces`.
        resource: String,
        /// The object.
        name: String,
        /// Why not.
        #[source]
        source: Status,
    },
    /// It cannot be said where the server is.
    #[error("write where the server is")]
    Published(#[source] Status),
}

/// The API server of a process.
pub struct Apiserver;

impl Apiserver {
    /// Starts a server; its tasks run in `tasks`.
    pub async fn start(config: Config, tasks: &mut JoinSet<()>) -> Result<Arc<Registry>, StartError> {
        let Config {
            clock,
            storage,
            seed,
            service_cidr: (address, prefix),
            node_ports,
            authorizer,
            tokens,
            front_proxy,
            advertise,
        } = config;
        let range = AddressRange::new(address, prefix);
        let addresses = range.ok_or(StartError::ServiceRange(address, prefix))?;
        if node_ports.is_empty() || *node_ports.start() == 0 {
            return Err(StartError::NodePorts(*node_ports.start(), *node_ports.end()));
        }
        let store = match &storage {
            Storage::Memory => Store::in_memory()?,
            Storage::File(path) => Store::open(path, clock.is_virtual())?,
        };
        let ranges = Ranges { addresses, ports: node_ports };
        let registry = Registry::new(store.clone(), clock.clone(), seed, ranges, authorizer, tokens);
        initial::put_in(&registry).await?;
        let registry = Arc::new(registry);
        let server = advertise.map(|address| published::server(address, addresses.first()));
        let authentication = front_proxy.as_deref().map(published::authentication);
        for published in [server, authentication].into_iter().flatten() {
            let client = published::client(registry.clone());
            published.write(&client).await.map_err(StartError::Published)?;
            tasks.spawn(published.keep(registry.clone(), clock.clone()));
        }
        let mut keeper = Keeper::new(registry.clone(), clock.clone());
        keeper.look().await;
        tasks.spawn(keeper.run());
        tasks.spawn(aggregation::keeper::Keeper::new(registry.clone(), clock.clone(), front_proxy).run());
        tasks.spawn(store::write_lazily(store.clone(), clock.clone()));
        tasks.spawn(expiry::run(store, clock));
        Ok(registry)
    }
}
