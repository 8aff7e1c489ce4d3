//! Custom kinds whose versions a webhook converts.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{World, names, start_with};
use super::{JSON, MERGE};
use crate::outgoing::tests::Servers;

const APPLY: &str = "application/apply-patch+yaml";

fn path(version: &str) -> String {
    format!("/apis/example.com/{version}/namespaces/default/hosts")
}

/// Hosts have a host and a port in v1, which is stored, and an address in v2.
fn hosts(bundle: &str, url: &str) -> Value {
    let version = |name: &str, fields: Value| {
        json!({"name": name, "served": true, "storage": name == "v1", "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}}})
    };
    let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
    json!({
        "metadata": {"name": "hosts.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "hosts", "kind": "Host"},
            "versions": [version("v1", json!({"host": text, "port": number})), version("v2", json!({"address": text}))],
            "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v3", "v1"],
                "clientConfig": {"url": url, "caBundle": bundle}}},
        },
    })
}

fn host(version: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": "Host", "metadata": {"name": name}, "spec": spec})
}

/// What the webhook makes of an object.
fn converted(mut object: Value, wanted: &str) -> Result<Value, String> {
    let spec = &object["spec"];
    object["spec"] = match wanted {
        "example.com/v2" => match spec["host"].as_str() {
            Some("bad") => return Err("no host is called bad".to_owned()),
            host => json!({"address": format!("{}:{}", host.unwrap_or_default(), spec["port"])}),
        },
        _ => {
            let (host, port) = spec["address"].as_str().and_then(|text| text.split_once(':')).unwrap();
            json!({"host": host, "port": port.parse::<u16>().unwrap()})
        }
    };
    object["apiVersion"] = wanted.into();
    object["metadata"]["labels"]["converted-to"] = wanted.trim_start_matches("example.com/").into();
    Ok(object)
}

fn answer(review: &Value) -> (u16, Value) {
    let request = &review["request"];
    let wanted = request["desiredAPIVersion"].as_str().unwrap();
    let objects = request["objects"].as_array().unwrap().iter().cloned();
    let (objects, result) =
        match objects.map(|object| converted(object, wanted)).collect::<Result<Vec<_>, _>>() {
            Ok(objects) => (objects, json!({"status": "Success"})),
            Err(message) => (Vec::new(), json!({"status": "Failed", "message": message})),
        };
    let response = json!({"uid": request["uid"], "convertedObjects": objects, "result": result});
    (200, json!({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}))
}

async fn world(url: &str) -> World {
    let servers = Servers::empty().with("converter:443", "converter", |_, review| answer(&review)).with(
        "broken:443",
        "broken",
        |_, _| (500, json!({})),
    );
    let definition = hosts(&servers.bundle(), url);
    let world = start_with(Some(Arc::new(servers))).await;
    world.declare(definition).await;
    world
}

