//! The rules of Endpoints, one row each.

use serde_json::json;

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, merge, object, pod};

fn service(more: Value) -> Typed<Service> {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "n", "uid": "service", "labels": {"team": "red"}},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    });
    merge(&mut value, more);
    Typed::new(object(value)).expect("a Service")
}

fn state(more: Value, pods: &str) -> State {
    let pods = pods.split_whitespace().map(|text| pod(text, &json!([]))).collect();
    State { service: Some(service(more)), pods, endpoints: None }
}

/// Carries the actions out on the Endpoints.
fn apply(state: &mut State) {
    for action in reconcile(state) {
        let value = match (action, &state.endpoints) {
            (Action::Create(create), None) => {
                let mut value = create.value;
                merge(&mut value, json!({"metadata": {"uid": "e"}}));
                Some(value)
            }
            (Action::Patch { merge: patch, .. }, Some(endpoints)) => {
                let mut value = Object::value(endpoints.object()).clone();
                merge(&mut value, patch);
                Some(value)
            }
            (Action::Delete { .. }, Some(_)) => None,
            (other, _) => panic!("{other:?}"),
        };
        state.endpoints = value.map(|value| Typed::new(object(value)).expect("Endpoints"));
    }
    assert!(reconcile(state).is_empty(), "a second look finds something to do");
}

/// The subsets in brief: ports, then addresses, those that are not ready behind a stroke.
fn brief(state: &State) -> Vec<String> {
    let names = |addresses: &Option<Vec<k8s_openapi::api::core::v1::EndpointAddress>>| {
        let targets = addresses.iter().flatten().filter_map(|address| address.target_ref.as_ref());
        let names: Vec<&str> = targets.filter_map(|target| target.name.as_deref()).collect();
        names.join(" ")
    };
    let subsets = state.endpoints.iter().flat_map(|endpoints| endpoints.subsets.iter().flatten());
    subsets
        .map(|subset| {
            let port = |port: &k8s_openapi::api::core::v1::EndpointPort| {
                format!("{}:{}", port.name.as_deref().unwrap_or_default(), port.port)
            };
            let ports: Vec<String> = subset.ports.iter().flatten().map(port).collect();
            let (ready, not_ready) = (names(&subset.addresses), names(&subset.not_ready_addresses));
            format!("[{}] {ready} | {not_ready}", ports.join(","))
        })
        .collect()
}

fn check(more: Value, pods: &str, expected: &[&str]) {
    let mut state = state(more, pods);
    apply(&mut state);
    assert_eq!(brief(&state), expected, "{pods}");
}

#[test]
fn pods_stand_where_they_are_ready_for() {
    check(json!({}), "", &[]);
    check(json!({}), "a:n1:ready:ip=10.0.0.1 b:n1:running:ip=10.0.0.2", &["[http:8080] a | b"]);
    // Without an address, at its end, and gone.
    let none = "a:n1:running b:n1:ready:ip=10.0.0.1:terminating c:n1:succeeded:ip=10.0.0.2";
    check(json!({}), none, &[]);
    let always = || json!({"spec": {"publishNotReadyAddresses": true}});
    check(always(), "a:n1:running:ip=10.0.0.1", &["[http:8080] a | "]);
    check(always(), "a:n1:running:ip=10.0.0.1:terminating", &["[http:8080] a | "]);
}

#[test]
fn services_without_a_selector_are_left_alone() {
    for more in [
        json!({"spec": {"selector": null}}),
        json!({"spec": {"type": "ExternalName"}}),
        json!({"metadata": {"deletionTimestamp": NOW}}),
    ] {
        assert!(reconcile(&state(more, "a:n1:ready:ip=10.0.0.1")).is_empty());
    }
}

#[test]
fn ports_go_with_the_pods_that_have_them() {
    let two = json!({"spec": {"ports": [{"name": "http", "port": 80, "targetPort": "web"},
        {"name": "metrics", "port": 9090}]}});
    let mut state = state(two, "c:n1:ready:ip=10.0.0.3");
    for (name, ip) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        let plain = pod(&format!("{name}:n1:ready:ip={ip}"), &json!([]));
        let mut value = plain.object().value().clone();
        value["spec"]["containers"] =
            json!([{"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}]);
        state.pods.push(Typed::new(object(value)).expect("a pod"));
    }
    apply(&mut state);
    assert_eq!(brief(&state), ["[http:8080] a b | ", "[metrics:9090] a b c | "]);
    let headless = json!({"spec": {"ports": [], "clusterIP": "None"}});
    check(headless, "a:n1:ready:ip=10.0.0.1", &["[] a | "]);
}

#[test]
fn an_address_says_whose_it_is() {
    let mut state = state(json!({}), "a:n1:ready:ip=10.0.0.1");
    apply(&mut state);
    let endpoints = state.endpoints.as_ref().expect("Endpoints").object().value().clone();
    let address = json!({"ip": "10.0.0.1", "nodeName": "n1",
        "targetRef": {"kind": "Pod", "namespace": "n", "name": "a", "uid": "a"}});
    let ports = json!([{"name": "http", "port": 8080, "protocol": "TCP"}]);
    assert_eq!(endpoints["subsets"], json!([{"addresses": [address], "ports": ports}]));
    let labels = json!({"team": "red", "endpoints.kubernetes.io/managed-by": "endpoint-controller"});
    assert_eq!(endpoints["metadata"]["labels"], labels);
    // Labels and readiness follow, and it goes with its Service.
    state.service = Some(service(json!({"metadata": {"labels": {"team": null}}})));
    state.pods = vec![pod("a:n1:running:ip=10.0.0.1", &json!([]))];
    apply(&mut state);
    assert_eq!(brief(&state), ["[http:8080]  | a"]);
    assert_eq!(state.endpoints.as_ref().expect("Endpoints").object().label("team"), None);
    state.service = None;
    assert_eq!(describe(&reconcile(&state)), ["delete Endpoints web"]);
}

#[test]
fn endpoints_of_others_stay() {
    let foreign = object(json!({"apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "web", "namespace": "n", "uid": "e"}}));
    let endpoints = Some(Typed::new(foreign).expect("Endpoints"));
    assert!(reconcile(&State { service: None, pods: vec![], endpoints }).is_empty());
}

fn many(count: usize, block: usize, words: &str) -> Vec<Typed<Pod>> {
    let text = |number: usize| {
        let ip = format!("10.{block}.{}.{}", number / 250, number % 250);
        format!("p{block}-{number:04}:n1:{words}:ip={ip}")
    };
    (0..count).map(|number| pod(&text(number), &json!([]))).collect()
}

#[test]
fn no_more_than_a_thousand_are_told_and_that_is_said() {
    let mut state = state(json!({}), "");
    state.pods = many(990, 1, "ready");
    state.pods.extend(many(20, 2, "running"));
    apply(&mut state);
    let subset = |state: &State| {
        let endpoints = state.endpoints.as_ref().expect("Endpoints");
        let subset = endpoints.subsets.as_ref().expect("subsets")[0].clone();
        let count = |addresses: Option<Vec<_>>| addresses.map_or(0, |all| all.len());
        let annotation = endpoints.object().annotation(OVER_CAPACITY.0).map(str::to_owned);
        (count(subset.addresses), count(subset.not_ready_addresses), annotation)
    };
    assert_eq!(subset(&state), (990, 10, Some("truncated".into())));
    state.pods.truncate(1000);
    apply(&mut state);
    assert_eq!(subset(&state), (990, 10, None));
    state.pods = many(1500, 1, "ready");
    apply(&mut state);
    assert_eq!(subset(&state), (1000, 0, Some("truncated".into())));
}
