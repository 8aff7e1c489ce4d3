//! Measures how well limits of CPU are kept: `cargo bench -p tests --bench limits`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::Key;
use api::resource::PODS;
use runtime::node::usage::ContainerUsage;
use serde_json::{Value, json};
use tests::figures;
use tests::load;
use tests::real::RealCluster;

/// How long each guest is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// How far the CPU time of a guest may be from its limit, in percent.
const AIM: f64 = 5.0;

/// Never leaves its loop.
const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;

/// Asks the host for the time, again and again.
const CALL: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (loop $again (drop (call $time (i32.const 1) (i64.const 1) (i32.const 0))) (br $again))))"#;

/// Fills 32 MiB at a time: nothing interrupts it on the way.
const FILL: &str = r#"(module (memory (export "memory") 512) (func (export "_start")
    (loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 33554432)) (br $again))))"#;

fn main() -> Result<()> {
    println!("{}", figures::machine());
    println!("cargo bench -p tests --bench limits\n");
    println!("{:<10} {:>8} {:>10} {:>8} {:>12}", "guest", "limit", "used", "off by", "held back");
    load::on_all_processors(measure())
}

async fn measure() -> Result<()> {
    for (name, program) in [("spinning", SPIN), ("calling", CALL), ("filling", FILL)] {
        let cluster = RealCluster::start().await?;
        cluster.import("guest", &wat::parse_str(program)?)?;
        for millis in [50, 100, 250, 500] {
            let pod = pod(millis, json!({}), &[json!({"limits": {"cpu": format!("{millis}m")}})]);
            cluster.cluster.client.create(&PODS, "default", &pod).await?;
        }
        watch(&cluster, name, &[50, 100, 250, 500]).await?;
        for millis in [50, 100, 250, 500] {
            cluster.delete(&PODS, &pod_name(millis), 1).await?;
            cluster.wait(&PODS, &pod_name(millis), |pod| pod.is_none()).await?;
        }
        let whole = json!({"limits": {"cpu": "1500m"}});
        let pod = pod(1500, whole, &[json!({}), json!({})]);
        cluster.cluster.client.create(&PODS, "default", &pod).await?;
        watch(&cluster, name, &[1500]).await?;
        cluster.stop().await;
    }
    weigh().await
}

/// Lets twice as many guests compute as there are processors, half of them having asked for three times as much.
async fn weigh() -> Result<()> {
    let cluster = RealCluster::start().await?;
    cluster.import("guest", &wat::parse_str(SPIN)?)?;
    let each = std::thread::available_parallelism()?.get() as u32;
    let (few, many): (Vec<u32>, Vec<u32>) = ((1..=each).collect(), (each + 1..=2 * each).collect());
    for (names, request) in [(&few, "100m"), (&many, "300m")] {
        for name in names {
            let pod = pod(*name, json!({}), &[json!({"requests": {"cpu": request}})]);
            cluster.cluster.client.create(&PODS, "default", &pod).await?;
            let is_running = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Running");
            cluster.wait(&PODS, &pod_name(*name), is_running).await?;
        }
    }
    let sum =
        |names: &[u32]| -> Result<Duration> { names.iter().map(|name| Ok(used(&cluster, *name)?.0)).sum() };
    let (few_before, many_before) = (sum(&few)?, sum(&many)?);
    tokio::time::sleep(WATCHED).await;
    let (few, many) = ((sum(&few)? - few_before).as_secs_f64(), (sum(&many)? - many_before).as_secs_f64());
    println!("requests of 300m got {:.2} times the CPU time of requests of 100m (aim 3)", many / few);
    cluster.stop().await;
    Ok(())
}

async fn watch(cluster: &RealCluster, name: &str, limits: &[u32]) -> Result<()> {
    for millis in limits {
        let is_running = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Running");
        cluster.wait(&PODS, &pod_name(*millis), is_running).await?;
    }
    // What was spent before the limit first held is not of interest.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before: Vec<_> = limits.iter().map(|millis| used(cluster, *millis)).collect::<Result<_>>()?;
    let begin = Instant::now();
    tokio::time::sleep(WATCHED).await;
    for (millis, (used_before, held_before)) in limits.iter().zip(before) {
        let (used, held) = used(cluster, *millis)?;
        let share = (used - used_before).as_secs_f64() / begin.elapsed().as_secs_f64() * 1000.0;
        let off = (share / f64::from(*millis) - 1.0) * 100.0;
        let mark = if off.abs() > AIM { "  beyond the aim" } else { "" };
        let held = (held - held_before).as_secs_f64();
        println!(
            "{name:<10} {:>8} {:>10} {off:>+7.1}% {held:>10.1} s{mark}",
            format!("{millis}m"),
            format!("{share:.1}m")
        );
        ensure!(share > 0.0, "the guest did not run");
    }
    Ok(())
}

/// The CPU time of a pod, and how long it was held back.
fn used(cluster: &RealCluster, millis: u32) -> Result<(Duration, Duration)> {
    let usage = cluster.cluster.node.usage(&Key::new("default", pod_name(millis).as_str()));
    let sum = |part: fn(&ContainerUsage) -> Duration| usage.iter().map(part).sum();
    usage.first().context("the pod runs no more")?;
    Ok((sum(|one| one.cpu_used), sum(|one| one.throttled)))
}

fn pod_name(millis: u32) -> String {
    format!("guest-{millis}")
}

fn pod(millis: u32, whole: Value, containers: &[Value]) -> Value {
    let containers: Vec<Value> = containers
        .iter()
        .enumerate()
        .map(|(index, resources)| {
            json!({"name": format!("main-{index}"), "image": "localhost/guest", "resources": resources})
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod_name(millis)},
        "spec": {"restartPolicy": "Never", "resources": whole, "containers": containers},
    })
}
