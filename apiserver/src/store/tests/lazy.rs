//! What may be lost in a power cut: it is shown at once, and written with something else or ten seconds later.

use super::*;
use api::resource::{EVENTS, LEASES};
use api::{Clock, Resource};
use std::time::Duration;

fn at(resource: &Resource, namespace: &str, name: &str) -> StoreKey {
    StoreKey { collection: Collection::from(resource), key: Key::new(namespace, name) }
}

async fn write(store: &Store, key: &StoreKey) -> Object {
    let expected = store.get(key).map_or(Expected::Absent, |old| Expected::At(old.revision()));
    let value = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": &*key.key.name}});
    let metadata = ObjectMeta {
        name: Some(key.key.name.to_string()),
        namespace: Some(key.key.namespace.to_string()),
        ..ObjectMeta::default()
    };
    let next = Next::Put(Draft::new(&value, metadata));
    store.commit_one(Write { key: key.clone(), expected, next, hold: None }).await.unwrap()
}

/// What would be there if the power were cut now.
fn after_a_cut(path: &Path) -> Store {
    let left = path.with_file_name("left");
    copy(path, &left);
    Store::open(&left, true).unwrap()
}

#[tokio::test]
async fn only_events_and_heartbeats_wait_and_they_go_with_the_next_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, true).unwrap();
    let (event, heartbeat) = (at(&EVENTS, "n", "e"), at(&LEASES, "kube-node-lease", "node"));
    let durable = [at(&LEASES, "kube-system", "leader"), at(&CONFIG_MAPS, "kube-node-lease", "c")];
    let before = store.figures().written_bytes;
    let mut last = Revision(0);
    for _ in 0..50 {
        write(&store, &event).await;
        last = write(&store, &heartbeat).await.revision();
    }
    assert_eq!(store.figures().written_bytes, before);
    assert!(store.get(&event).is_some() && store.get(&heartbeat).is_some());
    let cut = after_a_cut(&path);
    assert!(cut.get(&event).is_none() && cut.get(&heartbeat).is_none());
    assert!(cut.revision() >= last, "what was seen is not issued again");
    drop(cut);
    let syncs = store.figures().written_bytes;
    for key in &durable {
        write(&store, key).await;
    }
    assert!(store.figures().written_bytes > syncs);
    let cut = after_a_cut(&path);
    assert_eq!(cut.get(&heartbeat).unwrap().revision(), last);
    assert!(durable.iter().chain([&event]).all(|key| cut.get(key).is_some()));
}

#[tokio::test]
async fn closing_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let event = at(&EVENTS, "n", "e");
    for inline in [true, false] {
        let store = Store::open(&path, inline).unwrap();
        let written = write(&store, &event).await;
        drop(store);
        let store = Store::open(&path, inline).unwrap();
        assert!(store.get(&event).is_some_and(|event| event.revision() == written.revision()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_written_ten_seconds_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, true).unwrap();
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(write_lazily(store.clone(), clock.clone()));
    let event = at(&EVENTS, "n", "e");
    for _ in 0..3 {
        let written = write(&store, &event).await.revision();
        let found = || after_a_cut(&path).get(&event).is_some_and(|event| event.revision() == written);
        clock.sleep(Duration::from_secs(9)).await;
        assert!(!found());
        clock.sleep(Duration::from_secs(2)).await;
        assert!(found());
        let idle = store.figures().written_bytes;
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(store.figures().written_bytes, idle, "an idle store writes nothing");
    }
}

#[tokio::test]
async fn too_much_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), true).unwrap();
    let before = store.figures().written_bytes;
    for number in 0..1100 {
        write(&store, &at(&EVENTS, "n", &number.to_string())).await;
    }
    assert!(store.figures().written_bytes > before);
}

#[tokio::test]
async fn figures_tell_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), false).unwrap();
    store.commit(vec![put("a", "", Expected::Absent), put("b", "", Expected::Absent)]).await;
    store.commit(vec![put("a", "", Expected::Absent)]).await;
    let figures = store.figures();
    assert_eq!(figures.objects.get("configmaps"), Some(&2));
    assert_eq!((figures.writes, figures.conflicts, figures.failures), (2, 1, 0));
    assert_eq!((figures.groups.count(), figures.groups.sum), (1, 2.0));
    // One more than groups: a start reserves revisions.
    assert_eq!(figures.syncs.count(), 2);
    assert!(figures.log_bytes < figures.file_bytes && figures.written_bytes > 0 && !figures.failed);
}
