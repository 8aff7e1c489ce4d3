//! Measures creates through the registry, on disk and in memory, beside a bare append and sync of the same bytes:
//! `cargo bench -p tests --bench store`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use api::backend::User;
use api::resource::CONFIG_MAPS;
use api::{Client, Clock};
use apiserver::{Apiserver, Config, Registry, Storage};
use serde_json::json;
use tests::figures;
use tokio::task::JoinSet;

/// Creates in each measurement with one in flight, and of bare appends.
const CREATES: usize = 4_000;

/// Creates in each measurement with many in flight.
const MANY_CREATES: usize = 32_000;

/// How many clients "many" are.
const CLIENTS: usize = 32;

/// Each figure is measured so often.
const ROUNDS: usize = 5;

/// What the log reserves for its file at once, so that the bare file is used alike.
const CHUNK: u64 = 4 << 20;

fn main() -> Result<()> {
    println!("{}", figures::machine());
    println!("cargo bench -p tests --bench store\n");
    println!("{:<44} {:>10} {:>10} {:>10}", "per second", "minimum", "median", "maximum");
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    threads.block_on(measure())
}

async fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bare = Vec::new();
    let mut syncs = Vec::new();
    let mut one = Vec::new();
    let mut many = Vec::new();
    let mut groups = Vec::new();
    // By turns, as a device has good and bad moments.
    for round in 0..ROUNDS {
        let path = folder.path().join(format!("store-{round}"));
        let server = Server::start(Storage::File(path)).await?;
        let before = server.registry.store().figures().written_bytes;
        one.push(server.create(1, CREATES).await?);
        let figures = server.registry.store().figures();
        let written = figures.written_bytes - before;
        syncs.push(figures.syncs.count() as f64 / figures.syncs.sum);
        bare.push(append(&folder.path().join("bare"), usize::try_from(written)? / CREATES)?);
        let before = server.registry.store().figures();
        many.push(server.create(CLIENTS, MANY_CREATES).await?);
        let after = server.registry.store().figures();
        groups.push(
            (after.groups.sum - before.groups.sum) / (after.groups.count() - before.groups.count()) as f64,
        );
        server.stop().await;
    }
    row("bare append + fdatasync", &mut bare);
    row("ConfigMaps created on disk, 1 in flight", &mut one);
    row("  the store's own appends and syncs alone", &mut syncs);
    row(&format!("ConfigMaps created on disk, {CLIENTS} in flight"), &mut many);
    row("  of these in one group", &mut groups);
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let server = Server::start(Storage::Memory).await?;
        one.push(server.create(1, CREATES).await?);
        many.push(server.create(CLIENTS, MANY_CREATES).await?);
        server.stop().await;
    }
    row("ConfigMaps created in memory, 1 in flight", &mut one);
    row(&format!("ConfigMaps created in memory, {CLIENTS} in flight"), &mut many);
    Ok(())
}

struct Server {
    registry: Arc<Registry>,
    tasks: JoinSet<()>,
}

impl Server {
    async fn start(storage: Storage) -> Result<Self> {
        let mut tasks = JoinSet::new();
        let config = Config { storage, ..Config::in_memory(Clock::real(), 1) };
        let registry = Apiserver::start(config, &mut tasks).await?;
        Ok(Self { registry, tasks })
    }

    /// Creates a second, with so many clients at once.
    async fn create(&self, clients: usize, creates: usize) -> Result<f64> {
        let begin = Instant::now();
        let mut writers = JoinSet::new();
        for writer in 0..clients {
            let client = Client::new(self.registry.clone(), User::component("bench"));
            writers.spawn(async move {
                for number in 0..creates / clients {
                    let name = format!("of-{clients}-{writer}-{number}");
                    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                        "data": {"key": "value"}});
                    client.create(&CONFIG_MAPS, "default", &map).await?;
                }
                Ok::<_, api::Status>(())
            });
        }
        while let Some(done) = writers.join_next().await {
            done??;
        }
        Ok(creates as f64 / begin.elapsed().as_secs_f64())
    }

    async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Appends a second, each of so many bytes and synced, to a file whose space is reserved as the store reserves it.
fn append(path: &Path, size: usize) -> Result<f64> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    let bytes = vec![b'x'; size];
    let mut reserved = 0;
    let begin = Instant::now();
    for number in 1..=CREATES {
        if (number * size) as u64 > reserved {
            reserve(&file, reserved, CHUNK).context("reserve space")?;
            reserved += CHUNK;
            file.sync_data()?;
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    let rate = CREATES as f64 / begin.elapsed().as_secs_f64();
    drop(file);
    fs::remove_file(path)?;
    Ok(rate)
}

fn reserve(file: &File, from: u64, length: u64) -> Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), from, length)?)
}

fn row(name: &str, rates: &mut [f64]) {
    rates.sort_by(f64::total_cmp);
    let (least, median, most) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("{name:<44} {least:>10.0} {median:>10.0} {most:>10.0}");
}
