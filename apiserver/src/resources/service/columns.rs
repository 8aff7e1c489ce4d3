//! How kubectl shows services: where they are reached, from inside and from outside.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, NONE, UNKNOWN, text};

/// The columns.
pub const COLUMNS: &[Column] = &[
    cells::NAME,
    text("Type", "How the service is offered."),
    text("Cluster-IP", "Address of the service within the cluster."),
    text("External-IP", "Addresses of the service outside the cluster."),
    text("Port(s)", "Ports of the service, and those of the nodes that lead to them."),
    cells::AGE,
    cells::SELECTOR,
];

/// The cells.
pub fn row(service: &Service, now: Timestamp) -> Vec<Value> {
    let nothing = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&nothing);
    let ports: Vec<String> = spec.ports.iter().flatten().map(port).collect();
    vec![
        cells::name(&service.metadata),
        spec.type_.as_deref().unwrap_or_default().into(),
        cells::or(spec.cluster_ips.iter().flatten().map(String::as_str).next(), NONE),
        outside(service, spec).into(),
        cells::joined(ports.iter().map(String::as_str), NONE).into(),
        cells::age(&service.metadata, now),
        cells::labels(spec.selector.as_ref()),
    ]
}

fn port(port: &ServicePort) -> String {
    let protocol = port.protocol.as_deref().unwrap_or_default();
    match port.node_port {
        Some(node_port) if node_port > 0 => format!("{}:{node_port}/{protocol}", port.port),
        _ => format!("{}/{protocol}", port.port),
    }
}

/// Where the service is reached from outside the cluster.
fn outside(service: &Service, spec: &ServiceSpec) -> String {
    let given = || spec.external_ips.iter().flatten().map(String::as_str);
    match spec.type_.as_deref().unwrap_or_default() {
        "ClusterIP" | "NodePort" => cells::joined(given(), NONE),
        "LoadBalancer" => cells::joined(given().chain(balanced(service)), "<pending>"),
        "ExternalName" => spec.external_name.clone().unwrap_or_default(),
        _ => UNKNOWN.to_owned(),
    }
}

/// What a load balancer has said of itself.
fn balanced(service: &Service) -> impl Iterator<Item = &str> {
    let balancer = service.status.iter().filter_map(|status| status.load_balancer.as_ref());
    let ingress = balancer.flat_map(|balancer| balancer.ingress.iter().flatten());
    ingress.filter_map(|ingress| {
        let mut said = [&ingress.ip, &ingress.hostname].into_iter().flatten();
        said.find(|address| !address.is_empty()).map(String::as_str)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn services_say_where_they_are_reached() {
        let check = |spec: Value, status: Value, expected: &str| {
            let service = json!({
                "metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": spec, "status": {"loadBalancer": status},
            });
            let service: Service = serde_json::from_value(service).unwrap();
            let row = row(&service, "2026-01-03T02:00:00Z".parse().unwrap());
            assert_eq!(row.len(), COLUMNS.len());
            let line: Vec<&str> = row.iter().map(|cell| cell.as_str().unwrap()).collect();
            assert_eq!(line.join(" "), expected);
        };
        let ports =
            json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]);
        let spec = json!({"type": "ClusterIP", "clusterIPs": ["10.96.0.7"], "ports": ports, "selector": {"app": "web"}});
        check(spec, json!({}), "web ClusterIP 10.96.0.7 <none> 80/TCP,53:30053/UDP 2d2h app=web");
        let spec = json!({"type": "ClusterIP", "clusterIPs": ["None"]});
        check(spec, json!({}), "web ClusterIP None <none> <none> 2d2h <none>");
        let spec = json!({"type": "NodePort", "externalIPs": ["192.0.2.1", "192.0.2.2"]});
        check(spec, json!({}), "web NodePort <none> 192.0.2.1,192.0.2.2 <none> 2d2h <none>");
        let spec = json!({"type": "LoadBalancer", "clusterIPs": ["10.96.0.7"]});
        check(spec.clone(), json!({}), "web LoadBalancer 10.96.0.7 <pending> <none> 2d2h <none>");
        let status = json!({"ingress": [{"ip": "127.0.0.1"}, {"hostname": "web.example.com"}]});
        check(spec, status, "web LoadBalancer 10.96.0.7 127.0.0.1,web.example.com <none> 2d2h <none>");
        let spec = json!({"type": "ExternalName", "externalName": "example.com"});
        check(spec, json!({}), "web ExternalName <none> example.com <none> 2d2h <none>");
        check(json!({"type": "Else"}), json!({}), "web Else <none> <unknown> <none> 2d2h <none>");
    }
}
