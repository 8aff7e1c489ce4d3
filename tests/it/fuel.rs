//! Pods that pay in fuel: their budget ends them, and what they burnt is told.

use std::time::Duration;

use anyhow::{Context, Result};
use api::resource::{EVENTS, PODS};
use cli::cluster::until;
use serde_json::Value;
use tests::real::RealCluster;

const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: metered
  annotations: {peapod.dev/fuel.main: 50M}
spec:
  runtimeClassName: fuel
  restartPolicy: Never
  containers: [{name: main, image: localhost/spin}]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_of_class_fuel_ends_when_its_budget_is_spent() -> Result<()> {
    let cluster = RealCluster::start().await?;
    cluster.import("spin", &wat::parse_str(SPIN)?)?;
    cluster.create(POD).await?;
    let has_ended = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Failed");
    let pod = cluster.wait(&PODS, "metered", has_ended).await?.context("the pod")?;
    let ended = &pod.value()["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"], &ended["message"]),
        (&137.into(), &"FuelExhausted".into(), &"all the fuel it was given is spent".into())
    );
    let cache = &cluster.cluster.cache;
    let is_told = || {
        let events = cache.snapshot(&EVENTS);
        let mut messages = events.iter().map(|event| event.value()["message"].clone());
        messages.any(|message| message == "Container burnt 50000000 units of fuel")
    };
    let told = tokio::time::timeout(Duration::from_secs(60), until(cache, &EVENTS, is_told)).await;
    told.context("no event tells of the fuel")?;
    cluster.stop().await;
    Ok(())
}
