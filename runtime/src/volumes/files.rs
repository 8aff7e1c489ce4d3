//! Single files mounted alone, by subPath or because a hostPath is a file. WASI knows preopened directories only, so the files
//! mounted into one directory of the guest are gathered in one directory of the host. What the guest may write is linked, so that
//! it arrives; what it may only read is copied when the container starts: Kubernetes does not update such files either.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::VolumeMount;

use super::beneath::Found;
use super::error::io_error;
use super::{Mounted, VolumeError, place, remove_tree};

/// The single files of one container, by the guest's directory they are mounted into.
pub(super) struct Files {
    folder: PathBuf,
    groups: BTreeMap<String, Vec<Single>>,
}

struct Single {
    volume: String,
    name: String,
    found: Found,
    read_only: bool,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, groups: BTreeMap::new() }
    }

    /// Adds a file, to be seen at the mount's path.
    pub(super) fn add(
        &mut self,
        mount: &VolumeMount,
        found: Found,
        read_only: bool,
    ) -> Result<(), VolumeError> {
        let path = mount.mount_path.trim_end_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if parent.is_empty() { "/" } else { parent };
        let name = place::component(&mount.name, name)?.to_owned();
        let single = Single { volume: mount.name.clone(), name, found, read_only };
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
            let read_only = singles.iter().all(|single| single.read_only);
            mounts.push(Mounted { host_path, guest_path, read_only });
        }
        Ok(())
    }
}

fn gather(folder: &Path, singles: &[Single]) -> Result<PathBuf, VolumeError> {
    let volume = singles.first().map_or("", |single| single.volume.as_str());
    remove_tree(folder).map_err(io_error(volume, folder))?;
    fs::create_dir_all(folder).map_err(io_error(volume, folder))?;
    for single in singles {
        let target = folder.join(&single.name);
        let put = if single.read_only { copy(&single.found, &target) } else { link(&single.found, &target) };
        put.map_err(io_error(&single.volume, &target))?;
    }
    folder.canonicalize().map_err(io_error(volume, folder))
}

fn copy(found: &Found, target: &Path) -> io::Result<()> {
    io::copy(&mut found.read()?, &mut File::create(target)?).map(drop)
}

fn link(found: &Found, target: &Path) -> io::Result<()> {
    found.link_to(target).map_err(|error| match error.kind() {
        io::ErrorKind::CrossesDevices => io::Error::new(
            io::ErrorKind::CrossesDevices,
            "a file on another file system than the node's data can be mounted alone only with readOnly; mount its folder",
        ),
        _ => error,
    })
}
