//! Owners of fields that clients send, that own in other versions, and whose types change.

use super::super::custom::{DEFINITIONS, cron_tabs};
use super::*;

const TAB: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs/a";
const SCALERS: &str = "namespaces/default/horizontalpodautoscalers";

fn entry(manager: &str, operation: &str, version: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": version, "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields})
}

#[tokio::test(start_paused = true)]
async fn who_creates_owns_what_it_creates_whatever_it_says_of_others() {
    let world = start().await;
    let row = async |name: &str, sent: Value, expected: &[&str]| {
        let body = json!({"metadata": {"name": name, "managedFields": sent}, "data": {"x": "1"}});
        let created = world.call("POST", &format!("{MAPS}?fieldManager=me"), &[], body.to_string()).await;
        assert_eq!(created.code, 201, "{}", created.text());
        assert_eq!(owners(&created.value()), expected, "{sent}");
    };
    let mine = r#"me Update: {"f:data":{".":{},"f:x":{}}}"#;
    let data = |fields: Value| json!({"f:data": fields});
    row("a", json!([entry("b", "Update", "v1", data(json!({".": {}, "f:x": {}})))]), &[mine]).await;
    let other = r#"b Apply: {"f:data":{"f:gone":{}}}"#;
    let two = data(json!({"f:x": {}, "f:gone": {}}));
    row("b", json!([entry("b", "Apply", "v1", two.clone())]), &[other, mine]).await;
    row("c", json!([entry("b", "Apply", "v9", two.clone())]), &[mine]).await;
    row("d", json!([entry("b", "Other", "v1", two.clone())]), &[mine]).await;
    row("e", json!([{}]), &[mine]).await;
    let twice = [entry("b", "Apply", "v1", data(json!({"f:y": {}}))), entry("b", "Apply", "v1", two)];
    row("f", json!(twice), &[other, mine]).await;
}

#[tokio::test(start_paused = true)]
async fn owners_that_clients_send_are_checked() {
    let world = start().await;
    let fields = json!({"f:data": {"f:gone": {}}});
    let mut wrong = entry("b\n", "Apply", "v1", fields.clone());
    wrong["subresource"] = "s".repeat(257).into();
    let sent = json!([wrong, entry(&"m".repeat(129), "Update", "v1", fields)]);
    let body = json!({"metadata": {"name": "a", "managedFields": sent}, "data": {"x": "1"}});
    let words = "422 Invalid ConfigMap \"a\" is invalid: [metadata.managedFields[0].manager: Invalid value: \"b\\n\": invalid character U+000A (at position 1), metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes, metadata.managedFields[1].manager: Too long: may not be more than 128 bytes]";
    assert_eq!(world.call("POST", MAPS, &[], body.to_string()).await.failure(), words);
    world.config_map("a").await;
    assert_eq!(world.call("PUT", MAP, &[], body.to_string()).await.failure(), words);
    // A status says nothing of owners.
    let node = json!({"metadata": {"name": "n"}});
    world.create("/api/v1/nodes", node).await;
    let body = json!({"metadata": {"managedFields": sent}});
    let patched = world.call("PATCH", "/api/v1/nodes/n/status", &[MERGE], body.to_string()).await;
    assert_eq!(patched.code, 200, "{}", patched.text());
}

