//! The place for volumes in memory: a folder of this node on the host's own file system in memory. Mounting one for each volume
//! would need root, and a node that is killed would leave the mounts; a folder is found and removed at the next start.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::VolumeError;

const IN_MEMORY: &str = "/dev/shm";
/// What Linux calls tmpfs.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// A folder in memory for the node that keeps its data in `data_dir`, and for this user alone; none where there is no memory to
/// write files to.
pub fn memory_folder(data_dir: &Path) -> Option<PathBuf> {
    let about = rustix::fs::statfs(IN_MEMORY).ok()?;
    if about.f_type != TMPFS {
        return None;
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = Path::new(IN_MEMORY).join(format!("peapod-{name}"));
    own(&folder).ok().map(|()| folder)
}

/// Makes the folder, or makes sure that nobody else made it: everybody may write to the one around it.
fn own(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let about = folder.symlink_metadata()?;
    let is_ours = about.is_dir() && about.mode() & 0o077 == 0;
    if is_ours && about.uid() == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    }
}

/// Says that a volume cannot be in memory.
pub(super) fn missing(volume: &str) -> VolumeError {
    VolumeError::Unsupported {
        volume: volume.to_owned(),
        kind: "emptyDir.medium Memory",
        why: "cannot be had: there is no file system in memory at /dev/shm that this user may write to",
    }
}
