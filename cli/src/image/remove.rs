//! `peapod image rm` and `prune`: removes images that no running container has.

use std::path::Path;

use anyhow::{Context, Result, bail};
use api::Clock;
use runtime::images::{ImageStore, Reference, Removal};

use super::size;
use crate::terminal::Terminal;

/// Removes images by name; a name without a registry may be one that was imported.
pub fn remove(folder: &Path, names: &[String], terminal: &Terminal) -> Result<()> {
    let store = ImageStore::open(folder)?;
    for name in names {
        let reference = known(&store, name)?;
        let removal = store.remove(&reference).with_context(|| format!("remove {reference}"))?;
        match removal {
            Removal::Removed { bytes } => {
                let freed = terminal.dim(&size(bytes));
                terminal.line(&format!("{} {reference}  {freed}", terminal.good("removed  ")));
            }
            Removal::Unknown => bail!("no image {name:?}; peapod image list shows those there are"),
            Removal::Used => {
                bail!("{reference} is used by a container of a running peapod; delete its pod first")
            }
            Removal::Busy => bail!("{reference} was not removed: an image is just being pulled; try again"),
        }
    }
    Ok(())
}

/// Removes all pulled images that nobody uses.
pub fn prune(folder: &Path, terminal: &Terminal) -> Result<()> {
    let store = ImageStore::open(folder)?;
    let now = Clock::real().now();
    let Some(swept) = store.sweep(now.into(), u64::MAX).context("remove unused images")? else {
        bail!("nothing was removed: an image is just being pulled; try again");
    };
    for name in &swept.names {
        terminal.line(&format!("{} {name}", terminal.good("removed  ")));
    }
    terminal.line(&format!("{} freed", size(swept.bytes)));
    Ok(())
}

/// The image that is meant by a name.
pub(super) fn known(store: &ImageStore, name: &str) -> Result<Reference> {
    let reference: Reference = name.parse()?;
    if store.find(&reference).is_none()
        && let Ok(local) = Reference::local(name)
        && store.find(&local).is_some()
    {
        return Ok(local);
    }
    Ok(reference)
}
