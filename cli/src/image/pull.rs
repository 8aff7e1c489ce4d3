//! `peapod image pull`: brings an image from its registry and shows how far that is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use api::Clock;
use runtime::images::{Digest, ImageStore, Progress, Puller, Reference, RegistryConfig};

use super::size;
use crate::terminal::Terminal;

/// The width of the bar.
const WIDTH: u64 = 30;

/// Pulls an image under its name.
pub fn pull(folder: &Path, name: &str, registries: RegistryConfig, terminal: &Terminal) -> Result<()> {
    let reference: Reference = name.parse()?;
    if reference.is_local() {
        bail!("{reference} can only be imported: peapod image import FILE --as NAME");
    }
    let puller = Puller::new(ImageStore::open(folder)?, registries, Clock::real())
        .context("make ready to ask registries")?;
    let thread =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start to pull")?;
    let bar = Bar { name: reference.to_string(), terminal, come: Mutex::default() };
    let pulled = thread.block_on(puller.pull(&reference, &[], &|progress| bar.show(progress)));
    terminal.status("");
    let (image, took) = pulled?;
    let facts = format!("{}  {}  {:.1} s", image.digest, size(image.size_bytes), took.as_secs_f64());
    terminal.line(&format!("{} {}  {}", terminal.good("pulled   "), image.reference, terminal.dim(&facts)));
    Ok(())
}

/// Shows the progress of a pull.
struct Bar<'a> {
    name: String,
    terminal: &'a Terminal,
    come: Mutex<Come>,
}

/// What has come of what is to come.
#[derive(Default)]
struct Come {
    all: u64,
    contents: BTreeMap<Digest, u64>,
}

impl Bar<'_> {
    fn show(&self, progress: Progress) {
        let mut come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Found { bytes } => come.all = bytes,
            Progress::Come { content, bytes } => {
                come.contents.insert(content, bytes);
                // Elsewhere each state would be a line.
                if !self.terminal.repaints() {
                    return;
                }
            }
            Progress::Unpacking => {
                return self.terminal.status(&format!("unpacking {}", self.name));
            }
        }
        let line = bar(come.contents.values().sum(), come.all);
        self.terminal.status(&format!("pulling   {}  {line}", self.name));
    }
}

fn bar(come: u64, all: u64) -> String {
    let come = come.min(all);
    let filled = (come * WIDTH).checked_div(all).unwrap_or(WIDTH);
    let (filled, empty) = ("█".repeat(filled as usize), "░".repeat((WIDTH - filled) as usize));
    format!("{filled}{empty}  {} of {}", size(come), size(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        assert_eq!(bar(0, 0), format!("{}  0 B of 0 B", "█".repeat(30)));
        assert_eq!(bar(500, 1_000), format!("{}{}  500 B of 1.0 kB", "█".repeat(15), "░".repeat(15)));
        assert_eq!(bar(2_000, 1_000), format!("{}  1.0 kB of 1.0 kB", "█".repeat(30)));
    }
}
