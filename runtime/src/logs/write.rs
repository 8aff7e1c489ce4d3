//! The files of a log: the one being written, and older ones put aside as `.1`, `.2` and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

/// Appends to a file, beginning a new one when it is full.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    max_bytes: u64,
    max_files: usize,
    file: Option<File>,
    bytes: u64,
    /// How many files were put aside, counted from the oldest that was there when the journal was opened.
    rotations: u64,
    has_failed: bool,
}

impl Journal {
    pub(super) fn new(path: PathBuf, max_bytes: u64, max_files: usize) -> Self {
        let max_files = max_files.max(1);
        let left = (1..max_files).take_while(|age| aged(&path, *age).exists()).count() as u64;
        Self { path, max_bytes, max_files, file: None, bytes: 0, rotations: left, has_failed: false }
    }

    /// Writes whole entries. Each entry stays within one file.
    pub(super) fn append(&mut self, entries: &[u8]) {
        let mut rest = entries;
        while !rest.is_empty() {
            let chunk = self.next_chunk(rest);
            rest = &rest[chunk.len()..];
            if let Err(error) = self.write(chunk) {
                self.note_failure(&error);
                return;
            }
        }
    }

    /// As many entries as fit into the current file, one at least.
    fn next_chunk<'a>(&self, entries: &'a [u8]) -> &'a [u8] {
        let room = self.max_bytes.saturating_sub(self.bytes_now()) as usize;
        if entries.len() <= room {
            return entries;
        }
        let fitting = entries[..room].iter().rposition(|byte| *byte == b'\n');
        let end = fitting.or_else(|| entries.iter().position(|byte| *byte == b'\n'));
        &entries[..=end.unwrap_or(entries.len() - 1)]
    }

    /// A full file has all its room again: it will be put aside before the next write.
    fn bytes_now(&self) -> u64 {
        if self.bytes >= self.max_bytes { 0 } else { self.bytes }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        let full = self.bytes + chunk.len() as u64 > self.max_bytes;
        if self.file.is_some() && self.bytes > 0 && full {
            self.rotate()?;
        }
        if self.file.is_none() {
            self.open()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(chunk)?;
            self.bytes += chunk.len() as u64;
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true);
        let file = match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = self.path.parent() {
                    fs::create_dir_all(folder)?;
                }
                options.open(&self.path)?
            }
            opened => opened?,
        };
        self.bytes = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        self.bytes = 0;
        self.rotations += 1;
        if self.max_files == 1 {
            return fs::remove_file(&self.path);
        }
        for age in (0..self.max_files - 1).rev() {
            match fs::rename(aged(&self.path, age), aged(&self.path, age + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Which file is being written, counted from the oldest that was there when the journal was opened.
    pub(super) fn generation(&self) -> u64 {
        self.rotations
    }

    /// Opens the file of a generation, or the oldest one kept after it; none if it has no bytes yet.
    pub(super) fn read_from(&self, generation: u64) -> Option<(u64, File)> {
        let oldest = self.rotations.saturating_sub(self.max_files as u64 - 1);
        let wanted = generation.max(oldest);
        let age = usize::try_from(self.rotations.checked_sub(wanted)?).ok()?;
        File::open(aged(&self.path, age)).ok().map(|file| (wanted, file))
    }

    /// Opens all files that are kept, the newest first, each with its generation.
    pub(super) fn read_all(&self) -> Vec<(u64, File)> {
        let ages = 0..self.max_files.min(usize::try_from(self.rotations).unwrap_or(usize::MAX) + 1);
        let open = |age: usize| {
            let file = File::open(aged(&self.path, age)).ok()?;
            Some((self.rotations - age as u64, file))
        };
        ages.filter_map(open).collect()
    }

    fn note_failure(&mut self, error: &io::Error) {
        if !self.has_failed {
            warn!(path = %self.path.display(), %error, "container output lost");
            self.has_failed = true;
        }
        // Opened anew at the next write: the disk may have room again.
        self.file = None;
    }
}

/// The file put aside `age` rotations ago; 0 is the one being written.
pub(super) fn aged(path: &Path, age: usize) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}
