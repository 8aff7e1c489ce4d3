//! Files that are not what was written: each is refused, with what to do, or holds exactly what was committed.

use super::simulated::Dice;
use super::*;
use crate::store::record::SECTOR;
use std::fs;

type Contents = BTreeMap<String, String>;

/// The files of a store, by their names.
#[derive(Clone, PartialEq)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        Self(files.map(|path| (name(&path), fs::read(path).unwrap())).collect())
    }

    /// Makes the folder hold these.
    fn write(&self, folder: &Path) {
        Self::read(folder).0.keys().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
        self.0.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
    }

    /// The name of the last log.
    fn log(&self) -> String {
        self.0.keys().filter(|name| name.contains(".log.")).max_by_key(|name| name.len()).unwrap().clone()
    }

    fn of(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.get_mut(name).unwrap()
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut changed = self.clone();
        change(changed.of(name));
        changed
    }
}

/// A store with a past, some checkpoints among it: what it holds, its files, and how much of its log is in use.
async fn written(folder: &Path) -> (Contents, Files, usize) {
    let store = Store::open_in(small(&folder.join("store")), true).unwrap();
    for round in 0..66_usize {
        let names = [format!("a{}", round % 7), format!("b{}", round % 5)];
        let data = "0123456789".repeat(round % 60);
        let writes = names.iter().map(|name| put(name, &data, expected(&store, name)));
        assert!(store.commit(writes.collect()).await.iter().all(Result::is_ok));
    }
    let figures = store.figures();
    assert!(figures.checkpoints > 0 && figures.file_bytes > figures.log_bytes + figures.base_bytes);
    let used = usize::try_from(figures.log_bytes).unwrap();
    let found = contents(&store);
    drop(store);
    let files = Files::read(folder);
    assert_eq!(files.0.len(), 2);
    (found, files, used)
}

/// Whether a store was refused. If not, it must hold what was committed; if so, it must be left as it is.
fn refused(folder: &Path, files: &Files, whole: &Contents, what: &str) -> bool {
    files.write(folder);
    let path = folder.join("store");
    match Store::open_in(small(&path), true) {
        Ok(store) => {
            assert_eq!(&contents(&store), whole, "{what}");
            false
        }
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains("peapod restore") && text.contains(path.to_str().unwrap()),
                "{what}: {text}"
            );
            assert!(Files::read(folder) == *files, "{what}");
            true
        }
    }
}

#[tokio::test]
async fn a_damaged_log_is_refused_or_holds_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (whole, files, used) = written(folder).await;
    assert!(!refused(folder, &files, &whole, "whole"));
    let log = files.log();
    let length = files.0[&log].len();
    let mut dice = Dice(5);
    let mut place = |limit: usize| usize::try_from(dice.roll(limit as u64)).unwrap();
    let mut refusals = 0;
    for _ in 0..600 {
        let (at, bit) = (place(used), place(8));
        let flipped = files.with(&log, |bytes| bytes[at] ^= 1 << bit);
        refusals += usize::from(refused(folder, &flipped, &whole, &format!("bit {bit} of byte {at}")));
    }
    // The others are in padding, which means nothing.
    assert!(refusals > 300, "{refusals}");
    for _ in 0..200 {
        let at = place(length);
        refused(folder, &files.with(&log, |bytes| bytes[at] ^= 0x10), &whole, &format!("byte {at}"));
        let to = place(used);
        let cut = files.with(&log, |bytes| bytes.truncate(to));
        assert!(refused(folder, &cut, &whole, &format!("cut to {to}")));
        let to = used + place(length - used);
        refused(folder, &files.with(&log, |bytes| bytes.truncate(to)), &whole, &format!("cut to {to}"));
        let (from, count) = (place(used - 600), 1 + place(600));
        let garble = |bytes: &mut Vec<u8>| {
            bytes[from..from + count].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        };
        refused(folder, &files.with(&log, garble), &whole, &format!("{count} bytes from {from}"));
    }
}

#[tokio::test]
async fn a_damaged_base_is_refused_or_holds_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (whole, files, _) = written(folder).await;
    let base = &files.0["store"];
    // Most of the file is free space, where nothing can go wrong.
    let used: Vec<usize> = (0..base.len()).filter(|at| base[at & !63..][..64] != [0; 64]).collect();
    let mut dice = Dice(7);
    let mut place = |limit: usize| usize::try_from(dice.roll(limit as u64)).unwrap();
    let mut refusals = 0;
    for round in 0..900 {
        // The first sector says where all else is.
        let at = if round % 4 == 0 { place(320) } else { used[place(used.len())] };
        let bit = place(8);
        let flipped = files.with("store", |bytes| bytes[at] ^= 1 << bit);
        refusals += usize::from(refused(folder, &flipped, &whole, &format!("bit {bit} of byte {at}")));
    }
    // The others are in pages of the past.
    assert!(refusals > 150, "{refusals}");
    for round in 0..150 {
        let to = if round % 3 == 0 { place(8192) } else { place(base.len()) };
        let cut = files.with("store", |bytes| bytes.truncate(to));
        assert!(refused(folder, &cut, &whole, &format!("cut to {to}")));
        let from = used[place(used.len())];
        let to = (from + 1 + place(6000)).min(base.len());
        let garbled = files.with("store", |bytes| {
            bytes[from..to].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        });
        refused(folder, &garbled, &whole, &format!("bytes from {from} to {to}"));
        let lost = files.with("store", |bytes| bytes[from & !4095..][..4096].fill(0));
        refused(folder, &lost, &whole, &format!("the page with {from}"));
    }
}

