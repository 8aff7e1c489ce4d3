//! What can be wrong with a store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The store cannot be opened, read, written or restored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("open the store {}", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "open the store {}: another process is using it; stop that one, or use another data directory",
        path.display()
    )]
    InUse {
        /// Its file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("open the store {}: the file is not a store of Peapod; {REMEDY}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A program with another format wrote it.
    #[error(
        "open the store {}: its format is version {found}, this program knows version {known}; \
         use the program that wrote it, or {REMEDY}",
        path.display()
    )]
    Version {
        /// Its file.
        path: PathBuf,
        /// What the file says.
        found: u32,
        /// What this program writes.
        known: u32,
    },
    /// The file does not hold what was written to it.
    #[error("open the store {}: the file is damaged: {what}; {REMEDY}", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What was found where.
        what: String,
    },
    /// A group was not written; the next one may be.
    #[error("write the store")]
    Write(#[source] io::Error),
    /// A write or a sync failed half-way: what the file holds is known again after it was opened anew.
    #[error("the store takes no more writes since its disk failed; restart to write again")]
    Failed,
    /// No group can be so large.
    #[error("write {0} bytes at once: the limit is 1 GiB")]
    TooLarge(usize),
    /// There is a store where one is to be restored.
    #[error("restore to {}: there is a store already; move it away first", path.display())]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// A backup cannot be read.
    #[error("read the backup")]
    ReadBackup(#[source] io::Error),
    /// A backup is not one, or not whole.
    #[error("restore the backup: {0}; nothing was restored")]
    BadBackup(String),
}

const REMEDY: &str =
    "restore a backup with `peapod restore` to another place, or move the store's files away to begin anew";

/// Why a file cannot be read.
pub(super) enum Trouble {
    System(io::Error),
    Refused(StoreError),
    Damaged(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Trouble {
    /// The same, said of a file.
    pub(super) fn of(self, path: &Path) -> StoreError {
        match self {
            Self::System(source) => StoreError::Open { path: path.to_owned(), source },
            Self::Refused(error) => error,
            Self::Damaged(what) => StoreError::Damaged { path: path.to_owned(), what },
        }
    }
}
