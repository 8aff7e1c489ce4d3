//! emptyDir: a directory that lives as long as its pod.

use std::fs;
use std::path::Path;

use super::{VolumeError, io_error, place};

/// Makes the directory; one that is there already, after a restart of the node, keeps its files.
pub(super) fn set_up(volume: &str, folder: &Path) -> Result<(), VolumeError> {
    fs::create_dir_all(folder).map_err(io_error(volume, folder))
}

/// Makes the directory a subPath names, unless something is there. Guests write here and may have made links, so each
/// step down is checked before the next.
pub(super) fn make_sub_path(volume: &str, folder: &Path, inside: &Path) -> Result<(), VolumeError> {
    let steps = inside.strip_prefix(folder).unwrap_or(inside);
    let mut reached = folder.to_owned();
    for step in steps {
        reached.push(step);
        if fs::symlink_metadata(&reached).is_err() {
            fs::create_dir(&reached).map_err(io_error(volume, &reached))?;
        }
        reached = place::resolve_within(volume, folder, &reached, &steps.to_string_lossy())?;
    }
    Ok(())
}
