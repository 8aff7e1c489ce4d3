//! Measures what many clients and changes cost the server, over TLS: `cargo bench -p tests --bench clients`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::figures::{resident_mib, row, single};
use tests::https::Https;
use tests::load::{self, IN_FLIGHT};
use tests::require;
use tests::served::Served;
use tokio::sync::Notify;
use tokio::task::JoinSet;

const PATCHES: usize = 20_000;
const WATCHERS: u64 = 1_000;
const EVENTS_PER_SECOND: u64 = 1_000;
const SECONDS: u64 = 5;
const APPLIED: usize = 1_000;
const PODS: usize = 5_000;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn main() -> Result<()> {
    load::run("cargo bench -p tests --bench clients", measure())
}

async fn measure() -> Result<()> {
    let served = Served::start(&[])?;
    let https = Https::of(&served.kubeconfig())?;
    let process = served.process().to_string();
    patches(&https, "merge patches", "", MERGE).await?;
    patches(&https, "server-side applies", "?fieldManager=bench&force=true", APPLY).await?;
    watchers(&https).await?;
    kubectl_apply(&served, &process)?;
    stored_pods(&https, &process).await?;
    let (status, _) = served.stop()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Changes of objects, each client with one of its own.
async fn patches(https: &Https, name: &str, query: &'static str, format: &'static str) -> Result<()> {
    for worker in 0..IN_FLIGHT {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("patched-{worker}")},
            "data": {"number": "none", "key": "value"}});
        https.json("POST", CONFIG_MAPS, Some(&map)).await?;
    }
    let begin = Instant::now();
    load::at_once(|worker| {
        let https = https.clone();
        async move {
            let path = format!("{CONFIG_MAPS}/patched-{worker}{query}");
            for number in 0..PATCHES / IN_FLIGHT {
                let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"number": number.to_string()},
                    "metadata": {"name": format!("patched-{worker}")}});
                let request = https.request("PATCH", &path)?.header("content-type", format);
                let answer = request.body(body.to_string()).send().await?;
                ensure!(answer.status() == 200, "{}", answer.text().await?);
                answer.bytes().await?;
            }
            Ok(())
        }
    })
    .await?;
    let rate = PATCHES as f64 / begin.elapsed().as_secs_f64();
    single(&format!("{name}, {IN_FLIGHT} in flight"), &format!("{rate:.0}/s"));
    https.json("DELETE", CONFIG_MAPS, None).await?;
    Ok(())
}

/// Many watchers of one collection that changes at a steady rate: how far the slowest is behind at the end.
async fn watchers(https: &Https) -> Result<()> {
    let (_, list) = https.json("GET", &format!("{CONFIG_MAPS}?limit=1"), None).await?;
    let from = list["metadata"]["resourceVersion"].as_str().context("a revision")?;
    let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}&labelSelector=watched");
    let (seen, all) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        let mut answer = https.open(&path).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        let (seen, all) = (Arc::clone(&seen), Arc::clone(&all));
        watchers.spawn(async move {
            while let Ok(Some(chunk)) = answer.chunk().await {
                let events = chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
                let before = seen.fetch_add(events, Ordering::Relaxed);
                if before + events >= WATCHERS * EVENTS_PER_SECOND * SECONDS {
                    all.notify_one();
                }
            }
        });
    }
    let begin = Instant::now();
    load::at_once(|worker| {
        let https = https.clone();
        async move {
            for number in (worker as u64..EVENTS_PER_SECOND * SECONDS).step_by(IN_FLIGHT) {
                let due = Duration::from_secs_f64(number as f64 / EVENTS_PER_SECOND as f64);
                tokio::time::sleep_until((begin + due).into()).await;
                let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"key": "value"},
                    "metadata": {"name": format!("watched-{number}"), "labels": {"watched": "yes"}}});
                let (status, answer) = https.json("POST", CONFIG_MAPS, Some(&map)).await?;
                ensure!(status == 201, "{status} {answer}");
            }
            Ok(())
        }
    })
    .await?;
    let wrote = begin.elapsed();
    let arrived = tokio::time::timeout(Duration::from_secs(60), all.notified()).await;
    let delivered = seen.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    single(
        &format!("{WATCHERS} watchers: creates"),
        &format!("{:.0}/s", (EVENTS_PER_SECOND * SECONDS) as f64 / wrote.as_secs_f64()),
    );
    single(&format!("{WATCHERS} watchers: events delivered"), &format!("{delivered:.0}/s"));
    if arrived.is_ok() {
        row(&format!("{WATCHERS} watchers: last event behind last create"), &[begin.elapsed() - wrote]);
    } else {
        single(
            &format!("{WATCHERS} watchers: not all events came"),
            &seen.load(Ordering::Relaxed).to_string(),
        );
    }
    watchers.shutdown().await;
    https.json("DELETE", CONFIG_MAPS, None).await?;
    Ok(())
}

/// The processor time that the server spends on a kubectl that applies many objects.
fn kubectl_apply(served: &Served, process: &str) -> Result<()> {
    let Some(kubectl) = require::program("kubectl") else {
        return Ok(());
    };
    let map = |number| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: applied-{number}}}\ndata: {{key: value}}\n"
        )
    };
    let file = served.home.path().join("many.yaml");
    fs::write(&file, (0..APPLIED).map(map).collect::<String>())?;
    for (name, arguments) in
        [("created", &[][..]), ("unchanged", &[]), ("server-side", &["--server-side", "--force-conflicts"])]
    {
        let before = processor_time(process)?;
        let begin = Instant::now();
        let mut apply = Command::new(&kubectl);
        apply.env("KUBECONFIG", served.kubeconfig()).env("HOME", served.home.path());
        apply.args(["apply", "-f"]).arg(&file).args(arguments).stdout(Stdio::null());
        ensure!(apply.status()?.success(), "kubectl apply failed");
        let took = begin.elapsed();
        row(&format!("kubectl apply of {APPLIED} objects, {name}"), &[took]);
        row("  processor time of the server", &[processor_time(process)?.saturating_sub(before)]);
    }
    Ok(())
}

/// The time a process has spent on all processors.
fn processor_time(process: &str) -> Result<Duration> {
    let stat = fs::read_to_string(Path::new("/proc").join(process).join("stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("a command in /proc/PID/stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    // Linux counts in hundredths of a second for every program.
    Ok(Duration::from_millis(ticks * 10))
}

/// What stored pods of 4 KiB take beyond their bytes.
async fn stored_pods(https: &Https, process: &str) -> Result<()> {
    let before = resident_mib(process)?;
    load::create_waiting_pods(https, "stored", PODS).await?;
    let bytes = https.open(load::PODS).await?.bytes().await?.len();
    let grown = (resident_mib(process)? - before) as f64 * 1024.0 / PODS as f64;
    let own = bytes as f64 / 1024.0 / PODS as f64;
    single(&format!("memory of each of {PODS} stored pods"), &format!("{grown:.1} KiB"));
    single("  of it bytes of JSON", &format!("{own:.1} KiB"));
    Ok(())
}
