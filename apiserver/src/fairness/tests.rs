//! Requests that really wait, in virtual time.
#![allow(clippy::unwrap_used)]

use super::*;
use api::Key;
use futures::FutureExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::store::{Draft, Expected, Next, StoreKey, Write};

struct World {
    fairness: Arc<Fairness>,
    store: Store,
    clock: Clock,
    shown: Registry,
}

fn start() -> World {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let store = Store::in_memory().unwrap();
    let mut shown = Registry::default();
    let figures = Figures::register(&mut shown);
    World { fairness: Fairness::new(clock.clone(), store.clone(), figures), store, clock, shown }
}

impl World {
    async fn put(&self, resource: &Resource, name: &str, spec: Value) {
        let value = json!({"apiVersion": resource.api_version(), "kind": resource.kind,
            "metadata": {"name": name, "uid": format!("uid-{name}")}, "spec": spec});
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(format!("uid-{name}")),
            ..ObjectMeta::default()
        };
        let key = StoreKey { collection: Collection::from(resource), key: Key::cluster(name) };
        let next = Next::Put(Draft::new(&value, metadata));
        let expected = self.store.get(&key).map_or(Expected::Absent, |old| Expected::At(old.revision()));
        self.store.commit_one(Write { key, expected, next, hold: None }).await.unwrap();
    }

    /// A level of one seat, with one queue of two, for everybody who says who they are.
    async fn narrow(&self) {
        let narrow = json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 2}}}});
        self.put(&LEVELS, "narrow", narrow).await;
        let wide = json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 100_000,
            "limitResponse": {"type": "Reject"}}});
        self.put(&LEVELS, "wide", wide).await;
        let schema = json!({"matchingPrecedence": 500, "priorityLevelConfiguration": {"name": "narrow"},
            "rules": [{"subjects": [{"kind": "Group", "group": {"name": "devs"}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]});
        self.put(&FLOW_SCHEMAS, "devs", schema).await;
    }

    async fn ask(&self, group: &str) -> (Arc<Flow>, Result<Permit, Refusal>) {
        let user = classify::named("ann", &[group]);
        let asked = Asked { user: &user, verb: "get", what: What::Path("/x") };
        self.fairness.begin(&asked, 1, Duration::from_secs(15)).await
    }

    fn figure(&self, name: &str) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.shown).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("apiserver_flowcontrol_{name}")));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    }
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_a_seat_and_take_it_in_turn() {
    let world = start();
    world.narrow().await;
    let (flow, first) = world.ask("devs").await;
    assert_eq!((flow.schema_uid.as_str(), flow.level_uid.as_str()), ("uid-devs", "uid-narrow"));
    let mut second = Box::pin(world.ask("devs"));
    let mut third = Box::pin(world.ask("devs"));
    assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    assert_eq!(world.ask("devs").await.1.err(), Some("queue-full"));
    assert_eq!(world.figure("current_inqueue_requests{flow_schema=\"devs\"").as_deref(), Some("2"));
    assert!(world.ask("system:masters").await.1.is_ok());
    drop(first);
    let second = second.await.1.unwrap();
    assert!((&mut third).now_or_never().is_none());
    drop(second);
    let third = third.await.1;
    assert!(third.is_ok());
    assert_eq!(world.figure("current_executing_requests{flow_schema=\"devs\"").as_deref(), Some("1"));
    drop(third);
    assert_eq!(world.figure("current_executing_seats{flow_schema=\"devs\"").as_deref(), Some("0"));
    let rejected =
        "rejected_requests_total{flow_schema=\"devs\",priority_level=\"narrow\",reason=\"queue-full\"}";
    assert_eq!(world.figure(rejected).as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_or_leaves_takes_no_seat() {
    let world = start();
    world.narrow().await;
    let first = world.ask("devs").await.1;
    let begun = world.clock.now();
    assert_eq!(world.ask("devs").await.1.err(), Some("time-out"));
    assert_eq!(world.clock.now().duration_since(begun).as_secs(), 15);
    let mut gone = Box::pin(world.ask("devs"));
    let mut told_and_gone = Box::pin(world.ask("devs"));
    assert!((&mut gone).now_or_never().is_none() && (&mut told_and_gone).now_or_never().is_none());
    drop(gone);
    drop(first);
    // Its turn has come, but it never learns.
    drop(told_and_gone);
    assert!(world.ask("devs").now_or_never().unwrap().1.is_ok(), "the seat is free");
    assert_eq!(world.figure("current_inqueue_requests{flow_schema=\"devs\"").as_deref(), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn the_configuration_is_followed_while_requests_wait() {
    let world = start();
    assert!(world.ask("devs").await.0.schema_uid.is_empty(), "the built-in catch-all");
    world.narrow().await;
    let first = world.ask("devs").await.1;
    let mut second = Box::pin(world.ask("devs"));
    assert!((&mut second).now_or_never().is_none());
    world.put(&LEVELS, "narrow", json!({"type": "Exempt"})).await;
    assert!((&mut second).now_or_never().is_none(), "the next request finds the change");
    assert!(world.ask("devs").await.1.is_ok());
    assert!(second.now_or_never().unwrap().1.is_ok());
    drop(first);
    assert_eq!(world.figure("current_executing_requests{flow_schema=\"devs\"").as_deref(), Some("0"));
}
