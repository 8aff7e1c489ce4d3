//! Commits, conflicts, changes and revisions, also across a restart.

#![allow(clippy::unwrap_used)]

mod backups;
mod checkpoints;
mod crashes;
mod damage;
mod lazy;
mod simulated;

use super::place::Sizes;
use super::*;
use api::resource::{CONFIG_MAPS, PODS};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

fn key(name: &str) -> StoreKey {
    StoreKey { collection: Collection::from(&CONFIG_MAPS), key: Key::new("n", name) }
}

fn draft(name: &str, data: &str) -> Draft {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": data},
        "metadata": {"name": name, "namespace": "n"}});
    let metadata =
        ObjectMeta { name: Some(name.into()), namespace: Some("n".into()), ..ObjectMeta::default() };
    Draft::new(&value, metadata)
}

fn put(name: &str, data: &str, expected: Expected) -> Write {
    Write { key: key(name), expected, next: Next::Put(draft(name, data)), hold: None }
}

fn remove(name: &str, expected: Expected) -> Write {
    Write { key: key(name), expected, next: Next::Remove(draft(name, "gone")), hold: None }
}

/// Sizes in which a small test makes many checkpoints and extends its files many times.
const SMALL: Sizes = Sizes { chunk: 8 << 10, checkpoint: 24 << 10, largest: 96 << 10 };

/// A place in a folder of the operating system, with those.
fn small(path: &Path) -> Place {
    Place { sizes: SMALL, ..place::lock(path).unwrap() }
}

/// Copies the files of a store, as they would be after a crash.
fn copy(path: &Path, to: &Path) {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (from, new) = (name(path), name(to));
    let names =
        || std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| name(&entry.unwrap().path()));
    for old in names().filter(|old| old.starts_with(&format!("{new}.log."))) {
        std::fs::remove_file(to.with_file_name(old)).unwrap();
    }
    for file in names().filter(|file| *file == from || file.starts_with(&format!("{from}.log."))) {
        let target = file.replacen(&from, &new, 1);
        std::fs::copy(path.with_file_name(file), to.with_file_name(target)).unwrap();
    }
}

/// What the data of every ConfigMap is.
fn contents(store: &Store) -> BTreeMap<String, String> {
    let (snapshot, _) = store.snapshot(&Collection::from(&CONFIG_MAPS));
    let row = |object: &Object| {
        let value: serde_json::Value = serde_json::from_slice(object.json()).unwrap();
        (object.name().to_owned(), value["data"]["k"].as_str().unwrap().to_owned())
    };
    snapshot.iter().map(row).collect()
}

fn expected(store: &Store, name: &str) -> Expected {
    store.get(&key(name)).map_or(Expected::Absent, |old| Expected::At(old.revision()))
}

fn names(store: &Store) -> Vec<String> {
    let (snapshot, _) = store.snapshot(&Collection::from(&CONFIG_MAPS));
    snapshot.iter().map(|object| object.name().to_owned()).collect()
}

#[tokio::test]
async fn a_write_is_carried_out_only_if_it_finds_what_it_expects() {
    let store = Store::in_memory().unwrap();
    let first = store.commit_one(put("a", "1", Expected::Absent)).await.unwrap();
    let again = store.commit_one(put("a", "2", Expected::Absent)).await;
    assert!(matches!(again, Err(Refused::Conflict(Some(old))) if old.is_same(&first)));
    let second = store.commit_one(put("a", "2", Expected::At(first.revision()))).await.unwrap();
    assert!(second.revision() > first.revision());
    let stale = store.commit_one(remove("a", Expected::At(first.revision()))).await;
    assert!(matches!(stale, Err(Refused::Conflict(Some(_)))));
    let gone = store.commit_one(remove("a", Expected::At(second.revision()))).await.unwrap();
    assert!(gone.revision() > second.revision() && names(&store).is_empty());
    let missing = store.commit_one(put("a", "3", Expected::At(gone.revision()))).await;
    assert!(matches!(missing, Err(Refused::Conflict(None))));
}

#[tokio::test]
async fn writes_of_one_group_see_each_other() {
    let store = Store::in_memory().unwrap();
    let twice = vec![put("a", "1", Expected::Absent), put("a", "2", Expected::Absent)];
    let outcomes = store.commit(twice).await;
    assert!(outcomes[0].is_ok() && matches!(outcomes[1], Err(Refused::Conflict(Some(_)))));
    let many = (0..40).map(|number| {
        let store = store.clone();
        async move { store.commit_one(put(&format!("n{number}"), "", Expected::Absent)).await }
    });
    let objects = futures::future::join_all(many).await;
    let mut revisions: Vec<_> = objects.iter().map(|object| object.as_ref().unwrap().revision()).collect();
    revisions.sort();
    revisions.dedup();
    assert_eq!((revisions.len(), names(&store).len()), (40, 41));
}

