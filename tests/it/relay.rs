//! A guest that asks another service by its name.

use anyhow::Result;
use api::resource::PODS;
use tests::real::RealCluster;

const RELAY: &[u8] = include_bytes!("../../examples/relay/relay.wasm");

const MANIFEST: &str = "
apiVersion: v1
kind: Pod
metadata: {name: relay, labels: {app: relay}}
spec:
  containers:
    - name: relay
      image: localhost/relay
      ports: [{containerPort: 8080}]
      env: [{name: TARGET, value: 'http://innocent.default.svc/'}]
---
apiVersion: v1
kind: Service
metadata: {name: relay}
spec:
  selector: {app: relay}
  ports: [{port: 80, targetPort: 8080}]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_reaches_a_service_by_its_name_and_is_told_when_there_is_none() -> Result<()> {
    let cluster = RealCluster::start().await?;
    cluster.import("relay", RELAY)?;
    cluster.import("hello", crate::HELLO)?;
    cluster.create(MANIFEST).await?;
    cluster.wait_for_endpoints("relay").await?;
    let refused = cluster.get("relay", 80).await.expect_err("nobody to ask").to_string();
    assert!(refused.contains("HTTP/1.1 502") && refused.contains("DnsError"), "{refused}");

    cluster.create(include_str!("innocent.yaml")).await?;
    cluster.wait_for_endpoints("innocent").await?;
    let answer = cluster.get("relay", 80).await?;
    assert!(answer.contains("hello from innocent (greeting: good day)"), "{answer}");

    cluster.delete(&PODS, "innocent", 5).await?;
    cluster.wait(&PODS, "innocent", |pod| pod.is_none()).await?;
    let refused = cluster.get("relay", 80).await.expect_err("nobody to ask").to_string();
    assert!(refused.contains("HTTP/1.1 502"), "{refused}");
    cluster.stop().await;
    Ok(())
}
