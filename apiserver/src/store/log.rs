//! A log while it is open: records are appended, each synced before it is acknowledged.
//!
//! Space is reserved in chunks and zero, and at least one sector of zeros always follows the last record, so that a
//! file cut short is noticed. See [`super::record`] for the format and [`super::recover`] for reading it back.

use std::io;
use std::sync::Arc;

use api::Revision;

use super::error::StoreError;
use super::medium::{Folder, Medium};
use super::record::{self, LOG, Row, SECTOR};

/// A record is not much longer than this unless one write is.
pub(super) const RECORD_BYTES: usize = 256 << 10;

/// An open file.
pub(super) struct Log {
    file: Arc<dyn Medium>,
    /// How much space is reserved at once.
    chunk: u64,
    /// Up to where space is reserved.
    length: u64,
    /// Where the next record goes.
    end: u64,
    /// The number of the next record.
    number: u64,
    /// A write or a sync failed: what lies at the end is not known, so nothing is written any more.
    failed: bool,
    buffer: Vec<u8>,
}

impl Log {
    /// A new file without records. Nothing of it is sure to last before [`Log::sync`].
    pub(super) fn create(folder: &dyn Folder, name: &str, chunk: u64) -> io::Result<Self> {
        let file = folder.create(name)?;
        file.extend(chunk)?;
        file.write(0, &record::header(LOG))?;
        Ok(Self::at(file, chunk, chunk, SECTOR as u64, 0))
    }

    /// A file that was read up to `end`.
    pub(super) fn at(file: Arc<dyn Medium>, chunk: u64, length: u64, end: u64, number: u64) -> Self {
        Self { file, chunk, length, end, number, failed: false, buffer: Vec::new() }
    }

    /// Where the next record goes: all before is in use.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How many records there are.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How long the file is.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it takes no more records.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Makes it take no more records.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Writes a group and waits until it lasts. Returns the bytes written.
    pub(super) fn append<'a>(
        &mut self,
        reserved: Revision,
        rows: impl IntoIterator<Item = &'a Row>,
    ) -> Result<usize, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        self.add(reserved, rows)?;
        self.sync().map_err(StoreError::Write)?;
        Ok(self.buffer.len())
    }

    /// Writes a group that need not last yet.
    fn add<'a>(
        &mut self,
        reserved: Revision,
        rows: impl IntoIterator<Item = &'a Row>,
    ) -> Result<(), StoreError> {
        self.buffer.clear();
        self.buffer.shrink_to(2 * RECORD_BYTES);
        let rows = rows.into_iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        record::write(&mut self.buffer, self.number, reserved, rows).map_err(StoreError::TooLarge)?;
        self.write().map_err(StoreError::Write)
    }

    /// Writes what is in the buffer, one record.
    fn write(&mut self) -> io::Result<()> {
        self.make_room()?;
        if let Err(error) = self.file.write(self.end, &self.buffer) {
            self.failed = true;
            return Err(error);
        }
        self.end += self.buffer.len() as u64;
        self.number += 1;
        Ok(())
    }

    /// Waits until all that was written lasts.
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync().inspect_err(|_| self.failed = true)
    }

    /// If there is no space, nothing was written yet: the group is refused, and a later one may find some.
    fn make_room(&mut self) -> io::Result<()> {
        let needed = self.end + self.buffer.len() as u64 + SECTOR as u64;
        if needed > self.length {
            let length = needed.next_multiple_of(self.chunk);
            self.file.extend(length)?;
            // A record must not be found beyond the end of the file.
            self.sync()?;
            self.length = length;
        }
        Ok(())
    }
}
