//! Measures how long it takes to compile a guest and to find it compiled: `cargo bench -p tests --bench code`.
//!
//! The large guests are taken from the folder that `PEAPOD_GUESTS` names (`examples/build --into FOLDER stats slug render`).

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use api::Clock;
use runtime::engine::Engine;
use runtime::engine::wasm::{EngineConfig, WasmEngine};
use runtime::images::{ImageStore, Reference};
use runtime::limits::cpu::Currency;
use tests::{figures, require};

const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");

/// How often a compiled guest is looked up.
const ROUNDS: usize = 20;

fn main() -> Result<()> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    figures::head("cargo bench -p tests --bench code");
    threads.block_on(measure("hello", HELLO))?;
    for name in ["render", "slug", "stats"] {
        if let Some(guest) = require::guest(name) {
            threads.block_on(measure(name, &guest))?;
        }
    }
    Ok(())
}

async fn measure(name: &str, guest: &[u8]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let images = ImageStore::open(folder.path().join("images"))?;
    let image = images.import_bytes(guest, &Reference::local(name)?)?;
    let mut times = Vec::new();
    for _ in 0..=ROUNDS {
        let engine = engine(folder.path())?;
        let begin = Instant::now();
        engine.prepare(&image, Currency::Time).await?;
        times.push(begin.elapsed());
    }
    let size = format!("{name}, {:.1} MB", guest.len() as f64 / 1e6);
    figures::row(&format!("{size}: compiled"), &times[..1]);
    figures::row(&format!("{size}: found compiled"), &times[1..]);
    Ok(())
}

/// As after a restart: nothing is in memory.
fn engine(folder: &Path) -> Result<WasmEngine> {
    Ok(WasmEngine::new(EngineConfig {
        clock: Clock::real(),
        max_instances: 4,
        cache_dir: folder.join("code"),
        compiler: None,
    })?)
}
