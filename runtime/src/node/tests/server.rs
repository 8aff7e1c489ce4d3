//! What the node answers over HTTP.

use std::time::Duration;

use api::dialer::{Destination, Dialer};
use serde_json::{Value, json};

use super::cluster::Trial;
use crate::node::NodeDialer;
use crate::node::machine::Phase;

const LOG: &str = "/containerLogs/default/web/main";

#[tokio::test(start_paused = true)]
async fn a_log_is_shown_as_it_is_asked_for() {
    let trial = Trial::new("localhost/web:v1", "print one; print two; print three; exit 0 after 1m").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    let check = async |query: &str, expected: &str| {
        assert_eq!(trial.ask(&format!("{LOG}?{query}")).await, (200, expected.into()), "{query}");
    };
    check("", "one\ntwo\nthree\n").await;
    check("tailLines=2", "two\nthree\n").await;
    check("tailLines=0", "").await;
    check("limitBytes=6", "one\ntw").await;
    check("tailLines=1&timestamps=true", "2026-01-01T00:00:00.001000000Z three\n").await;
    check("stream=Stderr", "").await;
    check("sinceTime=2026-01-01T00%3A00%3A01Z", "").await;
    trial.wait(Duration::from_secs(30)).await;
    check("sinceSeconds=60", "one\ntwo\nthree\n").await;
    check("sinceSeconds=10", "").await;
}

#[tokio::test(start_paused = true)]
async fn following_ends_with_the_container_and_shows_all_of_it() {
    let trial = Trial::new("localhost/web:v1", "print one; print two; exit 0 after 5s").await;
    trial.create(trial.pod("web", json!({"restartPolicy": "Never"}))).await;
    trial.settle().await;
    assert_eq!(trial.ask(&format!("{LOG}?follow=true&tailLines=1")).await, (200, "two\n".into()));
    assert_eq!(trial.now(), "2026-01-01T00:00:05Z");
    trial.settle().await;
    assert_eq!(trial.ask(&format!("{LOG}?follow=true")).await, (200, "one\ntwo\n".into()));
}

