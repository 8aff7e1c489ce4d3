//! The base: a database of redb with the last state of every row, up to some log.
//!
//! ```text
//! table store   format   u32
//!               summary  store 16 | log u64 | reserved u64 | rows u64 | digest u64 | checksum 8
//! table rows    key      checksum of key and value 8 | value
//! ```
//!
//! It is open only while it is written, in one transaction at a time, or read. redb checks its pages when it is asked
//! to; the checksums, the number of rows and the sum of their checksums tell of a row or a page that is gone.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use api::Revision;
use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};
use sha2::{Digest, Sha256};

use super::backend::Backend;
use super::error::{StoreError, Trouble};
use super::medium::Medium;
use super::record::{RowRef, VERSION, number64, sum};
use super::segment::StoreId;

const STORE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("store");
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// How the files of redb begin.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// What redb may hold in memory while it is open: a checkpoint changes some 16 MiB.
const CACHE_BYTES: usize = 32 << 20;

/// The last state of every row, by its key.
pub(super) type Rows = BTreeMap<Vec<u8>, Bytes>;

/// What a base says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Whose base it is.
    pub store: StoreId,
    /// The first log of which nothing is in it; all before are.
    pub log: u64,
    /// No revision beyond this one is in the logs before.
    pub reserved: Revision,
    rows: u64,
    digest: u64,
}

impl Summary {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.store.to_vec();
        for number in [self.log, self.reserved.0, self.rows, self.digest] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&sum(&bytes));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, checksum) = bytes.split_at_checked(48)?;
        if checksum != sum(fields) {
            return None;
        }
        Some(Self {
            store: fields[..16].try_into().ok()?,
            log: number64(fields, 16),
            reserved: Revision(number64(fields, 24)),
            rows: number64(fields, 32),
            digest: number64(fields, 40),
        })
    }
}

/// Reads a base and checks all of it; the file is left as it is.
pub(super) fn read(path: &Path, file: Arc<dyn Medium>) -> Result<(Summary, Rows), StoreError> {
    let read = || {
        identify(path, &*file)?;
        let backend = Backend::aside(Arc::clone(&file))?;
        guarded(&backend, || load(path, &backend))
    };
    read().map_err(|trouble: Trouble| trouble.of(path))
}

fn identify(path: &Path, file: &dyn Medium) -> Result<(), Trouble> {
    let length = file.length()?;
    if length == 0 {
        return Err(Trouble::Damaged("it is empty".into()));
    }
    let mut magic = [0; MAGIC.len()];
    if length >= magic.len() as u64 {
        file.read(0, &mut magic)?;
    }
    match magic == MAGIC {
        true => Ok(()),
        false => Err(foreign(path)),
    }
}

fn foreign(path: &Path) -> Trouble {
    Trouble::Refused(StoreError::Foreign { path: path.to_owned() })
}

/// Does something with redb, which may panic at pages that it did not write, and may not tell of each failure.
fn guarded<T>(backend: &Backend, work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let done = catch_unwind(AssertUnwindSafe(work));
    match backend.take_failure() {
        Some(error) => Err(Trouble::System(error)),
        None => done.unwrap_or_else(|_| Err(Trouble::Damaged("its pages do not fit together".into()))),
    }
}

fn broken(error: impl Into<redb::Error>) -> Trouble {
    Trouble::Damaged(error.into().to_string())
}

fn open(backend: &Backend) -> Result<Database, Trouble> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.create_with_backend(backend.clone()).map_err(broken)
}

fn load(path: &Path, backend: &Backend) -> Result<(Summary, Rows), Trouble> {
    let mut database = open(backend)?;
    if !database.check_integrity().map_err(broken)? {
        return Err(Trouble::Damaged("some of its pages are not what was written".into()));
    }
    let reading = database.begin_read().map_err(broken)?;
    let store = reading.open_table(STORE).map_err(|error| match error {
        TableError::TableDoesNotExist(_) => foreign(path),
        error => broken(error),
    })?;
    let format = store.get("format").map_err(broken)?;
    let format = format.and_then(|format| format.value().try_into().ok()).map(u32::from_le_bytes);
    if format != Some(VERSION) {
        let found = format.unwrap_or_default();
        let path = path.to_owned();
        return Err(Trouble::Refused(StoreError::Version { path, found, known: VERSION }));
    }
    let summary = summary(&store)?;
    let mut rows = Rows::new();
    let mut digest = 0_u64;
    for row in reading.open_table(ROWS).map_err(broken)?.iter().map_err(broken)? {
        let (key, sealed) = row.map_err(broken)?;
        let (key, sealed) = (key.value(), sealed.value());
        let value = sealed.get(8..).filter(|value| sealed.starts_with(&seal(key, value).to_le_bytes()));
        let value = value.ok_or_else(|| {
            Trouble::Damaged(format!("its row {:?} is not what was written", String::from_utf8_lossy(key)))
        })?;
        digest = digest.wrapping_add(number64(sealed, 0));
        rows.insert(key.to_vec(), Bytes::copy_from_slice(value));
    }
    if (rows.len() as u64, digest) != (summary.rows, summary.digest) {
        let what = format!("it holds {} rows, of those that it held there were {}", rows.len(), summary.rows);
        return Err(Trouble::Damaged(what));
    }
    Ok((summary, rows))
}

