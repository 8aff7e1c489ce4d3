//! Publishes where this server is reached, the service `kubernetes`, by whose name pods find the API, and by what others know it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use api::backend::{DeleteOptions, User, WatchOptions};
use api::resource::{CONFIG_MAPS, ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use api::selector::FieldSelector;
use api::status::Reason;
use api::{Client, Clock, Key, Resource, Revision, Status};
use futures::StreamExt;
use futures::stream::select_all;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::auth::authority::{FRONT_PROXY, FrontProxy};
use crate::registry::Registry;

/// The service of this server.
const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";

/// The port of the service, at its address in the cluster.
const PORT: u16 = 443;

/// What was changed by others is corrected so long after it was seen: those who insist are not answered faster.
const PAUSE: Duration = Duration::from_secs(1);

/// Objects that say something of the server.
pub(super) struct Published {
    wanted: Vec<(Resource, Value)>,
}

/// A server at `address`, which pods reach at `service_address`.
pub(super) fn server(address: SocketAddrV4, service_address: Ipv4Addr) -> Published {
    let (ip, port) = (address.ip().to_string(), address.port());
    let metadata = |labels: Value| json!({"name": NAME, "namespace": NAMESPACE, "labels": labels});
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let service = json!({
        "metadata": metadata(json!({"component": "apiserver", "provider": "kubernetes"})),
        "spec": {"type": "ClusterIP", "clusterIP": service_address, "clusterIPs": [service_address],
            "sessionAffinity": "None", "sessionAffinityConfig": null, "selector": null,
            "ports": [{"name": "https", "port": PORT, "protocol": "TCP", "targetPort": port}]},
    });
    let endpoints = json!({
        // Its slice is written here too, so nobody is to make one from it.
        "metadata": metadata(json!({"endpointslice.kubernetes.io/skip-mirror": "true"})),
        "subsets": [{"addresses": [{"ip": ip}], "ports": ports}],
    });
    let slice = json!({
        "metadata": metadata(json!({"kubernetes.io/service-name": NAME})),
        "addressType": "IPv4", "ports": ports,
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
    });
    Published { wanted: vec![(SERVICES, service), (ENDPOINTS, endpoints), (ENDPOINT_SLICES, slice)] }
}

/// What the servers of other API groups have to know to believe this one about its users.
pub(super) fn authentication(proxy: &FrontProxy) -> Published {
    let list = |names: &[&str]| Value::from(names).to_string();
    let map = json!({
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": proxy.client_ca_pem(),
            "requestheader-allowed-names": list(&[FRONT_PROXY]),
            "requestheader-client-ca-file": proxy.ca_pem(),
            "requestheader-extra-headers-prefix": list(&["X-Remote-Extra-"]),
            "requestheader-group-headers": list(&["X-Remote-Group"]),
            "requestheader-uid-headers": list(&["X-Remote-Uid"]),
            "requestheader-username-headers": list(&["X-Remote-User"]),
        },
    });
    Published { wanted: vec![(CONFIG_MAPS, map)] }
}

impl Published {
    /// Creates what is missing and corrects what differs.
    pub async fn write(&self, client: &Client) -> Result<(), Status> {
        for (resource, wanted) in &self.wanted {
            write(client, resource, wanted).await?;
        }
        Ok(())
    }

    /// Goes on doing so for as long as the task lives.
    pub async fn keep(self, registry: Arc<Registry>, clock: Clock) {
        let client = client(registry.clone());
        loop {
            // What happens from here on, also by the writes below, is a reason to look again.
            let from = registry.store().revision();
            let changed = match self.write(&client).await {
                Ok(()) => self.changed(&client, from).await,
                Err(error) => Err(error),
            };
            if let Err(error) = changed {
                warn!(%error, "not written where the server is");
            }
            clock.sleep(PAUSE).await;
        }
    }

    /// Waits until one of the objects has changed since a revision, or may have.
    async fn changed(&self, client: &Client, from: Revision) -> Result<(), Status> {
        let mut watches = Vec::new();
        for (resource, object) in &self.wanted {
            let Key { namespace, name } = key(object);
            let fields = FieldSelector::equals("metadata.name", &*name);
            let options = WatchOptions { fields, revision: Some(from), ..WatchOptions::default() };
            watches.push(client.watch(resource, &namespace, options).await?);
        }
        // An error, too, means that something may have been missed.
        select_all(watches).next().await;
        Ok(())
    }
}

/// The server's own client.
pub(super) fn client(registry: Arc<Registry>) -> Client {
    Client::new(registry, User::component("apiserver"))
}

fn key(object: &Value) -> Key {
    let text = |field| object["metadata"][field].as_str().unwrap_or_default();
    Key::new(text("namespace"), text("name"))
}

async fn write(client: &Client, resource: &Resource, wanted: &Value) -> Result<(), Status> {
    let key = key(wanted);
    match client.patch(resource, &key, "", wanted.clone()).await {
        Err(status) if status.is_not_found() => {}
        // The range of services is another than before, and an address cannot change.
        Err(status) if status.reason == Reason::Invalid => {
            info!(%resource, why = %status, "replacing where the server is");
            client.delete(resource, &key, DeleteOptions::default()).await?;
        }
        other => return other.map(drop),
    }
    client.create(resource, &key.namespace, wanted).await.map(drop)
}

#[cfg(test)]
mod tests;
