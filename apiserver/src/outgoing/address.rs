//! Where others are: a URL, or a service of the cluster.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api::Key;
use api::dialer::Destination;
use api::resource::SERVICES;
use serde_json::Value;

use crate::store::{Collection, Store, StoreKey};
use crate::tree;

/// The port of HTTPS.
const HTTPS: u16 = 443;

/// Whom to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A service of the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// A host anywhere.
    Host {
        /// Its name or address.
        host: String,
        /// The port there.
        port: u16,
    },
}

/// Whom to reach, and the path there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whom to reach.
    pub target: Target,
    /// The path, with the slash it begins with; empty for the root.
    path: String,
}

/// Where a target is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What is dialed.
    pub destination: Destination,
    /// As messages name it.
    pub shown: String,
}

impl Address {
    /// The address in the `clientConfig` of a webhook or the `webhook.clientConfig` of a conversion.
    pub fn of_client_config(config: &Value) -> Result<Self, String> {
        if let Some(url) = tree::text(config, "url") {
            return Self::of_url(url);
        }
        let service = &config["service"];
        let text = |field| tree::text(service, field).unwrap_or_default().to_owned();
        let port = service["port"].as_u64().map_or(Some(HTTPS), |port| u16::try_from(port).ok());
        match (text("namespace"), text("name"), port) {
            (namespace, name, Some(port)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { target: Target::Service { namespace, name, port }, path: text("path") })
            }
            _ => Err("clientConfig must have a url or a service with a name and a namespace".to_owned()),
        }
    }

    fn of_url(url: &str) -> Result<Self, String> {
        let unfit = || format!("{url:?} is not a URL of the form https://host[:port]/path");
        let uri: http::Uri = url.parse().map_err(|_| unfit())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(unfit)?;
        if uri.scheme_str() != Some("https") {
            return Err(unfit());
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        let target = Target::Host { host, port: uri.port_u16().unwrap_or(HTTPS) };
        Ok(Self { target, path: uri.path().to_owned() })
    }

    /// The URL that is asked, as messages show it.
    pub fn url(&self, timeout: Duration) -> String {
        let slash = if self.path.starts_with('/') || self.path.is_empty() { "" } else { "/" };
        format!("https://{}{slash}{}?timeout={}s", self.target.authority(), self.path, timeout.as_secs())
    }
}

impl Target {
    /// The name that its certificate must have.
    pub fn server_name(&self) -> String {
        match self {
            Self::Service { namespace, name, .. } => format!("{name}.{namespace}.svc"),
            Self::Host { host, .. } => host.clone(),
        }
    }

    /// The host with its port, as HTTP has it.
    pub fn authority(&self) -> String {
        match self {
            Self::Service { port, .. } => format!("{}:{port}", self.server_name()),
            Self::Host { host, port: HTTPS } if host.contains(':') => format!("[{host}]"),
            Self::Host { host, port: HTTPS } => host.clone(),
            Self::Host { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Host { host, port } => format!("{host}:{port}"),
        }
    }

    /// Where it is at this moment.
    pub fn place(&self, store: &Store) -> Result<Place, String> {
        match self {
            Self::Host { host, port } => Ok(outside(host, *port)),
            Self::Service { namespace, name, port } => {
                let key = Key::new(namespace.as_str(), name.as_str());
                let service = store.get(&StoreKey { collection: Collection::from(&SERVICES), key });
                let service = service.ok_or_else(|| format!("service {name:?} not found"))?;
                of_service(service.value(), name, *port)
            }
        }
    }
}

fn outside(host: &str, port: u16) -> Place {
    Place { destination: Destination::Outside(host.to_owned(), port), shown: format!("{host}:{port}") }
}

fn of_service(service: &Value, name: &str, port: u16) -> Result<Place, String> {
    let spec = &service["spec"];
    if tree::text(spec, "type") == Some("ExternalName") {
        return Ok(outside(tree::text(spec, "externalName").unwrap_or_default(), port));
    }
    let mut ports = spec["ports"].as_array().into_iter().flatten();
    let has_port = ports.any(|known| known["port"].as_u64() == Some(u64::from(port)));
    match tree::text(spec, "clusterIP") {
        None | Some("None") => Err("cannot route to service with ClusterIP \"None\"".to_owned()),
        _ if !has_port => Err(format!("no service port {port} found for service {name:?}")),
        Some(address) => {
            let address: IpAddr =
                address.parse().map_err(|_| format!("service {name:?} has no address: {address:?}"))?;
            let address = SocketAddr::new(address, port);
            Ok(Place { destination: Destination::Cluster(address), shown: address.to_string() })
        }
    }
}
