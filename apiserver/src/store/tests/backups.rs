//! Backups are of one moment, and are restored whole or not at all.

use super::simulated::Dice;
use super::*;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

fn bytes(backup: Backup) -> Vec<u8> {
    backup.collect::<Vec<_>>().concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_taken_while_others_write_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open_in(small(&path), false).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        writers.spawn(async move {
            let names = [format!("a{writer}"), format!("b{writer}")];
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let data = round.to_string();
                let writes = names.iter().map(|name| put(name, &data, expected(&store, name)));
                assert!(store.commit(writes.collect()).await.iter().all(Result::is_ok));
            }
            round
        });
    }
    for round in 0..20 {
        store.commit_one(put("mark", &round.to_string(), expected(&store, "mark"))).await.unwrap();
        let backup = store.backup().await.unwrap();
        let revision = backup.revision();
        // Something is written before the rest of it is read.
        store.commit_one(put("later", &round.to_string(), expected(&store, "later"))).await.unwrap();
        let backup = bytes(backup);
        let to = folder.path().join(format!("restored-{round}"));
        let restored = restore(backup.as_slice(), &to).unwrap();
        let copy = Store::open(&to, true).unwrap();
        let found = contents(&copy);
        assert_eq!((restored.revision, restored.objects), (revision, found.len() as u64));
        assert_eq!(found["mark"], round.to_string());
        let newest = if round == 0 { None } else { Some((round - 1).to_string()) };
        assert_eq!(found.get("later").cloned(), newest);
        for writer in 0..8 {
            let pair = [format!("a{writer}"), format!("b{writer}")];
            assert_eq!(found.get(&pair[0]), found.get(&pair[1]), "round {round}");
        }
        // Whoever knows a revision of the lost store must list again.
        assert!(copy.revision() > Revision(1_000_000_000_000));
        assert!(copy.changes(&Collection::from(&CONFIG_MAPS), store.revision()).is_err());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writers.join_all().await.into_iter().sum::<usize>() > 0);
}

#[tokio::test]
async fn an_empty_store_and_one_in_memory_can_be_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let empty = bytes(store.backup().await.unwrap());
    assert_eq!(restore(empty.as_slice(), &folder.path().join("empty")).unwrap().objects, 0);
    store.commit_one(put("a", "1", Expected::Absent)).await.unwrap();
    let full = bytes(store.backup().await.unwrap());
    let path = folder.path().join("full");
    assert_eq!(restore(full.as_slice(), &path).unwrap().objects, 1);
    let there = restore(full.as_slice(), &path).err().unwrap();
    assert!(matches!(there, StoreError::Exists { .. }), "{there}");
    assert_eq!(contents(&Store::open(&path, true).unwrap()), contents(&store));
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    for number in 0..40 {
        store.commit_one(put(&number.to_string(), &"x".repeat(20_000), Expected::Absent)).await.unwrap();
    }
    let whole = bytes(store.backup().await.unwrap());
    let path = folder.path().join("store");
    let mut dice = Dice(11);
    let refuse = |backup: &[u8], what: &str| {
        let error = restore(backup, &path).err().unwrap_or_else(|| panic!("{what} was restored"));
        assert!(matches!(error, StoreError::BadBackup(_)), "{what}: {error}");
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["store.lock"], "{what}");
    };
    for _ in 0..100 {
        let at = usize::try_from(dice.roll(whole.len() as u64)).unwrap();
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << dice.roll(8);
        refuse(&flipped, &format!("a bit of byte {at}"));
        refuse(&whole[..at], &format!("the first {at} bytes"));
    }
    refuse(&[&whole[..], b"x"].concat(), "one with something behind it");
    refuse(b"something else that is long enough to be one".repeat(20).as_slice(), "something else");
    assert!(restore(whole.as_slice(), &path).is_ok());
}
