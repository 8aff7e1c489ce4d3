//! Updates, patches and dry runs.

use super::*;

#[tokio::test(start_paused = true)]
async fn dry_runs_change_nothing() {
    let world = start().await;
    world.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    let before = world.registry.store().revision();
    let dry = || WriteOptions { dry_run: true, ..WriteOptions::default() };
    let create = Verb::Create(Body::Value(config_map("b", "1")), dry());
    let created = world.call(&CONFIG_MAPS, "b", "", create).await.unwrap();
    assert!(!created.uid().is_empty() && created.revision().0 == 0);
    let twice = Verb::Create(Body::Value(config_map("a", "1")), dry());
    assert!(world.call(&CONFIG_MAPS, "a", "", twice).await.unwrap_err().is_already_exists());
    let update = Verb::Update(Body::Value(config_map("a", "2")), dry());
    assert_eq!(world.call(&CONFIG_MAPS, "a", "", update).await.unwrap().value()["data"]["key"], "2");
    let delete = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    world.delete(&CONFIG_MAPS, "a", delete).await.unwrap();
    let service =
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.9"}});
    for _ in 0..2 {
        let create = Verb::Create(Body::Value(service.clone()), dry());
        assert!(world.call(&SERVICES, "s", "", create).await.is_ok(), "nothing stays reserved");
    }
    assert_eq!(world.registry.store().revision(), before);
    assert_eq!(world.get(&CONFIG_MAPS, "a").await.unwrap()["data"]["key"], "1");
}

#[tokio::test(start_paused = true)]
async fn updates_name_the_state_they_change_or_take_the_newest() {
    let world = start().await;
    let first = world.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    let mut second = first.clone();
    second["data"]["key"] = "2".into();
    let second = world.update(&CONFIG_MAPS, "a", "", second).await.unwrap();
    assert_ne!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(
        world.update(&CONFIG_MAPS, "a", "", first.clone()).await.unwrap_err(),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes \
         to the latest version and try again"
    );
    let same = world.update(&CONFIG_MAPS, "a", "", second.clone()).await.unwrap();
    assert_eq!(same, second, "an update that changes nothing keeps the revision");
    let blind = world.update(&CONFIG_MAPS, "a", "", config_map("a", "3")).await.unwrap();
    assert_eq!(blind["metadata"]["uid"], first["metadata"]["uid"]);
    let mut other = blind.clone();
    other["metadata"]["uid"] = "other".into();
    let error = world.update(&CONFIG_MAPS, "a", "", other).await.unwrap_err();
    assert!(error.contains("Precondition failed: UID in precondition: other, UID in object meta: "));
    world.create(&PODS, pod("p")).await.unwrap();
    let late = json!({"metadata": {"uid": "of the pod before"}, "status": {"phase": "Failed"}});
    let error = world.merge(&PODS, "p", "status", late).await.unwrap_err();
    assert!(
        error.starts_with(
            "Operation cannot be fulfilled on pods \"p\": Precondition failed: UID in precondition: of the pod before, \
             UID in object meta: "
        ),
        "{error}"
    );
    let missing = world.update(&CONFIG_MAPS, "b", "", config_map("b", "")).await.unwrap_err();
    assert_eq!(missing, r#"configmaps "b" not found"#);
    let moved = world.update(&CONFIG_MAPS, "a", "", config_map("b", "")).await.unwrap_err();
    assert_eq!(moved, "the name of the object (b) does not match the name on the URL (a)");
    let mut born = blind;
    born["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    let error = world.update(&CONFIG_MAPS, "a", "", born).await.unwrap_err();
    assert!(
        error.contains(
            "metadata.creationTimestamp: Invalid value: \"2020-01-01T00:00:00Z\": field is immutable"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn patches_change_parts() {
    let world = start().await;
    world.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    let merged =
        world.merge(&CONFIG_MAPS, "a", "", json!({"data": {"more": "x", "key": null}})).await.unwrap();
    assert_eq!(merged["data"], json!({"more": "x"}));
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"key": "y"}});
    assert!(world.merge(&CONFIG_MAPS, "a", "", stale).await.unwrap_err().contains("has been modified"));
    let json = async |operations: Value| {
        let verb = Verb::Patch(Patch::Json(Body::Value(operations)), WriteOptions::default());
        world.call(&CONFIG_MAPS, "a", "", verb).await
    };
    let patched = json(json!([{"op": "add", "path": "/data/key", "value": "2"}])).await.unwrap();
    assert_eq!(patched.value()["data"], json!({"key": "2", "more": "x"}));
    let failed = json(json!([{"op": "test", "path": "/data/key", "value": "1"}])).await.unwrap_err();
    assert_eq!(
        (failed.code, failed.to_string().as_str()),
        (422, r#"test operation 0 at "/data/key": the value is "2", not "1""#)
    );
    assert_eq!(json(json!({})).await.unwrap_err().code, 400);
    let error = world.merge(&PODS, "a", "", json!({})).await.unwrap_err();
    assert_eq!(error, r#"pods "a" not found"#);
}

#[tokio::test(start_paused = true)]
async fn concurrent_patches_all_come_through() {
    let world = start().await;
    world.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    let world = &world;
    let patches = (0..12).map(|number| async move {
        let patch = json!({"data": {format!("k{number}"): "x"}});
        world.merge(&CONFIG_MAPS, "a", "", patch).await
    });
    let results = futures::future::join_all(patches).await;
    assert!(results.iter().all(Result::is_ok));
    let data = world.get(&CONFIG_MAPS, "a").await.unwrap()["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), 13);
}