#[tokio::test]
async fn changes_resume_after_any_revision_that_is_still_held() {
    let store = Store::in_memory().unwrap();
    let collection = Collection::from(&CONFIG_MAPS);
    let start = store.revision();
    let a = store.commit_one(put("a", "1", Expected::Absent)).await.unwrap();
    store.commit_one(put("b", "1", Expected::Absent)).await.unwrap();
    store.commit_one(remove("a", Expected::At(a.revision()))).await.unwrap();
    let read = |from| {
        let changes = store.changes(&collection, from).unwrap().read(10).unwrap();
        let text = |change: &Change| format!("{:?} {}", change.effect, change.object.name());
        changes.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(read(start), ["Put a", "Put b", "Removed a"]);
    assert_eq!(read(a.revision()), ["Put b", "Removed a"]);
    assert_eq!(read(store.revision()), [""; 0]);
    let before = store.changes(&collection, Revision(start.0 - 1));
    assert_eq!(before.err(), Some(TooOld(start)));
    let then = store.snapshot_at(&collection, a.revision()).unwrap();
    assert_eq!(then.iter().map(Object::name).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn states_of_the_past_are_held_as_text_only() {
    let store = Store::in_memory().unwrap();
    let begin = store.commit_one(put("a", "1", Expected::Absent)).await.unwrap();
    let mut follower = store.changes(&Collection::from(&CONFIG_MAPS), begin.revision()).unwrap();
    let first = store.commit_one(put("b", "1", Expected::Absent)).await.unwrap();
    first.typed::<k8s_openapi::api::core::v1::ConfigMap>().unwrap();
    store.commit_one(put("b", "2", Expected::At(first.revision()))).await.unwrap();
    let held = follower.read(10).unwrap();
    let [made, changed] = &held[..] else { panic!("{held:?}") };
    let old = changed.old.as_ref().unwrap();
    assert!(made.object.is_same(old) && !old.is_same(&first) && old.bare().is_none());
    assert_eq!((old.json(), old.revision()), (first.json(), first.revision()));
}

#[tokio::test]
async fn changes_are_held_longer_for_a_watcher_that_is_there() {
    let store = Store::in_memory().unwrap();
    let collection = Collection::from(&CONFIG_MAPS);
    let start = store.revision();
    let mut slow = store.changes(&collection, start).unwrap();
    let large = "x".repeat(1 << 17);
    for number in 0..200 {
        store.commit_one(put(&format!("n{number}"), &large, Expected::Absent)).await.unwrap();
    }
    assert!(store.changes(&collection, start).is_ok(), "all 25 MiB are there");
    assert_eq!(slow.read(10).unwrap().len(), 10);
    assert!(store.changes(&collection, start).is_err(), "what was read need not be held");
    let after_ten = slow.read(1).unwrap()[0].revision();
    assert!(store.changes(&collection, after_ten).is_ok());
    drop(slow);
    assert!(store.changes(&collection, after_ten).is_err(), "there is nobody left who waits for it");
}

#[tokio::test]
async fn a_watcher_that_lags_behind_the_ring_is_told_so() {
    let store = Store::in_memory().unwrap();
    let collection = Collection::from(&CONFIG_MAPS);
    let start = store.revision();
    let mut slow = store.changes(&collection, start).unwrap();
    let large = "x".repeat(1 << 20);
    for number in 0..80 {
        store.commit_one(put(&format!("n{number}"), &large, Expected::Absent)).await.unwrap();
    }
    assert!(matches!(slow.read(1), Err(TooOld(floor)) if floor > start));
    assert!(store.changes(&collection, start).is_err());
    assert!(store.snapshot_at(&collection, start).is_err());
    assert_eq!(
        store.changes(&collection, Revision(store.revision().0 - 3)).unwrap().read(9).unwrap().len(),
        3
    );
}

#[tokio::test]
async fn a_file_keeps_what_was_acknowledged_and_never_issues_a_revision_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut kept = Vec::new();
    let mut last = Revision(0);
    for run in 0..3 {
        let store = Store::open(&path, run == 1).unwrap();
        assert_eq!(names(&store), kept, "run {run}");
        assert!(store.revision() >= last, "run {run}");
        assert!(store.changes(&Collection::from(&CONFIG_MAPS), last).is_err() || run == 0);
        for number in 0..30 {
            let name = format!("r{run}-{number:02}");
            let stored = store.commit_one(put(&name, "", Expected::Absent)).await.unwrap();
            assert!(stored.revision() > last);
            last = stored.revision();
            kept.push(name);
        }
        let first = store.get(&key(&kept[0])).unwrap();
        last = store.commit_one(remove(&kept[0], Expected::At(first.revision()))).await.unwrap().revision();
        kept.remove(0);
        // As after a crash, nothing else is written: what was acknowledged is there already.
        let left = folder.path().join(format!("crash-{run}"));
        copy(&path, &left);
        let crashed = Store::open(&left, true).unwrap();
        assert_eq!(names(&crashed), kept);
        assert!(crashed.revision() >= last);
        drop(store);
    }
    let (pods, _) = Store::open(&path, true).unwrap().snapshot(&Collection::from(&PODS));
    assert!(pods.is_empty());
}

#[tokio::test]
async fn revisions_go_on_past_a_block() {
    let store = Store::in_memory().unwrap();
    let mut expected = Expected::Absent;
    for _ in 0..BLOCK / 64 + 2 {
        let mut writes = Vec::new();
        for number in 0..64 {
            let name = format!("n{number}");
            let old = store.get(&key(&name)).map(|old| old.revision());
            expected = old.map_or(Expected::Absent, Expected::At);
            writes.push(put(&name, "", expected));
        }
        assert!(store.commit(writes).await.iter().all(Result::is_ok));
    }
    assert!(matches!(expected, Expected::At(revision) if revision > Revision(BLOCK)));
}
