//! Opens what is below a directory and nothing else, whatever others do to that directory meanwhile: the kernel resolves
//! each path and refuses one that leads out, be it by `..`, an absolute link or a link that was put there a moment ago.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// For what is only passed through or asked about.
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// A device or a pipe in the place of a file must not keep us waiting.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
/// Of folders that users asked for.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
/// Of files that users asked for.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// An open directory.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// Something below a root, held open: it stays what it is, wherever it is moved.
#[derive(Debug)]
pub(super) struct Found {
    place: OwnedFd,
    /// What it is.
    pub(super) kind: Kind,
}

/// What there can be at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// A socket, a pipe, a device.
    Other,
}

impl Root {
    /// Opens a directory of the host that only its operator can replace.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::open(path, PLACE | OFlags::DIRECTORY, Mode::empty())?))
    }

    /// What is at a path below, links followed.
    pub(super) fn find(&self, path: &Path) -> io::Result<Found> {
        Found::of(self.resolve(path, PLACE)?)
    }

    /// Makes the directories of a path that are missing, and returns the last. Links on the way are followed only where they
    /// were before and stay below.
    pub(super) fn make_directories(&self, path: &Path) -> io::Result<Found> {
        let parts: Vec<&Path> = path.components().filter_map(plain).collect();
        let (mut reached, mut there) = (None, parts.len());
        while there > 0 {
            let prefix: PathBuf = parts[..there].iter().collect();
            match self.resolve(&prefix, PLACE | OFlags::DIRECTORY) {
                Err(Errno::NOENT) => there -= 1,
                found => {
                    reached = Some(found?);
                    break;
                }
            }
        }
        for part in &parts[there..] {
            let parent = reached.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
            match fs::mkdirat(parent, *part, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = PLACE | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let next = fs::openat(parent, *part, flags, Mode::empty())?;
            reached = Some(next);
        }
        match reached {
            Some(place) => Found::of(place),
            None => self.find(Path::new(".")),
        }
    }

    /// Makes an empty file in an existing directory, unless something is there.
    pub(super) fn make_file(&self, path: &Path) -> io::Result<Found> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        match fs::openat2(&self.0, path, flags, FILE_MODE, BELOW) {
            Ok(_) | Err(Errno::EXIST) => self.find(path),
            Err(error) => Err(error.into()),
        }
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        // Renames elsewhere on the disk can make the kernel ask for another try.
        for _ in 0..TRIES {
            match fs::openat2(&self.0, path, flags, Mode::empty(), BELOW) {
                Err(Errno::AGAIN) => {}
                resolved => return resolved,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// How often a path is resolved while it changes under our eyes.
const TRIES: usize = 64;

fn plain(part: Component<'_>) -> Option<&Path> {
    matches!(part, Component::Normal(_)).then(|| Path::new(part.as_os_str()))
}

impl Found {
    fn of(place: OwnedFd) -> io::Result<Self> {
        let kind = match fs::FileType::from_raw_mode(fs::fstat(&place)?.st_mode) {
            fs::FileType::Directory => Kind::Directory,
            fs::FileType::RegularFile => Kind::File,
            _ => Kind::Other,
        };
        Ok(Self { place, kind })
    }

    /// It as the root of what is below.
    pub(super) fn into_root(self) -> Root {
        Root(self.place)
    }

    /// Its path on the host at this moment, without links on the way.
    pub(super) fn path(&self) -> io::Result<PathBuf> {
        std::fs::read_link(self.handle())
    }

    /// Opens it for reading.
    pub(super) fn read(&self) -> io::Result<File> {
        Ok(File::from(fs::open(self.handle(), READ, Mode::empty())?))
    }

    /// Gives it another name, on the same file system.
    pub(super) fn link_to(&self, target: &Path) -> io::Result<()> {
        fs::linkat(fs::CWD, self.handle(), fs::CWD, target, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }

    fn handle(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.place.as_raw_fd()))
    }
}

/// Whether a path was refused because it leads out.
pub(super) fn leads_out(error: &io::Error) -> bool {
    let refusals = [Errno::XDEV, Errno::LOOP, Errno::NOTDIR];
    refusals.iter().any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn links_that_lead_out_are_refused() {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(host.path().join("volume/deep")).unwrap();
        std::fs::write(host.path().join("secret"), "s").unwrap();
        let volume = host.path().join("volume");
        for (name, target) in [
            ("up", "../secret"),
            ("far", "/etc"),
            ("chain", "up"),
            ("self", "self"),
            ("magic", "/proc/self/root"),
        ] {
            symlink(target, volume.join(name)).unwrap();
        }
        symlink("deep", volume.join("inside")).unwrap();
        let root = Root::open(&volume).unwrap();
        for path in
            ["up", "far", "far/passwd", "chain", "self", "..", "deep/../../secret", "/etc", "magic/etc"]
        {
            let error = root.find(Path::new(path)).unwrap_err();
            assert!(leads_out(&error), "{path}: {error}");
            root.make_file(Path::new(path)).unwrap_err();
        }
        for path in ["up/new", "far/new", "self/new"] {
            root.make_directories(Path::new(path)).unwrap_err();
        }
        assert!(!Path::new("/etc/new").exists());
        assert_eq!(root.find(Path::new("inside")).unwrap().kind, Kind::Directory);
        let made = root.make_directories(Path::new("inside/a/b")).unwrap();
        assert_eq!(made.path().unwrap(), volume.canonicalize().unwrap().join("deep/a/b"));
    }

    /// While one thread turns a directory into a link and back, nothing outside is ever read or made.
    #[test]
    fn a_race_is_never_won() {
        let host = tempfile::tempdir().unwrap();
        for folder in ["volume/sub", "secret"] {
            std::fs::create_dir_all(host.path().join(folder)).unwrap();
        }
        std::fs::write(host.path().join("secret/key"), "secret").unwrap();
        std::fs::write(host.path().join("volume/sub/key"), "own").unwrap();
        let volume = host.path().join("volume");
        symlink("../secret", volume.join("link")).unwrap();
        let root = Root::open(&volume).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let (from, to) = (volume.join("sub"), volume.join("link"));
                    fs::renameat_with(fs::CWD, &from, fs::CWD, &to, fs::RenameFlags::EXCHANGE).unwrap();
                }
            });
            let (mut reads, mut refusals) = (0, 0);
            while reads < 500 || refusals < 500 {
                match root.find(Path::new("sub/key")).and_then(|found| found.read()) {
                    Ok(file) => {
                        assert_eq!(io::read_to_string(file).unwrap(), "own");
                        reads += 1;
                    }
                    Err(_) => refusals += 1,
                }
                let _ = root.make_directories(Path::new("sub/new/deep"));
            }
            over.store(true, Ordering::Relaxed);
        });
        let outside = std::fs::read_dir(host.path().join("secret")).unwrap().count();
        assert_eq!(outside, 1, "nothing was made outside");
    }
}
