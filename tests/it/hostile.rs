//! Guests that loop, eat memory, print without end and trap: each costs its own pod only.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use api::resource::PODS;
use api::{Key, Object};
use runtime::node::usage::ContainerUsage;
use serde_json::Value;
use tests::real::RealCluster;

const INNOCENT: &str = include_str!("innocent.yaml");

const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;

const TRAP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;

/// Grows by 1 MiB at a time and traps when it is refused.
const EAT: &str = r#"(module (memory (export "memory") 1) (func (export "_start")
    (loop $again
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $again))))"#;

/// Writes 8 KiB at a time, without end.
const PRINT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\00\20\00\00")
    (func (export "_start")
        (memory.fill (i32.const 16) (i32.const 121) (i32.const 8192))
        (i32.store8 (i32.const 4000) (i32.const 10))
        (i32.store8 (i32.const 8207) (i32.const 10))
        (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $again))))"#;

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n  - name: main\n    \
         image: localhost/{name}\n    resources: {{limits: {{cpu: 100m, memory: 32Mi}}}}\n"
    )
}

fn ended(pod: Option<&Value>) -> bool {
    pod.is_some_and(|pod| {
        ["Failed", "Succeeded"].contains(&pod["status"]["phase"].as_str().unwrap_or_default())
    })
}

fn terminated(pod: &Value) -> (i64, String) {
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    (ended["exitCode"].as_i64().unwrap_or(-1), ended["reason"].as_str().unwrap_or_default().to_owned())
}

async fn with_innocent() -> Result<RealCluster> {
    let cluster = RealCluster::start().await?;
    cluster.import("hello", crate::HELLO)?;
    cluster.create(INNOCENT).await?;
    cluster.wait_for_endpoints("innocent").await?;
    Ok(cluster)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|condition| condition["type"] == "Ready").any(|ready| ready["status"] == "True")
}

/// Asks the innocent pod again and again; every request must be answered.
async fn innocent_answers(cluster: &RealCluster, times: usize) -> Result<()> {
    for _ in 0..times {
        let answer = cluster.get("innocent", 80).await?;
        assert!(answer.contains("hello from innocent"), "{answer}");
    }
    Ok(())
}

/// Runs a guest beside the innocent pod until it has ended by itself.
async fn ends_with(name: &str, program: &str, code: i64, reason: &str) -> Result<()> {
    let cluster = with_innocent().await?;
    cluster.import(name, &wat::parse_str(program)?)?;
    cluster.create(&pod(name)).await?;
    innocent_answers(&cluster, 50).await?;
    let pod = cluster.wait(&PODS, name, ended).await?.expect("a pod");
    assert_eq!(terminated(pod.value()), (code, reason.to_owned()));
    innocent_answers(&cluster, 50).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_eats_memory_is_killed_for_it() -> Result<()> {
    ends_with("eat", EAT, 137, "OOMKilled").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_traps_ends_as_an_abort() -> Result<()> {
    ends_with("trap", TRAP, 134, "Error").await
}

/// Runs a guest that never ends until `is_held_back` says that it is; meanwhile the innocent pod answers. Deleted, it ends
/// as SIGTERM ends a program by default.
async fn is_held_back_until_deleted(
    name: &str,
    program: &str,
    is_held_back: impl Fn(&ContainerUsage, &Path) -> bool,
) -> Result<()> {
    let cluster = with_innocent().await?;
    cluster.import(name, &wat::parse_str(program)?)?;
    let mut states = cluster.states(&PODS, name);
    cluster.create(&pod(name)).await?;
    cluster.wait(&PODS, name, |pod| pod.is_some_and(is_ready)).await?;
    let log = cluster.log(name).await.context("a log")?;
    let node = &cluster.cluster.node;
    while !node.usage(&Key::new("default", name)).iter().any(|usage| is_held_back(usage, log.path())) {
        innocent_answers(&cluster, 10).await?;
    }
    cluster.delete(&PODS, name, 10).await?;
    cluster.wait(&PODS, name, |pod| pod.is_none()).await?;
    let has_ended = |pod: &Option<Object>| pod.as_ref().is_some_and(|pod| terminated(pod.value()).0 >= 0);
    let ended = tokio::time::timeout(Duration::from_secs(60), states.wait_for(has_ended)).await;
    let last = ended.context("a state with the end")??.clone().context("a last state")?;
    assert_eq!(terminated(last.value()), (143, "Error".to_owned()));
    innocent_answers(&cluster, 50).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_loops_is_held_to_its_cpu_limit() -> Result<()> {
    is_held_back_until_deleted("spin", SPIN, |usage, _| usage.throttled > Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_prints_without_end_is_slowed_down_and_its_log_rotated_at_a_bound() -> Result<()> {
    let bounds = tests::real::LOGS;
    let is_held_back = move |usage: &ContainerUsage, log: &Path| {
        // A file may be put aside, or not be there yet, while we look.
        let files = fs::read_dir(log.parent().unwrap()).into_iter().flatten().flatten();
        let sizes: Vec<u64> = files.filter_map(|file| Some(file.metadata().ok()?.len())).collect();
        assert!(sizes.len() <= bounds.max_files, "{sizes:?}");
        // A file is put aside once it has reached the bound, so the entries of one write may lie beyond it.
        assert!(sizes.iter().all(|size| *size < bounds.max_bytes + (64 << 10)), "{sizes:?}");
        sizes.len() == bounds.max_files && usage.log_throttled > Duration::ZERO
    };
    is_held_back_until_deleted("print", PRINT, is_held_back).await
}
