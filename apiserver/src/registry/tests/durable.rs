//! On disk and on several threads.

use std::collections::BTreeSet;

use super::*;
use crate::Storage;

async fn open(path: &std::path::Path, tasks: &mut JoinSet<()>) -> Client {
    let storage = Storage::File(path.to_owned());
    let config = Config { storage, ..Config::in_memory(Clock::real(), 1) };
    let registry = Apiserver::start(config, tasks).await.unwrap();
    Client::new(registry, User::component("test"))
}

async fn services(client: &Client) -> Vec<Object> {
    let list = client.list(&SERVICES, "", ListOptions::default()).await;
    list.unwrap().items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_there_after_a_restart_and_nothing_was_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut tasks = JoinSet::new();
    let client = open(&path, &mut tasks).await;
    let mut writers = JoinSet::new();
    for number in 0..64 {
        let client = client.clone();
        writers.spawn(async move {
            let service = json!({"metadata": {"name": format!("s{number:02}")},
                "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
            client.create(&SERVICES, "default", &service).await
        });
    }
    let written = writers.join_all().await;
    assert!(written.iter().all(Result::is_ok));
    let before = services(&client).await;
    let given = |field: fn(&Value) -> String| {
        let texts = before.iter().map(|service| field(service.value()));
        texts.collect::<BTreeSet<String>>().len()
    };
    assert_eq!(given(|service| service["spec"]["clusterIP"].to_string()), 64);
    assert_eq!(given(|service| service["spec"]["ports"][0]["nodePort"].to_string()), 64);
    tasks.shutdown().await;
    drop(client);
    let client = open(&path, &mut tasks).await;
    let after = services(&client).await;
    let texts = |services: &[Object]| -> Vec<bytes::Bytes> {
        services.iter().map(|service| service.json().clone()).collect()
    };
    assert_eq!(texts(&after), texts(&before));
    let last = before.iter().map(Object::revision).max().unwrap();
    let map = config_map("a", "1");
    let next = client.create(&CONFIG_MAPS, "default", &map).await.unwrap();
    assert!(next.revision() > last);
    assert!(before.iter().all(|service| service.uid() != next.uid()), "not even with the same seed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_that_meet_all_come_through_and_only_one_of_equal_updates() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = JoinSet::new();
    let client = open(&folder.path().join("store"), &mut tasks).await;
    let map = config_map("a", "1");
    let created = client.create(&CONFIG_MAPS, "default", &map).await.unwrap();
    let key = Key::new("default", "a");
    let mut patches = JoinSet::new();
    for number in 0..32 {
        let (client, key) = (client.clone(), key.clone());
        patches.spawn(async move {
            let patch = json!({"data": {format!("k{number}"): "x"}});
            client.patch(&CONFIG_MAPS, &key, "", patch).await
        });
    }
    assert!(patches.join_all().await.iter().all(Result::is_ok));
    let patched = client.get(&CONFIG_MAPS, &key).await.unwrap();
    assert_eq!(patched.value()["data"].as_object().unwrap().len(), 33);
    assert!(patched.revision() > created.revision());
    let mut updates = JoinSet::new();
    for number in 0..8 {
        let (client, key) = (client.clone(), key.clone());
        let mut new = patched.value().clone();
        new["data"]["key"] = format!("new {number}").into();
        updates.spawn(async move { client.update(&CONFIG_MAPS, &key, &new).await });
    }
    let updated = updates.join_all().await;
    assert_eq!(updated.iter().filter(|result| result.is_ok()).count(), 1);
    let failed = updated.iter().filter_map(|result| result.as_ref().err());
    assert!(failed.clone().count() == 7 && failed.into_iter().all(Status::is_conflict));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_patch_that_meets_the_removal_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = JoinSet::new();
    let client = open(&folder.path().join("store"), &mut tasks).await;
    let mut patchers = JoinSet::new();
    for number in 0..64 {
        let name = format!("m{number}");
        client.create(&CONFIG_MAPS, "default", &config_map(&name, "1")).await.unwrap();
        let (patcher, deleter) = (client.clone(), client.clone());
        let key = Key::new("default", name);
        let of = key.clone();
        patchers.spawn(async move {
            patcher.patch(&CONFIG_MAPS, &of, "", json!({"data": {"key": "2"}})).await.map(drop)
        });
        patchers.spawn(async move {
            deleter.delete(&CONFIG_MAPS, &key, DeleteOptions::default()).await.map(drop)
        });
    }
    for answer in patchers.join_all().await {
        assert!(answer.as_ref().err().is_none_or(Status::is_not_found), "{answer:?}");
    }
}
