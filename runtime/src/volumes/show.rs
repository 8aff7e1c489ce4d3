//! Files made elsewhere and shown in a volume, all replaced at one moment.
//!
//! ```text
//! NAME/key       -> ..data/key       what the guest opens
//! NAME/..data    -> ..5f2a81c6       replaced by one rename
//! NAME/..5f2a81c6/key                the files, in a directory named by what they hold
//! ```
//!
//! A guest that opens `..data` once and reads several files below it sees one state, as in Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::remove_tree;

const CURRENT: &str = "..data";
const NEXT: &str = "..data_next";
/// Permissions that need no call of their own: no usual umask takes them away from the owner.
const PLAIN_MODE: u32 = 0o644;

/// The files of a volume, by their path within it.
pub(super) type Files = BTreeMap<PathBuf, File>;

/// One file of a volume.
pub(super) struct File {
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// What failed, and where.
type Failure = (PathBuf, io::Error);

/// Makes a directory that only its owner can enter, and those on the way to it.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes the files beside those shown, then shows them by one rename, then removes what is no longer shown. Does nothing
/// if they are shown already: a power cut may have left the names without the contents, so these are looked at.
pub(super) fn show(folder: &Path, files: &Files) -> Result<(), Failure> {
    let shown = fs::read_link(folder.join(CURRENT)).ok();
    let current = name_of(files);
    if shown.as_ref() == Some(&current) && hold(&folder.join(&current), files) {
        return Ok(());
    }
    write(&folder.join(&current), files)?;
    let tops: BTreeSet<&Path> = files.keys().filter_map(|path| path.iter().next()).map(Path::new).collect();
    for top in &tops {
        link(&Path::new(CURRENT).join(top), &folder.join(top))?;
    }
    let next = folder.join(NEXT);
    // Left by a process that was ended here.
    let _ = fs::remove_file(&next);
    link(&current, &next)?;
    fs::rename(&next, folder.join(CURRENT)).map_err(|error| (next, error))?;
    match shown {
        Some(_) => clear(folder, &current, &tops).map_err(|error| (folder.to_owned(), error)),
        None => Ok(()),
    }
}

/// The directory of files is named by their paths, modes and contents.
fn name_of(files: &Files) -> PathBuf {
    let mut hash = Sha256::new();
    for (path, file) in files {
        let path = path.as_os_str().as_bytes();
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        hash.update(file.mode.to_le_bytes());
        hash.update((file.content.len() as u64).to_le_bytes());
        hash.update(&file.content);
    }
    let name: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!("..{name}"))
}

fn write(target: &Path, files: &Files) -> Result<(), Failure> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    // Left by a process that was ended here.
    if target.exists() {
        remove_tree(target).map_err(at(target))?;
    }
    fs::create_dir_all(target).map_err(at(target))?;
    for (path, file) in files {
        let path = target.join(path);
        if let Some(parent) = path.parent().filter(|parent| *parent != target) {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        write_file(&path, file).map_err(at(&path))?;
    }
    Ok(())
}

fn write_file(path: &Path, file: &File) -> io::Result<()> {
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(file.mode).open(path)?;
    opened.write_all(&file.content)?;
    if file.mode & !PLAIN_MODE != 0 {
        opened.set_permissions(fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

fn link(target: &Path, at: &Path) -> Result<(), Failure> {
    match symlink(target, at) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err((at.to_owned(), error)),
        _ => Ok(()),
    }
}

/// Whether the directory has every file with its content.
fn hold(target: &Path, files: &Files) -> bool {
    files.iter().all(|(path, file)| fs::read(target.join(path)).is_ok_and(|content| content == file.content))
}

/// Removes links to files that are gone, and the directories that files were in, also those of a process that was ended
/// before it could.
fn clear(folder: &Path, current: &Path, tops: &BTreeSet<&Path>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        if name.as_os_str().as_bytes().starts_with(b"..") {
            if name != Path::new(CURRENT) && name != current {
                remove_tree(&folder.join(name))?;
            }
        } else if !tops.contains(name.as_path()) {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}
