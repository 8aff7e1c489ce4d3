//! Rows of services, flows and the routes they take.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The cluster that the rows below ask about.
///
/// `service NAME ADDRESS PORT...` with ports as `name:port` or `name:port/nodePort`, the name may be empty;
/// `slice SERVICE PORT ENDPOINT...` with endpoints as `address` or `address:state`.
const CLUSTER: &str = "
    service default/web 10.96.0.10 http:80/30080 admin:9000
    slice default/web http:8080,admin:9090 10.128.0.1 10.128.0.3:unready 10.128.0.2
    slice default/web http:8081 10.128.0.9
    service default/bare 10.96.0.11 :80
    slice default/bare :80 10.128.0.4
    service shop/empty 10.96.0.12 http:80/30081
    service shop/starting 10.96.0.13 :80
    slice shop/starting :80 10.128.0.5:unready
    service shop/stopping 10.96.0.14 :80
    slice shop/stopping :80 10.128.0.6:stopping 10.128.0.7:stopped
    service shop/rolling 10.96.0.15 :80
    slice shop/rolling :80 10.128.0.6:stopping 10.128.0.8
    service shop/headless None http:80
    slice shop/headless http:80 10.128.0.1
    service shop/datagrams 10.96.0.16 dns:53:UDP
    slice shop/datagrams dns:53:UDP 10.128.0.1
";

pub(crate) fn objects(text: &str) -> (Vec<ServiceObject>, Vec<EndpointSlice>) {
    let (mut services, mut slices) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["service", name, address, ref ports @ ..] => services.push(service(name, address, ports)),
            ["slice", name, ports, ref endpoints @ ..] => slices.push(slice(name, ports, endpoints)),
            _ => panic!("not a service or slice: {line}"),
        }
    }
    (services, slices)
}

fn service(name: &str, address: &str, ports: &[&str]) -> ServiceObject {
    let (namespace, name) = name.split_once('/').unwrap();
    let ports: Vec<Value> = ports.iter().map(|text| port(text)).collect();
    let spec = match address.strip_prefix("external=") {
        Some(target) => json!({"type": "ExternalName", "externalName": target}),
        None => json!({"clusterIP": address, "clusterIPs": [address], "ports": ports}),
    };
    serde_json::from_value(json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec})).unwrap()
}

fn slice(service: &str, ports: &str, endpoints: &[&str]) -> EndpointSlice {
    let (namespace, name) = service.split_once('/').unwrap();
    let endpoints: Vec<Value> = endpoints.iter().map(|text| endpoint(text)).collect();
    serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "labels": {service::SERVICE_NAME: name}},
        "addressType": "IPv4",
        "ports": ports.split(',').map(port).collect::<Vec<_>>(),
        "endpoints": endpoints,
    }))
    .unwrap()
}

fn port(text: &str) -> Value {
    let mut parts = text.split(':');
    let name = parts.next().unwrap();
    let (port, node_port) = parts.next().map(|part| part.split_once('/').unwrap_or((part, "0"))).unwrap();
    let mut value = json!({"port": port.parse::<u16>().unwrap(), "protocol": parts.next().unwrap_or("TCP")});
    if !name.is_empty() {
        value["name"] = name.into();
    }
    if node_port != "0" {
        value["nodePort"] = node_port.parse::<u16>().unwrap().into();
    }
    value
}

fn endpoint(text: &str) -> Value {
    let (text, hostname) = text.split_once('=').map_or((text, None), |(host, text)| (text, Some(host)));
    let (address, state) = text.split_once(':').unwrap_or((text, "ready"));
    let (ready, serving, terminating) = match state {
        "ready" => (true, true, false),
        "unready" => (false, false, false),
        "stopping" => (false, true, true),
        "stopped" => (false, false, true),
        other => panic!("no such state: {other}"),
    };
    let conditions = json!({"ready": ready, "serving": serving, "terminating": terminating});
    json!({"addresses": [address], "hostname": hostname, "conditions": conditions})
}

pub(crate) fn cluster(text: &str) -> Routes {
    let (services, slices) = objects(text);
    Routes::build(
        AddressPlan { nodes: vec![[192, 168, 0, 7].into()], ..AddressPlan::default() },
        &services,
        &slices,
    )
}

fn show(route: &Route) -> String {
    match route {
        Route::Balanced(candidates) => {
            let mut text = String::new();
            candidates.iter().for_each(|endpoint| write!(text, "{endpoint} ").unwrap());
            text.trim_end().to_owned()
        }
        Route::Pod(to) => format!("pod {to}"),
        Route::Own(to) => format!("own {to}"),
        Route::Outside => "outside".to_owned(),
        Route::Refused(NoRoute::NoEndpoints(port)) => format!("no endpoints of {port}"),
        Route::Refused(NoRoute::NoSuchPort(service)) => format!("no such port of {service}"),
        Route::Refused(other) => format!("{other:?}"),
    }
}

#[track_caller]
fn check(from: &str, to: &str, pick: u64, expected: &str) {
    let from = (from != "host").then(|| from.parse().unwrap());
    let flow = Flow::new(from, to.parse().unwrap());
    let routes = cluster(CLUSTER);
    assert_eq!(show(&routes.route(&flow, pick)), expected);
    let balances = matches!(routes.route(&flow, pick), Route::Balanced(_));
    assert!(routes.balances(&flow).is_some() || !balances);
}

const POD: &str = "10.128.0.1";