#[tokio::test]
async fn a_damaged_base_that_was_let_through_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (whole, files, _) = written(folder).await;
    let base = &files.0["store"];
    let used: Vec<usize> = (0..base.len()).filter(|at| base[at & !63..][..64] != [0; 64]).collect();
    let mut dice = Dice(9);
    let mut written = 0;
    for round in 0..400_u64 {
        let at = used[usize::try_from(dice.roll(used.len() as u64)).unwrap()];
        let flipped = files.with("store", |bytes| bytes[at] ^= 1 << dice.roll(8));
        if refused(folder, &flipped, &whole, &format!("byte {at}")) {
            continue;
        }
        let path = folder.join("store");
        let store = Store::open_in(small(&path), true).unwrap();
        let before = store.figures().checkpoints;
        while store.figures().checkpoints == before {
            let data = "x".repeat(5000 + usize::try_from(round).unwrap());
            store.commit_one(put("c", &data, expected(&store, "c"))).await.unwrap();
        }
        let then = contents(&store);
        drop(store);
        assert_eq!(contents(&Store::open_in(small(&path), true).unwrap()), then, "byte {at}");
        written += 1;
    }
    assert!(written > 20, "{written}");
}

#[tokio::test]
async fn a_sector_that_was_lost_before_the_last_record_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (whole, files, used) = written(folder).await;
    let log = files.log();
    // The last record is that of a group of two, of nine sectors at most.
    for at in (0..used - 9 * SECTOR).step_by(SECTOR) {
        let lost = files.with(&log, |bytes| bytes[at..at + SECTOR].fill(0));
        assert!(refused(folder, &lost, &whole, &format!("sector at {at}")));
    }
}

#[tokio::test]
async fn files_that_do_not_belong_together_are_refused() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = first.path();
    let (whole, files, _) = written(folder).await;
    let (_, others, _) = written(second.path()).await;
    let log = files.log();
    assert_eq!(log, others.log());
    let says = |files: &Files| {
        assert!(refused(folder, files, &whole, "mixed"));
        Store::open_in(small(&folder.join("store")), true).err().unwrap().to_string()
    };
    let mut mixed = files.clone();
    mixed.0.insert(log.clone(), others.0[&log].clone());
    assert!(says(&mixed).contains(&format!("{log}: the file is damaged: it is the log of another store")));
    let mut without_log = files.clone();
    without_log.0.remove(&log);
    assert!(says(&without_log).contains(&format!("{log}: the file is damaged: it is missing")));
    let mut without_base = files.clone();
    without_base.0.remove("store");
    assert!(
        says(&without_base).contains("store: the file is damaged: it is missing, though its log is there")
    );
    assert!(matches!(restore(&[][..], &folder.join("store")), Err(StoreError::Exists { .. })));
    let mut with_gap = files.clone();
    with_gap.0.insert(log.replace(".log.", ".log.9"), files.0[&log].clone());
    assert!(says(&with_gap).contains("it is missing"));
    // A base of the past, whose logs were removed since.
    let store = {
        files.write(folder);
        Store::open_in(small(&folder.join("store")), true).unwrap()
    };
    let before = store.figures().checkpoints;
    while store.figures().checkpoints == before {
        store.commit_one(put("c", &"x".repeat(5000), expected(&store, "c"))).await.unwrap();
    }
    drop(store);
    let mut rolled_back = Files::read(folder);
    rolled_back.0.insert("store".into(), files.0["store"].clone());
    assert!(says(&rolled_back).contains(&format!("{log}: the file is damaged: it is missing")));
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, files, used) = written(folder).await;
    let log = files.log();
    let remedy = "restore a backup with `peapod restore` to another place, \
                  or move the store's files away to begin anew";
    let says = |files: &Files| {
        files.write(folder);
        Store::open(&folder.join("store"), true).err().unwrap().to_string()
    };
    let damaged = |name: &str, what: &str| {
        format!("open the store {}: the file is damaged: {what}; {remedy}", folder.join(name).display())
    };
    let foreign = |name: &str| {
        format!("open the store {}: the file is not a store of Peapod; {remedy}", folder.join(name).display())
    };
    for name in ["store", &log] {
        assert_eq!(says(&files.with(name, Vec::clear)), damaged(name, "it is empty"));
        let other = files.with(name, |bytes| *bytes = b"SQLite format 3\0".to_vec());
        assert_eq!(says(&other), foreign(name));
    }
    let of_another_program = files.with("store", |bytes| {
        let other = tempfile::NamedTempFile::new().unwrap();
        drop(redb::Database::create(other.path()).unwrap());
        *bytes = fs::read(other.path()).unwrap();
    });
    assert_eq!(says(&of_another_program), foreign("store"));
    let later = files.with(&log, |bytes| bytes[..SECTOR].copy_from_slice(&record::header_of(record::LOG, 7)));
    assert_eq!(
        says(&later),
        format!(
            "open the store {}: its format is version 7, this program knows version 1; \
             use the program that wrote it, or {remedy}",
            folder.join(&log).display()
        )
    );
    let flipped = files.with(&log, |bytes| bytes[SECTOR + 3] ^= 4);
    assert_eq!(says(&flipped), damaged(&log, "record 0 at offset 512 does not begin like one"));
    let cut = says(&files.with(&log, |bytes| bytes.truncate(used)));
    assert!(cut.contains("it was cut short"), "{cut}");
}

#[tokio::test]
async fn a_store_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, false).unwrap();
    let error = Store::open(&path, false).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }));
    let shown = path.display();
    assert_eq!(
        error.to_string(),
        format!(
            "open the store {shown}: another process is using it; stop that one, or use another data directory"
        )
    );
    assert!(restore(&[][..], &path).is_err());
    drop(store);
    Store::open(&path, false).unwrap();
}
