//! Evictions and disruption budgets.

use super::*;
use api::resource::POD_DISRUPTION_BUDGETS;

/// Evicts a pod; the code and the words of the refusal, or of what came of it.
async fn evict(world: &World, name: &str, options: Value) -> String {
    evict_as(world, name, "policy/v1", options).await
}

async fn evict_as(world: &World, name: &str, version: &str, options: Value) -> String {
    let eviction = json!({"apiVersion": version, "kind": "Eviction", "metadata": {"name": name},
        "deleteOptions": options});
    let verb = Verb::Create(Body::Value(eviction), WriteOptions::default());
    match world.call(&PODS, name, "eviction", verb).await {
        Ok(_) => "evicted".to_owned(),
        Err(status) => {
            let cause = status.details.as_ref().and_then(|details| details.causes.first());
            format!("{} {} {}", status.code, status.message, cause.map_or("", |cause| &cause.message))
        }
    }
}

async fn web_pod(world: &World, name: &str, phase: &str, is_ready: bool) {
    let mut pod = pod(name);
    pod["metadata"]["labels"] = json!({"app": "web"});
    pod["spec"]["nodeName"] = "n1".into();
    world.create(&PODS, pod).await.unwrap();
    let ready = if is_ready { "True" } else { "False" };
    let status = json!({"status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}});
    world.merge(&PODS, name, "status", status).await.unwrap();
}

async fn budget(world: &World, name: &str, status: Value) {
    let budget = json!({"metadata": {"name": name}, "spec": {"minAvailable": 1,
        "selector": {"matchLabels": {"app": "web"}}}});
    let _ = world.create(&POD_DISRUPTION_BUDGETS, budget).await;
    world.merge(&POD_DISRUPTION_BUDGETS, name, "status", json!({"status": status})).await.unwrap();
}

fn counted(allowed: i64, healthy: i64, desired: i64) -> Value {
    json!({"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": healthy,
        "desiredHealthy": desired, "expectedPods": healthy})
}

const REFUSED: &str = "429 Cannot evict pod as it would violate the pod's disruption budget.";

#[tokio::test(start_paused = true)]
async fn a_budget_allows_so_many_evictions_and_keeps_books() {
    let world = start().await;
    for name in ["a", "b", "c"] {
        web_pod(&world, name, "Running", true).await;
    }
    budget(&world, "web", counted(2, 3, 1)).await;
    let dry = json!({"dryRun": ["All"]});
    assert!(evict(&world, "a", dry).await.starts_with("400 Non-matching dry-run options"));
    assert_eq!(evict(&world, "a", json!({"gracePeriodSeconds": 0})).await, "evicted");
    assert!(world.get(&PODS, "a").await.is_err());
    assert_eq!(evict_as(&world, "b", "policy/v1beta1", Value::Null).await, "evicted");
    let gone = world.get(&PODS, "b").await.unwrap();
    assert_eq!(gone["metadata"]["deletionGracePeriodSeconds"], 30);
    let conditions = gone["status"]["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!(
        (&target["status"], &target["reason"], &target["message"]),
        (&json!("True"), &json!("EvictionByEvictionAPI"), &json!("Eviction API: evicting"))
    );
    let books = world.get(&POD_DISRUPTION_BUDGETS, "web").await.unwrap()["status"].clone();
    assert_eq!(books["disruptionsAllowed"], 0);
    let disrupted = json!({"a": "2026-01-01T00:00:00Z", "b": "2026-01-01T00:00:00Z"});
    assert_eq!(books["disruptedPods"], disrupted);
    assert_eq!(
        (&books["conditions"][0]["type"], &books["conditions"][0]["reason"]),
        (&json!("DisruptionAllowed"), &json!("InsufficientPods"))
    );
    let words = format!("{REFUSED} The disruption budget web needs 1 healthy pods and has 3 currently");
    assert_eq!(evict(&world, "c", Value::Null).await, words);
    assert!(world.get(&PODS, "c").await.unwrap()["metadata"].get("deletionTimestamp").is_none());
    assert_eq!(evict(&world, "b", Value::Null).await, "evicted", "what ends already is not counted again");
}

#[tokio::test(start_paused = true)]
async fn what_no_budget_guards_is_evicted() {
    let world = start().await;
    let row = async |name: &str, phase: &str, is_ready: bool, status: Value, expected: &str| {
        web_pod(&world, name, phase, is_ready).await;
        budget(&world, "web", status).await;
        assert_eq!(evict(&world, name, json!({"gracePeriodSeconds": 0})).await, expected, "{name}");
        let _ = world
            .delete(&PODS, name, DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() })
            .await;
    };
    row("pending", "Pending", false, counted(0, 0, 1), "evicted").await;
    row("failed", "Failed", false, counted(0, 0, 1), "evicted").await;
    row("unready", "Running", false, counted(0, 2, 2), "evicted").await;
    let missing = format!("{REFUSED} The disruption budget web needs 2 healthy pods and has 1 currently");
    row("needed", "Running", false, counted(0, 1, 2), &missing).await;
    let busy = format!("{REFUSED} The disruption budget web is still being processed by the server.");
    row("new", "Running", true, json!({"observedGeneration": 0, "disruptionsAllowed": 5}), &busy).await;
    budget(&world, "other", counted(1, 2, 1)).await;
    let two = "500 This pod has more than one PodDisruptionBudget, which the eviction subresource does not support. ";
    row("two", "Running", true, counted(1, 2, 1), two).await;
    assert!(evict(&world, "nobody", Value::Null).await.starts_with("404 pods \"nobody\" not found"));
}

#[tokio::test(start_paused = true)]
async fn containers_for_debugging_are_only_added() {
    let world = start().await;
    world.create(&PODS, pod("p")).await.unwrap();
    let add = |container: Value| json!({"spec": {"ephemeralContainers": [container]}});
    let strategic = async |patch: Value| {
        let verb = Verb::Patch(Patch::Strategic(Body::Value(patch)), WriteOptions::default());
        world.call(&PODS, "p", "ephemeralcontainers", verb).await.map(tree).map_err(|status| status.message)
    };
    let added =
        strategic(add(json!({"name": "debug", "image": "shell", "targetContainerName": "c"}))).await.unwrap();
    let debug = &added["spec"]["ephemeralContainers"][0];
    assert_eq!((&debug["imagePullPolicy"], &added["metadata"]["generation"]), (&json!("Always"), &json!(2)));
    let two = strategic(add(json!({"name": "more", "image": "shell:1"}))).await.unwrap();
    assert_eq!(two["spec"]["ephemeralContainers"].as_array().unwrap().len(), 2);
    let row = async |container: Value, words: &str| {
        let refused = strategic(add(container)).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
    };
    row(json!({"name": "c", "image": "x"}), "spec.ephemeralContainers[0].name: Duplicate value: \"c\"").await;
    row(
        json!({"name": "x", "image": "x", "targetContainerName": "nobody"}),
        "targetContainerName: Not found: \"nobody\"",
    )
    .await;
    row(
        json!({"name": "x", "image": "x", "ports": [{"containerPort": 1}]}),
        "ports: Forbidden: cannot be set for an Ephemeral Container",
    )
    .await;
    row(
        json!({"name": "debug", "image": "other"}),
        "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be changed",
    )
    .await;
    let none =
        world.merge(&PODS, "p", "ephemeralcontainers", json!({"spec": {"ephemeralContainers": null}})).await;
    assert!(none.unwrap_err().contains("existing ephemeral containers \"debug\" may not be removed"));
    let other = strategic(json!({"spec": {"containers": [{"name": "c", "image": "new"}]}})).await.unwrap();
    assert_eq!(other["spec"]["containers"][0]["image"], "app:1", "nothing else changes here");
    let mut at_once = pod("q");
    at_once["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": "shell"}]);
    let refused = world.create(&PODS, at_once).await.unwrap_err();
    assert!(refused.contains("spec.ephemeralContainers: Forbidden: cannot be set on create"), "{refused}");
}
