//! Single files mounted by subPath. WASI knows preopened directories only, so the files mounted into one directory of the
//! guest are gathered in one directory of the host, as copies made when the container starts; Kubernetes does not update
//! such files either.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::VolumeMount;

use super::{Mounted, VolumeError, io_error, place, remove_tree};

/// The single files of one container, by the guest's directory they are mounted into.
pub(super) struct Files {
    folder: PathBuf,
    groups: BTreeMap<String, Vec<Single>>,
}

struct Single {
    volume: String,
    name: String,
    host_path: PathBuf,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, groups: BTreeMap::new() }
    }

    /// Adds the file at `host_path`, to be seen at the mount's path.
    pub(super) fn add(&mut self, mount: &VolumeMount, host_path: &Path) -> Result<(), VolumeError> {
        let path = mount.mount_path.trim_end_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if parent.is_empty() { "/" } else { parent };
        let single = Single {
            volume: mount.name.clone(),
            name: place::component(&mount.name, name)?.to_owned(),
            host_path: host_path.to_owned(),
        };
        self.groups.entry(parent.to_owned()).or_default().push(single);
        Ok(())
    }

    /// Makes the directories and adds them to `mounts`.
    pub(super) fn finish(self, mounts: &mut Vec<Mounted>) -> Result<(), VolumeError> {
        for (index, (guest_path, singles)) in self.groups.into_iter().enumerate() {
            if mounts.iter().any(|mount| mount.guest_path.trim_end_matches('/') == guest_path) {
                return Err(VolumeError::Shared { guest_path });
            }
            let host_path = self.folder.join(index.to_string());
            let host_path = gather(&host_path, &singles)?;
            mounts.push(Mounted { host_path, guest_path, read_only: true });
        }
        Ok(())
    }
}

fn gather(folder: &Path, singles: &[Single]) -> Result<PathBuf, VolumeError> {
    let volume = singles.first().map_or("", |single| single.volume.as_str());
    remove_tree(folder).map_err(io_error(volume, folder))?;
    fs::create_dir_all(folder).map_err(io_error(volume, folder))?;
    for single in singles {
        let copy = folder.join(&single.name);
        fs::copy(&single.host_path, &copy).map_err(io_error(&single.volume, &copy))?;
    }
    folder.canonicalize().map_err(io_error(volume, folder))
}