#[tokio::test(start_paused = true)]
async fn fields_are_owned_in_the_version_they_were_written_in() {
    let world = start().await;
    let path = |version: &str| format!("/apis/autoscaling/{version}/{SCALERS}/h");
    let scaler = |version: &str, more: Value| {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
        let mut spec = json!({"scaleTargetRef": target, "maxReplicas": 5});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec})
    };
    let cpu = |percent: u64| {
        json!({"metrics": [{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": percent}}}]})
    };
    let old = || scaler("v1", json!({"targetCPUUtilizationPercentage": 50}));
    let created = world.apply(&path("v1"), "fieldManager=one", old()).await;
    assert_eq!(created.code, 201, "{}", created.text());
    let own = r#"one Apply: {"f:spec":{"f:maxReplicas":{},"f:scaleTargetRef":{},"f:targetCPUUtilizationPercentage":{}}}"#;
    assert_eq!(fields_of(&created.value(), "one"), own);
    let current = world.get(&path("v2")).await.value();
    assert_eq!(fields_of(&current, "one"), own);
    assert_eq!(current["metadata"]["managedFields"][0]["apiVersion"], "autoscaling/v1");
    // The field of version 1 is what stands in the list of version 2.
    let refused = world.apply(&path("v2"), "fieldManager=two", scaler("v2", cpu(60))).await;
    let words = r#"409 Conflict Apply failed with 1 conflict: conflict with "one": .spec.targetCPUUtilizationPercentage"#;
    assert_eq!(refused.failure(), words);
    let taken = world.apply(&path("v2"), "fieldManager=two&force=true", scaler("v2", cpu(60))).await.value();
    assert_eq!(fields_of(&taken, "one"), own.replace(r#","f:targetCPUUtilizationPercentage":{}"#, ""));
    // Who goes over to another version gives up what it names no more, by its old name.
    let path_two = path("v2");
    world.call("DELETE", &path_two, &[], "").await;
    world.apply(&path("v1"), "fieldManager=one", old()).await;
    let without = world.apply(&path_two, "fieldManager=one", scaler("v2", json!({}))).await.value();
    // Nobody says which use of the CPU is wanted, so it is the usual one.
    assert_eq!(without["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
    assert_eq!(without["metadata"]["managedFields"][0]["apiVersion"], "autoscaling/v2");
    // So is what is written in another way.
    let body = r#"{"spec":{"targetCPUUtilizationPercentage":70}}"#;
    let patched =
        world.call("PATCH", &format!("{}?fieldManager=p", path("v1")), &[MERGE], body).await.value();
    assert_eq!(fields_of(&patched, "p"), r#"p Update: {"f:spec":{"f:targetCPUUtilizationPercentage":{}}}"#);
}

/// What one manager owns.
fn fields_of(object: &Value, manager: &str) -> String {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["manager"] == manager).unwrap();
    format!("{manager} {}: {}", entry["operation"].as_str().unwrap(), entry["fieldsV1"])
}

#[tokio::test(start_paused = true)]
async fn what_a_definition_makes_one_value_is_owned_as_one() {
    let world = start().await;
    let with = |kind: &str, keys: &[&str]| {
        let mut definition = cron_tabs();
        let text = json!({"type": "string"});
        let item = json!({"type": "object", "required": keys, "properties": {"name": text, "zone": text, "image": text}});
        let mut list = json!({"type": "array", "items": item, "x-kubernetes-list-type": kind});
        if kind == "map" {
            list["x-kubernetes-list-map-keys"] = json!(keys);
        }
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            ["parts"] = list;
        definition
    };
    let tab = |parts: Value| {
        json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "a"},
            "spec": {"cronSpec": "* * * * *", "parts": parts}})
    };
    let change = async |to: Value| {
        let path = format!("{DEFINITIONS}/crontabs.stable.example.com");
        let patch = json!({"spec": {"versions": to["spec"]["versions"]}});
        let patched = world.call("PATCH", &path, &[MERGE], patch.to_string()).await;
        assert_eq!(patched.code, 200, "{}", patched.text());
        let parts = "properties/spec/properties/parts/x-kubernetes-list-type";
        let wanted = to.pointer(&format!("/spec/versions/0/schema/openAPIV3Schema/{parts}")).unwrap();
        let shown = format!("/components/schemas/com.example.stable.v1.CronTab/{parts}");
        let served = "/openapi/v3/apis/stable.example.com/v1";
        world.until(served, |found| found.pointer(&shown) == Some(wanted)).await;
    };
    world.declare(with("map", &["name"])).await;
    let parts = json!([{"name": "x", "zone": "1", "image": "i"}]);
    let created = world.apply(TAB, "fieldManager=one", tab(parts.clone())).await;
    assert_eq!(created.code, 201, "{}", created.text());
    change(with("atomic", &["name"])).await;
    let other = json!([{"name": "x", "zone": "1", "image": "j"}]);
    let refused = world.apply(TAB, "fieldManager=two", tab(other.clone())).await;
    let words = r#"409 Conflict Apply failed with 1 conflict: conflict with "one": .spec.parts"#;
    assert_eq!(refused.failure(), words);
    let patched = world.call("PATCH", TAB, &[MERGE], r#"{"spec":{"image":"b"}}"#).await.value();
    let own = r#"one Apply: {"f:spec":{"f:cronSpec":{},"f:parts":{}}}"#;
    assert_eq!(fields_of(&patched, "one"), own);
    // Back again, it owns the list itself and nothing within it.
    change(with("map", &["name"])).await;
    let shared = world.apply(TAB, "fieldManager=two", tab(other)).await;
    assert_eq!((shared.code, fields_of(&shared.value(), "one").as_str()), (200, own), "{}", shared.text());
    assert_eq!(shared.value()["spec"]["parts"][0]["image"], "j");
}

#[tokio::test(start_paused = true)]
async fn a_scale_owns_the_replicas_wherever_they_stand() {
    let world = start().await;
    let mut definition = cron_tabs();
    let version = &mut definition["spec"]["versions"][0];
    version["subresources"]["scale"]["specReplicasPath"] = ".spec.size".into();
    world.declare(definition).await;
    let tab = json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "a"},
        "spec": {"cronSpec": "* * * * *", "size": 2}});
    world.apply(TAB, "fieldManager=one", tab).await;
    let scale = |replicas: u64| {
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "a", "labels": {"not": "kept"}}, "spec": {"replicas": replicas}})
    };
    let path = format!("{TAB}/scale");
    let words = r#"409 Conflict Apply failed with 1 conflict: conflict with "one": .spec.replicas"#;
    assert_eq!(world.apply(&path, "fieldManager=auto", scale(3)).await.failure(), words);
    let scaled = world.apply(&path, "fieldManager=auto&force=true", scale(3)).await;
    assert_eq!((scaled.code, &scaled.value()["spec"]["replicas"]), (200, &json!(3)), "{}", scaled.text());
    let object = world.get(TAB).await.value();
    assert_eq!((&object["spec"]["size"], object["metadata"].get("labels")), (&json!(3), None));
    assert_eq!(fields_of(&object, "auto"), r#"auto Apply: {"f:spec":{"f:size":{}}}"#);
    assert_eq!(fields_of(&object, "one"), r#"one Apply: {"f:spec":{"f:cronSpec":{}}}"#);
    let body = r#"{"spec":{"replicas":4}}"#;
    world.call("PATCH", &path, &[MERGE, KUBECTL], body).await;
    let words = r#"409 Conflict Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using autoscaling/v1: .spec.replicas"#;
    assert_eq!(world.apply(&path, "fieldManager=auto", scale(5)).await.failure(), words);
}
