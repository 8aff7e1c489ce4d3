//! Archives of files, as `kubectl cp` sends and takes them.

use std::collections::BTreeMap;

use super::{File, whole};

const BLOCK: usize = 512;

/// Fields of a header: where they begin and end.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const PREFIX: std::ops::Range<usize> = 345..500;

/// The archive of a file, or of a folder and all below it; none if it is not there.
pub(super) fn pack(files: &BTreeMap<String, File>, path: &str) -> Option<Vec<u8>> {
    let path = whole(path);
    files.get(&path)?;
    let below = format!("{}/", path.trim_end_matches('/'));
    let mut archive = Vec::new();
    for (name, file) in files.iter().filter(|(name, _)| **name == path || name.starts_with(&below)) {
        let (kind, bytes): (u8, &[u8]) = match file {
            File::Folder => (b'5', &[]),
            File::Plain(bytes) => (b'0', bytes),
        };
        archive.extend(header(name.trim_start_matches('/'), kind, bytes.len()));
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.extend([0; 2 * BLOCK]);
    Some(archive)
}

/// A name that is longer than its field is cut: scripted containers have none.
fn header(name: &str, kind: u8, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: std::ops::Range<usize>, text: &[u8]| {
        for (place, byte) in header[at].iter_mut().zip(text) {
            *place = *byte;
        }
    };
    put(NAME, name.as_bytes());
    put(100..108, b"0000644\0");
    put(108..116, b"0000000\0");
    put(116..124, b"0000000\0");
    put(SIZE, format!("{size:011o}\0").as_bytes());
    put(136..148, b"00000000000\0");
    put(SUM, b"        ");
    put(KIND..KIND + 1, &[kind]);
    put(257..265, b"ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    let text = format!("{sum:06o}\0 ");
    header[SUM].copy_from_slice(text.as_bytes());
    header
}

/// The files of an archive, below a folder.
pub(super) fn unpack(mut archive: &[u8], folder: &str) -> Result<BTreeMap<String, File>, &'static str> {
    const BROKEN: &str = "This does not look like a tar archive";
    let mut files = BTreeMap::from([(whole(folder), File::Folder)]);
    while let Some((header, rest)) = archive.split_first_chunk::<BLOCK>() {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let claimed = octal(&header[SUM]).ok_or(BROKEN)?;
        let others = header[..SUM.start].iter().chain(&header[SUM.end..]);
        let sum: usize = others.copied().map(usize::from).sum::<usize>() + SUM.len() * usize::from(b' ');
        if claimed != sum {
            return Err(BROKEN);
        }
        let size = octal(&header[SIZE]).ok_or(BROKEN)?;
        let bytes = rest.get(..size).ok_or("Unexpected EOF in archive")?;
        let path = format!("{folder}/{}/{}", text(&header[PREFIX]), text(&header[NAME]));
        match header[KIND] {
            b'5' => drop(files.insert(whole(&path), File::Folder)),
            b'0' | 0 => drop(files.insert(whole(&path), File::Plain(bytes.to_vec()))),
            // Links, and headers that only say more of the next file.
            _ => {}
        }
        archive = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    Ok(files)
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn octal(field: &[u8]) -> Option<usize> {
    usize::from_str_radix(text(field).trim(), 8).ok()
}
