//! Watches: lines of events, in every shape, until their time is over.

use super::*;
use serde_json::json;
use std::time::Duration;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A watch that is being read.
struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    async fn open(world: &World, query: &str, headers: &[(&str, &str)]) -> Self {
        let response =
            world.respond("GET", &format!("{MAPS}?watch=true{query}"), headers, Body::empty()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; none when the watch has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let value = serde_json::from_str(line).unwrap();
                self.text = rest.to_owned();
                return Some(value);
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// Type and name of the next event's object.
    async fn line(&mut self) -> String {
        let event = self.next().await.unwrap();
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-");
        format!("{} {name}", event["type"].as_str().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn changes_come_as_lines_until_the_time_is_over() {
    let world = start().await;
    world.config_map("a").await;
    let mut watch = Reader::open(&world, "&timeoutSeconds=600", &[]).await;
    assert_eq!(watch.line().await, "ADDED a");
    world.config_map("b").await;
    let patch = [("content-type", "application/merge-patch+json")];
    world.call("PATCH", &format!("{MAPS}/a"), &patch, r#"{"data":{"a":"2"}}"#).await;
    world.call("DELETE", &format!("{MAPS}/a"), &[], Body::empty()).await;
    assert_eq!(watch.line().await, "ADDED b");
    let modified = watch.next().await.unwrap();
    assert_eq!(
        (modified["type"].as_str(), &modified["object"]["data"]),
        (Some("MODIFIED"), &json!({"a": "2"}))
    );
    assert_eq!(watch.line().await, "DELETED a");
    let begun = world.clock.now();
    assert_eq!(watch.next().await, None);
    assert_eq!(world.clock.now().duration_since(begun).as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn initial_events_end_with_a_marked_bookmark() {
    let world = start().await;
    world.config_map("a").await;
    let query = "&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut watch = Reader::open(&world, query, &[]).await;
    assert_eq!(watch.line().await, "ADDED a");
    let end = watch.next().await.unwrap();
    assert_eq!((end["type"].as_str(), end["object"]["kind"].as_str()), (Some("BOOKMARK"), Some("ConfigMap")));
    assert_eq!(end["object"]["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    let later = watch.next().await.unwrap();
    assert_eq!(
        (later["type"].as_str(), later["object"]["metadata"].get("annotations")),
        (Some("BOOKMARK"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn the_columns_of_a_table_are_sent_once() {
    let world = start().await;
    world.config_map("a").await;
    let mut watch = Reader::open(&world, "", &[TABLE]).await;
    let first = watch.next().await.unwrap();
    assert_eq!(
        (first["object"]["kind"].as_str(), &first["object"]["rows"][0]["cells"][0]),
        (Some("Table"), &json!("a"))
    );
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    tokio::time::advance(Duration::from_secs(30)).await;
    world.config_map("b").await;
    let second = watch.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], json!([]));
    assert_eq!(second["object"]["rows"][0]["cells"], json!(["b", 1, "0s"]));
    let partial = [("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")];
    let mut watch = Reader::open(&world, "", &partial).await;
    let first = watch.next().await.unwrap();
    assert_eq!(
        (first["object"]["kind"].as_str(), first["object"].get("data")),
        (Some("PartialObjectMetadata"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_the_server_and_fails_in_the_stream() {
    let world = start().await;
    let first = world.config_map("a").await;
    let revision = first["metadata"]["resourceVersion"].as_str().unwrap();
    // More than the history holds.
    let large = "x".repeat(200_000);
    for round in 0..80 {
        let body = json!({"metadata": {"name": "a"}, "data": {"a": format!("{round}{large}")}}).to_string();
        assert_eq!(world.call("PUT", &format!("{MAPS}/a"), &[], body).await.code, 200);
    }
    let mut old = Reader::open(&world, &format!("&resourceVersion={revision}"), &[]).await;
    let event = old.next().await.unwrap();
    let status = &event["object"];
    assert_eq!((event["type"].as_str(), status["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert!(status["message"].as_str().unwrap().starts_with("too old resource version: "), "{status}");
    assert_eq!(old.next().await, None);
    let exactly = world.get(&format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")).await;
    assert_eq!(exactly.failure(), "410 Expired The resourceVersion for the provided list is too old.");
    let mut watch = Reader::open(&world, "", &[]).await;
    assert_eq!(watch.line().await, "ADDED a");
    world.stop.send(true).unwrap();
    assert_eq!(watch.next().await, None);
    let ready = world.get("/readyz").await;
    assert_eq!(ready.code, 500);
    assert!(ready.text().contains("[-]shutdown failed: the server is stopping"), "{}", ready.text());
    assert_eq!(world.get("/livez").await.text(), "ok");
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_what_its_client_showed() {
    let mut world = start().await;
    world.config_map("a").await;
    let end = world.clock.now() + jiff::SignedDuration::from_secs(90);
    world.until = Some(Until(end));
    let mut watch = Reader::open(&world, "", &[]).await;
    assert_eq!(watch.line().await, "ADDED a");
    assert_eq!(watch.next().await, None);
    assert_eq!(world.clock.now(), end);
}
