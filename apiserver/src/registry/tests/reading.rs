//! Lists: selectors, pages, moments.

use super::*;
use api::Revision;

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
    let options = ListOptions { continue_token: Some("1:default/a".into()), ..ListOptions::default() };
    world.client.list(&CONFIG_MAPS, "default", options).await.unwrap();
    let options = ListOptions { continue_token: Some("0:default/a".into()), ..ListOptions::default() };
    assert!(world.client.list(&CONFIG_MAPS, "default", options).await.unwrap_err().is_expired());
    let token = format!("{}:default/a", u64::MAX);
    let options = ListOptions { continue_token: Some(token), ..ListOptions::default() };
    assert_eq!(world.client.list(&CONFIG_MAPS, "default", options).await.unwrap_err().code, 504);
    let options = ListOptions { continue_token: Some("x".into()), ..ListOptions::default() };
    assert_eq!(world.client.list(&CONFIG_MAPS, "default", options).await.unwrap_err().code, 400);
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
