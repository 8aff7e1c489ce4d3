//! Backups: everything at one revision in one stream, and a store made from one.
//!
//! ```text
//! header   as of a log, with its own magic
//! records  as in a log; the first has no rows but `backup` and the revision and count as its one row
//! end      SHA-256 of all before
//! ```

use std::io::{self, Read};
use std::path::Path;

use api::Revision;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::birth;
use super::cut::{Cut, Rows};
use super::error::StoreError;
use super::keys::StoreKey;
use super::log::RECORD_BYTES;
use super::place::lock;
use super::record::{self, Head, Identity, Row, SECTOR, VERSION};

/// How a backup begins.
const BACKUP: &[u8; 16] = b"peapod backup\r\x1a\n";

/// The key of the row that says what is in a backup; no object has such a key.
const SUMMARY: &[u8] = b"backup";

/// A restored store goes on so far beyond its backup, which is more revisions than the lost one can have issued since:
/// those of ten years at ten thousand a second are fewer than four of these.
const LEAP: u64 = 1_000_000_000_000;

/// One record of a backup at most, against streams that only claim to be one.
const LARGEST_RECORD: usize = 64 << 20;

/// A backup on its way out, piece by piece. It holds what there was at one revision, whatever is written meanwhile.
pub struct Backup {
    revision: Revision,
    state: State,
    number: u64,
    hash: Sha256,
}

enum State {
    Header(Cut),
    Rows(Rows),
    Done,
}

impl Backup {
    pub(super) fn new(cut: Cut) -> Self {
        Self { revision: cut.revision, state: State::Header(cut), number: 0, hash: Sha256::new() }
    }

    /// The revision at which this is what there was.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    fn record(&mut self, out: &mut Vec<u8>, reserved: Revision, rows: &[Row]) {
        let rows = rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        record::write(out, self.number, reserved, rows).expect("it came out of a record of the store");
        self.number += 1;
    }
}

impl Iterator for Backup {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        match std::mem::replace(&mut self.state, State::Done) {
            State::Header(cut) => {
                out.extend_from_slice(&record::header(BACKUP));
                let summary = Bytes::from(format!("{} {}", cut.revision, cut.count()));
                self.record(&mut out, cut.reserved, &[(SUMMARY.to_vec(), Some(summary))]);
                self.state = State::Rows(cut.rows());
            }
            State::Rows(mut rows) => match rows.next(RECORD_BYTES) {
                Some(next) => {
                    self.record(&mut out, rows.cut.reserved, &next);
                    self.state = State::Rows(rows);
                }
                None => return Some(Bytes::copy_from_slice(&self.hash.clone().finalize())),
            },
            State::Done => return None,
        }
        self.hash.update(&out);
        Some(out.into())
    }
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The revision of the backup. The restored store goes on far beyond it, so older watches are told to list again.
    pub revision: Revision,
    /// How many objects there are.
    pub objects: u64,
}

/// Makes a store of a backup. There is none before all of the backup was found to be whole.
pub fn restore(backup: impl Read, path: &Path) -> Result<Restored, StoreError> {
    let place = lock(path)?;
    if !birth::is_vacant(&place)? {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    let mut restored = None;
    birth::begin(&place, |base| {
        let done = read(backup, |rows| {
            base.apply(rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref())))
        })?;
        restored = Some(done.0);
        Ok(done.1)
    })?;
    restored.ok_or(StoreError::Failed)
}

/// Reads all of a backup and makes sure that it is whole.
pub fn verify(backup: impl Read) -> Result<Restored, StoreError> {
    read(backup, |_| Ok(())).map(|(restored, _)| restored)
}

