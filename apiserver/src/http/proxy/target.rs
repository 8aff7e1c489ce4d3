//! Where a request is passed on to: a pod, an endpoint of a service, or the agent of a node.

use std::net::{IpAddr, SocketAddr};

use api::dialer::Destination;
use api::resource::{ENDPOINTS, PODS, SERVICES};
use api::status::Reason;
use api::{Key, Resource, Status};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};

use super::super::Server;
use super::super::connect::read;

/// The port at which kubelets of Kubernetes are reached; nodes here have no other.
const KUBELET: &str = "10250";

/// Who gets the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub destination: Destination,
    /// What stands in the header `Host`.
    pub host: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// A name as it stands in the path: `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
#[derive(Debug, PartialEq, Eq)]
struct Named<'n> {
    tls: bool,
    name: &'n str,
    port: &'n str,
}

/// Finds who is meant.
pub(super) async fn find(server: &Server, resource: &Resource, key: &Key) -> Result<Target, Status> {
    let kind = resource.kind.to_ascii_lowercase();
    let invalid = || Status::bad_request(format!("invalid {kind} request {:?}", key.name));
    let named = Named::read(&key.name).ok_or_else(invalid)?;
    let key = Key::new(key.namespace.clone(), named.name);
    if *resource == PODS {
        let object = read(server, PODS, &key).await?;
        return of_pod(object.typed().map_err(Status::internal)?, &named);
    }
    if *resource == SERVICES {
        let object = read(server, SERVICES, &key).await?;
        let port = port_name(object.typed().map_err(Status::internal)?, &named)?;
        let object = read(server, ENDPOINTS, &key).await?;
        let turn = server.api.registry.identity.number();
        return of_service(object.typed().map_err(Status::internal)?, &named, &port, turn);
    }
    read(server, resource.clone(), &key).await?;
    if !["", KUBELET].contains(&named.port) {
        let words = format!("dial tcp: node {:?} is reached at no port but that of its kubelet", named.name);
        return Err(Status::new(
            Reason::ServiceUnavailable,
            format!("error trying to reach service: {words}"),
        ));
    }
    Ok(Target {
        destination: Destination::Node(named.name.to_owned()),
        host: named.name.to_owned(),
        tls: false,
    })
}

impl<'n> Named<'n> {
    fn read(text: &'n str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let tls = match scheme {
            "" | "http" => false,
            "https" => true,
            _ => return None,
        };
        (!name.is_empty()).then_some(Self { tls, name, port })
    }
}

fn of_pod(pod: &Pod, named: &Named<'_>) -> Result<Target, Status> {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse::<IpAddr>().ok());
    let address = address.ok_or_else(|| Status::bad_request("address not allowed"))?;
    let declared = pod.spec.iter().flat_map(|spec| &spec.containers);
    let declared = declared.flat_map(|container| container.ports.iter().flatten()).next();
    let port = match (named.port, declared) {
        ("", Some(port)) => u16::try_from(port.container_port).ok(),
        ("", None) => Some(if named.tls { 443 } else { 80 }),
        (port, _) => port.parse().ok(),
    };
    let unknown = || {
        let words = format!("error trying to reach service: unknown port {:?}", named.port);
        Status::new(Reason::ServiceUnavailable, words)
    };
    Ok(at(SocketAddr::new(address, port.ok_or_else(unknown)?), named))
}

fn at(address: SocketAddr, named: &Named<'_>) -> Target {
    Target { destination: Destination::Cluster(address), host: address.to_string(), tls: named.tls }
}

/// The name of the port that is meant by its number or its name.
fn port_name(service: &Service, named: &Named<'_>) -> Result<String, Status> {
    let Ok(number) = named.port.parse::<i32>() else {
        return Ok(named.port.to_owned());
    };
    let mut ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    match ports.find(|port| port.port == number) {
        Some(port) => Ok(port.name.clone().unwrap_or_default()),
        None => {
            let words = format!("no service port {number} found for service {:?}", named.name);
            Err(Status::new(Reason::ServiceUnavailable, words))
        }
    }
}