fn summary(store: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Summary, Trouble> {
    let bytes = store.get("summary").map_err(broken)?;
    let summary = bytes.and_then(|bytes| Summary::decode(bytes.value()));
    summary.ok_or_else(|| Trouble::Damaged("it does not say what is in it".into()))
}

/// The checksum of a row.
fn seal(key: &[u8], value: &[u8]) -> u64 {
    let mut hash = Sha256::new_with_prefix((key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(value);
    number64(&hash.finalize(), 0)
}

/// A transaction that changes a base. Nothing of it lasts before [`Update::finish`], then all of it.
pub(super) struct Update {
    transaction: WriteTransaction,
    database: Database,
    backend: Backend,
    summary: Summary,
}

impl Update {
    /// Begins a base in an empty file.
    pub(super) fn create(file: Arc<dyn Medium>, store: StoreId) -> Result<Self, StoreError> {
        let summary = Summary { store, log: 1, reserved: Revision(0), rows: 0, digest: 0 };
        Self::on(file, |transaction| {
            let mut table = transaction.open_table(STORE).map_err(broken)?;
            table.insert("format", VERSION.to_le_bytes().as_slice()).map_err(broken)?;
            transaction.open_table(ROWS).map_err(broken)?;
            Ok(summary)
        })
    }

    /// Begins a change of a base that must still be what it was.
    pub(super) fn begin(file: Arc<dyn Medium>, expected: &Summary) -> Result<Self, StoreError> {
        Self::on(file, |transaction| {
            let found = summary(&transaction.open_table(STORE).map_err(broken)?)?;
            match found == *expected {
                true => Ok(found),
                false => Err(Trouble::Damaged("it is not what it was any more".into())),
            }
        })
    }

    fn on(
        file: Arc<dyn Medium>,
        summary: impl FnOnce(&WriteTransaction) -> Result<Summary, Trouble>,
    ) -> Result<Self, StoreError> {
        let backend = Backend::new(file);
        guarded(&backend, || {
            let database = open(&backend)?;
            let transaction = database.begin_write().map_err(broken)?;
            let summary = summary(&transaction)?;
            Ok(Self { transaction, database, backend: backend.clone(), summary })
        })
        .map_err(unwritten)
    }

    /// Puts rows into it, and takes those without a value out of it.
    pub(super) fn apply<'a>(&mut self, rows: impl IntoIterator<Item = RowRef<'a>>) -> Result<(), StoreError> {
        let Self { transaction, backend, summary, .. } = self;
        guarded(backend, || {
            let mut table = transaction.open_table(ROWS).map_err(broken)?;
            for (key, value) in rows {
                let new = value.map(|value| seal(key, value));
                let old = match value.zip(new) {
                    Some((value, seal)) => {
                        let sealed = [seal.to_le_bytes().as_slice(), value].concat();
                        table.insert(key, sealed.as_slice()).map_err(broken)?
                    }
                    None => table.remove(key).map_err(broken)?,
                };
                let old = old.filter(|old| old.value().len() >= 8).map(|old| number64(old.value(), 0));
                summary.rows = summary.rows + u64::from(new.is_some()) - u64::from(old.is_some());
                let digest = summary.digest.wrapping_sub(old.unwrap_or(0));
                summary.digest = digest.wrapping_add(new.unwrap_or(0));
            }
            Ok(())
        })
        .map_err(unwritten)
    }

    /// Makes it last, with the first log of which nothing is in it. Returns what it now says of itself, and how many
    /// bytes were written.
    pub(super) fn finish(self, log: u64, reserved: Revision) -> Result<(Summary, u64), StoreError> {
        let Self { transaction, database, backend, summary } = self;
        let summary = Summary { log, reserved, ..summary };
        guarded(&backend, || {
            let mut table = transaction.open_table(STORE).map_err(broken)?;
            table.insert("summary", summary.encode().as_slice()).map_err(broken)?;
            drop(table);
            transaction.commit().map_err(broken)?;
            // Closing writes too.
            drop(database);
            Ok(())
        })
        .map_err(unwritten)?;
        Ok((summary, backend.written()))
    }
}

fn unwritten(trouble: Trouble) -> StoreError {
    match trouble {
        Trouble::System(error) => StoreError::Write(error),
        Trouble::Refused(error) => error,
        Trouble::Damaged(what) => StoreError::Write(std::io::Error::other(what)),
    }
}
