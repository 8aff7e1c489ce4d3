//! What goes to the base, when, and how much that writes.

use super::*;

async fn put_one(store: &Store, name: &str, data: &str) {
    store.commit_one(put(name, data, expected(store, name))).await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_writes_what_changed_and_not_what_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_in(small(&folder.path().join("store")), true).unwrap();
    for number in 0..300 {
        put_one(&store, &format!("n{number}"), &"x".repeat(4000)).await;
    }
    let before = store.figures();
    assert!(before.base_bytes > 1_000_000, "{before:?}");
    while store.figures().checkpoints < before.checkpoints + 10 {
        put_one(&store, "n7", &"y".repeat(4000)).await;
    }
    let per_checkpoint = (store.figures().written_bytes - before.written_bytes) / 10;
    // The log of 24 KiB, and of the base the pages on the way to one row with those that redb keeps for itself.
    assert!(per_checkpoint < 150_000, "{per_checkpoint}");
}

#[tokio::test]
async fn the_log_stays_bounded_whether_a_thread_writes_the_base_or_not() {
    let folder = tempfile::tempdir().unwrap();
    for inline in [true, false] {
        let path = folder.path().join(format!("store-{inline}"));
        let store = Store::open_in(small(&path), inline).unwrap();
        for number in 0..400 {
            put_one(&store, &format!("n{}", number % 9), &"x".repeat(2000)).await;
            let figures = store.figures();
            assert!(figures.log_bytes < SMALL.largest + 4096, "{figures:?}");
        }
        let whole = contents(&store);
        drop(store);
        assert_eq!(contents(&Store::open_in(small(&path), inline).unwrap()), whole);
    }
}

#[tokio::test]
async fn a_log_beyond_its_bound_goes_to_the_base_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let patient = Sizes { checkpoint: 1 << 30, largest: 1 << 30, ..SMALL };
    let store = Store::open_in(Place { sizes: patient, ..small(&path) }, true).unwrap();
    for number in 0..100 {
        put_one(&store, &format!("n{number}"), &"x".repeat(2000)).await;
    }
    let whole = contents(&store);
    assert!(store.figures().log_bytes > SMALL.largest && store.figures().checkpoints == 0);
    drop(store);
    for inline in [false, true] {
        let store = Store::open_in(small(&path), inline).unwrap();
        assert_eq!(contents(&store), whole);
        assert!(store.figures().log_bytes < SMALL.chunk && store.figures().base_bytes > 200_000);
    }
}
