//! What a quota says after it was counted, one row each.

use api::resource::{PODS, SERVICES};
use serde_json::{Value, json};

use super::*;
use crate::framework::describe;
use crate::testing::{now, object};

fn quota(hard: Value, status: Value) -> Typed<ResourceQuota> {
    let value = json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": hard}, "status": status,
        "metadata": {"name": "q", "namespace": "n", "uid": "q", "resourceVersion": "1"}});
    Typed::new(object(value)).expect("a quota")
}

fn check(hard: Value, status: Value, used: Value, expected: Option<Value>) {
    let used: BTreeMap<String, api::quantity::Quantity> = serde_json::from_value(used).expect("amounts");
    let mut state = State { quota: quota(hard, status), used, is_complete: true };
    let actions = reconcile(&state, now());
    let expected =
        expected.map(|status| format!("patch ResourceQuota q/status {}", json!({"status": status})));
    assert_eq!(describe(&actions), expected.into_iter().collect::<Vec<_>>());
    state.is_complete = false;
    assert_eq!(describe(&reconcile(&state, now())), ["wake at 2026-01-01T12:00:01Z"]);
}

#[test]
fn the_status_follows_what_is_there() {
    let hard = json!({"pods": "2", "requests.memory": "1Gi"});
    let used = json!({"pods": "1", "requests.memory": "512Mi"});
    let said = json!({"hard": hard, "used": used});
    check(hard.clone(), json!({}), used.clone(), Some(said.clone()));
    check(hard.clone(), said.clone(), used.clone(), None);
    let same = json!({"hard": {"pods": "2000m", "requests.memory": "1024Mi"}, "used": used});
    check(hard.clone(), same, used, None);
    let less = json!({"pods": "0", "requests.memory": "0"});
    check(hard.clone(), said, less.clone(), Some(json!({"hard": hard, "used": less})));
    check(json!({}), json!({}), json!({}), Some(json!({"hard": {}, "used": {}})));
}

#[test]
fn what_the_quota_no_longer_holds_goes() {
    let said = json!({"hard": {"pods": "2", "secrets": "1"}, "used": {"pods": "1", "secrets": "0"}});
    let now = json!({"hard": {"pods": "2", "secrets": null}, "used": {"pods": "1", "secrets": null}});
    check(json!({"pods": "2"}), said, json!({"pods": "1"}), Some(now));
}

#[test]
fn what_nobody_counts_for_is_not_said_but_kept() {
    let hard = json!({"count/widgets.example.com": "3"});
    check(hard.clone(), json!({}), json!({}), Some(json!({"hard": hard, "used": {}})));
    let said = json!({"hard": hard, "used": {"count/widgets.example.com": "2"}});
    check(hard, said, json!({}), None);
}

#[test]
fn only_what_counts_otherwise_is_of_interest() {
    let row = |resource: &Resource, old: Value, new: Value, expected: bool| {
        let change = Change { old: Some(object(old)), new: Some(object(new)) };
        assert_eq!(counts_as_before(resource, &change), expected);
    };
    let pod = |spec: Value, phase: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec,
            "status": {"phase": phase}})
    };
    let (bare, ends) = (json!({"containers": []}), json!({"containers": [], "activeDeadlineSeconds": 5}));
    row(&PODS, pod(bare.clone(), "Pending"), pod(bare.clone(), "Running"), true);
    row(&PODS, pod(bare.clone(), "Running"), pod(bare.clone(), "Failed"), false);
    row(&PODS, pod(bare.clone(), "Running"), pod(ends, "Running"), false);
    let service = |kind: &str| json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": kind}});
    row(&SERVICES, service("ClusterIP"), service("ClusterIP"), true);
    row(&SERVICES, service("ClusterIP"), service("NodePort"), false);
    let came = Change { old: None, new: Some(object(pod(bare, "Pending"))) };
    assert!(!counts_as_before(&PODS, &came));
}
