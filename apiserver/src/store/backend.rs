//! What the base's database reads and writes: its file, or a view of it that takes writes but keeps them to itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::history::lock;
use super::medium::Medium;

/// A file below redb. A clone is a reference.
#[derive(Clone)]
pub(super) struct Backend(Arc<Inner>);

struct Inner {
    file: Arc<dyn Medium>,
    /// What was written if the file is not to be touched.
    aside: Option<Mutex<Aside>>,
    /// The first failure: redb tells it once, and not at all when it closes.
    failure: Mutex<Option<io::Error>>,
    written: AtomicU64,
}

/// A file as it would be.
struct Aside {
    length: u64,
    /// Up to where the file itself counts.
    kept: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK]>>,
}

/// What is kept aside of a file at least, once something was written there.
const BLOCK: usize = 4096;

impl Backend {
    /// The file itself.
    pub(super) fn new(file: Arc<dyn Medium>) -> Self {
        Self::with(file, None)
    }

    /// A view of the file: as redb repairs what a crash left when it opens it, this leaves a damaged file as it is.
    pub(super) fn aside(file: Arc<dyn Medium>) -> io::Result<Self> {
        let length = file.length()?;
        Ok(Self::with(file, Some(Mutex::new(Aside { length, kept: length, blocks: BTreeMap::new() }))))
    }

    fn with(file: Arc<dyn Medium>, aside: Option<Mutex<Aside>>) -> Self {
        Self(Arc::new(Inner { file, aside, failure: Mutex::default(), written: AtomicU64::new(0) }))
    }

    /// What failed first, if something did.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        lock(&self.0.failure).take()
    }

    /// How many bytes were written.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Keeps a failure, and says the same to redb.
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            let same = || match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            lock(&self.0.failure).get_or_insert_with(same);
        })
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Backend")
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        match &self.0.aside {
            Some(aside) => Ok(lock(aside).length),
            None => self.noted(self.0.file.length()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        // Only damage makes redb ask for what is not there, so this is no failure of the device.
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| self.len().is_ok_and(|length| end > length)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.noted(match &self.0.aside {
            Some(aside) => lock(aside).read(&*self.0.file, offset, out),
            None => self.0.file.read(offset, out),
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if let Some(aside) = &self.0.aside {
            lock(aside).set_length(length);
            return Ok(());
        }
        let file = &self.0.file;
        self.noted(file.length().and_then(|now| match length < now {
            true => file.truncate(length),
            false if length > now => file.extend(length),
            false => Ok(()),
        }))
    }

    fn sync_data(&self) -> io::Result<()> {
        match &self.0.aside {
            Some(_) => Ok(()),
            None => self.noted(self.0.file.sync()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.noted(match &self.0.aside {
            Some(aside) => lock(aside).write(&*self.0.file, offset, data),
            None => self.0.file.write(offset, data),
        })
    }
}

impl Aside {
    fn set_length(&mut self, length: u64) {
        self.length = length;
        self.kept = self.kept.min(length);
        self.blocks.retain(|block, _| block * (BLOCK as u64) < length);
        if let Some(last) = self.blocks.get_mut(&(length / BLOCK as u64)) {
            last[within(length)..].fill(0);
        }
    }

    fn read(&self, file: &dyn Medium, offset: u64, out: &mut [u8]) -> io::Result<()> {
        for (at, length) in pieces(offset, out.len()) {
            let piece = &mut out[place(at - offset)..][..length];
            match self.blocks.get(&(at / BLOCK as u64)) {
                Some(block) => piece.copy_from_slice(&block[within(at)..][..length]),
                None => self.read_file(file, at, piece)?,
            }
        }
        Ok(())
    }

    /// The file, and zeros where it does not count.
    fn read_file(&self, file: &dyn Medium, at: u64, piece: &mut [u8]) -> io::Result<()> {
        let there = place(self.kept.saturating_sub(at)).min(piece.len());
        let (kept, rest) = piece.split_at_mut(there);
        rest.fill(0);
        match kept {
            [] => Ok(()),
            kept => file.read(at, kept),
        }
    }

    fn write(&mut self, file: &dyn Medium, offset: u64, data: &[u8]) -> io::Result<()> {
        for (at, length) in pieces(offset, data.len()) {
            let number = at / BLOCK as u64;
            if !self.blocks.contains_key(&number) {
                let mut block = Box::new([0; BLOCK]);
                self.read_file(file, number * BLOCK as u64, &mut block[..])?;
                self.blocks.insert(number, block);
            }
            if let Some(block) = self.blocks.get_mut(&number) {
                block[within(at)..][..length].copy_from_slice(&data[place(at - offset)..][..length]);
            }
        }
        Ok(())
    }
}

/// A range in pieces, none of which is in two blocks: where each begins, and its length.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize)> {
    let end = offset + length as u64;
    std::iter::successors(Some(offset), |at| Some((at / BLOCK as u64 + 1) * BLOCK as u64))
        .take_while(move |at| *at < end)
        .map(move |at| (at, (BLOCK - within(at)).min(place(end - at))))
}

/// Where in its block an offset is.
fn within(offset: u64) -> usize {
    place(offset % BLOCK as u64)
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
