//! The format of a log, version 1: a header, then records, each starting on a sector of its own.
//!
//! ```text
//! header   magic 16 | version u32 | checksum 8 | padding
//! record   mark 4 | length u32 | number u64 | reserved u64 | checksum of payload 8 | checksum of the above 8
//!          payload: rows of  key length u32 | value length u32, or all ones for a removal | key | value
//!          padding
//! ```
//!
//! Numbers are little-endian, checksums the first 8 bytes of SHA-256. A record holds a group: all of its rows or none
//! of them count. Beyond the last record the file is zero. No sector of a record is all zero: keys and JSON hold no
//! long runs of NUL and end with something else, and padding is not zero either. So a sector of zeros within a record,
//! or a zero at its end, is what never reached the device, whereas a record that did and is wrong was damaged later.

use api::Revision;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a device writes whole or not at all.
pub(super) const SECTOR: usize = 512;

/// How a log begins.
pub(super) const LOG: &[u8; 16] = b"peapod store\r\n\x1a\n";

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// How a record begins; not possible in JSON, so that no payload looks like a record.
const MARK: &[u8; 4] = b"\xfepr\x01";

/// The length of what stands before the payload.
pub(super) const HEAD: usize = 40;

/// What fills the last sector.
const PADDING: u8 = 0xa5;

/// The payload of one record at most.
const LARGEST: usize = 1 << 30;

/// The value length of a removal.
const REMOVED: u32 = u32::MAX;

/// One row: a key, and the bytes there from now on or none.
pub(super) type Row = (Vec<u8>, Option<Bytes>);

/// A row as it lies in a payload.
pub(super) type RowRef<'a> = (&'a [u8], Option<&'a [u8]>);

/// What stands before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    length: u32,
    /// Counts the records of a file from 0.
    pub number: u64,
    /// No revision beyond this one was issued before the next record was written.
    pub reserved: Revision,
    checksum: [u8; 8],
}

impl Head {
    /// Reads the start of a record; none if it is not one.
    pub(super) fn read(sector: &[u8]) -> Option<Self> {
        let (fields, checksum) = sector.get(..HEAD)?.split_at(HEAD - 8);
        if !fields.starts_with(MARK) || sum(fields) != checksum {
            return None;
        }
        Some(Self {
            length: number32(fields, 4),
            number: number64(fields, 8),
            reserved: Revision(number64(fields, 16)),
            checksum: fields[24..].try_into().expect("eight bytes are left"),
        })
    }

    /// The length of the whole record, in whole sectors.
    pub(super) fn size(&self) -> usize {
        (HEAD + self.length as usize).next_multiple_of(SECTOR)
    }

    /// The payload of a record, if it is what was written.
    pub(super) fn payload<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        let payload = record.get(HEAD..HEAD + self.length as usize)?;
        (sum(payload) == self.checksum).then_some(payload)
    }
}

/// Adds a record to `out`; its length if it would be too large.
pub(super) fn write<'a>(
    out: &mut Vec<u8>,
    number: u64,
    reserved: Revision,
    rows: impl IntoIterator<Item = RowRef<'a>>,
) -> Result<(), usize> {
    let start = out.len();
    out.resize(start + HEAD, 0);
    for (key, value) in rows {
        let value_length = value.map_or(REMOVED, |value| length(value.len()));
        out.extend_from_slice(&length(key.len()).to_le_bytes());
        out.extend_from_slice(&value_length.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.unwrap_or_default());
    }
    seal(out, start, number, reserved)
}

fn seal(out: &mut Vec<u8>, start: usize, number: u64, reserved: Revision) -> Result<(), usize> {
    let (head, payload) = out[start..].split_at_mut(HEAD);
    if payload.len() > LARGEST {
        return Err(payload.len());
    }
    head[..4].copy_from_slice(MARK);
    head[4..8].copy_from_slice(&length(payload.len()).to_le_bytes());
    head[8..16].copy_from_slice(&number.to_le_bytes());
    head[16..24].copy_from_slice(&reserved.0.to_le_bytes());
    head[24..32].copy_from_slice(&sum(payload));
    let checksum = sum(&head[..HEAD - 8]);
    head[HEAD - 8..].copy_from_slice(&checksum);
    let size = (out.len() - start).next_multiple_of(SECTOR);
    out.resize(start + size, PADDING);
    Ok(())
}

