//! Measures the server as clients have it, a process reached over TLS: `cargo bench -p tests --bench serve`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::figures::{self, resident_mib, row, single};
use tests::https::Https;
use tests::load::{self, IN_FLIGHT};
use tests::served::{self, Served};

/// The guest of examples/hello, without its volume.
const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");

/// Prints nothing and ends well.
const DONE: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

const ROUNDS: usize = 20;
const SINGLE_CREATES: usize = 300;
const GROUPED_CREATES: usize = 20_000;
const PODS: usize = 5_000;
const COMPLETIONS: u64 = 500;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn main() -> Result<()> {
    figures::head("cargo bench -p tests --bench serve");
    let many = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // One request at a time is asked for on one thread: what it takes two threads to wake each other is the client's.
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let home = many.block_on(starts())?;
    let served = Served::start_in(home, "127.0.0.1:0", &[])?;
    single("memory, idle", &format!("{} MiB", resident_mib(&served.process().to_string())?));
    one.block_on(one_at_a_time(&served))?;
    many.block_on(many_at_a_time(&served))?;
    let (status, _) = served.stop()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

async fn one_at_a_time(served: &Served) -> Result<()> {
    let https = Https::of(&served.kubeconfig())?;
    single_creates(&https, served.home.path()).await?;
    reads(&https).await?;
    watch_event(&https).await
}

async fn many_at_a_time(served: &Served) -> Result<()> {
    let https = Https::of(&served.kubeconfig())?;
    let process = served.process().to_string();
    grouped_creates(&https).await?;
    job(&https).await?;
    many_pods(&https, &process).await?;
    lists(&https).await
}

/// From the start of the process to the first answer of /readyz, and to the first running pod.
async fn starts() -> Result<Arc<tempfile::TempDir>> {
    let served = Served::start(&[])?;
    import(&served, "hello", HELLO)?;
    import(&served, "done", &wat::parse_str(DONE)?)?;
    let mut home = served.stop()?.1;
    let (mut ready, mut running) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begin = Instant::now();
        let served = Served::start_in(home, "127.0.0.1:0", &[])?;
        let https = Https::of(&served.kubeconfig())?;
        ensure!(https.open("/readyz").await?.status().is_success(), "it is not ready");
        ready.push(begin.elapsed());
        let name = format!("first-{round}");
        run_pod(&https, &name).await?;
        running.push(begin.elapsed());
        https.json("DELETE", &format!("{}/{name}?gracePeriodSeconds=0", load::PODS), None).await?;
        home = served.stop()?.1;
    }
    // The first of them compiled the guest.
    row("exec -> readyz over TLS", &ready[1..]);
    row("exec -> first pod Running, seen over TLS", &running[1..]);
    Ok(home)
}

fn import(served: &Served, name: &str, program: &[u8]) -> Result<()> {
    let file = served.home.path().join(format!("{name}.wasm"));
    std::fs::write(&file, program)?;
    let mut import = served::command(served.home.path())?;
    import.args(["image", "import", "--as", name, "--image-dir"]).arg(served.home.path().join("data/images"));
    ensure!(import.arg(file).stdout(std::process::Stdio::null()).status()?.success(), "not imported");
    Ok(())
}

/// Creates a pod and follows it until it runs.
async fn run_pod(https: &Https, name: &str) -> Result<()> {
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "localhost/hello"}]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    let (status, made) = https.json("POST", load::PODS, Some(&pod)).await?;
    ensure!(status == 201, "{status} {made}");
    let from = made["metadata"]["resourceVersion"].as_str().context("a revision")?;
    let pods = load::PODS;
    let path = format!("{pods}?watch=1&resourceVersion={from}&fieldSelector=metadata.name%3D{name}");
    until_event(https, &path, |event| event["object"]["status"]["phase"] == "Running").await
}

/// Follows a watch until an event is as `is_so` says.
async fn until_event(https: &Https, path: &str, mut is_so: impl FnMut(&Value) -> bool) -> Result<()> {
    let mut answer = https.open(path).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let mut read = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        read.extend_from_slice(&chunk);
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            if is_so(&serde_json::from_slice(&line)?) {
                return Ok(());
            }
        }
    }
    anyhow::bail!("the watch of {path} ended")
}

/// Durable creates, beside what the device does without any server.
async fn single_creates(https: &Https, folder: &Path) -> Result<()> {
    let bare = bare_appends(folder, SINGLE_CREATES)?;
    single("append + fdatasync, bare", &format!("{bare:.0}/s"));
    let begin = Instant::now();
    for number in 0..SINGLE_CREATES {
        create(https, &format!("single-{number}")).await?;
    }
    let one = SINGLE_CREATES as f64 / begin.elapsed().as_secs_f64();
    single("ConfigMap creates, 1 in flight", &format!("{one:.0}/s"));
    single("  of the bare rate", &format!("{:.0} %", 100.0 * one / bare));
    Ok(())
}

