//! Reads tar archives of strangers: names and links of the ustar, GNU and pax forms. Nothing is kept but the entry at hand,
//! and what describes an entry is bounded, so an archive costs no more memory than a name may have.

use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const BLOCK: usize = 512;
/// Of names, links and pax records together, for one entry.
const MOST_DESCRIPTION: u64 = 64 << 10;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// With what it points to.
    Symlink(PathBuf),
    /// With the name of the entry it is another name of.
    HardLink(PathBuf),
    /// A device, a pipe or something else that has no content; with what it is.
    Special(&'static str),
}

/// One entry; its content is read from the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

/// An archive that is being read.
pub(super) struct Archive<R> {
    reader: R,
    /// Of the content of the entry at hand.
    left: u64,
    padding: u64,
}

/// What extension headers say of the entry that follows them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<i64>,
    read: u64,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, left: 0, padding: 0 }
    }

    /// What it was read from.
    pub(super) fn into_inner(self) -> R {
        self.reader
    }

    /// The next entry; what is left of the content of the one before is skipped.
    pub(super) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut extended = Extended::default();
        loop {
            self.skip_content()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = number(&header[124..136])?;
            self.left = size;
            match header[156] {
                b'x' => {
                    let records = self.description(&mut extended.read)?;
                    extended.take_pax(&records)?;
                }
                b'g' => {}
                b'L' => extended.path = Some(self.description(&mut extended.read)?),
                b'K' => extended.link = Some(self.description(&mut extended.read)?),
                flag => return self.entry(&header, flag, extended).map(Some),
            }
            self.padding = padding(size);
        }
    }

    fn entry(&mut self, header: &[u8; BLOCK], flag: u8, extended: Extended) -> io::Result<Entry> {
        let link = || {
            let link = extended.link.clone().unwrap_or_else(|| text(&header[157..257]).to_vec());
            path_of(link)
        };
        let kind = match flag {
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink(link()?),
            b'2' => Kind::Symlink(link()?),
            b'3' | b'4' => Kind::Special("device"),
            b'5' => Kind::Directory,
            b'6' => Kind::Special("named pipe"),
            b'S' => Kind::Special("sparse file"),
            _ => Kind::Special("entry of unknown type"),
        };
        let path = path_of(extended.path.unwrap_or_else(|| own_path(header)))?;
        // Old archives mark a directory by its name alone.
        let ends_in_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let kind = if kind == Kind::File && ends_in_slash { Kind::Directory } else { kind };
        let size = match kind {
            Kind::File => extended.size.unwrap_or(self.left),
            _ => 0,
        };
        // Only files have content, whatever is said of others; a special one's is skipped.
        self.left = if matches!(kind, Kind::Special(_)) { self.left } else { size };
        self.padding = padding(self.left);
        Ok(Entry {
            path,
            size,
            mode: number(&header[100..108]).map_or(0, |mode| (mode & 0o777) as u32),
            modified: match extended.modified {
                Some(modified) => modified,
                None => number(&header[136..148]).ok().and_then(|time| i64::try_from(time).ok()).unwrap_or(0),
            },
            kind,
        })
    }

    /// The next header; none at the end.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut header = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut header[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(damaged("it ends within a header")),
                read => filled += read,
            }
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
        if number(&header[148..156])? != sum - own + 8 * u64::from(b' ') {
            return Err(damaged("a header does not fit its checksum"));
        }
        Ok(Some(header))
    }

    /// The content of an extension header.
    fn description(&mut self, read: &mut u64) -> io::Result<Vec<u8>> {
        *read = read.saturating_add(self.left);
        if *read > MOST_DESCRIPTION {
            return Err(damaged("the description of an entry is longer than 64 KiB"));
        }
        let mut content = vec![0; self.left as usize];
        self.read_exact(&mut content)?;
        while content.last() == Some(&0) {
            content.pop();
        }
        Ok(content)
    }

    fn skip_content(&mut self) -> io::Result<()> {
        let rest = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.reader).take(rest), &mut io::sink())?;
        if skipped == rest { Ok(()) } else { Err(damaged("it ends within an entry")) }
    }
}

/// Reads the content of the entry at hand.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(damaged("it ends within an entry"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

impl Extended {
    /// Records of the form `LENGTH KEY=VALUE\n`.
    fn take_pax(&mut self, records: &[u8]) -> io::Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let split = rest.iter().position(|byte| *byte == b' ');
            let length: Option<usize> =
                split.and_then(|split| std::str::from_utf8(&rest[..split]).ok()?.parse().ok());
            let (Some(split), Some(length)) = (split, length.filter(|length| *length <= rest.len())) else {
                return Err(damaged("a pax record has no valid length"));
            };
            let record = rest.get(split + 1..length).ok_or_else(|| damaged("a pax record is empty"))?;
            rest = &rest[length..];
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            self.take_record(&record[..equals], &record[equals + 1..])?;
        }
        Ok(())
    }

    fn take_record(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => {
                let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.size = Some(size.ok_or_else(|| damaged("a pax record has no valid size"))?);
            }
            b"mtime" => {
                let whole =
                    std::str::from_utf8(value).ok().and_then(|text| text.split('.').next()?.parse().ok());
                self.modified = whole;
            }
            _ => {}
        }
        Ok(())
    }
}

/// The name in a header, with its prefix if it has the form that has one.
fn own_path(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&header[..100]);
    let prefix = text(&header[345..500]);
    let is_ustar = header[257..].starts_with(b"ustar\0");
    if !is_ustar || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

fn path_of(bytes: Vec<u8>) -> io::Result<PathBuf> {
    if bytes.contains(&0) {
        return Err(damaged("a name holds a zero byte"));
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// An octal number, or a binary one of GNU's form.
fn number(field: &[u8]) -> io::Result<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // Negative and larger ones stand for nothing that can be read.
        let bytes = rest.iter().try_fold(u64::from(first & 0x7f), |number, byte| {
            number.checked_mul(256).map(|number| number + u64::from(*byte))
        });
        return bytes.ok_or_else(|| damaged("a header holds a number that is too large"));
    }
    let digits = text(field).trim_ascii();
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = std::str::from_utf8(digits).ok();
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 8).ok());
    number.ok_or_else(|| damaged("a header holds no octal number where one should be"))
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the tar archive is damaged: {what}"))
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
