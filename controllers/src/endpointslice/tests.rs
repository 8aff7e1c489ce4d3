//! The rules of EndpointSlices, one row each.

use api::Object;
use serde_json::{Value, json};

use super::*;
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
    let zones = BTreeMap::from([("n1".to_owned(), "z1".to_owned())]);
    State { service: service(more), pods, zones, slices: vec![] }
}

/// Carries the actions out on the slices.
fn apply(state: &mut State) -> Vec<Action> {
    let actions = reconcile(state);
    for action in &actions {
        match action {
            Action::Create(create) => {
                let mut value = create.value.clone();
                let name = format!("web-{}", state.slices.len());
                merge(&mut value, json!({"metadata": {"name": name, "namespace": "n", "uid": name}}));
                state.slices.push(Typed::new(object(value)).expect("a slice"));
            }
            Action::Patch { target, merge: patch, .. } => {
                let slices = &mut state.slices;
                let slice = slices.iter_mut().find(|slice| *slice.object().name() == *target.key.name);
                let slice = slice.expect("the slice that is patched");
                let mut value = Object::value(slice.object()).clone();
                merge(&mut value, patch.clone());
                *slice = Typed::new(object(value)).expect("a slice");
            }
            Action::Delete { target, .. } => {
                state.slices.retain(|slice| *slice.object().name() != *target.key.name);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(reconcile(state).is_empty(), "a second look finds something to do");
    actions
}

/// The slices in brief: the ports, then each pod with `!` if not ready, `~` if it serves, `-` if it terminates.
fn brief(state: &State) -> Vec<String> {
    state.slices.iter().map(|slice| brief_slice(slice)).collect()
}

fn brief_slice(slice: &EndpointSlice) -> String {
    let ports = slice
        .ports
        .iter()
        .flatten()
        .map(|port| format!("{}:{}", port.name.as_deref().unwrap_or_default(), port.port.unwrap_or(0)));
    let endpoints = slice.endpoints.iter().map(|endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let mut text = endpoint.target_ref.clone().and_then(|target| target.name).expect("a pod");
        for (mark, shown) in [
            ('!', conditions.ready == Some(false)),
            ('~', conditions.ready == Some(false) && conditions.serving == Some(true)),
            ('-', conditions.terminating == Some(true)),
        ] {
            text.extend(shown.then_some(mark));
        }
        text
    });
    let ports: Vec<String> = ports.collect();
    let endpoints: Vec<String> = endpoints.collect();
    format!("[{}] {}", ports.join(","), endpoints.join(" "))
}

fn check(more: Value, pods: &str, expected: &[&str]) {
    let mut state = state(more, pods);
    apply(&mut state);
    assert_eq!(brief(&state), expected, "{pods:?}");
}

#[test]
fn pods_with_an_address_are_told() {
    let plain = || json!({});
    check(plain(), "", &["[] "]);
    check(plain(), "a:n1:ready:ip=10.0.0.1", &["[http:8080] a"]);
    check(plain(), "a:n1:ready b:n1:ready:ip=10.0.0.2", &["[http:8080] b"]);
    check(plain(), "a:n1:running:ip=10.0.0.1", &["[http:8080] a!"]);
    check(plain(), "a:n1:ready:terminating:ip=10.0.0.1", &["[http:8080] a!~-"]);
    check(plain(), "a:n1:failed:ip=10.0.0.1", &["[] "]);
    check(plain(), "a:n1:succeeded:ip=10.0.0.1", &["[] "]);
}

#[test]
fn services_differ() {
    let pods = "a:n1:running:ip=10.0.0.1";
    check(json!({"spec": {"publishNotReadyAddresses": true}}), pods, &["[http:8080] a"]);
    check(json!({"spec": {"type": "ExternalName"}}), pods, &[]);
    check(json!({"spec": {"selector": null}}), pods, &[]);
    check(json!({"metadata": {"deletionTimestamp": NOW}}), pods, &[]);
    check(json!({"spec": {"clusterIP": "None", "ports": null}}), pods, &["[] a!"]);
    check(json!({"spec": {"ipFamilies": ["IPv6"]}}), pods, &["[] "]);
}

#[test]
fn a_named_port_is_that_of_each_pod() {
    let named = json!({"spec": {"ports": [{"name": "http", "port": 80, "targetPort": "web"}]}});
    let mut state = state(named, "");
    for (name, port) in [("a", 8080), ("b", 8080), ("c", 9090)] {
        let plain = pod(&format!("{name}:n1:ready:ip=10.0.0.1"), &json!([]));
        let mut value = plain.object().value().clone();
        value["spec"]["containers"] =
            json!([{"name": "c", "ports": [{"name": "web", "containerPort": port}]}]);
        state.pods.push(Typed::new(object(value)).expect("a pod"));
    }
    state.pods.push(pod("d:n1:ready:ip=10.0.0.1", &json!([])));
    apply(&mut state);
    assert_eq!(brief(&state), ["[] d", "[http:8080] a b", "[http:9090] c"]);
}

#[test]
fn a_slice_says_whose_it_is() {
    let mut state = state(json!({"spec": {"clusterIP": "None"}}), "a:n1:ready:ip=10.0.0.1");
    apply(&mut state);
    let slice = &state.slices[0];
    let labels = slice.object().value()["metadata"]["labels"].clone();
    let expected = json!({"team": "red", "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"});
    assert_eq!(labels, expected);
    assert_eq!(slice.object().controller_uid(), Some("service"));
    let endpoint = &slice.endpoints[0];
    assert_eq!((endpoint.node_name.as_deref(), endpoint.zone.as_deref()), (Some("n1"), Some("z1")));
    // A label that the Service lost goes.
    state.service = service(json!({"metadata": {"labels": {"team": null}}}));
    apply(&mut state);
    assert_eq!(state.slices[0].object().label("team"), None);
}

fn many(range: std::ops::Range<usize>) -> Vec<Typed<Pod>> {
    let text = range.map(|number| pod(&format!("p{number:03}:n1:ready:ip=10.0.0.1"), &json!([])));
    text.collect()
}

#[test]
fn a_change_rewrites_one_slice() {
    let mut state = state(json!({}), "");
    state.pods = many(0..250);
    apply(&mut state);
    let sizes = |state: &State| state.slices.iter().map(|slice| slice.endpoints.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&state), [100, 100, 50]);
    // One gone from the first and one new: the new one takes its place.
    state.pods.remove(10);
    state.pods.extend(many(300..301));
    assert_eq!(apply(&mut state).len(), 1);
    assert_eq!(sizes(&state), [100, 100, 50]);
    // A new one goes where there is room.
    state.pods.extend(many(301..302));
    assert_eq!(apply(&mut state).len(), 1);
    assert_eq!(sizes(&state), [100, 100, 51]);
    // A slice that lost all goes, the last one stays and is empty.
    state.pods.retain(|pod| pod.object().name() < "p100");
    assert_eq!(apply(&mut state).len(), 3);
    state.pods.clear();
    apply(&mut state);
    assert_eq!(brief(&state), ["[] "]);
}
