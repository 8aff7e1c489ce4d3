//! Where the store's files are, and who has it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;
use super::medium::{Directory, Folder};

/// How the files grow.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Space for the log is reserved in such chunks: rarely enough not to matter, little enough for small devices.
    pub chunk: u64,
    /// With so many bytes the log goes to the base: enough that most states in it are of the past by then.
    pub checkpoint: u64,
    /// With so many bytes writers wait until that is done.
    pub largest: u64,
}

/// The sizes of every store; tests have smaller ones, in which more happens.
const SIZES: Sizes = Sizes { chunk: 4 << 20, checkpoint: 16 << 20, largest: 64 << 20 };

/// Where the files are.
#[derive(Clone)]
pub(super) struct Place {
    pub folder: Arc<dyn Folder>,
    /// The name of the base; those of the log begin with it.
    pub name: String,
    /// For messages.
    pub path: PathBuf,
    pub sizes: Sizes,
    /// Held as long as the store is open.
    pub _lock: Option<Arc<File>>,
}

impl Place {
    /// The file that is to become the base.
    pub(super) fn draft(&self) -> String {
        format!("{}.new", self.name)
    }

    /// The file that is to become a segment of the log.
    pub(super) fn log_draft(&self) -> String {
        format!("{}.log.new", self.name)
    }

    /// The segment of the log with a number.
    pub(super) fn log(&self, number: u64) -> String {
        format!("{}.log.{number}", self.name)
    }

    /// The numbers of all segments there are.
    pub(super) fn logs(&self) -> Result<BTreeSet<u64>, StoreError> {
        let names = self.folder.list().map_err(|error| self.failed(error))?;
        let number = |name: &String| {
            name.strip_prefix(&self.name)?
                .strip_prefix(".log.")?
                .parse()
                .ok()
                .filter(|at| self.log(*at) == *name)
        };
        Ok(names.iter().filter_map(number).collect())
    }

    pub(super) fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Open { path: self.path.clone(), source }
    }
}

/// The folder of a file of the operating system, locked.
pub(super) fn lock(path: &Path) -> Result<Place, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let (folder, name) = split(path).map_err(failed)?;
    let folder = Directory(folder);
    let lock = folder.lock(&format!("{name}.lock")).map_err(failed)?;
    let lock = lock.ok_or_else(|| StoreError::InUse { path: path.to_owned() })?;
    let _lock = Some(Arc::new(lock));
    Ok(Place { folder: Arc::new(folder), name, path: path.to_owned(), sizes: SIZES, _lock })
}

/// The folder of a file and its name there.
fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Ok((folder.to_owned(), name.to_owned()))
}
