//! Watches against a model: a client that drops, resumes and meets restarts of the server sees exactly what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::watching::{drain, text, watch};
use super::*;
use crate::Storage;
use api::Revision;
use api::backend::WatchOptions;
use api::watch::{WatchEvent, WatchStream};
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    /// The watcher reads so many events.
    Read(u8),
    /// The watcher loses its connection and resumes where it was.
    Resume,
    /// The watcher forgets everything and begins anew.
    Restart,
    /// The server stops and starts again; the watcher tries to resume.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, 0..3u8).prop_map(|(name, app)| Step::Put(name, app)),
        2 => (0..4u8).prop_map(Step::Delete),
        3 => (1..5u8).prop_map(Step::Read),
        2 => Just(Step::Resume),
        1 => Just(Step::Restart),
        1 => Just(Step::Reopen),
    ]
}

/// A server on disk, in virtual time.
async fn open(path: &Path, clock: &Clock) -> World {
    let mut tasks = JoinSet::new();
    let storage = Storage::File(path.to_owned());
    let config = Config { storage, ..Config::in_memory(clock.clone(), 1) };
    let registry = Apiserver::start(config, &mut tasks).await.unwrap();
    let client = Client::new(registry.clone(), User::component("test"));
    World { registry, client, clock: clock.clone(), _tasks: tasks }
}

/// What happened to what is selected: the obviously right account.
#[derive(Default)]
struct History {
    selected: BTreeSet<String>,
    events: Vec<(Revision, String)>,
}

impl History {
    /// Notes a change after which the object is selected or not.
    fn note(&mut self, name: &str, is_selected: bool, revision: Revision) {
        let was_selected = match is_selected {
            true => !self.selected.insert(name.to_owned()),
            false => self.selected.remove(name),
        };
        let sign = match (was_selected, is_selected) {
            (false, false) => return,
            (false, true) => '+',
            (true, true) => '~',
            (true, false) => '-',
        };
        self.events.push((revision, format!("{sign}{name}")));
    }
}

/// A client that keeps what a watch of `app=x0` tells it.
#[derive(Default)]
struct Watcher {
    known: BTreeMap<String, String>,
    reached: Option<Revision>,
    /// Where the initial events ended; none as long as there may be more of them.
    synced: Option<Revision>,
    seen: Vec<(Revision, String)>,
}

impl Watcher {
    fn take(&mut self, event: &WatchEvent) {
        let state = |object: &Object| (object.name().to_owned(), object.value()["data"]["key"].to_string());
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let (name, data) = state(object);
                let is_new = self.known.insert(name, data).is_none();
                assert_eq!(is_new, matches!(event, WatchEvent::Added(_)), "{event:?}");
            }
            WatchEvent::Deleted(object) => {
                assert!(self.known.remove(object.name()).is_some(), "{event:?} never came");
            }
            WatchEvent::Bookmark { revision, initial_events_end } => {
                self.reached = self.reached.max(Some(*revision));
                if *initial_events_end {
                    self.synced = Some(*revision);
                }
            }
            WatchEvent::Error(status) => panic!("{status}"),
        }
        if let Some(object) = event.object().filter(|_| self.synced.is_some()) {
            self.seen.push((object.revision(), text(event)));
            self.reached = Some(object.revision());
        }
    }

    /// Connects, from where it was if it can; else it begins anew, as clients do who are told that history is gone.
    async fn connect(&mut self, world: &World) -> WatchStream {
        let labels = || "app=x0".parse().unwrap();
        if let Some(synced) = self.synced {
            let revision = self.reached.max(Some(synced));
            let options =
                WatchOptions { labels: labels(), revision, bookmarks: true, ..WatchOptions::default() };
            match world.client.watch(&CONFIG_MAPS, "default", options).await {
                Ok(stream) => return stream,
                Err(status) => assert!(status.is_expired(), "{status}"),
            }
        }
        *self = Self::default();
        let send_initial_events = Some(true);
        let options = WatchOptions {
            labels: labels(),
            send_initial_events,
            bookmarks: true,
            ..WatchOptions::default()
        };
        watch(world, options).await
    }
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let mut world = open(&path, &clock).await;
    let mut history = History::default();
    let mut watcher = Watcher::default();
    let mut stream = watcher.connect(&world).await;
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Put(name, app) => {
                let name = format!("m{name}");
                let map = json!({"metadata": {"name": name, "labels": {"app": format!("x{app}")}}, "data": {"key": number.to_string()}});
                let written = match world.create(&CONFIG_MAPS, map.clone()).await {
                    Ok(created) => created,
                    Err(_) => world.update(&CONFIG_MAPS, &name, "", map).await.unwrap(),
                };
                let revision = written["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                history.note(&name, app == 0, Revision(revision));
            }
            Step::Delete(name) => {
                let name = format!("m{name}");
                if let Ok(gone) = world.delete(&CONFIG_MAPS, &name, DeleteOptions::default()).await {
                    history.note(&name, false, gone.revision());
                }
            }
            Step::Read(count) => {
                for _ in 0..count {
                    let Some(event) = stream.next().now_or_never().flatten() else {
                        break;
                    };
                    watcher.take(&event);
                }
            }
            Step::Resume => stream = watcher.connect(&world).await,
            Step::Restart => {
                watcher = Watcher::default();
                stream = watcher.connect(&world).await;
            }
            Step::Reopen => {
                let World { registry, client, mut _tasks, .. } = world;
                _tasks.shutdown().await;
                drop((registry, client, stream));
                world = open(&path, &clock).await;
                stream = watcher.connect(&world).await;
            }
        }
    }
    drain(&mut stream).iter().for_each(|event| watcher.take(event));
    let synced = watcher.synced.expect("all events were read");
    history.events.retain(|(revision, _)| *revision > synced);
    assert_eq!(watcher.seen, history.events);
    let options = ListOptions { labels: "app=x0".parse().unwrap(), ..ListOptions::default() };
    let list = world.client.list(&CONFIG_MAPS, "default", options).await.unwrap();
    let there = list.items.iter().map(|map| (map.name().to_owned(), map.value()["data"]["key"].to_string()));
    assert_eq!(watcher.known, there.collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_client_that_drops_and_resumes_sees_exactly_the_history(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(steps));
    }
}
