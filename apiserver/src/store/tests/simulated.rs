//! A file system that records what is done to it, fails when told to, and shows what a power cut at any moment may
//! leave: of what was not synced any part, sector by sector, whatever the order in which it was written.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::store::history::lock;
use crate::store::medium::{Folder, Medium};
use crate::store::record::SECTOR;

/// One thing that was done.
#[derive(Clone)]
enum Step {
    Create(usize, String),
    Rename(String, String),
    Remove(String),
    SyncNames,
    Write(usize, u64, Vec<u8>),
    Extend(usize, u64),
    Truncate(usize, u64),
    Sync(usize),
}

/// What fails from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// No space for longer files.
    Full,
    /// After a part of the next write; the device works again afterwards.
    Write,
    /// The next sync.
    Sync,
}

/// A small generator of numbers, for repeatable cuts.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[derive(Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    steps: Vec<Step>,
    fault: Option<Fault>,
    /// How many writes or syncs still succeed.
    spared: u64,
}

/// The file system. A clone is a reference.
#[derive(Clone, Default)]
pub(super) struct Simulated(Arc<Mutex<State>>);

struct Handle {
    of: Simulated,
    file: usize,
}

impl Simulated {
    /// How much was done so far.
    pub(super) fn moment(&self) -> usize {
        lock(&self.0).steps.len()
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        lock(&self.0).fault = Some(fault);
    }

    /// A fault that comes after so many writes or syncs that succeed.
    pub(super) fn set_fault_after(&self, fault: Fault, spared: u64) {
        let mut state = lock(&self.0);
        (state.fault, state.spared) = (Some(fault), spared);
    }

    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.0).names.keys().cloned().collect()
    }

    /// What may be left if the power is cut at a moment. All that was done before is forgotten: this is a new disk.
    pub(super) fn cut(&self, moment: usize, dice: &mut Dice) -> Self {
        let (steps, count) = {
            let state = lock(&self.0);
            (state.steps[..moment].to_vec(), state.files.len())
        };
        let mut cut = State { files: vec![Vec::new(); count], ..State::default() };
        let names_last = steps.iter().rposition(|step| matches!(step, Step::SyncNames)).unwrap_or(0);
        let synced: BTreeMap<usize, usize> = steps.iter().enumerate().filter_map(last_sync).collect();
        for (at, step) in steps.iter().enumerate() {
            let lasts = |file: &usize| synced.get(file).is_some_and(|sync| at < *sync);
            let name_kept = at < names_last || dice.roll(2) == 0;
            match step {
                Step::Create(file, name) if name_kept => drop(cut.names.insert(name.clone(), *file)),
                // A rename that is kept needs the name it is about; its creation is kept with it.
                Step::Rename(from, to) if name_kept => {
                    let file = cut.names.remove(from).or_else(|| created(&steps[..at], from));
                    cut.names.extend(file.map(|file| (to.clone(), file)));
                }
                Step::Remove(name) if name_kept => drop(cut.names.remove(name)),
                Step::Extend(file, length) | Step::Truncate(file, length)
                    if lasts(file) || dice.roll(2) == 0 =>
                {
                    let length = usize::try_from(*length).unwrap();
                    cut.files[*file].resize(length, 0);
                }
                Step::Write(file, offset, bytes) => {
                    let mut offset = usize::try_from(*offset).unwrap();
                    for sector in bytes.chunks(SECTOR) {
                        if lasts(file) || dice.roll(2) == 0 {
                            put(&mut cut.files[*file], offset, sector);
                        }
                        offset += sector.len();
                    }
                }
                _ => {}
            }
        }
        cut.steps = cut.names.iter().map(|(name, file)| Step::Create(*file, name.clone())).collect();
        cut.steps.push(Step::SyncNames);
        for (file, bytes) in cut.files.iter().enumerate() {
            cut.steps.extend([
                Step::Extend(file, bytes.len() as u64),
                Step::Write(file, 0, bytes.clone()),
                Step::Sync(file),
            ]);
        }
        Self(Arc::new(Mutex::new(cut)))
    }

    /// Does something unless it is to fail.
    fn step(&self, step: Step) -> io::Result<()> {
        let mut state = lock(&self.0);
        let fault = state.fault.unwrap_or(Fault::None);
        match (&step, fault) {
            (Step::Write(..), Fault::Write) | (Step::Sync(_), Fault::Sync) if state.spared > 0 => {
                state.spared -= 1;
            }
            (Step::Extend(..) | Step::Create(..), Fault::Full) => {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            (Step::Write(file, offset, bytes), Fault::Write) => {
                let (file, at) = (*file, usize::try_from(*offset).unwrap());
                let written = bytes[..bytes.len() * (state.steps.len() % 20) / 20].to_vec();
                put(&mut state.files[file], at, &written);
                state.steps.push(Step::Write(file, *offset, written));
                state.fault = None;
                return Err(io::Error::from_raw_os_error(5));
            }
            (Step::Sync(_), Fault::Sync) => {
                state.fault = None;
                return Err(io::Error::from_raw_os_error(5));
            }
            _ => {}
        }
        match &step {
            Step::Create(file, name) => {
                state.files.resize(file + 1, Vec::new());
                state.names.insert(name.clone(), *file);
            }
            Step::Rename(from, to) => {
                let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
                state.names.insert(to.clone(), file);
            }
            Step::Remove(name) => drop(state.names.remove(name)),
            Step::Write(file, offset, bytes) => {
                put(&mut state.files[*file], usize::try_from(*offset).unwrap(), bytes);
            }
            Step::Extend(file, length) | Step::Truncate(file, length) => {
                state.files[*file].resize(usize::try_from(*length).unwrap(), 0);
            }
            Step::SyncNames | Step::Sync(_) => {}
        }
        state.steps.push(step);
        Ok(())
    }
}

/// When a file was synced; the last one of each wins.
fn last_sync((at, step): (usize, &Step)) -> Option<(usize, usize)> {
    match step {
        Step::Sync(file) => Some((*file, at)),
        _ => None,
    }
}

/// The file last created under a name.
fn created(steps: &[Step], name: &str) -> Option<usize> {
    steps.iter().rev().find_map(|step| match step {
        Step::Create(file, created) if created == name => Some(*file),
        _ => None,
    })
}

/// What lies beyond the end of a file that was not made longer is lost.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(file.len());
    if at < end {
        file[at..end].copy_from_slice(&bytes[..end - at]);
    }
}

impl Folder for Simulated {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn Medium>>> {
        let file = lock(&self.0).names.get(name).copied();
        Ok(file.map(|file| Arc::new(Handle { of: self.clone(), file }) as Arc<dyn Medium>))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        let file = lock(&self.0).files.len();
        self.step(Step::Create(file, name.to_owned()))?;
        Ok(Arc::new(Handle { of: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step(Step::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step(Step::Remove(name.to_owned()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn sync(&self) -> io::Result<()> {
        self.step(Step::SyncNames)
    }
}

impl Medium for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(lock(&self.of.0).files[self.file].len() as u64)
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let state = lock(&self.of.0);
        let at = usize::try_from(offset).unwrap();
        let bytes = state.files[self.file].get(at..at + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.of.step(Step::Write(self.file, offset, bytes.to_vec()))
    }

    fn extend(&self, length: u64) -> io::Result<()> {
        self.of.step(Step::Extend(self.file, length))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.of.step(Step::Truncate(self.file, length))
    }

    fn sync(&self) -> io::Result<()> {
        self.of.step(Step::Sync(self.file))
    }
}
