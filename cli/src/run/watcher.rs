//! Wakes `peapod run --watch` when a file it reads changes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use api::Clock;
use jiff::Timestamp;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

/// How long files must be quiet before they are read again; an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// Watches files and folders while it lives.
pub struct FileWatcher {
    changes: watch::Receiver<u64>,
    /// When what has changed counts as settled.
    quiet_at: Option<Timestamp>,
    _watcher: RecommendedWatcher,
}

impl FileWatcher {
    /// Watches `paths`; a file through its folder, as editors replace files instead of writing them.
    pub fn start(paths: &[PathBuf]) -> Result<Self> {
        let (count, changes) = watch::channel(0);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let touches = |event: &notify::Event| !matches!(event.kind, EventKind::Access(_));
            if event.is_ok_and(|event| touches(&event)) {
                count.send_modify(|count| *count += 1);
            }
        })
        .context("watch for changes")?;
        for path in paths.iter().filter(|path| path.as_os_str() != "-") {
            let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
            let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
            watcher
                .watch(folder, RecursiveMode::NonRecursive)
                .with_context(|| format!("watch {} for changes", folder.display()))?;
        }
        Ok(Self { changes, quiet_at: None, _watcher: watcher })
    }

    /// Waits until files have changed and then been quiet. Nothing is lost when the future is dropped.
    pub async fn settled(&mut self, clock: &Clock) {
        loop {
            let Some(deadline) = self.quiet_at else {
                self.changed().await;
                self.quiet_at = Some(api::clock::add(clock.now(), QUIET));
                continue;
            };
            tokio::select! {
                biased;
                () = self.changed() => self.quiet_at = Some(api::clock::add(clock.now(), QUIET)),
                () = clock.sleep_until(deadline) => {
                    self.quiet_at = None;
                    return;
                }
            }
        }
    }

    async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
