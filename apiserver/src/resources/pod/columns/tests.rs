//! Pods in every state, and the line kubectl shows of each.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

/// The cells that are always shown, of a pod with these containers.
fn line(spec: Value, status: Value) -> String {
    metadata_line(json!({}), spec, status)
}

fn metadata_line(metadata: Value, spec: Value, status: Value) -> String {
    let mut pod = json!({"metadata": metadata, "spec": spec, "status": status});
    pod["metadata"]["name"] = "web".into();
    pod["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let row = row(&pod, now());
    assert_eq!(row.len(), COLUMNS.len());
    row[..5].iter().map(|cell| cell.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn containers(names: &[&str]) -> Value {
    json!({"containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()})
}

fn container(name: &str, state: Value) -> Value {
    let ready = state.get("running").is_some();
    json!({"name": name, "image": "", "imageID": "", "ready": ready, "restartCount": 0, "state": state})
}

fn phase(phase: &str, containers: &[Value]) -> Value {
    json!({"phase": phase, "containerStatuses": containers})
}

#[test]
fn the_word_is_the_one_a_user_needs_to_know() {
    let check = |status: Value, expected: &str| {
        assert_eq!(line(containers(&["a", "b"]), status), format!("web {expected} 60m"));
    };
    let running = || container("a", json!({"running": {}}));
    let waiting = |reason: &str| container("b", json!({"waiting": {"reason": reason}}));
    let ended = |name: &str, ended: Value| container(name, json!({"terminated": ended}));
    check(json!({"phase": "Pending"}), "0/2 Pending 0");
    check(json!({"phase": "Failed", "reason": "Evicted"}), "0/2 Evicted 0");
    let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    check(json!({"phase": "Pending", "conditions": gated}), "0/2 SchedulingGated 0");
    check(phase("Running", &[running()]), "1/2 Running 0");
    check(phase("Running", &[running(), waiting("CrashLoopBackOff")]), "1/2 CrashLoopBackOff 0");
    check(phase("Pending", &[waiting("ContainerCreating")]), "0/2 ContainerCreating 0");
    let completed = json!({"exitCode": 0, "reason": "Completed"});
    check(phase("Succeeded", &[ended("a", completed.clone())]), "0/2 Completed 0");
    let killed = json!({"exitCode": 137, "reason": "OOMKilled"});
    check(phase("Running", &[ended("a", killed)]), "0/2 OOMKilled 0");
    check(phase("Failed", &[ended("a", json!({"exitCode": 3}))]), "0/2 ExitCode:3 0");
    check(phase("Failed", &[ended("a", json!({"exitCode": 137, "signal": 9}))]), "0/2 Signal:9 0");
    let mut half = phase("Running", &[running(), ended("b", completed)]);
    check(half.clone(), "1/2 NotReady 0");
    half["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    check(half, "1/2 Running 0");
}

#[test]
fn the_first_container_with_something_to_say_is_heard() {
    let waiting = |name, reason| container(name, json!({"waiting": {"reason": reason}}));
    let status = phase("Pending", &[waiting("a", "ImagePullBackOff"), waiting("b", "CrashLoopBackOff")]);
    assert_eq!(line(containers(&["a", "b"]), status), "web 0/2 ImagePullBackOff 0 60m");
}

#[test]
fn restarts_are_counted_and_dated() {
    let restarted = |name: &str, count: i32, minutes: i32| {
        let mut status = container(name, json!({"running": {}}));
        status["restartCount"] = count.into();
        let finished = format!("2026-01-01T00:{minutes}:00Z");
        status["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": finished}});
        status
    };
    let status = phase("Running", &[restarted("a", 1, 55), restarted("b", 2, 30)]);
    assert_eq!(line(containers(&["a", "b"]), status), "web 2/2 Running 3 (5m ago) 60m");
    let mut undated = container("a", json!({"running": {}}));
    undated["restartCount"] = 2.into();
    assert_eq!(line(containers(&["a"]), phase("Running", &[undated])), "web 1/1 Running 2 60m");
}

#[test]
fn init_containers_come_first() {
    let check = |init: &[Value], expected: &str| {
        let mut spec = containers(&["main"]);
        spec["initContainers"] = json!([{"name": "one"}, {"name": "two"}]);
        let mut status =
            phase("Pending", &[container("main", json!({"waiting": {"reason": "PodInitializing"}}))]);
        status["initContainerStatuses"] = init.into();
        assert_eq!(line(spec, status), format!("web {expected} 60m"));
    };
    let running = |name| container(name, json!({"running": {}}));
    let waiting = |name, reason| container(name, json!({"waiting": {"reason": reason}}));
    let ended = |name, ended: Value| container(name, json!({"terminated": ended}));
    let mut failed = ended("one", json!({"exitCode": 0, "reason": "Completed"}));
    failed["restartCount"] = 4.into();
    check(&[running("one")], "0/1 Init:0/2 0");
    check(&[failed.clone(), running("two")], "0/1 Init:1/2 4");
    check(&[failed.clone(), waiting("two", "PodInitializing")], "0/1 Init:1/2 4");
    check(&[waiting("one", "CrashLoopBackOff")], "0/1 Init:CrashLoopBackOff 0");
    check(&[ended("one", json!({"exitCode": 1, "reason": "Error"}))], "0/1 Init:Error 0");
    check(&[ended("one", json!({"exitCode": 2}))], "0/1 Init:ExitCode:2 0");
    check(&[ended("one", json!({"exitCode": 137, "signal": 9}))], "0/1 Init:Signal:9 0");
    // Those of init containers that are done are forgotten.
    let done = ended("two", json!({"exitCode": 0, "reason": "Completed"}));
    check(&[failed, done], "0/1 PodInitializing 0");
}

#[test]
fn sidecars_count_as_containers() {
    let mut spec = containers(&["main"]);
    spec["initContainers"] = json!([{"name": "proxy", "restartPolicy": "Always"}]);
    let mut proxy = container("proxy", json!({"running": {}}));
    proxy["started"] = true.into();
    proxy["restartCount"] = 2.into();
    let mut status = phase("Running", &[container("main", json!({"running": {}}))]);
    status["initContainerStatuses"] = json!([proxy]);
    assert_eq!(line(spec.clone(), status), "web 2/2 Running 2 60m");
    let mut status = phase("Pending", &[]);
    status["initContainerStatuses"] = json!([container("proxy", json!({"running": {}}))]);
    assert_eq!(line(spec, status), "web 0/2 Init:0/1 0 60m");
}

#[test]
fn pods_that_go_say_so() {
    let leaving = |status| {
        let metadata = json!({"deletionTimestamp": "2026-01-01T00:59:00Z"});
        metadata_line(metadata, containers(&["a"]), status)
    };
    let running = || phase("Running", &[container("a", json!({"running": {}}))]);
    assert_eq!(leaving(running()), "web 1/1 Terminating 0 60m");
    let mut lost = running();
    lost["reason"] = "NodeLost".into();
    assert_eq!(leaving(lost), "web 1/1 Unknown 0 60m");
    let ended = container("a", json!({"terminated": {"exitCode": 0, "reason": "Completed"}}));
    assert_eq!(leaving(phase("Succeeded", &[ended])), "web 0/1 Completed 0 60m");
}

#[test]
fn wide_cells_say_where() {
    let wide = |pod: Value| {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        row(&pod, now())[5..].iter().map(|cell| cell.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(wide(json!({})), ["<none>", "<none>", "<none>", "<none>"]);
    let pod = json!({
        "spec": {"containers": [], "nodeName": "n1", "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]},
        "status": {
            "podIP": "10.128.0.2", "podIPs": [{"ip": "10.128.0.2"}], "nominatedNodeName": "n2",
            "conditions": [{"type": "x", "status": "True"}, {"type": "y", "status": "False"}],
        },
    });
    assert_eq!(wide(pod), ["10.128.0.2", "n1", "n2", "1/2"]);
}
