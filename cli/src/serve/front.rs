//! The API of a cluster on a port: its router, its figures, and the listener in front.

use std::sync::Arc;
use std::time::Duration;

use apiserver::auth::authority::Authority;
use apiserver::auth::{Authenticator, Authorizer};
use apiserver::http::{self, Api, HealthCheck, Metrics};
use apiserver::serving::{self, Front, Limits};
use controllers::Controllers;
use prometheus_client::registry::Registry as Figures;
use runtime::node::NodeDialer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::exposition;
use crate::cluster::Cluster;

/// The API while it is served. Dropping it ends everything at once.
pub struct Serving {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Serves the API of a cluster to the clients of a listener; requests may go on for `grace` at the end.
    pub fn start(
        cluster: &Cluster,
        authority: &Authority,
        authorizer: Arc<dyn Authorizer>,
        listener: TcpListener,
        grace: Duration,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mut figures, mut tasks) = (Figures::default(), JoinSet::new());
        let metrics = Metrics::register(&mut figures);
        exposition::register(&mut figures, cluster);
        let api = Api {
            registry: Arc::clone(&cluster.registry),
            authorizer,
            clock: cluster.clock.clone(),
            dialer: Some(Arc::new(NodeDialer::new(cluster.node.clone()))),
            openapi: cluster.registry.openapi().clone(),
            metrics,
            figures: Arc::new(figures),
            health: health(cluster),
            stop: stopped.clone(),
        };
        let store = cluster.registry.store().clone();
        let authenticator = Authenticator::new(cluster.clock.clone(), store, Some(authority.tokens()));
        let front = Front {
            tls: authority.server_config(),
            authenticator: Arc::new(authenticator),
            limits: Limits { grace, ..Limits::of_process() },
        };
        tasks.spawn(serving::serve(vec![listener], http::router(api), front, stopped));
        Self { stop, tasks }
    }

    /// Takes no more requests, ends watches, and waits until the others are answered or the grace is over.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            drop(ended);
            // The listener is the first to end; what others wait for is gone with it.
            self.tasks.abort_all();
        }
    }
}

/// What must hold for a server to be ready.
fn health(cluster: &Cluster) -> Vec<HealthCheck> {
    let registry = Arc::clone(&cluster.registry);
    let store = move || match registry.store().figures().failed {
        true => Err("the disk failed; nothing is written until a restart".to_owned()),
        false => Ok(()),
    };
    let works = |name, controllers: &Arc<Controllers>, failed: fn(&Controllers) -> Option<&'static str>| {
        let controllers = Arc::clone(controllers);
        HealthCheck::new(name, move || match failed(&controllers) {
            Some(name) => Err(format!("{name} has ended")),
            None => Ok(()),
        })
    };
    vec![
        HealthCheck::new("store", store),
        works("controllers", &cluster.controllers, Controllers::ended),
        works("scheduler", &cluster.controllers, Controllers::ended_scheduler),
    ]
}
