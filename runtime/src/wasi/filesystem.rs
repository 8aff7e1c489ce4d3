//! The directories a guest sees. WASI knows directories only, so files mounted alone are gathered into one.

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use tempfile::TempDir;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::ContextError;

/// A directory of the host that a guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The directory, or file, on the host, without links on the way: where guests write, they could turn one elsewhere.
    pub host_path: PathBuf,
    /// Where the guest sees it.
    pub guest_path: String,
    /// Whether the guest may only read.
    pub read_only: bool,
}

/// Mounts of directories alone.
#[derive(Clone, Debug)]
pub struct Preopens {
    mounts: Vec<Mount>,
    /// Hold the single files; removed with the last container that sees them.
    _gathered: Arc<Vec<TempDir>>,
}

impl Preopens {
    /// Gathers single files into folders made in `scratch`.
    pub fn new(mounts: &[Mount], scratch: &Path) -> Result<Self, ContextError> {
        Self::gathered(mounts, scratch).map_err(ContextError::Files)
    }

    fn gathered(mounts: &[Mount], scratch: &Path) -> io::Result<Self> {
        let mut preopens = Vec::new();
        let mut files: BTreeMap<(&str, bool), Vec<(&str, Opened)>> = BTreeMap::new();
        for mount in mounts {
            if let Some(file) = file_at(&mount.host_path) {
                let (folder, name) = split(&mount.guest_path);
                files.entry((folder, mount.read_only)).or_default().push((name, file));
            } else {
                preopens.push(mount.clone());
            }
        }
        let mut gathered = Vec::new();
        for ((folder, read_only), files) in files {
            let place = gather(&files, read_only, scratch)?;
            preopens.push(Mount {
                host_path: fs::canonicalize(place.path())?,
                guest_path: folder.to_owned(),
                read_only,
            });
            gathered.push(place);
        }
        Ok(Self { mounts: preopens, _gathered: Arc::new(gathered) })
    }

    pub(super) fn open(&self, builder: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
        for mount in &self.mounts {
            let perms = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
            let (_opened, path) = open_mounted(&mount.host_path)?;
            builder.preopened_dir(path, &mount.guest_path, perms)?;
        }
        Ok(())
    }
}

/// Opens a directory that must still be where it was: a guest may have put a link in the place of one it can write to.
/// Returns a path that leads to it as long as it is open.
pub fn open_mounted(host_path: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    stay_at(host_path, OFlags::DIRECTORY)
}

/// What is held open, and a path that leads to it.
type Opened = (OwnedFd, PathBuf);

/// Opens a single file that is still where it was; none if something else is there by now.
fn file_at(host_path: &Path) -> Option<Opened> {
    let opened = stay_at(host_path, OFlags::empty()).ok()?;
    let mode = rustix::fs::fstat(&opened.0).ok()?.st_mode;
    (FileType::from_raw_mode(mode) == FileType::RegularFile).then_some(opened)
}

fn stay_at(host_path: &Path, flags: OFlags) -> io::Result<Opened> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    let opened = rustix::fs::open(host_path, flags, Mode::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    if fs::read_link(&path)? != host_path {
        let message = format!("{} is no longer what was mounted", host_path.display());
        return Err(io::Error::other(message));
    }
    Ok((opened, path))
}

fn split(guest_path: &str) -> (&str, &str) {
    match guest_path.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(split) => split,
        None => (".", guest_path),
    }
}

/// Files are linked, so that what is written arrives; read-only ones may be copied where no link can be made.
fn gather(files: &[(&str, Opened)], read_only: bool, scratch: &Path) -> io::Result<TempDir> {
    fs::create_dir_all(scratch)?;
    let place = tempfile::Builder::new().prefix("files-").tempdir_in(scratch)?;
    for (name, (_held, source)) in files {
        let target = place.path().join(name);
        match rustix::fs::linkat(CWD, source, CWD, &target, AtFlags::SYMLINK_FOLLOW) {
            Err(_) if read_only => fs::copy(source, &target).map(drop)?,
            linked => linked?,
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_mounted_directory_is_not_followed() {
        let host = tempfile::tempdir().expect("a folder");
        let root = host.path().canonicalize().expect("its path");
        for folder in ["volume/deep", "secret/deep"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        let host_path = root.join("volume/deep");
        let mount = Mount { host_path, guest_path: "/data".to_owned(), read_only: false };
        let preopens = Preopens::new(&[mount], &root.join("scratch")).expect("gathered");
        preopens.open(&mut WasiCtxBuilder::new()).expect("opened");
        for (moved, link) in [("volume/deep", "../secret/deep"), ("volume", "secret")] {
            fs::rename(root.join(moved), root.join("aside")).expect("moved");
            std::os::unix::fs::symlink(link, root.join(moved)).expect("a link");
            preopens.open(&mut WasiCtxBuilder::new()).expect_err("a refusal");
            fs::remove_file(root.join(moved)).expect("removed");
            fs::rename(root.join("aside"), root.join(moved)).expect("moved back");
        }
        preopens.open(&mut WasiCtxBuilder::new()).expect("opened");
    }

    #[test]
    fn a_link_to_a_file_in_the_place_of_a_directory_shows_nothing() {
        let host = tempfile::tempdir().expect("a folder");
        let root = host.path().canonicalize().expect("its path");
        fs::write(root.join("secret"), "s").expect("a file");
        std::os::unix::fs::symlink("secret", root.join("volume")).expect("a link");
        let mount = Mount { host_path: root.join("volume"), guest_path: "/data".to_owned(), read_only: true };
        let preopens = Preopens::new(&[mount], &root.join("scratch")).expect("gathered");
        preopens.open(&mut WasiCtxBuilder::new()).expect_err("a refusal");
        assert!(!root.join("scratch").exists(), "nothing was gathered");
    }

    #[test]
    fn files_mounted_alone_are_gathered_by_folder() {
        let host = tempfile::tempdir().expect("a folder");
        let file = |name: &str| {
            let path = host.path().join(name);
            fs::write(&path, name).expect("a file");
            path
        };
        let mount = |host_path: PathBuf, guest_path: &str, read_only| Mount {
            host_path,
            guest_path: guest_path.to_owned(),
            read_only,
        };
        let mounts = [
            mount(host.path().to_owned(), "/data", false),
            mount(file("a"), "/etc/first", true),
            mount(file("b"), "/etc/second", true),
            mount(file("c"), "/top", false),
        ];
        let preopens = Preopens::new(&mounts, &host.path().join("scratch")).expect("gathered");
        let seen: Vec<_> =
            preopens.mounts.iter().map(|mount| (mount.guest_path.as_str(), mount.read_only)).collect();
        assert_eq!(seen, [("/data", false), ("/", false), ("/etc", true)]);
        let content = |index: usize, name: &str| {
            fs::read_to_string(preopens.mounts[index].host_path.join(name)).expect("a file")
        };
        assert_eq!((content(2, "first"), content(2, "second")), ("a".into(), "b".into()));
        fs::write(preopens.mounts[1].host_path.join("top"), "new").expect("written");
        assert_eq!(fs::read_to_string(host.path().join("c")).expect("a file"), "new");
    }
}
