//! How objects end.

use super::*;
use api::backend::{Answer, Propagation};
use api::resource::JOBS;

fn grace(seconds: u64) -> DeleteOptions {
    DeleteOptions { grace_seconds: Some(seconds), ..DeleteOptions::default() }
}

async fn running_pod(world: &World, name: &str) {
    let mut pod = pod(name);
    pod["spec"]["nodeName"] = "n1".into();
    world.create(&PODS, pod).await.unwrap();
}

async fn terms(world: &World, name: &str) -> Option<(String, u64)> {
    let metadata = world.get(&PODS, name).await.ok()?["metadata"].clone();
    let deadline = metadata["deletionTimestamp"].as_str()?[11..19].to_owned();
    Some((deadline, metadata["deletionGracePeriodSeconds"].as_u64()?))
}

#[tokio::test(start_paused = true)]
async fn an_object_without_finalizers_is_gone_at_once() {
    let world = start().await;
    let created = world.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    let wrong = DeleteOptions { uid: Some("other".into()), ..DeleteOptions::default() };
    let refused = world.delete(&CONFIG_MAPS, "a", wrong).await.unwrap_err();
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let words = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other) does not match the UID in \
         record ({uid}). The object might have been deleted and then recreated"
    );
    assert_eq!((refused.code, refused.message), (409, words));
    let stale = DeleteOptions { revision: Some(api::Revision(1)), ..DeleteOptions::default() };
    assert!(world.delete(&CONFIG_MAPS, "a", stale).await.unwrap_err().is_conflict());
    let gone = world.delete(&CONFIG_MAPS, "a", DeleteOptions::default()).await.unwrap();
    let born: u64 = created["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(gone.revision().0 > born && gone.revision() == world.registry.store().revision());
    assert!(world.get(&CONFIG_MAPS, "a").await.unwrap_err().is_not_found());
    assert!(world.delete(&CONFIG_MAPS, "a", DeleteOptions::default()).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let world = start().await;
    let mut held = config_map("a", "1");
    held["metadata"]["finalizers"] = json!(["example.com/one", "example.com/two"]);
    world.create(&CONFIG_MAPS, held).await.unwrap();
    let marked = world.delete(&CONFIG_MAPS, "a", DeleteOptions::default()).await.unwrap();
    assert!(marked.is_terminating());
    let again = world.delete(&CONFIG_MAPS, "a", DeleteOptions::default()).await.unwrap();
    assert_eq!(again.revision(), marked.revision());
    let more =
        json!({"metadata": {"finalizers": ["example.com/one", "example.com/two", "example.com/three"]}});
    let error = world.merge(&CONFIG_MAPS, "a", "", more).await.unwrap_err();
    assert!(error.contains("no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/three\"}"));
    let one = json!({"metadata": {"finalizers": ["example.com/two"]}});
    world.merge(&CONFIG_MAPS, "a", "", one).await.unwrap();
    let unmarked = json!({"metadata": {"deletionTimestamp": null}});
    assert!(
        world.merge(&CONFIG_MAPS, "a", "", unmarked).await.unwrap()["metadata"]["deletionTimestamp"]
            .is_string()
    );
    world.merge(&CONFIG_MAPS, "a", "", json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert!(world.get(&CONFIG_MAPS, "a").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_gets_its_grace_and_its_deadline_only_comes_closer() {
    let world = start().await;
    running_pod(&world, "p").await;
    let row = async |seconds: Option<u64>, deadline: &str, left: u64| {
        let options = DeleteOptions { grace_seconds: seconds, ..DeleteOptions::default() };
        world.delete(&PODS, "p", options).await.unwrap();
        assert_eq!(terms(&world, "p").await, Some((deadline.to_owned(), left)), "{seconds:?}");
    };
    row(None, "00:00:30", 30).await;
    row(None, "00:00:30", 30).await;
    row(Some(60), "00:00:30", 30).await;
    row(Some(10), "00:00:10", 10).await;
    row(Some(20), "00:00:10", 10).await;
    let status = json!({"status": {"phase": "Running"}});
    world.merge(&PODS, "p", "status", status).await.unwrap();
    assert!(terms(&world, "p").await.is_some(), "a pod in its grace is not removed by a write");
    world.delete(&PODS, "p", grace(0)).await.unwrap();
    assert!(world.get(&PODS, "p").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_grace_beyond_all_dates_can_still_be_shortened() {
    let world = start().await;
    for (name, seconds) in [("p", i64::MAX as u64), ("q", u64::MAX)] {
        running_pod(&world, name).await;
        world.delete(&PODS, name, grace(seconds)).await.unwrap();
        world.delete(&PODS, name, grace(10)).await.unwrap();
        assert_eq!(terms(&world, name).await, Some(("00:00:10".to_owned(), 10)), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_run_needs_no_grace() {
    let world = start().await;
    world.create(&PODS, pod("pending")).await.unwrap();
    world.delete(&PODS, "pending", DeleteOptions::default()).await.unwrap();
    assert!(world.get(&PODS, "pending").await.is_err());
    running_pod(&world, "done").await;
    world.merge(&PODS, "done", "status", json!({"status": {"phase": "Succeeded"}})).await.unwrap();
    world.delete(&PODS, "done", grace(30)).await.unwrap();
    assert!(world.get(&PODS, "done").await.is_err());
    running_pod(&world, "now").await;
    world.delete(&PODS, "now", grace(0)).await.unwrap();
    assert!(world.get(&PODS, "now").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn propagation_is_left_to_the_garbage_collector_as_a_finalizer() {
    let world = start().await;
    let row = async |name: &str, propagation, wanted: Option<&str>| {
        world.create(&DEPLOYMENTS, deployment(name)).await.unwrap();
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        world.delete(&DEPLOYMENTS, name, options).await.unwrap();
        let left = world.get(&DEPLOYMENTS, name).await.ok();
        let finalizer = left.map(|left| left["metadata"]["finalizers"][0].as_str().unwrap().to_owned());
        assert_eq!(finalizer.as_deref(), wanted);
    };
    row("a", Propagation::Background, None).await;
    row("b", Propagation::Foreground, Some("foregroundDeletion")).await;
    row("c", Propagation::Orphan, Some("orphan")).await;
    let background = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    world.delete(&DEPLOYMENTS, "c", background).await.unwrap();
    assert!(world.get(&DEPLOYMENTS, "c").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_dependents_follows_the_request_then_the_object_then_the_kind() {
    let world = start().await;
    let job = |name: &str, finalizers: &[&str]| {
        json!({"metadata": {"name": name, "finalizers": finalizers}, "spec": {"template": {"spec":
            {"restartPolicy": "Never", "containers": [{"name": "c", "image": "app"}]}}}})
    };
    let row = async |name: &str, own: &[&str], asked: Option<Propagation>, wanted: &[&str], warned: bool| {
        world.create(&JOBS, job(name, own)).await.unwrap();
        let options = DeleteOptions { propagation: asked, ..DeleteOptions::default() };
        let reply = world.client.call(&JOBS, key(&JOBS, name), "", Verb::Delete(options)).await.unwrap();
        assert_eq!(reply.warnings.len(), usize::from(warned), "{name}");
        let left =
            world.get(&JOBS, name).await.map_or(json!([]), |job| job["metadata"]["finalizers"].clone());
        assert_eq!(left, json!(wanted), "{name}");
    };
    use Propagation::{Background, Foreground, Orphan};
    row("usual", &[], None, &["orphan"], true).await;
    row("background", &[], Some(Background), &[], false).await;
    row("own", &["foregroundDeletion"], None, &["foregroundDeletion"], true).await;
    row("both", &["orphan", "a/b", "foregroundDeletion"], None, &["a/b", "orphan"], true).await;
    row("other", &["a/b", "orphan"], Some(Foreground), &["a/b", "foregroundDeletion"], false).await;
    row("orphan", &["a/b"], Some(Orphan), &["a/b", "orphan"], false).await;
    row("none", &["orphan", "a/b"], Some(Background), &["a/b"], false).await;
    let event = json!({"metadata": {"name": "e"}, "reason": "Tested",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}});
    let events = &api::resource::EVENTS;
    world.create(events, event).await.unwrap();
    let orphaning = DeleteOptions { propagation: Some(Orphan), ..DeleteOptions::default() };
    world.delete(events, "e", orphaning).await.unwrap();
    assert!(world.get(events, "e").await.is_err(), "events own nothing");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_deletes_nothing() {
    let world = start().await;
    running_pod(&world, "p").await;
    world.create(&CONFIG_MAPS, config_map("a", "")).await.unwrap();
    let before = world.registry.store().revision();
    let dry = || DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    let marked = world.delete(&PODS, "p", dry()).await.unwrap();
    assert!(marked.is_terminating());
    world.delete(&CONFIG_MAPS, "a", dry()).await.unwrap();
    let verb = Verb::DeleteCollection(ListOptions::default(), dry());
    let reply = world.client.call(&CONFIG_MAPS, Key::new("default", ""), "", verb).await.unwrap();
    assert!(matches!(reply.answer, Answer::List(list) if list.items.len() == 1));
    assert_eq!(world.registry.store().revision(), before);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_ends_when_it_is_finalized() {
    let world = start().await;
    let error = world.delete(&NAMESPACES, "default", DeleteOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), r#"namespaces "default" is forbidden: this namespace may not be deleted"#);
    let made = world.create(&NAMESPACES, json!({"metadata": {"name": "n"}})).await.unwrap();
    assert_eq!(made["status"]["phase"], "Active");
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
    let marked = world.delete(&NAMESPACES, "n", DeleteOptions::default()).await.unwrap();
    assert_eq!(marked.value()["status"]["phase"], "Terminating");
    let refused = world.client.create(&CONFIG_MAPS, "n", &config_map("a", "")).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.to_string().as_str()),
        (
            403,
            "configmaps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated"
        )
    );
    assert_eq!(refused.details.unwrap().causes[0].reason, "NamespaceTerminating");
    let ignored = json!({"spec": {"finalizers": null}});
    world.merge(&NAMESPACES, "n", "", ignored).await.unwrap();
    let mut finalized = tree(marked);
    finalized["spec"]["finalizers"] = json!([]);
    finalized["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    world.update(&NAMESPACES, "n", "finalize", finalized).await.unwrap();
    assert!(world.get(&NAMESPACES, "n").await.is_err());
    let missing = world.client.create(&CONFIG_MAPS, "n", &config_map("a", "")).await.unwrap_err();
    assert_eq!(missing.to_string(), r#"namespaces "n" not found"#);
}

#[tokio::test(start_paused = true)]
async fn collections_are_deleted_by_selector() {
    let world = start().await;
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut map = config_map(name, "");
        map["metadata"]["labels"] = json!({"app": app});
        world.create(&CONFIG_MAPS, map).await.unwrap();
    }
    let list = ListOptions { labels: "app=x".parse().unwrap(), ..ListOptions::default() };
    let verb = Verb::DeleteCollection(list, DeleteOptions::default());
    let reply = world.client.call(&CONFIG_MAPS, Key::new("default", ""), "", verb).await.unwrap();
    let Answer::List(deleted) = reply.answer else { panic!("a list") };
    assert_eq!(deleted.items.iter().map(Object::name).collect::<Vec<_>>(), ["a", "c"]);
    let left = world.client.list(&CONFIG_MAPS, "", ListOptions::default()).await.unwrap();
    assert_eq!(left.items.iter().map(Object::name).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn events_are_forgotten_an_hour_after_they_were_last_written() {
    let world = start().await;
    let event = |name: &str| {
        json!({"metadata": {"name": name}, "reason": "Tested",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}})
    };
    let events = &api::resource::EVENTS;
    let minutes = |minutes: u64| world.clock.sleep(std::time::Duration::from_secs(60 * minutes));
    world.create(events, event("a")).await.unwrap();
    world.create(events, event("b")).await.unwrap();
    minutes(40).await;
    world.merge(events, "b", "", json!({"count": 2})).await.unwrap();
    minutes(21).await;
    assert!(world.get(events, "a").await.is_err());
    assert!(world.get(events, "b").await.is_ok());
    minutes(41).await;
    assert!(world.get(events, "b").await.is_err());
}