#[test]
fn a_service_address_leads_to_its_ready_endpoints_in_turn() {
    check(POD, "10.96.0.10:80", 0, "10.128.0.1:8080 10.128.0.2:8080 10.128.0.9:8081");
    check(POD, "10.96.0.10:80", 1, "10.128.0.2:8080 10.128.0.9:8081 10.128.0.1:8080");
    check("host", "10.96.0.10:80", 5, "10.128.0.9:8081 10.128.0.1:8080 10.128.0.2:8080");
    check(POD, "10.96.0.10:9000", 0, "10.128.0.1:9090 10.128.0.2:9090");
    check(POD, "10.96.0.11:80", 7, "10.128.0.4:80");
    check(POD, "[::ffff:10.96.0.11]:80", 7, "10.128.0.4:80");
}

#[test]
fn a_service_without_ready_endpoints_refuses_unless_some_serve_while_they_stop() {
    check(POD, "10.96.0.12:80", 0, "no endpoints of shop/empty:http");
    check(POD, "10.96.0.13:80", 0, "no endpoints of shop/starting");
    check(POD, "10.96.0.14:80", 0, "10.128.0.6:80");
    check(POD, "10.96.0.15:80", 0, "10.128.0.8:80");
}

#[test]
fn what_no_service_has_is_refused_inside_the_cluster_and_outside_otherwise() {
    check(POD, "10.96.0.10:81", 0, "no such port of default/web");
    check(POD, "10.96.0.16:53", 0, "no such port of shop/datagrams");
    check(POD, "10.96.0.99:80", 0, "NoSuchService");
    check(POD, "192.0.2.1:80", 0, "outside");
    check(POD, "[2001:db8::1]:80", 0, "outside");
}

#[test]
fn a_node_port_is_at_the_nodes_addresses_and_for_the_host_at_loopback() {
    check("host", "127.0.0.1:30080", 1, "10.128.0.2:8080 10.128.0.9:8081 10.128.0.1:8080");
    check("host", "127.0.0.1:30081", 0, "no endpoints of shop/empty:http");
    check("host", "127.0.0.1:80", 0, "NoSuchNodePort");
    check(POD, "192.168.0.7:30080", 0, "10.128.0.1:8080 10.128.0.2:8080 10.128.0.9:8081");
    check(POD, "192.168.0.7:22", 0, "outside");
}

#[test]
fn a_pod_reaches_pods_and_itself() {
    check(POD, "10.128.0.4:1234", 0, "pod 10.128.0.4:1234");
    check("host", "10.200.0.4:1234", 0, "pod 10.200.0.4:1234");
    check(POD, "127.0.0.1:30080", 0, "own 127.0.0.1:30080");
    check(POD, "[::1]:80", 0, "own [::1]:80");
    check(POD, "0.0.0.0:80", 0, "own 0.0.0.0:80");
}

#[test]
fn a_change_of_one_service_leaves_the_others_as_they_are() {
    let before = cluster(CLUSTER);
    let mut after = before.clone();
    let (services, slices) =
        objects("service default/bare 10.96.0.11 :80\nslice default/bare :80 10.128.0.77");
    let key = Key::new("default", "bare");
    assert!(after.set(&key, Some(Service::build(&services[0], &slices))));
    assert!(!after.set(&key, Some(Service::build(&services[0], &slices))));
    for (key, service) in before.services().filter(|(key, _)| &*key.name != "bare") {
        assert!(Arc::ptr_eq(service, after.service(key).unwrap()), "{key}");
    }
    let flow = Flow::new(None, "10.96.0.11:80".parse().unwrap());
    assert_eq!(show(&after.route(&flow, 0)), "10.128.0.77:80");
}

#[test]
fn an_address_that_moves_to_another_service_stays_there() {
    let (services, _) = objects("service a/new 10.96.0.20 :80/30000\nservice b/old 10.96.0.20 :80/30000");
    let mut routes = Routes::new(AddressPlan::default());
    routes.set(&Key::new("b", "old"), Some(Service::build(&services[1], [])));
    routes.set(&Key::new("a", "new"), Some(Service::build(&services[0], [])));
    routes.set(&Key::new("b", "old"), None);
    for to in ["10.96.0.20:80", "127.0.0.1:30000"] {
        assert_eq!(show(&routes.route(&Flow::new(None, to.parse().unwrap()), 0)), "no endpoints of a/new");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each number is a state of one of four services: absent, or with so many endpoints.
    #[test]
    fn changing_routes_step_by_step_gives_the_same_as_building_them(steps in prop::collection::vec((0..4_u8, 0..5_u8), 1..40)) {
        let mut routes = Routes::new(AddressPlan::default());
        let mut states = [0_u8; 4];
        for (which, state) in steps {
            states[usize::from(which)] = state;
            let (services, slices) = objects(&text(which, state));
            let service = services.first().map(|service| Service::build(service, &slices));
            routes.set(&Key::new("default", format!("s{which}")), service);
        }
        let all: String = (0..4).map(|which| text(which, states[usize::from(which)])).collect();
        let (services, slices) = objects(&all);
        prop_assert_eq!(routes, Routes::build(AddressPlan::default(), &services, &slices));
    }
}

fn text(which: u8, state: u8) -> String {
    let endpoints: Vec<String> = (1..state).map(|last| format!("10.128.{which}.{last}")).collect();
    match state {
        0 => String::new(),
        _ => format!(
            "service default/s{which} 10.96.0.{which} http:80/3000{which}\nslice default/s{which} http:80 {}\n",
            endpoints.join(" ")
        ),
    }
}
