//! Reads logs: follows one as it is written, or takes the last lines of one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::line::{self, LogEntry, LogLine};
use super::write::aged;
use super::{Progress, Shared, lock};

/// Bytes read at once.
const BLOCK: usize = 64 << 10;

/// Yields the lines of a log, waiting for those still to be written.
pub struct LogFollower {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    /// The generation of the file to be read, and the file once it is open.
    generation: u64,
    file: Option<File>,
    /// Bytes read of an entry whose end is still to come.
    entry: Vec<u8>,
    entries: VecDeque<LogEntry>,
}

impl LogFollower {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let progress = shared.progress.subscribe();
        Self { shared, progress, generation: 0, file: None, entry: Vec::new(), entries: VecDeque::new() }
    }

    /// Begins with the last `count` entries.
    pub(super) fn at_tail(shared: Arc<Shared>, count: u64) -> Self {
        let mut follower = Self::new(shared);
        let files = lock(&follower.shared.state).journal.read_all();
        let mut left = count;
        for (generation, mut file) in files {
            // A file that cannot be read is passed over, as reading on would.
            let Ok((start, found)) = start_of_tail(&mut file, left) else { continue };
            if file.seek(SeekFrom::Start(start)).is_err() {
                continue;
            }
            (follower.generation, follower.file) = (generation, Some(file));
            left -= found;
            if left == 0 {
                break;
            }
        }
        follower
    }

    /// The next line; none once the log has ended. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<LogLine> {
        self.next_entry().await.map(LogLine::from)
    }

    /// The same in the container's own bytes.
    pub async fn next_entry(&mut self) -> Option<LogEntry> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Some(entry);
            }
            // What is written after this is seen as a change; what was written before is read now.
            let ended = self.progress.borrow_and_update().writers == 0;
            if self.read() {
                continue;
            }
            if ended || self.progress.changed().await.is_err() {
                return None;
            }
        }
    }

    /// The next entry if it was written already.
    pub fn ready_entry(&mut self) -> Option<LogEntry> {
        while self.entries.is_empty() && self.read() {}
        self.entries.pop_front()
    }

    /// Reads a block of the current file, or turns to the next one. Whether there may be more to read.
    fn read(&mut self) -> bool {
        if self.file.is_none() && !self.open() {
            return false;
        }
        // Asked before reading: a file put aside before is complete at its end.
        let is_aside = lock(&self.shared.state).journal.generation() > self.generation;
        match self.read_block() {
            Ok(0) if is_aside => {
                self.file = None;
                self.generation += 1;
                self.open()
            }
            Ok(read) => read > 0,
            Err(_) => false,
        }
    }

    fn open(&mut self) -> bool {
        let found = lock(&self.shared.state).journal.read_from(self.generation);
        if let Some((generation, file)) = found {
            self.generation = generation;
            self.file = Some(file);
            self.entry.clear();
        }
        self.file.is_some()
    }

    fn read_block(&mut self) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        let read = file.take(BLOCK as u64).read_to_end(&mut self.entry)?;
        let end = self.entry.iter().rposition(|byte| *byte == b'\n');
        let complete = end.map_or(0, |end| end + 1);
        let entries = self.entry[..complete].split(|byte| *byte == b'\n');
        self.entries.extend(entries.filter_map(line::decode));
        self.entry.drain(..complete);
        Ok(read)
    }
}

/// The last `count` lines of the log at `path`, the oldest first; fewer if there are fewer, none if there is no log.
pub fn tail(path: &Path, count: usize) -> Vec<LogLine> {
    let mut lines = VecDeque::new();
    for age in 0.. {
        let Ok(mut file) = File::open(aged(path, age)) else {
            break;
        };
        let Ok(found) = tail_of_file(&mut file, count - lines.len()) else {
            break;
        };
        found.into_iter().rev().for_each(|line| lines.push_front(line));
        if lines.len() >= count {
            break;
        }
    }
    lines.into()
}

/// Reads blocks from the end backwards until there are lines enough.
fn tail_of_file(file: &mut File, count: usize) -> io::Result<Vec<LogLine>> {
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut bytes = Vec::new();
    while start > 0 && bytes.iter().filter(|byte| **byte == b'\n').count() <= count {
        let length = start.min(BLOCK as u64);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::with_capacity(length as usize + bytes.len());
        file.take(length).read_to_end(&mut block)?;
        block.append(&mut bytes);
        bytes = block;
    }
    let entries: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // The first entry may have lost its head; it then does not decode.
    let decoded = entries.into_iter().filter_map(line::decode);
    let lines: Vec<LogLine> = decoded.map(LogLine::from).collect();
    let skip = lines.len().saturating_sub(count);
    Ok(lines.into_iter().skip(skip).collect())
}

/// Where the last `count` entries of a file begin, and how many of them there are.
fn start_of_tail(file: &mut File, count: u64) -> io::Result<(u64, u64)> {
    let mut start = file.seek(SeekFrom::End(0))?;
    if count == 0 {
        return Ok((start, 0));
    }
    let mut ends = 0;
    let mut block = Vec::with_capacity(BLOCK);
    while start > 0 {
        let length = start.min(BLOCK as u64);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        Read::by_ref(file).take(length).read_to_end(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            // The end of the entry before the first that is wanted.
            if ends == count {
                return Ok((start + index as u64 + 1, count));
            }
            ends += 1;
        }
    }
    Ok((0, ends))
}
