//! What benchmarks let many clients do at once.

use std::future::Future;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::figures;
use crate::https::Https;

/// So many clients at once.
pub const IN_FLIGHT: usize = 32;

/// Where pods are.
pub const PODS: &str = "/api/v1/namespaces/default/pods";

/// Runs the benchmark with this command on all processors.
pub fn run(command: &str, measure: impl Future<Output = Result<()>>) -> Result<()> {
    figures::head(command);
    on_all_processors(measure)
}

/// Runs what measures on all processors.
pub fn on_all_processors(measure: impl Future<Output = Result<()>>) -> Result<()> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    threads.block_on(measure)
}

/// Lets every client do its work, until the last is done.
pub async fn at_once<F>(work: impl Fn(usize) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let clients: JoinSet<Result<()>> = (0..IN_FLIGHT).map(work).collect();
    clients.join_all().await.into_iter().collect()
}

/// Creates pods of 4 KiB with which nobody does anything: their scheduler is not there.
pub async fn create_waiting_pods(https: &Https, name: &'static str, count: usize) -> Result<()> {
    at_once(|client| {
        let https = https.clone();
        async move {
            for number in (client..count).step_by(IN_FLIGHT) {
                let pod = json!({"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": format!("{name}-{number}"), "annotations": {"filling": "x".repeat(2_500)}},
                    "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "localhost/hello"}]}});
                let (status, answer) = https.json("POST", PODS, Some(&pod)).await?;
                ensure!(status == 201, "{status} {answer}");
            }
            Ok(())
        }
    })
    .await
}
