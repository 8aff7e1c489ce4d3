//! Copies the root file system of an image for a container that may write to it.
//!
//! Where the disk can share blocks between files, as btrfs and XFS do, a copy costs its names alone. What is copied is a root
//! that we unpacked and nobody has written to since; where it is copied to, nobody is yet.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::unpack::make_folders;

/// Makes `place` a copy of `root`, whatever was there before, with folders where other things are mounted, so that a listing shows
/// them.
pub fn copy_root(root: &Path, place: &Path, mount_points: &[PathBuf]) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(parent) = place.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    copy_folder(root, place)?;
    make_folders(place, mount_points)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_folder(&from, &to)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else {
            copy_file(&from, &to)?;
        }
    }
    // Last, as what may not be written to could not be filled. The owner's rights stay: the guest is told by its mount.
    let mode = fs::metadata(from)?.permissions().mode() | 0o700;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let metadata = source.metadata()?;
    let mut target = File::create_new(to)?;
    if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        io::copy(&mut source, &mut target)?;
    }
    target.set_permissions(metadata.permissions())?;
    target.set_modified(metadata.modified()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_copy_is_fresh_and_the_original_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (root, place) = (folder.path().join("root"), folder.path().join("pods/uid/roots/main"));
        fs::create_dir_all(root.join("etc/empty")).unwrap();
        fs::write(root.join("etc/hosts"), "image").unwrap();
        fs::set_permissions(root.join("etc/hosts"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("etc/hosts", root.join("link")).unwrap();
        symlink("../../../../..", root.join("up")).unwrap();
        let points =
            ["/data/deep", "etc/hosts", "etc/hosts/below", "up/var", "../out", "/"].map(PathBuf::from);
        for _ in 0..2 {
            copy_root(&root, &place, &points).unwrap();
            assert!(place.join("data/deep").is_dir() && place.join("var").is_dir());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
            assert_eq!(fs::read_to_string(place.join("link")).unwrap(), "image");
            assert!(place.join("etc/empty").is_dir() && !place.join("new").exists());
            let (copied, original) = (place.join("etc/hosts"), root.join("etc/hosts"));
            let of = |path: &Path| {
                let metadata = fs::metadata(path).unwrap();
                (metadata.permissions().mode(), metadata.modified().unwrap())
            };
            assert_eq!(of(&copied), of(&original));
            fs::write(&copied, "changed").unwrap();
            fs::write(place.join("new"), "").unwrap();
            assert_eq!(fs::read_to_string(&original).unwrap(), "image");
        }
    }
}
