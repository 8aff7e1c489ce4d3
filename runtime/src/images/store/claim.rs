//! What a process has of the store besides its contents: a folder of its own for what is not whole yet, and for marks of the
//! images it uses.
//!
//! The folder is locked as long as the process lives. Whoever finds one that is not locked removes it: its process was
//! ended in the middle of something.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// The folder of this process.
#[derive(Debug)]
pub(super) struct Claim {
    folder: TempDir,
    _lock: File,
    /// How many use what has that name in the store.
    uses: Mutex<BTreeMap<String, usize>>,
}

/// Keeps an image from being removed until it is dropped.
#[derive(Debug)]
pub struct Pin {
    claim: Arc<Claim>,
    things: Vec<String>,
}

const LOCK: &str = "lock";
const USED: &str = "used";

impl Claim {
    /// Makes a folder of its own for this process below `claims`. Nobody must look there meanwhile: it is locked last.
    pub(super) fn new(claims: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("process-").tempdir_in(claims)?;
        fs::create_dir(folder.path().join(USED))?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { folder, _lock: lock, uses: Mutex::default() })
    }

    /// Where to make what is to be put in place when it is whole.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Marks contents, and what else has a name in the store, as used.
    pub(super) fn pin(self: &Arc<Self>, things: Vec<String>) -> io::Result<Pin> {
        let mut uses = self.uses();
        let mut pin = Pin { claim: Arc::clone(self), things: Vec::with_capacity(things.len()) };
        for thing in things {
            if !uses.contains_key(&thing) {
                let marked = File::create(self.mark(&thing));
                if let Err(error) = marked {
                    // The pin takes back what is marked so far.
                    drop(uses);
                    drop(pin);
                    return Err(error);
                }
            }
            *uses.entry(thing.clone()).or_default() += 1;
            pin.things.push(thing);
        }
        drop(uses);
        Ok(pin)
    }

    fn mark(&self, thing: &str) -> PathBuf {
        self.folder.path().join(USED).join(thing)
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut uses = self.claim.uses();
        for thing in &self.things {
            let Some(count) = uses.get_mut(thing) else { continue };
            *count -= 1;
            if *count == 0 {
                uses.remove(thing);
                // A mark that stays only keeps the content until this process ends.
                let _ = fs::remove_file(self.claim.mark(thing));
            }
        }
    }
}

/// What living processes use of the store, by name. Removes what those left that have ended. Nobody must make a claim
/// meanwhile.
pub(super) fn used(claims: &Path) -> io::Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for entry in fs::read_dir(claims)? {
        let folder = entry?.path();
        if is_left(&folder) {
            remove(&folder)?;
            continue;
        }
        // It may be gone by now.
        let marks = fs::read_dir(folder.join(USED)).into_iter().flatten().flatten();
        used.extend(marks.map(|mark| mark.file_name().to_string_lossy().into_owned()));
    }
    Ok(used)
}

/// Whether the process of the folder has ended.
fn is_left(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
