//! The place for volumes in memory: a folder of this node on the host's own file system in memory. Mounting one for each volume
//! would need root, and a node that is killed would leave the mounts; a folder is found and removed at the next start.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::show::make_private;
use super::{VolumeError, remove_tree};

const IN_MEMORY: &str = "/dev/shm";
/// What Linux calls tmpfs.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// A folder in memory for the node that keeps its data in `data_dir`, and for this user alone; none where there is no memory to
/// write files to. It is there only while volumes are.
pub fn memory_folder(data_dir: &Path) -> Option<PathBuf> {
    let about = rustix::fs::statfs(IN_MEMORY).ok()?;
    if about.f_type != TMPFS {
        return None;
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(Path::new(IN_MEMORY).join(format!("peapod-{name}")))
}

/// Makes the folder of a volume in `memory`, and makes sure that nobody else made that: everybody may write around it.
pub(super) fn set_up(memory: &Path, folder: &Path) -> io::Result<()> {
    make_private(folder)?;
    let about = memory.symlink_metadata()?;
    let is_ours = about.is_dir() && about.mode() & 0o077 == 0;
    if is_ours && about.uid() == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "somebody else has taken its place"))
    }
}

/// Removes the volumes of a pod, and the folder around them if they were the last.
pub(super) fn remove(memory: &Path, of_pod: &Path) -> io::Result<()> {
    remove_tree(of_pod)?;
    // Others may still be there.
    let _ = fs::remove_dir(memory);
    Ok(())
}

/// Says that a volume cannot be in memory.
pub(super) fn missing(volume: &str) -> VolumeError {
    VolumeError::Unsupported {
        volume: volume.to_owned(),
        kind: "emptyDir.medium Memory",
        why: "cannot be had: there is no file system in memory at /dev/shm that this user may write to",
    }
}