#[tokio::test(start_paused = true)]
async fn objects_are_read_and_written_in_a_version_that_is_not_stored() {
    let world = world("https://converter/convert").await;
    world.create(&path("v1"), host("v1", "a", json!({"host": "h", "port": 1}))).await;
    let other = world.get(&format!("{}/a", path("v2"))).await.value();
    assert_eq!(
        (&other["apiVersion"], &other["spec"]),
        (&json!("example.com/v2"), &json!({"address": "h:1"}))
    );
    let created = world.create(&path("v2"), host("v2", "b", json!({"address": "i:2"}))).await;
    assert_eq!(created["spec"], json!({"address": "i:2"}));
    let stored = world.get(&format!("{}/b", path("v1"))).await.value();
    assert_eq!(stored["spec"], json!({"host": "i", "port": 2}));
    assert_eq!(stored["metadata"]["uid"], created["metadata"]["uid"]);
    let labeled = world.get(&format!("{}?labelSelector=converted-to%3Dv1", path("v1"))).await.value();
    assert_eq!(names(&labeled), ["b"], "labels are those that are stored");
    let list = world.get(&path("v2")).await.value();
    let addresses: Vec<&Value> =
        list["items"].as_array().unwrap().iter().map(|item| &item["spec"]["address"]).collect();
    assert_eq!((names(&list), addresses), (vec!["a", "b"], vec![&json!("h:1"), &json!("i:2")]));
    let watched = world.get(&format!("{}?watch=1&timeoutSeconds=5", path("v2"))).await.text();
    assert!(watched.contains(r#""address":"h:1""#) && !watched.contains(r#""port""#), "{watched}");
    let patch = json!({"spec": {"address": "j:3"}});
    let patched = world.send("PATCH", &format!("{}/a", path("v2")), MERGE, &patch).await.value();
    assert_eq!(patched["spec"], json!({"address": "j:3"}));
    let mut replaced = patched.clone();
    replaced["spec"]["address"] = "k:4".into();
    let replaced = world.send("PUT", &format!("{}/a", path("v2")), JSON, &replaced).await;
    assert_eq!(replaced.value()["spec"], json!({"address": "k:4"}), "{}", replaced.text());
    let stored = world.get(&format!("{}/a", path("v1"))).await.value();
    assert_eq!(stored["spec"], json!({"host": "k", "port": 4}));
    let deleted = world.call("DELETE", &format!("{}/a", path("v2")), &[], "").await;
    assert_eq!(deleted.code, 200, "{}", deleted.text());
}

#[tokio::test(start_paused = true)]
async fn fields_have_their_owners_in_every_version() {
    let world = world("https://converter/convert").await;
    let config = |address: &str| host("v2", "a", json!({"address": address}));
    let apply = |manager: &str| format!("{}/a?fieldManager={manager}", path("v2"));
    let applied = world.send("PATCH", &apply("one"), APPLY, &config("h:1")).await;
    assert_eq!(applied.code, 201, "{}", applied.text());
    let managers = |object: &Value| {
        let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let found = world.get(&format!("{}/a", path("v2"))).await.value();
    assert_eq!(managers(&found), ["one"]);
    let again = world.send("PATCH", &apply("one"), APPLY, &config("h:1")).await.value();
    assert_eq!(again["metadata"]["resourceVersion"], found["metadata"]["resourceVersion"], "{again}");
    let refused = world.send("PATCH", &apply("two"), APPLY, &config("h:2")).await;
    assert_eq!(
        refused.failure(),
        r#"409 Conflict Apply failed with 1 conflict: conflict with "one": .spec.address"#
    );
    let patch = json!({"metadata": {"annotations": {"a": "b"}}});
    let patched = world.send("PATCH", &format!("{}/a?fieldManager=three", path("v2")), MERGE, &patch).await;
    assert_eq!(managers(&patched.value()), ["one", "three"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_webhook_does_not_convert_is_told_in_kubernetes_words() {
    let row = async |url: &str, name: &str, words: &str| {
        let world = world(url).await;
        world.create(&path("v1"), host("v1", "a", json!({"host": name, "port": 1}))).await;
        assert_eq!(world.get(&format!("{}/a", path("v1"))).await.code, 200);
        let expected = format!("conversion webhook for example.com/v1, Kind=Host failed: {words}");
        for place in [format!("{}/a", path("v2")), path("v2")] {
            let refused = world.get(&place).await;
            assert_eq!(refused.failure(), format!("500  {expected}"), "{place}");
        }
        let watched = world.get(&format!("{}?watch=1&timeoutSeconds=5", path("v2"))).await.text();
        assert!(watched.contains("\"ERROR\"") && watched.contains("conversion webhook"), "{watched}");
    };
    row("https://converter/convert", "bad", "no host is called bad").await;
    row("https://broken/", "h", "an error on the server (500) has prevented the request from succeeding")
        .await;
    let gone = "Post \"https://gone/?timeout=30s\": dial tcp gone:443: connect: connection refused";
    row("https://gone/", "h", gone).await;
}