async fn grouped_creates(https: &Https) -> Result<()> {
    let begin = Instant::now();
    load::at_once(|worker| {
        let https = https.clone();
        async move {
            for number in 0..GROUPED_CREATES / IN_FLIGHT {
                create(&https, &format!("grouped-{worker}-{number}")).await?;
            }
            Ok(())
        }
    })
    .await?;
    let many = GROUPED_CREATES as f64 / begin.elapsed().as_secs_f64();
    single(&format!("ConfigMap creates, {IN_FLIGHT} in flight"), &format!("{many:.0}/s"));
    https.json("DELETE", CONFIG_MAPS, None).await?;
    Ok(())
}

async fn create(https: &Https, name: &str) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "value"}});
    let (status, answer) = https.json("POST", CONFIG_MAPS, Some(&object)).await?;
    ensure!(status == 201, "{status} {answer}");
    Ok(())
}

fn bare_appends(folder: &Path, times: usize) -> Result<f64> {
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("bare"))?;
    let record = [b'x'; 512];
    let begin = Instant::now();
    for _ in 0..times {
        file.write_all(&record)?;
        file.sync_data()?;
    }
    Ok(times as f64 / begin.elapsed().as_secs_f64())
}

async fn reads(https: &Https) -> Result<()> {
    create(https, "read").await?;
    let path = format!("{CONFIG_MAPS}/read");
    let mut gets = Vec::new();
    for _ in 0..2_000 {
        let begin = Instant::now();
        let answer = https.open(&path).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        answer.bytes().await?;
        gets.push(begin.elapsed());
    }
    row("GET of a ConfigMap", &gets);
    Ok(())
}

/// From the request that creates to the event in a watcher's hands.
async fn watch_event(https: &Https) -> Result<()> {
    let (_, list) = https.json("GET", &format!("{CONFIG_MAPS}?limit=1"), None).await?;
    let from = list["metadata"]["resourceVersion"].as_str().context("a revision")?;
    let mut watch = https.open(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}")).await?;
    let mut spans = Vec::new();
    for number in 0..200 {
        let name = format!("seen-{number}");
        let creator = https.clone();
        let begin = Instant::now();
        let created = tokio::spawn(async move { create(&creator, &name).await });
        watch.chunk().await?.context("the watch ended")?;
        spans.push(begin.elapsed());
        created.await??;
    }
    row("create -> event in a watch", &spans);
    Ok(())
}

async fn job(https: &Https) -> Result<()> {
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "localhost/done",
        "resources": {"requests": {"cpu": "100u", "memory": "64Ki"}}}]}});
    let job = |name: &str, completions: u64| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"completions": completions, "parallelism": 50, "template": template}})
    };
    // The first compiles the guest.
    for (name, completions) in [("warm", 1), ("large", COMPLETIONS)] {
        let begin = Instant::now();
        let jobs = "/apis/batch/v1/namespaces/default/jobs";
        let (status, made) = https.json("POST", jobs, Some(&job(name, completions))).await?;
        ensure!(status == 201, "{status} {made}");
        let from = made["metadata"]["resourceVersion"].as_str().context("a revision")?;
        let path = format!("{jobs}?watch=1&resourceVersion={from}&fieldSelector=metadata.name%3D{name}");
        let is_complete = |event: &Value| event["object"]["status"]["succeeded"] == completions;
        until_event(https, &path, is_complete).await?;
        if completions > 1 {
            row(&format!("Job of {completions} completions, 50 at a time"), &[begin.elapsed()]);
        }
        https.json("DELETE", &format!("{jobs}/{name}?propagationPolicy=Background"), None).await?;
    }
    Ok(())
}

/// Scales a Deployment up, and says what the pods take.
async fn many_pods(https: &Https, process: &str) -> Result<()> {
    let labels = json!({"app": "many"});
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "localhost/hello",
        "resources": {"requests": {"cpu": "100u", "memory": "64Ki"}}}]});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    https.json("POST", deployments, Some(&deployment)).await?;
    for replicas in [1_000, 0] {
        let begin = Instant::now();
        let scale = json!({"spec": {"replicas": replicas}});
        let path = format!("{deployments}/many/scale");
        let request = https.request("PATCH", &path)?.header("content-type", "application/merge-patch+json");
        let answer = request.body(scale.to_string()).send().await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        let path = format!("{deployments}?watch=1&fieldSelector=metadata.name%3Dmany");
        let settled = |event: &Value| {
            let count = |name: &str| event["object"]["status"][name].as_u64().unwrap_or(0);
            event["object"]["status"]["observedGeneration"] == event["object"]["metadata"]["generation"]
                && count("readyReplicas") == replicas
                && count("replicas") == replicas
        };
        until_event(https, &path, settled).await?;
        row(&format!("Deployment scaled to {replicas}, durable"), &[begin.elapsed()]);
        if replicas > 0 {
            single(&format!("memory, {replicas} pods"), &format!("{} MiB", resident_mib(process)?));
        }
    }
    Ok(())
}

/// Lists pods that wait for a node, 4 KiB each.
async fn lists(https: &Https) -> Result<()> {
    load::create_waiting_pods(https, "listed", PODS).await?;
    let (mut spans, mut bytes): (Vec<Duration>, usize) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let answer = https.open("/api/v1/pods").await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        bytes = answer.bytes().await?.len();
        spans.push(begin.elapsed());
    }
    row(&format!("LIST of {PODS} pods, {:.1} MB", bytes as f64 / 1e6), &spans);
    Ok(())
}
