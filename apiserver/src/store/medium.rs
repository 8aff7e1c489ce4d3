//! The files below the store: what it needs of a file system, and the one of the operating system.

use std::fs::{DirEntry, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// A folder in which files are made, renamed and removed. None of it is sure to last before [`Folder::sync`].
pub(super) trait Folder: Send + Sync + 'static {
    /// A file, if it is there.
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn Medium>>>;
    /// An empty file in place of whatever was there.
    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>>;
    /// Puts a file in the place of another, in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Waits until all of the above lasts.
    fn sync(&self) -> io::Result<()>;
}

/// One file. Nothing written is sure to last before [`Medium::sync`], and until then it may last in parts.
pub(super) trait Medium: Send + Sync + 'static {
    /// Its length.
    fn length(&self) -> io::Result<u64>;
    /// Reads as much as `into` takes.
    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes within its length.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes it longer by zeros whose place on the device is sure.
    fn extend(&self, length: u64) -> io::Result<()>;
    /// Makes it shorter.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Waits until all that was written lasts, and the length.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the operating system.
pub(super) struct Directory(pub PathBuf);

impl Directory {
    /// Locks a name in the folder as long as the result lives; none if another process has it.
    pub(super) fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let file = options().create(true).truncate(false).open(self.0.join(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Files hold secrets: they are the owner's alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

impl Folder for Directory {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn Medium>>> {
        match options().open(self.0.join(name)) {
            Ok(file) => Ok(Some(Arc::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        self.remove(name)?;
        Ok(Arc::new(options().create_new(true).open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        std::fs::read_dir(&self.0)?.map(name).collect()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl Medium for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    /// A place reserved beforehand makes each sync cheaper, and a full disk known before anything is written.
    fn extend(&self, length: u64) -> io::Result<()> {
        use rustix::io::Errno;
        let from = self.length()?;
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(self, flags, from, length.saturating_sub(from)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.set_len(length),
            result => Ok(result?),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
