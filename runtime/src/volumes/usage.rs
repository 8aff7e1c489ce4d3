//! How much of the disk, or of memory, a folder takes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file system counts blocks in, whatever its own are.
const BLOCK: u64 = 512;

/// The bytes that a folder and all in it take: blocks, not lengths, so holes cost nothing, and a file with two names counts once.
/// What goes away meanwhile is not counted.
pub fn used_bytes(folder: &Path) -> io::Result<u64> {
    let mut folders = vec![folder.to_owned()];
    let mut linked = HashSet::new();
    let mut total = 0;
    while let Some(folder) = folders.pop() {
        total += taken_by(&folder, &mut folders, &mut linked)?;
    }
    Ok(total)
}

fn taken_by(folder: &Path, folders: &mut Vec<PathBuf>, linked: &mut HashSet<(u64, u64)>) -> io::Result<u64> {
    let Some(entries) = unless_gone(fs::read_dir(folder))? else { return Ok(0) };
    let own = unless_gone(fs::symlink_metadata(folder))?;
    let mut total = own.map_or(0, |own| own.blocks() * BLOCK);
    for entry in entries {
        let entry = entry?;
        let Some(about) = unless_gone(entry.metadata())? else { continue };
        if about.is_dir() {
            folders.push(entry.path());
        } else if about.nlink() < 2 || linked.insert((about.dev(), about.ino())) {
            total += about.blocks() * BLOCK;
        }
    }
    Ok(total)
}

fn unless_gone<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => looked.map(Some),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_takes_room_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let empty = used_bytes(path).unwrap();
        fs::create_dir(path.join("deep")).unwrap();
        fs::write(path.join("deep/file"), vec![1; 100_000]).unwrap();
        let one = used_bytes(path).unwrap();
        assert!((100_000..130_000).contains(&(one - empty)), "{empty} {one}");
        fs::hard_link(path.join("deep/file"), path.join("again")).unwrap();
        std::os::unix::fs::symlink("/usr", path.join("link")).unwrap();
        fs::File::create(path.join("hole")).unwrap().set_len(1 << 40).unwrap();
        let same = used_bytes(path).unwrap();
        assert!(same - one < 20_000, "{one} {same}");
        assert_eq!(used_bytes(&path.join("absent")).unwrap(), 0);
    }
}
