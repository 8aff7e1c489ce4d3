//! The folder in which a server keeps everything; one server at a time.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// What tells who holds the folder.
const LOCK: &str = "lock";

/// The folder of a server, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

/// The user's own folder: `$XDG_DATA_HOME/peapod` or `~/.local/share/peapod`.
pub fn of_user() -> Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .map(|data| data.join("peapod"))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share/peapod")))
        .context("no place for data: neither XDG_DATA_HOME nor HOME is set; name one with --data-dir or --image-dir")
}

impl DataDir {
    /// Takes the folder, making it if there is none; refused while another process holds it.
    pub fn take(path: &Path) -> Result<Self> {
        let failed = || format!("make the data directory {}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(failed)?;
        let path = fs::canonicalize(path).with_context(failed)?;
        match Self::try_lock(&path)? {
            (lock, true) => {
                let data_dir = Self { path, lock };
                data_dir.tell("")?;
                Ok(data_dir)
            }
            (_, false) => bail!(
                "the data directory {} is in use by another peapod{}; stop it first, or name another one with \
                 --data-dir",
                path.display(),
                holder(&path).map_or_else(String::new, |holder| format!(" (process {})", holder.process))
            ),
        }
    }

    fn try_lock(path: &Path) -> Result<(File, bool)> {
        let path = path.join(LOCK);
        let failed = || format!("lock {}", path.display());
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).mode(0o600).open(&path).with_context(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok((file, true)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok((file, false)),
            Err(error) => Err(error).with_context(failed),
        }
    }

    /// Writes for other processes who holds the folder, and at which address it serves.
    pub fn tell(&self, server: &str) -> Result<()> {
        let text = format!("{}\n{server}\n", std::process::id());
        let write = || {
            let mut file = &self.lock;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write().with_context(|| format!("write {}", self.path.join(LOCK).display()))
    }

    /// The folder itself, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the store.
    pub fn store(&self) -> PathBuf {
        store(&self.path)
    }

    /// The folder of certificates and keys.
    pub fn keys(&self) -> PathBuf {
        keys(&self.path)
    }

    /// The folder of volumes and logs.
    pub fn node(&self) -> PathBuf {
        self.path.join("node")
    }
}

/// The file of the store in a data directory.
pub fn store(path: &Path) -> PathBuf {
    path.join("store.redb")
}

/// The folder of certificates and keys in a data directory.
pub fn keys(path: &Path) -> PathBuf {
    path.join("pki")
}

/// Who holds a data directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Holder {
    /// The number of its process.
    pub process: u32,
    /// Where it serves; empty before it does.
    pub server: String,
}

/// Who says to hold the folder; true only while [`DataDir::take`] is refused.
pub fn holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path.join(LOCK)).ok()?.take(1024).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    Some(Holder { process: lines.next()?.parse().ok()?, server: lines.next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_process_at_a_time_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::take(&path).unwrap();
        first.tell("https://127.0.0.1:6443").unwrap();
        let refusal = DataDir::take(&path).unwrap_err().to_string();
        let process = std::process::id();
        assert!(refusal.contains(&format!("in use by another peapod (process {process})")), "{refusal}");
        assert_eq!(holder(&path), Some(Holder { process, server: "https://127.0.0.1:6443".to_owned() }));
        drop(first);
        let second = DataDir::take(&path).unwrap();
        assert_eq!(holder(&path).unwrap().server, "");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(second.path()).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
    }
}
