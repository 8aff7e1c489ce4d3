//! Resources that come to the cache and leave it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::*;
use crate::backend::{Answer, Backend, ObjectList, Reply, Request, User, Verb};
use crate::resource::{CONFIG_MAPS, PODS};
use crate::status::{Reason, Status};

/// Serves config maps, of which there are none, as many times as it is asked to.
struct Server {
    lists: AtomicUsize,
}

impl Backend for Server {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        let is_served = request.resource == CONFIG_MAPS
            && self
                .lists
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        let answer = match request.verb {
            _ if !is_served => Err(Status::new(Reason::NotFound, "not served")),
            Verb::List(_) => {
                Ok(Answer::List(ObjectList { revision: Revision(7), ..ObjectList::default() }).into())
            }
            _ => Ok(Answer::Watch(futures::stream::empty().boxed()).into()),
        };
        async move { answer }.boxed()
    }
}

fn empty(lists: usize) -> (Cache, Client, Clock) {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().expect("a time"));
    let server = Arc::new(Server { lists: AtomicUsize::new(lists) });
    let client = Client::new(server, User::component("test"));
    (Cache::builder().start(&client, &clock, &mut JoinSet::new()), client, clock)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_held_has_no_objects_and_no_wait() {
    let (cache, ..) = empty(0);
    assert!(!cache.holds(&PODS));
    assert!(cache.get(&PODS, &Key::new("n", "a")).is_none());
    assert!(cache.snapshot(&PODS).is_empty());
    cache.subscribe(&PODS, Box::new(|_| panic!("there is nothing to tell")));
    cache.reach(&PODS, Revision(1)).await;
    cache.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_fed_until_it_is_no_longer_served() {
    let (cache, client, clock) = empty(4);
    let maps = CONFIG_MAPS;
    assert!(cache.hold(&CONFIG_MAPS) && !cache.hold(&CONFIG_MAPS));
    cache.ready().await;
    assert!(!cache.has_read(&CONFIG_MAPS) && !cache.has_read_all() && cache.has_read(&PODS));
    let began = clock.now();
    let feed = cache.clone().feed(CONFIG_MAPS, client, clock.clone());
    let reached = cache.reach(&maps, Revision(7));
    tokio::join!(feed, reached);
    assert_eq!(clock.now(), began, "it was served until it was not");
    assert!(cache.holds(&CONFIG_MAPS) && cache.has_read_all());
    let reach = cache.reach(&maps, Revision(8));
    let release = async { cache.release(&maps) };
    tokio::join!(reach, release);
    assert!(cache.resources().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_never_served_is_not_asked_for_at_once_again() {
    let (cache, client, clock) = empty(0);
    cache.hold(&PODS);
    let began = clock.now();
    cache.clone().feed(PODS, client, clock.clone()).await;
    let took = clock.now().duration_since(began);
    assert_eq!(Duration::try_from(took).ok(), Some(Duration::from_secs(1)));
}