/// The rows of a payload; none if it is not made of rows.
pub(super) fn rows(mut payload: &[u8]) -> Option<Vec<RowRef<'_>>> {
    let mut rows = Vec::new();
    while !payload.is_empty() {
        let (lengths, rest) = payload.split_at_checked(8)?;
        let (key, rest) = rest.split_at_checked(number32(lengths, 0) as usize)?;
        let (value, rest) = match number32(lengths, 4) {
            REMOVED => (None, rest),
            length => rest.split_at_checked(length as usize).map(|(value, rest)| (Some(value), rest))?,
        };
        rows.push((key, value));
        payload = rest;
    }
    Some(rows)
}

/// The first sector of a file.
pub(super) fn header(magic: &[u8; 16]) -> Vec<u8> {
    header_of(magic, VERSION)
}

/// The same of any version.
pub(super) fn header_of(magic: &[u8; 16], version: u32) -> Vec<u8> {
    let mut header = [magic, version.to_le_bytes().as_slice()].concat();
    header.extend_from_slice(&sum(&header));
    header.resize(SECTOR, PADDING);
    header
}

/// What the first sector of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// It is what was asked for.
    Known,
    /// It is of another version.
    Version(u32),
    /// It begins like one, but what follows is not what was written.
    Damaged,
    /// It is something else.
    Foreign,
}

/// Tells what a file is by its first sector.
pub(super) fn identify(magic: &[u8; 16], header: &[u8]) -> Identity {
    let Some((fields, rest)) = header.split_at_checked(20) else {
        return Identity::Foreign;
    };
    match number32(fields, 16) {
        _ if !fields.starts_with(magic) => Identity::Foreign,
        _ if !rest.starts_with(&sum(fields)) => Identity::Damaged,
        VERSION => Identity::Known,
        version => Identity::Version(version),
    }
}

/// A checksum.
pub(super) fn sum(bytes: &[u8]) -> [u8; 8] {
    Sha256::digest(bytes)[..8].try_into().expect("a digest has 32 bytes")
}

fn length(length: usize) -> u32 {
    // What does not fit is refused when the record is sealed, as the payload is larger still.
    u32::try_from(length).unwrap_or(REMOVED)
}

fn number32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were taken"))
}

/// The number at a place that is there.
pub(super) fn number64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were taken"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_comes_back_and_no_sector_of_it_is_zero() {
        for length in [0, 1, 463, 464, 465, 5000] {
            let value = vec![b'x'; length];
            let rows: [RowRef<'_>; 2] = [(b"a\0b", Some(&value)), (b"gone", None)];
            let mut out = Vec::new();
            write(&mut out, 7, Revision(9), rows).unwrap();
            let head = Head::read(&out).unwrap();
            assert_eq!((head.number, head.reserved, head.size()), (7, Revision(9), out.len()));
            assert_eq!(super::rows(head.payload(&out).unwrap()).unwrap(), rows);
            assert!(out.chunks(SECTOR).all(|sector| sector.len() == SECTOR && sector != [0; SECTOR]));
            out[HEAD + 3] ^= 1;
            assert!(head.payload(&out).is_none());
            out[20] ^= 1;
            assert!(Head::read(&out).is_none());
        }
    }

    #[test]
    fn a_file_says_what_it_is() {
        let ours = header(LOG);
        assert_eq!(identify(LOG, &ours), Identity::Known);
        assert_eq!(identify(b"something else..", &ours), Identity::Foreign);
        assert_eq!(identify(LOG, &ours[..19]), Identity::Foreign);
        assert_eq!(identify(LOG, &ours[..22]), Identity::Damaged);
        assert_eq!(identify(LOG, &header_of(LOG, 2)), Identity::Version(2));
    }
}
