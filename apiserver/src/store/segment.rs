//! The log in segments: a file that is appended to, and those before it that the base does not hold yet.
//!
//! The first record of each says whose log it is, which number it has, and how many records the one before has. So a
//! file that is missing, cut at its end or of another store is noticed.

use std::io;

use api::Revision;
use bytes::Bytes;

use super::error::{StoreError, Trouble};
use super::log::Log;
use super::place::Place;
use super::record::{Row, RowRef, number64};
use super::recover::{Changes, Recovered, recover};

/// What tells a store from every other one.
pub(super) type StoreId = [u8; 16];

/// The key of the row that says what a segment is; no object has such a key.
const START: &[u8] = b"segment";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Whose it is.
    pub store: StoreId,
    /// Counts the segments from 1.
    pub number: u64,
    /// How many records the one before has.
    pub before: u64,
}

impl Start {
    fn row(&self) -> Row {
        let fields = [&self.store[..], &self.number.to_le_bytes(), &self.before.to_le_bytes()];
        (START.to_vec(), Some(Bytes::from(fields.concat())))
    }

    /// Reads the rows of a first record; none if they say nothing of the kind.
    pub(super) fn read(rows: &[RowRef<'_>]) -> Option<Self> {
        match rows {
            [(START, Some(fields))] if fields.len() == 32 => Some(Self {
                store: fields[..16].try_into().ok()?,
                number: number64(fields, 16),
                before: number64(fields, 24),
            }),
            _ => None,
        }
    }
}

/// The log.
pub(super) struct Segments {
    /// The file that is appended to.
    pub log: Log,
    store: StoreId,
    number: u64,
    /// The numbers of those before, and how long they are in use.
    full: Vec<(u64, u64)>,
}

impl Segments {
    /// Begins the log of a new store.
    pub(super) fn create(place: &Place, store: StoreId, reserved: Revision) -> Result<Self, StoreError> {
        let log = begin(place, Start { store, number: 1, before: 0 }, reserved)?;
        put(place, 1).map_err(StoreError::Write)?;
        Ok(Self { log, store, number: 1, full: Vec::new() })
    }

    /// Reads the segments from the one with the number `first` on; `apply` gets their rows. Returns also up to where
    /// revisions are reserved.
    pub(super) fn open(
        place: &Place,
        store: StoreId,
        first: u64,
        mut apply: impl FnMut(Changes),
    ) -> Result<(Self, Revision), StoreError> {
        let numbers = place.logs()?;
        let last = numbers.last().copied().unwrap_or(0).max(first);
        let (mut full, mut reserved, mut before) = (Vec::new(), Revision(0), None);
        for number in first..=last {
            let name = place.log(number);
            let path = place.path.with_file_name(&name);
            let damaged = |what: &str| Trouble::Damaged(what.to_owned()).of(&path);
            let file = place.folder.open(&name).map_err(|error| place.failed(error))?;
            let file = file.ok_or_else(|| damaged("it is missing"))?;
            let Recovered { start, log, reserved: up_to, changes } =
                recover(&path, file, place.sizes.chunk, number == last)?;
            if (start.store, start.number) != (store, number) {
                return Err(damaged("it is the log of another store, or another log of this one"));
            }
            if before.is_some_and(|count| count != start.before) {
                return Err(damaged(&format!("the log before it should have {} records", start.before)));
            }
            before = Some(log.number());
            reserved = reserved.max(up_to);
            apply(changes);
            if number == last {
                return Ok((Self { log, store, number, full }, reserved));
            }
            full.push((number, log.end()));
        }
        Err(Trouble::Damaged("its logs have no number that could be".into()).of(&place.path))
    }

    /// Its bytes in use.
    pub(super) fn bytes(&self) -> u64 {
        self.log.end() + self.full.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// Its bytes on disk.
    pub(super) fn file_bytes(&self) -> u64 {
        self.log.length() + self.full.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// The segment that is appended to.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Goes on in a new file, unless nothing was appended to this one yet. A failure before it has its name costs
    /// nothing; after that it is open whether it would be found, so nothing may be appended to any.
    pub(super) fn rotate(&mut self, place: &Place, reserved: Revision) -> Result<(), StoreError> {
        if self.log.number() <= 1 {
            return Ok(());
        }
        let start = Start { store: self.store, number: self.number + 1, before: self.log.number() };
        let log = begin(place, start, reserved)?;
        if let Err(error) = put(place, start.number) {
            self.log.fail();
            return Err(StoreError::Write(error));
        }
        let full = std::mem::replace(&mut self.log, log);
        self.full.push((self.number, full.end()));
        self.number = start.number;
        Ok(())
    }

    /// Removes what the base holds.
    pub(super) fn remove_full(&mut self, place: &Place) -> io::Result<()> {
        self.full.drain(..).try_for_each(|(number, _)| place.folder.remove(&place.log(number)))
    }
}

/// Makes a segment that has no name of its own yet.
fn begin(place: &Place, start: Start, reserved: Revision) -> Result<Log, StoreError> {
    let draft = place.log_draft();
    let make = || {
        let mut log = Log::create(&*place.folder, &draft, place.sizes.chunk).map_err(StoreError::Write)?;
        log.append(reserved, [&start.row()])?;
        Ok(log)
    };
    make().inspect_err(|_| {
        // What is left of it takes space that may be needed; it is in nobody's way otherwise.
        let _ = place.folder.remove(&draft);
    })
}

/// Gives a segment its name: it is there whole or not at all.
fn put(place: &Place, number: u64) -> io::Result<()> {
    place.folder.rename(&place.log_draft(), &place.log(number))?;
    place.folder.sync()
}

/// Whether a log was begun for a base that never came to be, so that nothing can have been written to it.
pub(super) fn is_unused(place: &Place, number: u64) -> Result<bool, StoreError> {
    let name = place.log(number);
    let Some(file) = place.folder.open(&name).map_err(|error| place.failed(error))? else {
        return Ok(true);
    };
    let path = place.path.with_file_name(&name);
    let recovered = recover(&path, file, place.sizes.chunk, false)?;
    Ok(number == 1 && recovered.log.number() == 1)
}
