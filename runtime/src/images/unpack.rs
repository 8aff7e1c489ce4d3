//! Unpacks the layers of an image into a folder. Layers come from strangers: whatever they hold, nothing outside of the folder
//! is read or written, and no more is written than is allowed.
//!
//! Names are looked up by the kernel as if the folder were the root, so no link leads out, also none that a layer before
//! has put there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::compression::decompress;
use super::tar::{Archive, Entry, Kind};

/// What unpacking may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Of all layers together, as unpacked.
    pub(super) bytes: u64,
    /// Files, folders and links of all layers together.
    pub(super) entries: u64,
}

/// Enough for an interpreter and its libraries, little enough for a small disk.
pub(super) const USUAL: Budget = Budget { bytes: 2 << 30, entries: 100_000 };

/// Marks what a layer removes from those below it.
const WHITEOUT: &[u8] = b".wh.";
/// Removes everything that is in its folder below.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other marks of that form concern nobody.
const META: &[u8] = b".wh..wh.";

/// A layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Something in it is not for an image.
    #[error("{path:?} {problem}")]
    Refused {
        /// The entry.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It is too much.
    #[error("its layers unpack to more than {allowed}")]
    TooMuch {
        /// What would be allowed.
        allowed: String,
    },
    /// It is damaged, or the disk refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Unpacks layers into `folder`, which is empty, the lowest first; and puts files in their places above them.
pub(super) fn unpack(
    layers: &[PathBuf],
    files: &[(String, PathBuf)],
    folder: &Path,
    budget: Budget,
) -> Result<(), UnpackError> {
    let mut root = Root { folder: open_folder(folder)?, budget, left: budget };
    for (index, layer) in layers.iter().enumerate() {
        if index > 0 {
            // What a layer removes is below it, wherever in the layer it says so. Nothing is written, nothing is charged.
            let left = root.left;
            root.pass(layer, |root, entry, _| root.remove(entry))?;
            root.left = left;
        }
        root.pass(layer, Root::add)?;
    }
    for (path, content) in files {
        let mut content = File::open(content)?;
        root.left.entries = root.left.entries.checked_sub(1).ok_or_else(|| root.too_much())?;
        let path = inside(Path::new(path))?;
        root.add_file(&path, &mut content, 0o644, None)?;
    }
    Ok(())
}

/// Makes folders in `folder` where nothing is, taking links on the way as if it were the root.
pub(super) fn make_folders(folder: &Path, paths: &[PathBuf]) -> io::Result<()> {
    let root = Root { folder: open_folder(folder)?, budget: USUAL, left: USUAL };
    for path in paths.iter().filter_map(|path| inside(path).ok()) {
        if path.as_os_str().is_empty() {
            continue;
        }
        let (parent, name) = match root.parent(&path) {
            // A file is in the way; what is mounted there is found all the same.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => continue,
            found => found?,
        };
        match rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o755)) {
            Err(error) if error != Errno::EXIST => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The folder that is being filled.
struct Root {
    folder: OwnedFd,
    budget: Budget,
    left: Budget,
}

type Layer = Archive<Bounded<Box<dyn Read>>>;

impl Root {
    fn pass(
        &mut self,
        layer: &Path,
        each: impl Fn(&mut Self, &Entry, &mut Layer) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        let content = decompress(BufReader::new(File::open(layer)?))?;
        let mut archive = Archive::new(Bounded { inner: content, left: self.left.bytes });
        loop {
            let entry = archive.next_entry().map_err(|error| self.failed(error))?;
            let Some(entry) = entry else { break };
            self.left.entries = self.left.entries.checked_sub(1).ok_or_else(|| self.too_much())?;
            each(self, &entry, &mut archive).map_err(|error| match error {
                UnpackError::Io(error) => self.failed(error),
                error => error,
            })?;
        }
        self.left.bytes = archive.into_inner().left;
        Ok(())
    }

    /// Removes from the layers below what an entry marks as removed.
    fn remove(&self, entry: &Entry) -> Result<(), UnpackError> {
        let path = inside(&entry.path)?;
        let name = path.file_name().unwrap_or_default().as_bytes();
        let Some(removed) = name.strip_prefix(WHITEOUT) else {
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        let Ok(parent) = self.open(parent) else {
            // Nothing is there that could be removed.
            return Ok(());
        };
        if name == OPAQUE {
            for child in fs::read_dir(way(&parent))? {
                remove_all(&parent, &child?.file_name())?;
            }
            Ok(())
        } else if name.starts_with(META) {
            Ok(())
        } else {
            Ok(remove_all(&parent, OsStr::from_bytes(removed))?)
        }
    }

    /// Adds what an entry holds.
    fn add(&mut self, entry: &Entry, content: &mut Layer) -> Result<(), UnpackError> {
        let path = inside(&entry.path)?;
        let refused = |problem: &str| {
            Err(UnpackError::Refused { path: entry.path.clone(), problem: problem.to_owned() })
        };
        let is_whiteout = path.file_name().is_some_and(|name| name.as_bytes().starts_with(WHITEOUT));
        if is_whiteout || (path.as_os_str().is_empty() && entry.kind == Kind::Directory) {
            return Ok(());
        }
        if path.as_os_str().is_empty() {
            return refused("has no name");
        }
        match &entry.kind {
            Kind::File => self.add_file(&path, content, entry.mode, Some(entry.modified)),
            Kind::Directory => Ok(self.add_folder(&path, entry.mode)?),
            Kind::Symlink(target) => Ok(self.add_symlink(&path, target)?),
            Kind::HardLink(target) => self.add_hard_link(&path, &inside(target)?),
            Kind::Special(what) => refused(&format!("is a {what}, which no image for WebAssembly needs")),
        }
    }

    fn add_file(
        &self,
        path: &Path,
        content: &mut dyn Read,
        mode: u32,
        modified: Option<i64>,
    ) -> Result<(), UnpackError> {
        let (parent, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
        let mut file = File::from(file);
        io::copy(content, &mut file)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode | 0o600)).map_err(io::Error::from)?;
        if let Some(modified) = modified {
            let time = Timespec { tv_sec: modified, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::futimens(&file, &times).map_err(io::Error::from)?;
        }
        Ok(())
    }

    fn add_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        if file_type(&parent, &name)? != Some(FileType::Directory) {
            remove_all(&parent, &name)?;
            rustix::fs::mkdirat(&parent, &name, Mode::RWXU)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&parent, &name, flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode | 0o700))?)
    }

    /// Links to absolute paths are made relative: guests see the folder as their root, their WASI does not.
    fn add_symlink(&self, path: &Path, target: &Path) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        let target = match target.strip_prefix("/") {
            Ok(within) => {
                let up = path.components().skip(1).map(|_| Component::ParentDir);
                let relative: PathBuf = up.chain(within.components()).collect();
                if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative }
            }
            Err(_) => target.to_owned(),
        };
        Ok(rustix::fs::symlinkat(&target, &parent, &name)?)
    }

    fn add_hard_link(&self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let refused =
            |problem: &str| Err(UnpackError::Refused { path: path.to_owned(), problem: problem.to_owned() });
        let name = target.file_name().unwrap_or_default();
        let Ok(source) = self.open(target.parent().unwrap_or(Path::new(""))) else {
            return refused("is a hard link to a file that the image does not have");
        };
        match file_type(&source, name)? {
            Some(FileType::RegularFile) => {}
            None => return refused("is a hard link to a file that the image does not have"),
            Some(_) => return refused("is a hard link to something else than a file"),
        }
        if path == target {
            return Ok(());
        }
        let (parent, own) = self.place(path)?;
        let linked = rustix::fs::linkat(&source, name, &parent, &own, AtFlags::empty());
        Ok(linked.map_err(io::Error::from)?)
    }

    /// The folder an entry belongs in and its name, with nothing of that name there.
    fn place(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let (parent, name) = self.parent(path)?;
        remove_all(&parent, &name)?;
        Ok((parent, name))
    }

    /// The folder an entry belongs in and its name. What is missing on the way is made.
    fn parent(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let name = path.file_name().unwrap_or_default().to_owned();
        let parent = path.parent().unwrap_or(Path::new(""));
        match self.open(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return Ok((opened?, name)),
        }
        let mut way = PathBuf::new();
        for component in parent.components() {
            let folder = self.open(&way)?;
            match rustix::fs::mkdirat(&folder, component.as_os_str(), Mode::from_raw_mode(0o755)) {
                Err(error) if error != Errno::EXIST => return Err(error.into()),
                _ => way.push(component),
            }
        }
        Ok((self.open(parent)?, name))
    }

    /// Opens a folder as if this one were the root.
    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.folder, path, flags, Mode::empty(), resolve)?)
    }

    fn failed(&self, error: io::Error) -> UnpackError {
        if error.kind() == io::ErrorKind::FileTooLarge { self.too_much() } else { UnpackError::Io(error) }
    }

    fn too_much(&self) -> UnpackError {
        let Budget { bytes, entries } = self.budget;
        UnpackError::TooMuch { allowed: format!("{bytes} bytes or {entries} files") }
    }
}

/// The path of an entry within the root; one that begins at the root is taken from there.
fn inside(path: &Path) -> Result<PathBuf, UnpackError> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let problem = "leads out of the image's root".to_owned();
                return Err(UnpackError::Refused { path: path.to_owned(), problem });
            }
        }
    }
    Ok(inside)
}

fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

/// What has that name; none if nothing has.
fn file_type(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes what has that name, with all in it; a link itself.
fn remove_all(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match file_type(folder, name)? {
        None => Ok(()),
        Some(FileType::Directory) => fs::remove_dir_all(way(folder).join(name)),
        Some(_) => Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?),
    }
}

/// A path to an open folder, for what only takes paths.
fn way(folder: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Fails rather than give more than so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One byte more than allowed tells an end from an excess.
        let most = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