#[tokio::test(start_paused = true)]
async fn there_is_a_reason_where_there_is_no_log() {
    let trial = Trial::new("localhost/web:v1", "start 1h").await;
    let image = |image: &str| json!({"containers": [{"name": "main", "image": image}]});
    trial.create(trial.pod("web", image("localhost/web:v1"))).await;
    trial.create(trial.pod("lost", image("localhost/none"))).await;
    trial.create(trial.pod("other", json!({"nodeName": "node-2"}))).await;
    trial.wait(Duration::from_secs(1)).await;
    let check = async |path: &str, code: u16, words: &str| {
        assert_eq!(trial.ask(&format!("/containerLogs/default/{path}")).await, (code, format!("{words}\n")));
    };
    check("web/main?previous=true", 400, r#"previous terminated container "main" in pod "web" not found"#)
        .await;
    check("lost/main", 400, r#"container "main" in pod "lost" is waiting to start: image can't be pulled"#)
        .await;
    check("web/side", 404, r#"container "side" not found in pod "web""#).await;
    check("none/main", 404, r#"pod "none" does not exist"#).await;
    check("other/main", 404, r#"pod "other" does not exist"#).await;
    check("web/main?tailLines=x", 400, r#"invalid value for tailLines: "x""#).await;
    let slow = json!({"containers": [{"name": "main", "image": "localhost/slow"}]});
    trial.engine.register("localhost/slow", "prepare 1h").unwrap();
    trial.create(trial.pod("slow", slow)).await;
    trial.wait(Duration::from_secs(1)).await;
    check("slow/main", 400, r#"container "main" in pod "slow" is waiting to start: ContainerCreating"#).await;
}

#[tokio::test(start_paused = true)]
async fn usage_is_told_of_the_node_and_of_what_runs() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    let summary = async || -> Value { serde_json::from_str(&trial.ask("/stats/summary").await.1).unwrap() };
    let soon = summary().await["pods"][0]["containers"][0]["cpu"]["usageNanoCores"].take();
    assert_eq!(soon, 0, "before the first window has passed it is the average so far");
    trial.wait(Duration::from_secs(2)).await;
    let told = summary().await;
    let pod = &told["pods"][0];
    assert_eq!(pod["podRef"], json!({"name": "web", "namespace": "default", "uid": "uid-web"}));
    let container = &pod["containers"][0];
    assert_eq!(
        (&container["name"], &container["startTime"]),
        (&json!("main"), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(container["cpu"]["usageNanoCores"], 0);
    assert_eq!(container["memory"]["workingSetBytes"], 0);
    assert_eq!(told["node"]["nodeName"], "node-1");
    assert_eq!(told["node"]["cpu"]["usageNanoCores"], 0);
    let (_, metrics) = trial.ask("/metrics/resource").await;
    for line in [
        "# TYPE container_cpu_usage_seconds_total counter",
        "container_memory_working_set_bytes{container=\"main\",namespace=\"default\",pod=\"web\"} 0 1767225602",
        "pod_memory_working_set_bytes{namespace=\"default\",pod=\"web\"} 0 ",
        "node_cpu_usage_seconds_total 0 ",
    ] {
        assert!(metrics.lines().any(|known| known.starts_with(line)), "{line} in {metrics}");
    }
    let (_, metrics) = trial.ask("/metrics/cadvisor").await;
    let of_pod =
        "container=\"\",id=\"/kubepods/poduid-web\",image=\"\",name=\"\",namespace=\"default\",pod=\"web\"";
    let of_main = "container=\"main\",id=\"/kubepods/poduid-web/main\",image=\"localhost/web:v1\",name=\"main\",\
        namespace=\"default\",pod=\"web\"";
    for line in [
        format!("container_cpu_usage_seconds_total{{{of_pod},cpu=\"total\"}} 0 1767225602"),
        format!("container_cpu_usage_seconds_total{{{of_main},cpu=\"total\"}} 0 "),
        format!("container_memory_working_set_bytes{{{of_main}}} 0 "),
        format!("container_spec_memory_limit_bytes{{{of_main}}} 0 "),
        "# TYPE container_cpu_cfs_throttled_seconds_total counter".to_owned(),
        "machine_cpu_cores 4 ".to_owned(),
    ] {
        assert!(metrics.lines().any(|known| known.starts_with(&line)), "{line} in {metrics}");
    }
    trial.delete("web").await;
    trial.settle().await;
    assert_eq!(summary().await["pods"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn other_paths_and_other_nodes() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.create(trial.pod("web-2", json!({}))).await;
    trial.create(trial.pod("other", json!({"nodeName": "node-2"}))).await;
    trial.settle().await;
    assert_eq!(trial.ask("/healthz").await, (200, "ok".into()));
    assert_eq!(trial.ask("/nothing").await.0, 404);
    let pods: Value = serde_json::from_str(&trial.ask("/pods").await.1).unwrap();
    let names: Vec<&Value> =
        pods["items"].as_array().unwrap().iter().map(|pod| &pod["metadata"]["name"]).collect();
    assert_eq!(names, ["web", "web-2"]);
    let dialer = NodeDialer::new(trial.node.clone());
    let refused = dialer.dial(&Destination::Node("node-2".into())).await.err().unwrap();
    assert_eq!(refused.to_string(), "node \"node-2\" is not known here");
}

#[tokio::test(start_paused = true)]
async fn figures_count_pods_containers_and_starts() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.engine.register("localhost/crash", "exit 1 after 1s").unwrap();
    trial.create(trial.pod("web", json!({}))).await;
    let crash = json!({"containers": [{"name": "main", "image": "localhost/crash"}]});
    trial.create(trial.pod("crash", crash)).await;
    trial.wait(Duration::from_secs(3)).await;
    let figures = trial.node.figures();
    assert_eq!(figures.pods[&Phase::Running], 2);
    assert_eq!(figures.pods[&Phase::Failed], 0);
    assert_eq!((figures.running_containers, figures.started_containers, figures.restarts), (1, 3, 1));
    assert_eq!(figures.images, 2);
}