/// Reads a backup and checks it; `add` gets the rows. Returns also up to where revisions are to be reserved.
fn read(
    backup: impl Read,
    mut add: impl FnMut(&[Row]) -> Result<(), StoreError>,
) -> Result<(Restored, Revision), StoreError> {
    let mut source = Source { backup, hash: Sha256::new(), number: 0 };
    source.identify()?;
    let (head, record) = source.record()?;
    let (revision, objects) = summary(&head, &record)?;
    let reserved = Revision(head.reserved.max(revision).0.saturating_add(LEAP));
    let mut count = 0;
    while count < objects {
        let (head, record) = source.record()?;
        let rows = object_rows(&head, &record)?;
        count += rows.len() as u64;
        add(&rows)?;
    }
    if count > objects {
        return Err(bad("it holds more objects than it says"));
    }
    source.end()?;
    Ok((Restored { revision, objects }, reserved))
}

fn summary(head: &Head, record: &[u8]) -> Result<(Revision, u64), StoreError> {
    let rows = head.payload(record).and_then(record::rows);
    let read = || match rows?.as_slice() {
        [(SUMMARY, Some(value))] => {
            let (revision, objects) = std::str::from_utf8(value).ok()?.split_once(' ')?;
            Some((Revision(revision.parse().ok()?), objects.parse().ok()?))
        }
        _ => None,
    };
    read().ok_or_else(|| bad("it does not say what is in it"))
}

fn object_rows(head: &Head, record: &[u8]) -> Result<Vec<Row>, StoreError> {
    let rows = head.payload(record).and_then(record::rows).unwrap_or_default();
    let whole = |(key, value): (&[u8], Option<&[u8]>)| {
        let value = Bytes::copy_from_slice(value?);
        StoreKey::decode(key).map(|_| (key.to_vec(), Some(value)))
    };
    let rows: Option<Vec<Row>> = rows.into_iter().map(whole).collect();
    rows.filter(|rows| !rows.is_empty())
        .ok_or_else(|| bad("a record in it holds something else than objects"))
}

fn bad(what: &str) -> StoreError {
    StoreError::BadBackup(what.to_owned())
}

/// A backup on its way in.
struct Source<R> {
    backup: R,
    hash: Sha256,
    number: u64,
}

impl<R: Read> Source<R> {
    fn take(&mut self, into: &mut [u8]) -> Result<(), StoreError> {
        self.backup.read_exact(into).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => bad("it was cut short"),
            _ => StoreError::ReadBackup(error),
        })
    }

    fn identify(&mut self) -> Result<(), StoreError> {
        let mut header = [0; SECTOR];
        self.take(&mut header)?;
        self.hash.update(header);
        match record::identify(BACKUP, &header) {
            Identity::Known => Ok(()),
            Identity::Version(found) => Err(StoreError::BadBackup(format!(
                "its format is version {found}, this program knows version {VERSION}"
            ))),
            Identity::Foreign => Err(bad("it is not a backup of Peapod")),
            Identity::Damaged => Err(bad("it is damaged at its beginning")),
        }
    }

    fn record(&mut self) -> Result<(Head, Vec<u8>), StoreError> {
        let damaged = format!("record {} of it is damaged", self.number);
        let mut record = vec![0; SECTOR];
        self.take(&mut record)?;
        let head = Head::read(&record).filter(|head| head.number == self.number);
        let head = head.filter(|head| head.size() <= LARGEST_RECORD).ok_or_else(|| bad(&damaged))?;
        record.resize(head.size(), 0);
        self.take(&mut record[SECTOR..])?;
        if head.payload(&record).is_none() {
            return Err(bad(&damaged));
        }
        self.hash.update(&record);
        self.number += 1;
        Ok((head, record))
    }

    /// Nothing may follow.
    fn end(mut self) -> Result<(), StoreError> {
        let mut sum = [0; 32];
        self.take(&mut sum)?;
        if sum != *self.hash.finalize() {
            return Err(bad("its checksum is not that of what it holds"));
        }
        match self.backup.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(bad("something follows its end")),
            Err(error) => Err(StoreError::ReadBackup(error)),
        }
    }
}
