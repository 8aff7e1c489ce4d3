//! `peapod run`: a whole cluster in this process for the manifests one points it at.

mod account;
mod apply;
mod desired;
mod logs;
mod mistake;
mod programs;
mod progress;
mod session;
mod sources;
mod three_way;
mod warnings;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use runtime::images::RegistryConfig;

pub use session::{Ending, Session};

use crate::signals;
use crate::terminal::Terminal;

/// What to run, and until when.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Files, folders, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// When to stop by itself.
    pub until: Option<Until>,
    /// When to give up if it is to stop by itself.
    pub timeout: Duration,
    /// Whether to apply again when files change.
    pub watch: bool,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Where images and their compiled code are kept.
    pub image_dir: PathBuf,
    /// Where other images come from.
    pub registries: RegistryConfig,
}

/// When a run stops by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// Every applied object is as asked for.
    Ready,
    /// Every applied pod has run to its end without an error.
    Complete,
}

/// Runs until Ctrl-C, or as `until` says; the exit code tells CI whether everything came up.
pub fn run(options: RunOptions, terminal: &Terminal) -> Result<ExitCode> {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("peapod")
        .build()
        .context("start the threads of the cluster")?;
    threads.block_on(async {
        let session = Session::start(options, terminal.clone()).await?;
        match session.run(signals::interrupted()).await? {
            Ending::Stopped | Ending::Reached => Ok(ExitCode::SUCCESS),
            Ending::NotReached => Ok(ExitCode::FAILURE),
        }
    })
}
