//! Reads a log back after a stop of any kind: all whole records, and whether the rest is what a power cut leaves.
//!
//! Records are synced one by one, so at most the last one can be incomplete. Then at least one of its sectors never
//! reached the device and is zero, or it was written up to some byte only and its end is zero. It was not acknowledged:
//! it is cut off. Anything else that is wrong is damage.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use api::Revision;
use bytes::Bytes;

use super::error::{StoreError, Trouble};
use super::log::Log;
use super::medium::Medium;
use super::record::{self, HEAD, Head, Identity, LOG, SECTOR, VERSION};
use super::segment::Start;

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// The last state of each row that a log changes, by its key; none if it was removed.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// What a log holds.
pub(super) struct Recovered {
    /// What it says of itself.
    pub start: Start,
    /// The file, ready for more.
    pub log: Log,
    /// What it changes.
    pub changes: Changes,
    /// No revision beyond this one was issued before the next log was begun.
    pub reserved: Revision,
}

/// Reads a log; `path` is for messages. Only the last log may end with an incomplete record.
pub(super) fn recover(
    path: &Path,
    file: Arc<dyn Medium>,
    chunk: u64,
    last: bool,
) -> Result<Recovered, StoreError> {
    read(path, file, chunk, last).map_err(|trouble| trouble.of(path))
}

fn read(path: &Path, file: Arc<dyn Medium>, chunk: u64, last: bool) -> Result<Recovered, Trouble> {
    let length = file.length()?;
    let mut window = Window { file: &*file, length, start: 0, bytes: Vec::new() };
    identify(path, &mut window)?;
    let mut start = None;
    let mut changes = Changes::new();
    let mut reserved = Revision(0);
    let (mut end, mut number) = (SECTOR as u64, 0);
    while let Some((head, record)) = next(&mut window, end, number)? {
        let rows = head.payload(record).and_then(record::rows);
        let rows = rows.ok_or_else(|| damaged(number, end, "is not made of rows"))?;
        match start {
            None => {
                start = Some(Start::read(&rows).ok_or_else(|| damaged(0, end, "says nothing of the log"))?)
            }
            Some(_) => changes.extend(
                rows.into_iter().map(|(key, value)| (key.to_vec(), value.map(Bytes::copy_from_slice))),
            ),
        }
        reserved = reserved.max(head.reserved);
        end += head.size() as u64;
        number += 1;
    }
    let start = start.ok_or_else(|| Trouble::Damaged("there is nothing in it".into()))?;
    let remains = remains(&mut window, end)?;
    if remains > end && !last {
        return Err(damaged(number, end, "is not whole, though there is a log after this one"));
    }
    if remains > end {
        erase(&*file, end, remains)?;
        tracing::warn!(path = %path.display(), offset = end, "cut off a record that a stop left incomplete");
    }
    Ok(Recovered { start, log: Log::at(file, chunk, length, end, number), changes, reserved })
}

fn identify(path: &Path, window: &mut Window<'_>) -> Result<(), Trouble> {
    let path = path.to_owned();
    if window.length == 0 {
        return Err(Trouble::Damaged("it is empty".into()));
    }
    let header = window.take(0, SECTOR.min(usize::try_from(window.length).unwrap_or(SECTOR)))?;
    match header.map_or(Identity::Foreign, |header| record::identify(LOG, header)) {
        Identity::Known => Ok(()),
        Identity::Foreign => Err(Trouble::Refused(StoreError::Foreign { path })),
        Identity::Damaged => Err(Trouble::Damaged("its header is not what was written".into())),
        Identity::Version(found) => {
            Err(Trouble::Refused(StoreError::Version { path, found, known: VERSION }))
        }
    }
}

/// The record at an offset; none at the end of what was acknowledged.
fn next<'a>(window: &'a mut Window<'_>, at: u64, number: u64) -> Result<Option<(Head, &'a [u8])>, Trouble> {
    let cut = || Trouble::Damaged(format!("it was cut short: it ends within or right after record {number}"));
    let sector = window.take(at, SECTOR)?.ok_or_else(cut)?;
    if is_zero(sector) {
        return Ok(None);
    }
    let Some(head) = Head::read(sector) else {
        return match is_zero(&sector[HEAD..]) {
            true => Ok(None),
            false => Err(damaged(number, at, "does not begin like one")),
        };
    };
    if head.number != number {
        return Err(damaged(number, at, &format!("says it is {}", head.number)));
    }
    let record = window.take(at, head.size())?.ok_or_else(cut)?;
    if head.payload(record).is_some() {
        return Ok(Some((head, record)));
    }
    match record.ends_with(&[0]) || record.chunks(SECTOR).any(is_zero) {
        true => Ok(None),
        false => Err(damaged(number, at, "is not what was written")),
    }
}

/// Up to where an incomplete record reaches that begins at `end`; `end` if there is none.
fn remains(window: &mut Window<'_>, end: u64) -> Result<u64, Trouble> {
    let mut last = end;
    let mut at = end;
    while at < window.length {
        let length = (window.length - at).min(WINDOW as u64);
        let Some(bytes) = window.take(at, usize::try_from(length).unwrap_or(WINDOW))? else {
            break;
        };
        for (sector, offset) in bytes.chunks(SECTOR).zip((at..).step_by(SECTOR)) {
            if is_zero(sector) {
                continue;
            }
            last = offset + sector.len() as u64;
            // Records are written one after the other, so only the first of them can be incomplete.
            if let Some(head) = Head::read(sector).filter(|_| offset > end) {
                return Err(damaged(head.number, offset, "follows one that is missing"));
            }
        }
        at += length;
    }
    Ok(last)
}

/// Makes the space after the last record zero again.
fn erase(file: &dyn Medium, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; WINDOW];
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at).unwrap_or(WINDOW).min(WINDOW);
        file.write(at, &zeros[..length])?;
        at += length as u64;
    }
    file.sync()
}

fn damaged(number: u64, at: u64, what: &str) -> Trouble {
    Trouble::Damaged(format!("record {number} at offset {at} {what}"))
}

fn is_zero(sector: &[u8]) -> bool {
    sector.iter().all(|byte| *byte == 0)
}

/// Reads a file from its beginning to its end in large pieces.
struct Window<'a> {
    file: &'a dyn Medium,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Some bytes of the file; none if it ends before.
    fn take(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if at + length as u64 > self.length {
            return Ok(None);
        }
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at + length as u64 > end {
            let size = (WINDOW.max(length) as u64).min(self.length - at);
            self.bytes.resize(usize::try_from(size).unwrap_or(length), 0);
            self.file.read(at, &mut self.bytes)?;
            self.start = at;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..skip + length))
    }
}
