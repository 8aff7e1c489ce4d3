//! What `peapod serve` promises beside the API: one server for a data directory, backups, metrics, logs for machines.

use std::fs;
use std::process::Output;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::https::Https;
use tests::served::{self, Served};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn create(https: &Https, name: &str) -> Result<()> {
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": name}});
    let (status, answer) = https.json("POST", CONFIG_MAPS, Some(&object)).await?;
    ensure!(status == 201, "{status} {answer}");
    Ok(())
}

async fn is_there(https: &Https, name: &str) -> Result<bool> {
    let (status, answer) = https.json("GET", &format!("{CONFIG_MAPS}/{name}"), None).await?;
    ensure!(status == 404 || answer["data"]["of"] == name, "{status} {answer}");
    Ok(status == 200)
}

fn peapod(served: &Served, arguments: &[&str]) -> Result<Output> {
    Ok(served::command(served.home.path())?.args(arguments).output()?)
}

#[tokio::test]
async fn objects_outlive_the_process_and_a_second_one_is_refused() -> Result<()> {
    let served = Served::start(&[])?;
    create(&Https::of(&served.kubeconfig())?, "kept").await?;
    let second = peapod(&served, &["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"])?;
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(!second.status.success(), "the second server started");
    ensure!(
        words.contains(&format!("is in use by another peapod (process {})", served.process())),
        "{words}"
    );
    let (status, home) = served.stop()?;
    ensure!(status.success(), "{status}");
    let again = Served::start_in(home, "127.0.0.1:0", &[])?;
    ensure!(is_there(&Https::of(&again.kubeconfig())?, "kept").await?, "it is gone");
    Ok(())
}

#[tokio::test]
async fn nothing_ephemeral_is_kept() -> Result<()> {
    let served = Served::start(&["--ephemeral"])?;
    create(&Https::of(&served.kubeconfig())?, "passing").await?;
    let (_, home) = served.stop()?;
    let kept: Vec<_> =
        fs::read_dir(home.path().join("data"))?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    ensure!(kept.iter().flatten().all(|name| name == "images"), "{kept:?}");
    let again = Served::start_in(home, "127.0.0.1:0", &["--ephemeral"])?;
    ensure!(!is_there(&Https::of(&again.kubeconfig())?, "passing").await?, "it was kept");
    Ok(())
}

#[tokio::test]
async fn a_backup_of_a_running_server_makes_another_one() -> Result<()> {
    let served = Served::start(&[])?;
    let https = Https::of(&served.kubeconfig())?;
    create(&https, "before").await?;
    let written = peapod(&served, &["backup", "all.backup", "--data-dir", "data"])?;
    ensure!(written.status.success(), "{written:?}");
    create(&https, "after").await?;
    ensure!(
        !peapod(&served, &["backup", "all.backup", "--data-dir", "data"])?.status.success(),
        "it was replaced"
    );
    let restored = peapod(&served, &["restore", "all.backup", "--data-dir", "other"])?;
    ensure!(restored.status.success(), "{restored:?}");
    ensure!(
        !peapod(&served, &["restore", "all.backup", "--data-dir", "other"])?.status.success(),
        "it was replaced"
    );

    let stopped = served.stop()?.1;
    fs::remove_dir_all(stopped.path().join("data"))?;
    fs::rename(stopped.path().join("other"), stopped.path().join("data"))?;
    let other = Served::start_in(Arc::clone(&stopped), "127.0.0.1:0", &[])?;
    let https = Https::of(&other.kubeconfig())?;
    ensure!(is_there(&https, "before").await?, "what was backed up is gone");
    ensure!(!is_there(&https, "after").await?, "what came later is there");

    let mut bytes = fs::read(stopped.path().join("all.backup"))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(stopped.path().join("bad.backup"), bytes)?;
    let refused = peapod(&other, &["restore", "bad.backup", "--data-dir", "third"])?;
    ensure!(!refused.status.success(), "a damaged backup was restored");
    Ok(())
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_left_as_it_is() -> Result<()> {
    let served = Served::start(&[])?;
    create(&Https::of(&served.kubeconfig())?, "kept").await?;
    let (_, home) = served.stop()?;
    let store = cli::data_dir::store(&home.path().join("data"));
    let mut bytes = fs::read(&store)?;
    bytes[..64].fill(0);
    fs::write(&store, &bytes)?;
    let refused = served::command(home.path())?
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"])
        .output()?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && words.contains("peapod restore"), "{words}");
    ensure!(fs::read(&store)? == bytes, "the file was changed");
    Ok(())
}

#[tokio::test]
async fn every_part_shows_what_it_counts() -> Result<()> {
    let served = Served::start(&["--log-format", "json", "--authorization-mode", "AlwaysAllow"])?;
    // In this mode even a stranger may ask.
    let https = Https::anonymous(&served.kubeconfig())?;
    create(&https, "counted").await?;
    let answer = https.open("/metrics").await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let text = answer.text().await?;
    for line in [
        "apiserver_request_total{verb=\"POST\"",
        "apiserver_request_duration_seconds_bucket",
        "apiserver_storage_objects{resource=\"configmaps\"}",
        "peapod_store_sync_duration_seconds_count",
        "workqueue_depth{name=\"deployment-controller\"}",
        "workqueue_work_duration_seconds_bucket",
        "scheduler_pending_pods{queue=\"active\"}",
        "kubelet_running_containers",
    ] {
        ensure!(text.contains(line), "{line} is not in {text}");
    }
    let warning = served.printed_line("AlwaysAllow").await?;
    let warning: Value = serde_json::from_str(&warning)?;
    ensure!(warning["level"] == "WARN", "{warning}");
    Ok(())
}
