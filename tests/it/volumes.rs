//! What real guests write to volumes: kept for later pods, and no more than they may.

use std::time::Duration;

use anyhow::{Context, Result};
use api::Key;
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS};
use cli::cluster::until;
use serde_json::Value;
use tests::real::RealCluster;

/// Calls of WASI 0.1, and the name of a file at 64; descriptor 3 is the volume.
const HEAD: &str = r#"
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 17)
    (data (i32.const 64) "note")
    (data (i32.const 80) "kept\0a")
    (func $open (param $flags i32)
        (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (local.get $flags)
                (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 16))
            (then unreachable)))
    (func $span (param $at i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $length)))"#;

/// Writes a word to the file.
const WRITE: &str = r#"(func (export "_start")
    (call $open (i32.const 1))
    (call $span (i32.const 80) (i32.const 5))
    (if (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))"#;

/// Prints what is in the file.
const READ: &str = r#"(func (export "_start")
    (call $open (i32.const 0))
    (call $span (i32.const 128) (i32.const 64))
    (if (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#;

fn program(start: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(format!("(module {HEAD} {start})"))?)
}

fn pod(name: &str, volume: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: localhost/{name}\n    \
         volumeMounts: [{{name: v, mountPath: /data}}]\n  volumes: [{{name: v, {volume}}}]\n"
    )
}

fn is_gone(object: Option<&Value>) -> bool {
    object.is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_keeps_what_a_pod_wrote_for_the_next() -> Result<()> {
    let cluster = RealCluster::start().await?;
    cluster.import("writer", &program(WRITE)?)?;
    cluster.import("reader", &program(READ)?)?;
    cluster
        .create(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec:\n  accessModes: [ReadWriteOnce]\n  \
             resources: {requests: {storage: 1Mi}}\n",
        )
        .await?;
    let claim = "persistentVolumeClaim: {claimName: data}";
    cluster.create(&pod("writer", claim)).await?;
    let has_written = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Succeeded");
    cluster.wait(&PODS, "writer", has_written).await?;
    cluster.delete(&PODS, "writer", 0).await?;
    cluster.wait(&PODS, "writer", is_gone).await?;
    cluster.create(&pod("reader", claim)).await?;
    assert_eq!(cluster.output("reader").await?, b"kept\n");
    let persistent_volumes = PERSISTENT_VOLUMES;
    let bound = |claim: Option<&Value>| claim.is_some_and(|claim| claim["status"]["phase"] == "Bound");
    let claim = cluster.wait(&PERSISTENT_VOLUME_CLAIMS, "data", bound).await?.context("a claim")?;
    let volume = claim.value()["spec"]["volumeName"].as_str().context("a volume")?.to_owned();
    // It stays as long as a pod uses it, and with it goes what was written.
    cluster.delete(&PERSISTENT_VOLUME_CLAIMS, "data", 0).await?;
    cluster.delete(&PODS, "reader", 0).await?;
    cluster.wait(&PERSISTENT_VOLUME_CLAIMS, "data", is_gone).await?;
    let cache = &cluster.cluster.cache;
    let key = Key::cluster(volume.as_str());
    let is_gone = || cache.get(&PERSISTENT_VOLUMES, &key).is_none();
    let gone = until(cache, &persistent_volumes, is_gone);
    tokio::time::timeout(Duration::from_secs(60), gone).await.context("the volume stays")?;
    cluster.stop().await;
    Ok(())
}

/// Writes 1 MiB again and again.
const FILL: &str = r#"(func (export "_start")
    (call $open (i32.const 1))
    (call $span (i32.const 65536) (i32.const 1048576))
    (loop
        (drop (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br 0)))"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_fills_its_volume_is_evicted() -> Result<()> {
    let cluster = RealCluster::start().await?;
    for (name, volume) in
        [("filler", "emptyDir: {sizeLimit: 8Mi}"), ("eater", "emptyDir: {medium: Memory, sizeLimit: 8Mi}")]
    {
        cluster.import(name, &program(FILL)?)?;
        cluster.create(&pod(name, volume)).await?;
    }
    for name in ["filler", "eater"] {
        let has_failed = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Failed");
        let failed = cluster.wait(&PODS, name, has_failed).await?.context("a pod")?;
        let status = &failed.value()["status"];
        assert_eq!(status["reason"], "Evicted");
        assert_eq!(status["message"], "Usage of EmptyDir volume \"v\" exceeds the limit \"8Mi\". ");
    }
    cluster.stop().await;
    Ok(())
}
