//! Lists: selectors, pages, moments.

use super::*;
use api::Revision;
use api::backend::RevisionMatch;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

async fn names(world: &World, resource: &Resource, options: ListOptions) -> Vec<String> {
    let list = world.client.list(resource, "default", options).await.unwrap();
    list.items.iter().map(|object| object.name().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn lists_choose_by_labels_and_fields() {
    let world = start().await;
    for (name, app, node) in [("a", "x", "n1"), ("b", "x", "n2"), ("c", "y", "n1")] {
        let mut pod = pod(name);
        pod["metadata"]["labels"] = json!({"app": app});
        pod["spec"]["nodeName"] = node.into();
        world.create(&PODS, pod).await.unwrap();
    }
    let row = async |labels: &str, fields: &str, wanted: &[&str]| {
        let (labels, fields) = (labels.parse().unwrap(), fields.parse().unwrap());
        let options = ListOptions { labels, fields, ..ListOptions::default() };
        assert_eq!(names(&world, &PODS, options).await, wanted);
    };
    row("app=x", "", &["a", "b"]).await;
    row("", "spec.nodeName=n1", &["a", "c"]).await;
    row("app=x", "spec.nodeName!=n1", &["b"]).await;
    row("", "metadata.name=c", &["c"]).await;
    row("app=x", "metadata.name=c", &[]).await;
    row("", "status.phase=Pending,spec.restartPolicy=Always", &["a", "b", "c"]).await;
    let fields = "spec.unknown=1".parse().unwrap();
    let options = ListOptions { fields, ..ListOptions::default() };
    let error = world.client.list(&PODS, "", options).await.unwrap_err();
    assert_eq!((error.code, error.to_string().as_str()), (400, "field label not supported: spec.unknown"));
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment() {
    let world = start().await;
    for name in ["a", "b", "c", "d", "e"] {
        world.create(&CONFIG_MAPS, config_map(name, "old")).await.unwrap();
    }
    let page = async |token: Option<String>| {
        let options = ListOptions { limit: Some(2), continue_token: token, ..ListOptions::default() };
        world.client.list(&CONFIG_MAPS, "default", options).await.unwrap()
    };
    let first = page(None).await;
    assert_eq!(first.remaining, Some(3));
    world.delete(&CONFIG_MAPS, "c", DeleteOptions::default()).await.unwrap();
    world.merge(&CONFIG_MAPS, "d", "", json!({"data": {"key": "new"}})).await.unwrap();
    world.create(&CONFIG_MAPS, config_map("cc", "new")).await.unwrap();
    let mut seen = first.items;
    let mut token = first.continue_token;
    while let Some(next) = token {
        let page = page(Some(next)).await;
        assert_eq!(page.revision, first.revision);
        seen.extend(page.items);
        token = page.continue_token;
    }
    let seen: Vec<String> =
        seen.iter().map(|map| format!("{}={}", map.name(), map.value()["data"]["key"])).collect();
    assert_eq!(seen, [r#"a="old""#, r#"b="old""#, r#"c="old""#, r#"d="old""#, r#"e="old""#]);
    let ahead = token_at(u64::MAX >> 1, "a");
    let options = ListOptions { continue_token: Some(ahead), ..ListOptions::default() };
    assert_eq!(world.client.list(&CONFIG_MAPS, "default", options).await.unwrap_err().code, 504);
    let options = ListOptions { continue_token: Some("x".into()), ..ListOptions::default() };
    assert_eq!(world.client.list(&CONFIG_MAPS, "default", options).await.unwrap_err().code, 400);
}

fn token_at(revision: u64, start: &str) -> String {
    let json = format!(r#"{{"v":"meta.k8s.io/v1","rv":{revision},"start":"{start}\u0000"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_moment_is_gone_can_go_on_as_things_are() {
    let world = start().await;
    for name in ["a", "b", "c"] {
        world.create(&CONFIG_MAPS, config_map(name, "old")).await.unwrap();
    }
    let page = async |token: Option<String>, namespace: &str| {
        let options = ListOptions { limit: Some(1), continue_token: token, ..ListOptions::default() };
        world.client.list(&CONFIG_MAPS, namespace, options).await
    };
    let first = page(None, "").await.unwrap();
    let large = "x".repeat(1_000_000);
    for round in 0..70 {
        let data = json!({"data": {"key": format!("{round}{large}")}});
        world.merge(&CONFIG_MAPS, "b", "", data).await.unwrap();
    }
    world.delete(&CONFIG_MAPS, "c", DeleteOptions::default()).await.unwrap();
    let gone = page(first.continue_token, "").await.unwrap_err();
    assert!(gone.is_expired() && gone.message.starts_with("The provided continue parameter is too old"));
    let token = gone.to_value()["metadata"]["continue"].as_str().unwrap().to_owned();
    let rest = page(Some(token), "").await.unwrap();
    assert_eq!(rest.items.iter().map(Object::name).collect::<Vec<_>>(), ["b"]);
    assert_eq!((rest.revision, rest.continue_token), (world.registry.store().revision(), None));
}

#[tokio::test(start_paused = true)]
async fn a_revision_means_what_is_said_of_it() {
    let world = start().await;
    world.create(&CONFIG_MAPS, config_map("a", "")).await.unwrap();
    let then = world.registry.store().revision();
    world.create(&CONFIG_MAPS, config_map("b", "")).await.unwrap();
    let row = async |how: Option<RevisionMatch>, limit: Option<usize>, wanted: &[&str]| {
        let revision = Some(then);
        let options = ListOptions { revision, revision_match: how, limit, ..ListOptions::default() };
        assert_eq!(names(&world, &CONFIG_MAPS, options).await, wanted, "{how:?} {limit:?}");
    };
    row(None, None, &["a", "b"]).await;
    row(None, Some(5), &["a"]).await;
    row(Some(RevisionMatch::NotOlderThan), Some(5), &["a", "b"]).await;
    row(Some(RevisionMatch::Exact), None, &["a"]).await;
    let continue_token = Some(token_at(then.0, "a"));
    let both = ListOptions { revision: Some(then), continue_token, ..ListOptions::default() };
    let refused = world.client.list(&CONFIG_MAPS, "default", both).await.unwrap_err();
    assert_eq!(refused.message, "specifying resource version is not allowed when using continue");
    let exact = |revision: u64| ListOptions {
        revision: Some(Revision(revision)),
        revision_match: Some(RevisionMatch::Exact),
        ..ListOptions::default()
    };
    let before = world.client.list(&CONFIG_MAPS, "default", exact(0)).await.unwrap();
    assert_eq!(before.items.len(), 2, "0 is any moment");
}

#[tokio::test(start_paused = true)]
async fn a_list_waits_for_a_revision_that_lies_ahead() {
    let world = start().await;
    let now = world.registry.store().revision();
    let list = async |revision: u64| {
        let options = ListOptions { revision: Some(Revision(revision)), ..ListOptions::default() };
        world.client.list(&CONFIG_MAPS, "default", options).await
    };
    assert_eq!(list(0).await.unwrap().revision, now);
    let create = async { world.create(&CONFIG_MAPS, config_map("a", "")).await };
    let (listed, created) = tokio::join!(list(now.0 + 1), create);
    assert_eq!((listed.unwrap().items.len(), created.is_ok()), (1, true));
    let error = list(now.0 + 100).await.unwrap_err();
    assert_eq!(
        (error.code, error.message),
        (504, format!("Timeout: Too large resource version: {}, current: {}", now.0 + 100, now.0 + 1))
    );
}
