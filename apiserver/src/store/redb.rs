//! The disk below the store: one redb database, one table of objects, and how far revisions are reserved.

use std::path::{Path, PathBuf};

use api::Revision;
use bytes::Bytes;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::keys::StoreKey;

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const RESERVED: &str = "reserved";

/// What redb may keep of its pages in memory. Objects are read from the snapshots, so only the tree's upper levels matter.
const PAGE_CACHE_BYTES: usize = 8 << 20;

/// In memory, freed pages come back only with a commit that counts as durable; one in so many commits is.
const DURABLE_EVERY: u32 = 64;

/// The store could not read or write.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("open the database {}", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// What redb said.
        #[source]
        source: Box<redb::Error>,
    },
    /// The database cannot be read.
    #[error("read the database")]
    Read(#[source] Box<redb::Error>),
    /// The database cannot be written.
    #[error("write the database")]
    Write(#[source] Box<redb::Error>),
    /// A row of the database was not written by this program.
    #[error("read the row {0:?} of the database")]
    Row(String),
}

/// One row to write: a key, and the bytes there from now on or none.
pub(super) type Row = (Vec<u8>, Option<Bytes>);

/// The database.
pub(super) struct Disk {
    database: Database,
    in_memory: bool,
    commits: u32,
}

impl Disk {
    /// A database that is gone when the process ends.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        let database = builder.set_cache_size(PAGE_CACHE_BYTES).create_with_backend(InMemoryBackend::new());
        let database = database.map_err(|error| StoreError::Write(Box::new(error.into())))?;
        Ok(Self { database, in_memory: true, commits: 0 })
    }

    /// The database in a file, made if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Builder::new().set_cache_size(PAGE_CACHE_BYTES).create(path);
        let database = database
            .map_err(|error| StoreError::Open { path: path.to_owned(), source: Box::new(error.into()) })?;
        Ok(Self { database, in_memory: false, commits: 0 })
    }

    /// Whether a write waits for a device.
    pub(super) fn is_durable(&self) -> bool {
        !self.in_memory
    }

    /// Up to where revisions were reserved; 0 in a new database.
    pub(super) fn reserved(&self) -> Result<Revision, StoreError> {
        let read = || -> Result<u64, redb::Error> {
            let transaction = self.database.begin_read()?;
            let numbers = match transaction.open_table(NUMBERS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(0),
                numbers => numbers?,
            };
            Ok(numbers.get(RESERVED)?.map_or(0, |number| number.value()))
        };
        read().map(Revision).map_err(|error| StoreError::Read(Box::new(error)))
    }

    /// Calls `row` with every object there is.
    pub(super) fn load(&self, mut row: impl FnMut(StoreKey, Bytes)) -> Result<(), StoreError> {
        let failed = |error: redb::Error| StoreError::Read(Box::new(error));
        let transaction = self.database.begin_read().map_err(|error| failed(error.into()))?;
        let objects = match transaction.open_table(OBJECTS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            objects => objects.map_err(|error| failed(error.into()))?,
        };
        for entry in objects.iter().map_err(|error| failed(error.into()))? {
            let (key, bytes) = entry.map_err(|error| failed(error.into()))?;
            let decoded = StoreKey::decode(key.value());
            let key =
                decoded.ok_or_else(|| StoreError::Row(String::from_utf8_lossy(key.value()).into_owned()))?;
            row(key, Bytes::copy_from_slice(bytes.value()));
        }
        Ok(())
    }

    /// Writes all rows or none, and the new end of the reserved revisions if there is one.
    pub(super) fn write(&mut self, rows: &[Row], reserved: Option<Revision>) -> Result<(), StoreError> {
        self.commits = self.commits.wrapping_add(1);
        let durable = !self.in_memory || self.commits.is_multiple_of(DURABLE_EVERY);
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(match durable {
                true => Durability::Immediate,
                false => Durability::None,
            })?;
            if let Some(Revision(reserved)) = reserved {
                transaction.open_table(NUMBERS)?.insert(RESERVED, reserved)?;
            }
            let mut objects = transaction.open_table(OBJECTS)?;
            for (key, bytes) in rows {
                match bytes {
                    Some(bytes) => objects.insert(key.as_slice(), &**bytes)?,
                    None => objects.remove(key.as_slice())?,
                };
            }
            drop(objects);
            Ok(transaction.commit()?)
        };
        write().map_err(|error| StoreError::Write(Box::new(error)))
    }
}
