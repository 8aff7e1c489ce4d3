//! Probes of real programs: a component says itself whether it is ready, and one that does not answer well is started again.

use anyhow::{Context, Result};
use api::resource::{CONFIG_MAPS, PODS};
use serde_json::{Value, json};
use tests::real::RealCluster;

/// Answers well on `/` only as long as it finds its greeting, and on `/healthz` always.
const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: hello, labels: {app: hello}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: hello
    image: localhost/hello:latest
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {httpGet: {port: http, path: PATH}, periodSeconds: 1, failureThreshold: 1}
    lifecycle:
      postStart: {httpGet: {port: http, path: /healthz}}
      preStop: {httpGet: {port: 1, path: /}}
    volumeMounts: [{name: greeting, mountPath: /etc/hello}]
  volumes: [{name: greeting, configMap: {name: hello, optional: true}}]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{port: 80, targetPort: http}]}
"#;

const GREETING: &str =
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: hello}, data: {greeting: Good day}}";

fn container(pod: Option<&Value>) -> Value {
    pod.map_or(Value::Null, |pod| pod["status"]["containerStatuses"][0].clone())
}

async fn start(path: &str) -> Result<RealCluster> {
    let cluster = RealCluster::start().await?;
    cluster.import("hello", crate::HELLO)?;
    cluster.create(&POD.replace("PATH", path)).await?;
    Ok(cluster)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_gets_requests_as_long_as_it_says_that_it_is_ready() -> Result<()> {
    let cluster = start("/healthz").await?;
    let is_started = |pod: Option<&Value>| container(pod)["started"] == true;
    let pod = cluster.wait(&PODS, "hello", is_started).await?.context("the pod")?;
    assert_eq!(container(Some(pod.value()))["ready"], false);
    let refused = cluster.get("hello", 80).await.expect_err("it is not ready").to_string();
    assert!(refused.contains("no ready endpoints"), "{refused}");
    cluster.create(GREETING).await?;
    cluster.wait(&PODS, "hello", |pod| container(pod)["ready"] == true).await?;
    cluster.wait_for_endpoints("hello").await?;
    assert!(cluster.get("hello", 80).await?.contains("greeting: Good day"));
    cluster.delete(&CONFIG_MAPS, "hello", 0).await?;
    let pod = cluster.wait(&PODS, "hello", |pod| container(pod)["ready"] == false).await?;
    assert_eq!(container(pod.as_ref().map(api::Object::value))["restartCount"], 0);
    cluster.delete(&PODS, "hello", 30).await?;
    cluster.wait(&PODS, "hello", |pod| pod.is_none()).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_does_not_live_is_started_again() -> Result<()> {
    let cluster = start("/nothing-here").await?;
    let is_again = |pod: Option<&Value>| container(pod)["restartCount"].as_u64() >= Some(1);
    let pod = cluster.wait(&PODS, "hello", is_again).await?.context("the pod")?;
    let last = &container(Some(pod.value()))["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(143), &json!("Error")));
    cluster.stop().await;
    Ok(())
}
