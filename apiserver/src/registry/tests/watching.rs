//! Watches: what a watcher sees is what happened.

use std::time::Duration;

use super::*;
use api::backend::WatchOptions;
use api::watch::{WatchEvent, WatchStream};
use api::{Cache, Revision};
use futures::{FutureExt, StreamExt};

pub(super) async fn watch(world: &World, options: WatchOptions) -> WatchStream {
    world.client.watch(&CONFIG_MAPS, "default", options).await.unwrap()
}

/// All events there are without waiting.
pub(super) fn drain(stream: &mut WatchStream) -> Vec<WatchEvent> {
    std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
}

pub(super) fn text(event: &WatchEvent) -> String {
    match event {
        WatchEvent::Added(object) => format!("+{}", object.name()),
        WatchEvent::Modified(object) => format!("~{}", object.name()),
        WatchEvent::Deleted(object) => format!("-{}", object.name()),
        WatchEvent::Bookmark { initial_events_end, .. } => format!("mark {initial_events_end}"),
        WatchEvent::Error(status) => status.to_string(),
    }
}

fn texts(stream: &mut WatchStream) -> Vec<String> {
    drain(stream).iter().map(text).collect()
}

fn labelled(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": app}}})
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_what_there_is_or_after_a_revision() {
    let world = start().await;
    world.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    let from = world.registry.store().revision();
    let mut fresh = watch(&world, WatchOptions::default()).await;
    let mut marked = watch(
        &world,
        WatchOptions { send_initial_events: Some(true), bookmarks: true, ..WatchOptions::default() },
    )
    .await;
    let skipped = WatchOptions { send_initial_events: Some(false), ..WatchOptions::default() };
    let mut skipped = watch(&world, skipped).await;
    let unmarked = WatchOptions { send_initial_events: Some(true), ..WatchOptions::default() };
    assert_eq!(texts(&mut watch(&world, unmarked).await), ["+a"], "the end is marked only among bookmarks");
    let mut resumed = watch(&world, WatchOptions { revision: Some(from), ..WatchOptions::default() }).await;
    assert_eq!(texts(&mut fresh), ["+a"]);
    assert_eq!(texts(&mut marked), ["+a", "mark true"]);
    assert_eq!(texts(&mut resumed), [""; 0]);
    world.merge(&CONFIG_MAPS, "a", "", json!({"data": {"key": "2"}})).await.unwrap();
    world.delete(&CONFIG_MAPS, "a", DeleteOptions::default()).await.unwrap();
    let mut late = watch(&world, WatchOptions { revision: Some(from), ..WatchOptions::default() }).await;
    for stream in [&mut fresh, &mut marked, &mut resumed, &mut late, &mut skipped] {
        let events = drain(stream);
        assert_eq!(events.iter().map(text).collect::<Vec<_>>(), ["~a", "-a"]);
        let gone = events[1].object().unwrap();
        assert_eq!(gone.revision(), world.registry.store().revision());
        assert_eq!(gone.value()["data"]["key"], "2");
    }
}

#[tokio::test(start_paused = true)]
async fn what_enters_or_leaves_the_selection_comes_and_goes() {
    let world = start().await;
    let labels = "app=x".parse().unwrap();
    let mut stream = watch(&world, WatchOptions { labels, ..WatchOptions::default() }).await;
    world.create(&CONFIG_MAPS, labelled("a", "x")).await.unwrap();
    world.create(&CONFIG_MAPS, labelled("b", "y")).await.unwrap();
    assert_eq!(texts(&mut stream), ["+a"]);
    let relabel = async |name: &str, app: &str| {
        world.merge(&CONFIG_MAPS, name, "", json!({"metadata": {"labels": {"app": app}}})).await.unwrap();
    };
    relabel("a", "y").await;
    let left = drain(&mut stream);
    assert_eq!(left.iter().map(text).collect::<Vec<_>>(), ["-a"]);
    let last = left[0].object().unwrap();
    assert_eq!((last.label("app"), last.revision()), (Some("x"), world.registry.store().revision()));
    relabel("a", "z").await;
    relabel("b", "x").await;
    assert_eq!(texts(&mut stream), ["+b"]);
    world.delete(&CONFIG_MAPS, "a", DeleteOptions::default()).await.unwrap();
    world.delete(&CONFIG_MAPS, "b", DeleteOptions::default()).await.unwrap();
    assert_eq!(texts(&mut stream), ["-b"]);
    let fields = "metadata.name=c".parse().unwrap();
    let mut one = watch(&world, WatchOptions { fields, ..WatchOptions::default() }).await;
    world.create(&CONFIG_MAPS, config_map("c", "")).await.unwrap();
    world.create(&CONFIG_MAPS, config_map("d", "")).await.unwrap();
    assert_eq!(texts(&mut one), ["+c"]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_carry_the_progress_of_the_whole_store() {
    let world = start().await;
    let mut stream = watch(&world, WatchOptions { bookmarks: true, ..WatchOptions::default() }).await;
    world.create(&PODS, pod("elsewhere")).await.unwrap();
    let before = world.clock.now();
    let event = stream.next().await.unwrap();
    assert_eq!(world.clock.now().duration_since(before).as_secs(), 60);
    let WatchEvent::Bookmark { revision, initial_events_end: false } = event else { panic!("{event:?}") };
    assert_eq!(revision, world.registry.store().revision());
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_its_time_and_says_before_how_far_it_came() {
    let world = start().await;
    let begun = world.clock.now();
    let row = async |seconds: u64, wanted: &[(i64, &str)]| {
        let begun = world.clock.now();
        let timeout = Some(Duration::from_secs(seconds));
        let mut stream =
            watch(&world, WatchOptions { bookmarks: true, timeout, ..WatchOptions::default() }).await;
        let mut seen = Vec::new();
        while let Some(event) = stream.next().await {
            seen.push((world.clock.now().duration_since(begun).as_secs(), text(&event)));
        }
        let wanted = wanted.iter().map(|(at, text)| (*at, (*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(seen, wanted);
        assert_eq!(world.clock.now().duration_since(begun).as_secs(), seconds.cast_signed());
    };
    row(30, &[(28, "mark false")]).await;
    row(150, &[(60, "mark false"), (120, "mark false"), (148, "mark false")]).await;
    row(1, &[]).await;
    let silent = WatchOptions { timeout: Some(Duration::from_secs(5)), ..WatchOptions::default() };
    assert!(watch(&world, silent).await.next().await.is_none());
    assert_eq!(world.clock.now().duration_since(begun).as_secs(), 30 + 150 + 1 + 5);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_revision_that_lies_ahead_shows_nothing_older() {
    let world = start().await;
    let ahead = Revision(world.registry.store().revision().0 + 1);
    let options = || WatchOptions { revision: Some(ahead), ..WatchOptions::default() };
    let error = world.client.watch(&CONFIG_MAPS, "", options()).await.err().unwrap();
    assert!(error.message.starts_with("Timeout: Too large resource version: "), "{error}");
    let (stream, made) =
        futures::join!(async { world.client.watch(&CONFIG_MAPS, "", options()).await }, async {
            world.create(&CONFIG_MAPS, config_map("a", "1")).await
        },);
    assert_eq!(made.unwrap()["metadata"]["resourceVersion"], ahead.to_string());
    assert_eq!(texts(&mut stream.unwrap()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn history_that_is_gone_is_said_to_be() {
    let world = start().await;
    let options = WatchOptions { revision: Some(Revision(1)), ..WatchOptions::default() };
    assert!(world.client.watch(&CONFIG_MAPS, "", options).await.is_ok());
    let mut slow = watch(&world, WatchOptions::default()).await;
    let large = "x".repeat(1_000_000);
    for number in 0..70 {
        world.create(&CONFIG_MAPS, config_map(&format!("m{number}"), &large)).await.unwrap();
    }
    let events = drain(&mut slow);
    assert!(matches!(&events[..], [WatchEvent::Error(status)] if status.is_expired()), "{events:?}");
    let options = WatchOptions { revision: Some(Revision(2)), ..WatchOptions::default() };
    let error = world.client.watch(&CONFIG_MAPS, "", options).await.err().unwrap();
    assert!(error.is_expired() && error.message.starts_with("too old resource version: 2 ("), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_fell_behind_catches_up_and_reaches_every_answer() {
    let world = start().await;
    let mut tasks = JoinSet::new();
    let cache = Cache::builder().with(&CONFIG_MAPS).start(&world.client, &world.clock, &mut tasks);
    cache.ready().await;
    let reached = async |revision: Revision| {
        let reach = async { cache.reach(&CONFIG_MAPS, revision).await };
        tokio::time::timeout(Duration::from_secs(1), reach).await.expect("reached before any bookmark");
    };
    let large = "x".repeat(1_000_000);
    for number in 0..70 {
        world.create(&CONFIG_MAPS, config_map(&format!("m{number}"), &large)).await.unwrap();
    }
    reached(world.registry.store().revision()).await;
    assert_eq!(cache.snapshot(&CONFIG_MAPS).len(), 70);
    let patch = async |name: &str, merge: Value, dry_run| {
        let options = WriteOptions { dry_run, ..WriteOptions::default() };
        let verb = Verb::Patch(Patch::Merge(Body::Value(merge)), options);
        let answer = world.call(&CONFIG_MAPS, name, "", verb).await.unwrap();
        reached(answer.revision()).await;
    };
    patch("m1", json!({"data": {"key": "1"}}), true).await;
    patch("m1", json!({"data": {"key": "1"}}), false).await;
    patch("m1", json!({"data": {"key": "1"}}), false).await;
    patch("m1", json!({"metadata": {"finalizers": ["x/y"]}}), false).await;
    for name in ["m0", "m1", "m1"] {
        let answer = world.delete(&CONFIG_MAPS, name, DeleteOptions::default()).await.unwrap();
        reached(answer.revision()).await;
    }
    patch("m1", json!({"metadata": {"finalizers": null}}), false).await;
    assert_eq!(cache.snapshot(&CONFIG_MAPS).len(), 68);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_the_server() {
    let World { registry, client, _tasks, .. } = start().await;
    let mut stream = client.watch(&CONFIG_MAPS, "", WatchOptions::default()).await.unwrap();
    assert!(stream.next().now_or_never().is_none());
    drop((registry, client, _tasks));
    let ended = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
    assert!(matches!(ended, Ok(None)));
}
