//! The rules of ReplicaSets, one row each.

use api::Object;
use serde_json::json;

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, now, pod};

/// A ReplicaSet `web` that selects `app=web`, with the status that fits its pods so far.
fn set(replicas: usize, more: Value) -> Typed<ReplicaSet> {
    let mut value = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "n", "uid": "set", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
    });
    crate::testing::merge(&mut value, more);
    Typed::new(Object::from_value(value).expect("an object")).expect("a ReplicaSet")
}

fn look(replicas: usize, more: Value, pods: &str) -> Vec<String> {
    let set = set(replicas, more);
    let pods: Vec<Typed<Pod>> = pods
        .split_whitespace()
        .map(|text| pod(text, &json!([owner::controller_reference(&REPLICA_SETS, set.object())])))
        .collect();
    let mut crowd = BTreeMap::new();
    for pod in &pods {
        *crowd.entry(pod::node_name(pod).to_owned()).or_default() += 1;
    }
    let state = State { selector: selector_of(set.object()), set, pods, crowd };
    describe(&reconcile(&state, now()))
}

/// What is decided apart from the status.
fn check(replicas: usize, pods: &str, expected: &[&str]) {
    let mut actions = look(replicas, json!({}), pods);
    actions.retain(|action| !action.contains("/status"));
    assert_eq!(actions, expected, "{replicas} {pods:?}");
}

#[test]
fn as_many_pods_as_asked_for() {
    check(0, "", &[]);
    check(3, "", &["create 3 Pod web-*"]);
    check(3, "a:n1:ready", &["create 2 Pod web-*"]);
    check(2, "a:n1:ready b:n1", &[]);
    check(5000, "", &["create 1000 Pod web-*"]);
}

#[test]
fn finished_and_terminating_pods_do_not_count() {
    check(1, "a:n1:failed", &["create 1 Pod web-*"]);
    check(1, "a:n1:succeeded", &["create 1 Pod web-*"]);
    check(1, "a:n1:ready:terminating", &["create 1 Pod web-*"]);
    check(0, "a:n1:ready:terminating b:n1:failed", &[]);
}

#[test]
fn the_least_useful_go_first() {
    check(1, "a:n1:ready b:n1 c", &["delete Pod c", "delete Pod b"]);
    check(1, "a:n1:ready b:n1:running", &["delete Pod b"]);
    check(1, "a:n1:running b:n1", &["delete Pod b"]);
    check(1, "a:n1:running b:n1:unknown", &["delete Pod b"]);
    check(1, "a:n1:ready:cost=5 b:n1:ready:cost=-1", &["delete Pod b"]);
    check(2, "a:n1:ready b:n2:ready c:n2:ready", &["delete Pod b"]);
    check(1, "a:n1:ready:since=1000 b:n1:ready:since=10", &["delete Pod b"]);
    check(1, "a:n1:ready:restarts=0 b:n1:ready:restarts=3", &["delete Pod b"]);
    check(1, "a:n1:running:age=5000 b:n1:running:age=5", &["delete Pod b"]);
    // Nothing between them: by uid, so that it is always the same one.
    check(1, "b:n1:ready a:n1:ready", &["delete Pod a"]);
}

#[test]
fn pods_are_adopted_and_released() {
    let owner = r#"{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"ReplicaSet","name":"web","uid":"set"}"#;
    let adopt = |name| {
        format!(r#"patch Pod {name} {{"metadata":{{"ownerReferences":[{owner}],"resourceVersion":"1"}}}}"#)
    };
    check(1, "a:n1:orphan", &[&adopt("a")]);
    check(2, "a:n1:orphan", &[&adopt("a"), "create 1 Pod web-*"]);
    check(0, "a:n1:orphan:app=db", &[]);
    check(0, "a:n1:orphan:failed", &[]);
    let release = r#"patch Pod a {"metadata":{"ownerReferences":[],"resourceVersion":"1"}}"#;
    check(1, "a:n1:app=db", &[release, "create 1 Pod web-*"]);
}

#[test]
fn one_that_ends_only_tells() {
    let ends = json!({"metadata": {"deletionTimestamp": NOW}});
    let status = r#"patch ReplicaSet web/status {"status":{"fullyLabeledReplicas":1,"observedGeneration":1,"replicas":1}}"#;
    assert_eq!(look(3, ends, "a:n1 b:n1:orphan"), [status]);
}

fn check_status(more: Value, pods: &str, expected: &[&str]) {
    let count = pods.split_whitespace().count();
    assert_eq!(look(count, more, pods), expected, "{pods:?}");
}

#[test]
fn the_status_counts() {
    let patch = |status: &str| format!(r#"patch ReplicaSet web/status {{"status":{status}}}"#);
    let all = r#"{"availableReplicas":1,"fullyLabeledReplicas":2,"observedGeneration":1,"readyReplicas":1,"replicas":2}"#;
    check_status(json!({}), "a:n1:ready b:n1", &[&patch(all)]);
    // What is said already is not said again, and nought is written as nothing.
    let said = json!({"status": {"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1,
        "readyReplicas": 1, "availableReplicas": 1}});
    check_status(said.clone(), "a:n1:ready b:n1", &[]);
    let none = r#"{"availableReplicas":null,"readyReplicas":null,"replicas":2}"#;
    check_status(said, "a:n1 b:n1", &[&patch(none)]);
}

#[test]
fn a_pod_is_available_after_it_was_ready_long_enough() {
    let slow = json!({"spec": {"minReadySeconds": 10}, "status": {"replicas": 2,
        "fullyLabeledReplicas": 2, "observedGeneration": 1, "readyReplicas": 2, "availableReplicas": 1}});
    check_status(slow.clone(), "a:n1:ready:since=10 b:n1:ready:since=4", &["wake at 2026-01-01T12:00:06Z"]);
    let both = r#"patch ReplicaSet web/status {"status":{"availableReplicas":2,"replicas":2}}"#;
    check_status(slow, "a:n1:ready:since=10 b:n1:ready:since=11", &[both]);
}

#[test]
fn a_pod_is_made_from_the_template() {
    let set = set(
        1,
        json!({"spec": {"template": {"metadata": {"annotations": {"x": "y"}},
        "spec": {"unknown": true}}}}),
    );
    let pod = new_pod(&set);
    assert_eq!(pod["metadata"]["generateName"], "web-");
    assert_eq!(pod["metadata"]["labels"]["app"], "web");
    assert_eq!(pod["metadata"]["annotations"]["x"], "y");
    assert_eq!(pod["spec"]["unknown"], true);
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "set");
}