/// One of the endpoints that have the port; which one, the turn says.
fn of_service(endpoints: &Endpoints, named: &Named<'_>, port: &str, turn: u64) -> Result<Target, Status> {
    let unavailable = || {
        let words = format!("no endpoints available for service {:?}", named.name);
        Status::new(Reason::ServiceUnavailable, words)
    };
    let subsets = endpoints.subsets.iter().flatten();
    let fitting = subsets.flat_map(|subset| {
        let mut ports = subset.ports.iter().flatten();
        let found = ports.find(|known| known.name.as_deref().unwrap_or_default() == port);
        let number = found.and_then(|found| u16::try_from(found.port).ok());
        let addresses = subset.addresses.iter().flatten().filter_map(|address| address.ip.parse().ok());
        addresses.filter_map(move |address: IpAddr| Some(SocketAddr::new(address, number?)))
    });
    let fitting: Vec<SocketAddr> = fitting.collect();
    let count = u64::try_from(fitting.len()).ok().filter(|count| *count > 0).ok_or_else(unavailable)?;
    let chosen = usize::try_from(turn % count).ok().and_then(|place| fitting.get(place));
    Ok(at(*chosen.ok_or_else(unavailable)?, named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn names_may_carry_a_scheme_and_a_port() {
        let row = |text: &str, expected: Option<(bool, &str, &str)>| {
            let found = Named::read(text).map(|named| (named.tls, named.name, named.port));
            assert_eq!(found, expected, "{text}");
        };
        row("web", Some((false, "web", "")));
        row("web:80", Some((false, "web", "80")));
        row("http:web:", Some((false, "web", "")));
        row("https:web:name", Some((true, "web", "name")));
        row("ftp:web:80", None);
        row(":80", None);
        row("a:b:c:d", None);
    }

    fn shown(target: Result<Target, Status>) -> String {
        target.map_or_else(|status| status.to_string(), |target| target.host)
    }

    #[test]
    fn a_pod_is_reached_at_its_first_port() {
        let row = |pod: Value, name: &str, expected: &str| {
            let pod: Pod = serde_json::from_value(pod).expect("a pod");
            assert_eq!(shown(of_pod(&pod, &Named::read(name).expect("a name"))), expected);
        };
        let ports = json!([{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]);
        let pod = json!({"spec": {"containers": ports}, "status": {"podIP": "10.1.2.3"}});
        row(pod.clone(), "p", "10.1.2.3:8080");
        row(pod.clone(), "p:81", "10.1.2.3:81");
        row(pod, "p:x", "error trying to reach service: unknown port \"x\"");
        let plain = json!({"spec": {"containers": []}, "status": {"podIP": "10.1.2.3"}});
        row(plain.clone(), "p", "10.1.2.3:80");
        row(plain, "https:p:", "10.1.2.3:443");
        row(json!({"status": {}}), "p", "address not allowed");
    }

    #[test]
    fn a_service_is_reached_at_its_endpoints() {
        let service =
            json!({"spec": {"ports": [{"name": "web", "port": 80}, {"name": "admin", "port": 81}]}});
        let service: Service = serde_json::from_value(service).expect("a service");
        let ports = json!([{"name": "web", "port": 8080}, {"name": "admin", "port": 9090}]);
        let addresses = json!([{"ip": "10.1.2.3"}, {"ip": "10.1.2.4"}]);
        let endpoints = json!({"subsets": [{"addresses": addresses, "ports": ports}]});
        let row = |endpoints: &Value, name: &str, turn: u64, expected: &str| {
            let endpoints: Endpoints = serde_json::from_value(endpoints.clone()).expect("endpoints");
            let named = Named::read(name).expect("a name");
            let target =
                port_name(&service, &named).and_then(|port| of_service(&endpoints, &named, &port, turn));
            assert_eq!(shown(target), expected);
        };
        row(&endpoints, "s:web", 0, "10.1.2.3:8080");
        row(&endpoints, "s:81", 1, "10.1.2.4:9090");
        row(&endpoints, "s:82", 0, r#"no service port 82 found for service "s""#);
        row(&endpoints, "s:other", 0, r#"no endpoints available for service "s""#);
        row(&json!({}), "s:web", 0, r#"no endpoints available for service "s""#);
    }
}
