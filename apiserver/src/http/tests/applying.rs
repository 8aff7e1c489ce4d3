//! Server-side apply, and what every other write does to the owners of fields.

mod sent;

use super::*;
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MAP: &str = "/api/v1/namespaces/default/configmaps/a";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

const APPLY: (&str, &str) = ("content-type", "application/apply-patch+yaml");
const MERGE: (&str, &str) = ("content-type", "application/merge-patch+json");
const KUBECTL: (&str, &str) = ("user-agent", "kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0");

impl World {
    async fn apply(&self, path: &str, query: &str, config: Value) -> Answered {
        self.call("PATCH", &format!("{path}?{query}"), &[APPLY], config.to_string()).await
    }
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn deployment(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    });
    for (name, value) in spec.as_object().into_iter().flatten() {
        object["spec"][name] = value.clone();
    }
    object
}

/// Each owner as `manager operation subresource: fields`, without the fields if they are many.
fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    entries
        .map(|entry| {
            assert!(entry["time"].as_str().is_some_and(|time| time.starts_with("2026-01-01T")));
            assert_eq!(entry["fieldsType"], "FieldsV1");
            let fields = entry["fieldsV1"].to_string();
            let fields = if fields.len() > 80 { "many".to_owned() } else { fields };
            let who = [text(entry, "manager"), text(entry, "operation"), text(entry, "subresource")];
            format!("{}: {fields}", who.join(" ").trim_end())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn applying_creates_changes_and_leaves_alone() {
    let world = start().await;
    let created = world.apply(MAP, "fieldManager=one", map(json!({"x": "1", "y": "1"}))).await;
    assert_eq!(created.code, 201, "{}", created.text());
    assert_eq!(owners(&created.value()), [r#"one Apply: {"f:data":{"f:x":{},"f:y":{}}}"#]);
    let again = world.apply(MAP, "fieldManager=one", map(json!({"x": "1", "y": "1"}))).await;
    assert_eq!((again.code, again.value()), (200, created.value()), "nothing changes, so nothing is written");
    world.clock.sleep(std::time::Duration::from_secs(60)).await;
    let again = world.apply(MAP, "fieldManager=one", map(json!({"x": "1", "y": "1"}))).await;
    assert_eq!(again.value(), created.value(), "nor later");
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"2\"}\n";
    let dry =
        world.call("PATCH", &format!("{MAP}?fieldManager=one&dryRun=All"), &[APPLY], yaml).await.value();
    assert_eq!((&dry["data"], world.get(MAP).await.value()), (&json!({"x": "2"}), created.value()));
    let changed = world.call("PATCH", &format!("{MAP}?fieldManager=one"), &[APPLY], yaml).await.value();
    assert_eq!(changed["data"], json!({"x": "2"}));
    assert_eq!(owners(&changed), [r#"one Apply: {"f:data":{"f:x":{}}}"#]);
    let nothing =
        world.apply(MAP, "fieldManager=one", json!({"apiVersion": "v1", "kind": "ConfigMap"})).await;
    assert_eq!((nothing.value().get("data"), owners(&nothing.value())), (None, vec![]));
}

#[tokio::test(start_paused = true)]
async fn conflicts_are_named_and_force_takes() {
    let world = start().await;
    let object = deployment(json!({"replicas": 1})).to_string();
    let path = format!("{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply");
    let created = world.call("POST", &path, &[], object).await.value();
    assert_eq!(owners(&created), ["kubectl-client-side-apply Update: many"]);
    let path = &format!("{DEPLOYMENTS}/d");
    let config = || deployment(json!({"replicas": 2}));
    let refused = world.apply(path, "fieldManager=me", config()).await;
    assert_eq!(
        refused.failure(),
        r#"409 Conflict Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas"#
    );
    let cause = json!({"reason": "FieldManagerConflict", "field": ".spec.replicas",
        "message": r#"conflict with "kubectl-client-side-apply" using apps/v1"#});
    assert_eq!(refused.value()["details"]["causes"], json!([cause]));
    let taken = world.apply(path, "fieldManager=me&force=true", config()).await.value();
    assert_eq!((&taken["spec"]["replicas"], &taken["metadata"]["generation"]), (&json!(2), &json!(2)));
    // The scale is another door to the same field.
    let scale =
        world.call("PATCH", &format!("{path}/scale"), &[MERGE, KUBECTL], r#"{"spec":{"replicas":3}}"#).await;
    assert_eq!(scale.code, 200);
    let scaled = world.get(path).await.value();
    assert!(owners(&scaled).contains(&r#"kubectl Update scale: {"f:spec":{"f:replicas":{}}}"#.to_owned()));
    let refused = world.apply(path, "fieldManager=me", config()).await.failure();
    let words = r#"409 Conflict Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas"#;
    assert_eq!(refused, words);
    let document = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 4}});
    let scale = world.apply(&format!("{path}/scale"), "fieldManager=auto&force=true", document).await;
    assert_eq!((scale.code, &scale.value()["spec"]["replicas"]), (200, &json!(4)), "{}", scale.text());
    let scaled = world.get(path).await.value();
    assert_eq!(owners(&scaled)[0], r#"auto Apply scale: {"f:spec":{"f:replicas":{}}}"#);
}

#[tokio::test(start_paused = true)]
async fn every_write_keeps_account() {
    let world = start().await;
    let body = json!({"metadata": {"name": "a", "managedFields": [{}]}, "data": {"x": "1"}});
    let created = world.call("POST", MAPS, &[KUBECTL], body.to_string()).await.value();
    assert_eq!(owners(&created), [r#"kubectl Update: {"f:data":{".":{},"f:x":{}}}"#]);
    let patched = world
        .call("PATCH", &format!("{MAP}?fieldManager=b"), &[MERGE], r#"{"data":{"y":"1"}}"#)
        .await
        .value();
    assert_eq!(
        owners(&patched),
        [r#"b Update: {"f:data":{"f:y":{}}}"#, r#"kubectl Update: {"f:data":{".":{},"f:x":{}}}"#]
    );
    // A client that sends back what it read changes nothing of it, nor does one that knows nothing of it.
    let mut next = patched.clone();
    next["data"]["x"] = "2".into();
    let put = world.call("PUT", &format!("{MAP}?fieldManager=c"), &[], next.to_string()).await.value();
    let expected = [
        r#"b Update: {"f:data":{"f:y":{}}}"#,
        r#"c Update: {"f:data":{"f:x":{}}}"#,
        r#"kubectl Update: {"f:data":{}}"#,
    ];
    assert_eq!(owners(&put), expected);
    let mut next = put.clone();
    next["metadata"].as_object_mut().unwrap().remove("managedFields");
    let same = world.call("PUT", MAP, &[], next.to_string()).await.value();
    assert_eq!(same, put);
    let reset = world.call("PATCH", MAP, &[MERGE], r#"{"metadata":{"managedFields":[{}]}}"#).await.value();
    assert!(
        owners(&reset).is_empty()
            && reset["metadata"]["resourceVersion"] != put["metadata"]["resourceVersion"]
    );
    let untracked = world.call("PATCH", MAP, &[MERGE], r#"{"data":{"z":"1"}}"#).await.value();
    assert!(owners(&untracked).is_empty());
    let applied = world.apply(MAP, "fieldManager=d", map(json!({"x": "2"}))).await.value();
    let expected = [
        r#"d Apply: {"f:data":{"f:x":{}}}"#,
        r#"before-first-apply Update: {"f:data":{".":{},"f:x":{},"f:y":{},"f:z":{}}}"#,
    ];
    assert_eq!(owners_untimed(&applied), expected);
}

/// The same where who came later changed nothing, and so has no time.
fn owners_untimed(object: &Value) -> Vec<String> {
    let mut object = object.clone();
    for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        entry["time"] = "2026-01-01T00:00:00Z".into();
    }
    owners(&object)
}

#[tokio::test(start_paused = true)]
async fn a_status_has_owners_of_its_own() {
    let world = start().await;
    let path = format!("{DEPLOYMENTS}/d");
    world.apply(&path, "fieldManager=me", deployment(json!({}))).await;
    let mut config = deployment(json!({}));
    config["status"] = json!({"replicas": 2, "conditions": [{"type": "A", "status": "True"}]});
    let query = "fieldManager=controller";
    let applied = world.apply(&format!("{path}/status"), query, config).await;
    assert_eq!(applied.code, 200, "{}", applied.text());
    let found = owners(&applied.value());
    assert_eq!(found[0], "controller Apply status: many");
    let fields = &applied.value()["metadata"]["managedFields"][0]["fieldsV1"];
    let condition = json!({".": {}, "f:status": {}, "f:type": {}});
    assert_eq!(
        *fields,
        json!({"f:status": {"f:replicas": {}, "f:conditions": {"k:{\"type\":\"A\"}": condition}}})
    );
    let body = r#"{"spec":{"paused":true},"status":{"replicas":3}}"#;
    let patched = world.call("PATCH", &format!("{path}/status"), &[MERGE, KUBECTL], body).await.value();
    assert!(
        owners(&patched).contains(&r#"kubectl Update status: {"f:status":{"f:replicas":{}}}"#.to_owned())
    );
    let absent = world.apply(&format!("{DEPLOYMENTS}/none/status"), query, deployment(json!({}))).await;
    assert_eq!(absent.failure(), r#"404 NotFound deployments.apps "none" not found"#);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_applied_is_refused_in_kubernetes_words() {
    let world = start().await;
    let row = async |query: &str, config: &Value, words: &str| {
        assert_eq!(world.apply(MAP, query, config.clone()).await.failure(), words, "{config}");
        assert_eq!(world.get(MAP).await.code, 404);
    };
    let with = |path: &str, value: Value| {
        let mut config = map(json!({}));
        match path.rsplit_once('/') {
            Some((parent, last)) => config.pointer_mut(parent).unwrap()[last] = value,
            None => config = value,
        }
        config
    };
    let required = r#"422 Invalid PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#;
    row("", &map(json!({})), required).await;
    let me = "fieldManager=me";
    row(me, &json!({}), "400 BadRequest invalid object type: /, Kind=").await;
    row(me, &with("/apiVersion", "v2".into()), "400 BadRequest invalid object type: /v2, Kind=ConfigMap")
        .await;
    row(me, &with("/metadata/managedFields", json!([])), "400 BadRequest metadata.managedFields must be nil")
        .await;
    row(
        me,
        &with("/spec", json!({})),
        "500  failed to create typed patch object (/a; /v1, Kind=ConfigMap): .spec: field not declared in schema",
    )
    .await;
    row(
        me,
        &with("/metadata/name", "b".into()),
        "400 BadRequest the name of the object (b) does not match the name on the URL (a)",
    )
    .await;
    row(
        me,
        &with("/metadata/uid", "u".into()),
        r#"409 Conflict Operation cannot be fulfilled on configmaps "a": uid mismatch: the provided object specified uid u, and no existing object was found"#,
    )
    .await;
    let text = world.call("PATCH", &format!("{MAP}?{me}"), &[APPLY], "a: [").await;
    assert!(
        text.failure()
            .starts_with("400 BadRequest error decoding YAML: error converting YAML to JSON: yaml: line")
    );
    world.apply(MAP, me, map(json!({}))).await;
    let stale = with("/metadata/resourceVersion", "1".into());
    let words = r#"409 Conflict Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#;
    assert_eq!(world.apply(MAP, me, stale).await.failure(), words);
}
