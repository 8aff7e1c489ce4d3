//! Removes from the store what nobody needs: images that are not used, the ones longest unused first, and contents that no
//! name refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Entry, ImageStore};
use crate::images::Reference;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The names.
    pub names: Vec<Reference>,
    /// How much room that made.
    pub bytes: u64,
}

/// What came of removing an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed {
        /// How much room that made.
        bytes: u64,
    },
    /// There is none of that name.
    Unknown,
    /// A container of a running process has it.
    Used,
    /// Somebody is bringing an image.
    Busy,
}

impl ImageStore {
    /// Notes that an image was used, at a time.
    pub fn touch(&self, reference: &Reference, now: SystemTime) -> io::Result<()> {
        fs::File::options().write(true).open(self.name_file(reference))?.set_modified(now)
    }

    /// Removes images that no process uses, that a registry has, and that were neither used nor brought since `unused_since`, the one longest
    /// unused first, until that makes room for so many bytes; then all contents that no name refers to. Does nothing, and
    /// gives none, while somebody brings an image.
    pub fn sweep(&self, unused_since: SystemTime, bytes: u64) -> io::Result<Option<Swept>> {
        self.alone(|| {
            let used = self.used()?;
            let mut entries = self.entries()?;
            entries.sort_by_key(|named| named.used_at);
            let mut references = Counts::default();
            entries.iter().for_each(|named| references.add(&named.entry));
            let mut swept = Swept::default();
            let mut freed = 0;
            for Named { file, entry, used_at } in &entries {
                if freed >= bytes {
                    break;
                }
                let is_kept =
                    *used_at > unused_since || used.contains(hash(&entry.digest)) || !comes_back(entry);
                if is_kept {
                    continue;
                }
                fs::remove_file(file)?;
                freed += references.remove(entry).iter().map(|thing| self.size_of(thing)).sum::<u64>();
                swept.names.extend(entry.reference.parse());
            }
            swept.bytes =
                self.remove_all_but(|thing| references.0.contains_key(thing) || used.contains(thing))?;
            Ok(swept)
        })
    }

    /// Forgets a name that no process uses, and removes what no other name refers to.
    pub fn remove(&self, reference: &Reference) -> io::Result<Removal> {
        let Some(image) = self.find(reference) else {
            return Ok(Removal::Unknown);
        };
        let removed = self.alone(|| {
            let used = self.used()?;
            if used.contains(hash(&image.digest)) {
                return Ok(Removal::Used);
            }
            fs::remove_file(self.name_file(&image.reference))?;
            let entries = self.entries()?;
            let mut references = Counts::default();
            entries.iter().for_each(|named| references.add(&named.entry));
            let bytes =
                self.remove_all_but(|thing| references.0.contains_key(thing) || used.contains(thing))?;
            Ok(Removal::Removed { bytes })
        });
        Ok(removed?.unwrap_or(Removal::Busy))
    }

    /// Removes what processes left that have ended, unless somebody is at work.
    pub(super) fn tidy_up(&self) -> io::Result<()> {
        self.alone(|| self.used().map(drop)).map(drop)
    }

    /// Does something while nobody puts anything in place; gives none if somebody does.
    fn alone<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
        let lock = self.lock_file()?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => act().map(Some),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn entries(&self) -> io::Result<Vec<Named>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(self.folder.join("names"))? {
            let file = file?.path();
            let used_at = fs::metadata(&file)?.modified()?;
            // What cannot be read names nothing; its contents go, and it is written again when the image is brought again.
            if let Ok(entry) = serde_json::from_slice(&fs::read(&file)?) {
                entries.push(Named { file, entry, used_at });
            }
        }
        Ok(entries)
    }

    fn remove_all_but(&self, is_needed: impl Fn(&str) -> bool) -> io::Result<u64> {
        let mut bytes = 0;
        for part in ["sha256", "roots"] {
            for thing in fs::read_dir(self.folder.join(part))? {
                let thing = thing?;
                if is_needed(&thing.file_name().to_string_lossy()) {
                    continue;
                }
                bytes += size(&thing.path());
                if thing.file_type()?.is_dir() {
                    fs::remove_dir_all(thing.path())?;
                } else {
                    fs::remove_file(thing.path())?;
                }
            }
        }
        Ok(bytes)
    }

    fn size_of(&self, thing: &str) -> u64 {
        ["sha256", "roots"].iter().map(|part| size(&self.folder.join(part).join(thing))).sum()
    }
}

/// What was imported from a file is nowhere else.
fn comes_back(entry: &Entry) -> bool {
    entry.reference.parse::<Reference>().is_ok_and(|reference| !reference.is_local())
}

/// A name in the store.
struct Named {
    file: PathBuf,
    entry: Entry,
    used_at: SystemTime,
}

/// How many names refer to a content or a root.
#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn add(&mut self, entry: &Entry) {
        for thing in things(entry) {
            *self.0.entry(thing).or_default() += 1;
        }
    }

    /// Gives what nothing refers to any more.
    fn remove(&mut self, entry: &Entry) -> Vec<String> {
        let mut gone = Vec::new();
        for thing in things(entry) {
            if let Some(count) = self.0.get_mut(&thing) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&thing);
                    gone.push(thing);
                }
            }
        }
        gone
    }
}

/// What a name refers to: each content, by its hash, and the root.
fn things(entry: &Entry) -> BTreeSet<String> {
    let contents = entry.contents.iter().map(|content| content.hex().to_owned());
    // Images of an earlier version list none.
    let own = [hash(&entry.digest).to_owned()];
    contents.chain(own).chain(entry.root.clone()).collect()
}

fn hash(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

/// How much room a file takes, or a folder with all in it.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let within = if metadata.is_dir() { fs::read_dir(path).ok() } else { None };
    let own = if metadata.is_dir() { 0 } else { metadata.len() };
    own + within.into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum::<u64>()
}
