//! Custom kinds as clients see them: declared, used, changed, deleted.

mod conversion;
mod versions;

use serde_json::{Value, json};

use super::{Answered, World, names, start};

pub(super) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TABS: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";

/// The example of Kubernetes' documentation, with more in it.
pub(super) fn cron_tabs() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["cronSpec"],
        "properties": {
            "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
            "image": {"type": "string", "default": "app:1"},
            "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "port": {"x-kubernetes-int-or-string": true},
            "size": {"type": "integer"},
        },
        "x-kubernetes-validations": [
            {"rule": "self.replicas <= 5 || self.image != 'small'", "message": "small has at most 5"},
            {"rule": "!has(oldSelf.size) || self.size >= oldSelf.size", "message": "size only grows"},
        ],
    });
    let status = json!({"type": "object", "properties": {"replicas": {"type": "integer"},
        "selector": {"type": "string"}, "phase": {"type": "string"}}});
    json!({
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                "additionalPrinterColumns": [
                    {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "selectableFields": [{"jsonPath": ".spec.image"}],
            }],
        },
    })
}

fn tab(name: &str) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
        "spec": {"cronSpec": "* * * * */5"}})
}

impl World {
    /// Declares a kind and waits until it is served.
    pub(super) async fn declare(&self, definition: Value) -> Value {
        let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
        self.create(DEFINITIONS, definition).await;
        self.until(&format!("{DEFINITIONS}/{name}"), |found| {
            condition(found, "Established").is_some_and(|one| one["status"] == "True")
        })
        .await
    }

    /// Waits until an object is as it should be; every task of the server gets its turn in between.
    pub(super) async fn until(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1000 {
            let found = self.get(path).await.value();
            if is_right(&found) {
                return found;
            }
            tokio::task::yield_now().await;
        }
        panic!("{path} does not become what it should: {}", self.get(path).await.text());
    }

    pub(super) async fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Answered {
        self.call(method, path, &[("content-type", kind)], body.to_string()).await
    }
}

pub(super) fn condition<'a>(definition: &'a Value, of: &str) -> Option<&'a Value> {
    definition["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == of)
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

#[tokio::test]
async fn a_definition_is_established_and_its_kind_served() {
    let world = start().await;
    assert_eq!(world.get(TABS).await.code, 404);
    let definition = world.declare(cron_tabs()).await;
    let accepted = condition(&definition, "NamesAccepted").unwrap();
    assert_eq!(accepted["reason"], "NoConflicts");
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(definition["status"]["acceptedNames"]["listKind"], "CronTabList");
    assert_eq!(definition["spec"]["conversion"], json!({"strategy": "None"}));
    let created = world.create(TABS, tab("a")).await;
    assert_eq!(created["spec"], json!({"cronSpec": "* * * * */5", "image": "app:1", "replicas": 1}));
    assert_eq!(created["metadata"]["generation"], 1);
    let list = world.get(TABS).await.value();
    assert_eq!((list["kind"].as_str(), names(&list)), (Some("CronTabList"), vec!["a"]));
    assert_eq!(world.get(&format!("{TABS}/a")).await.value(), created);
}

#[tokio::test]
async fn nothing_is_counted_of_a_kind_that_is_gone() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create(TABS, tab("a")).await;
    let is_counted = async || world.get("/metrics").await.text().contains("crontabs");
    assert!(is_counted().await);
    let definition = format!("{DEFINITIONS}/crontabs.stable.example.com");
    assert_eq!(world.call("DELETE", &definition, &[], "").await.code, 200);
    world.until(TABS, |found| found["code"] == 404).await;
    assert!(!is_counted().await, "{}", world.get("/metrics").await.text());
}

#[tokio::test]
async fn what_is_declared_is_discovered_and_explained() {
    let world = start().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let before = world.call("GET", "/apis", &[("accept", accept)], "").await;
    world.declare(cron_tabs()).await;
    let after = world.call("GET", "/apis", &[("accept", accept)], "").await;
    assert_ne!(before.header("etag"), after.header("etag"));
    let listed = world.get("/apis/stable.example.com/v1").await.value();
    let named =
        |name: &str| listed["resources"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(named("crontabs")["shortNames"], json!(["ct"]));
    assert_eq!(named("crontabs")["singularName"], "crontab");
    assert_eq!(named("crontabs/scale")["kind"], "Scale");
    assert_eq!(named("crontabs/status")["kind"], "CronTab");
    let document = world.get("/openapi/v3/apis/stable.example.com/v1").await;
    assert!(document.code == 200 && document.text().contains("cronSpec"), "{}", document.code);
}

#[tokio::test]
async fn objects_are_checked_by_the_schema_and_the_rules() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    let row = async |spec: Value, expected: &str| {
        let mut object = tab("a");
        object["spec"] = spec;
        let failed = world.send("POST", TABS, JSON, &object).await;
        assert_eq!(
            failed.failure(),
            format!("422 Invalid CronTab.stable.example.com \"a\" is invalid: {expected}")
        );
    };
    row(
        json!({"cronSpec": "* * * * *", "replicas": 11}),
        "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
    )
    .await;
    row(
        json!({"cronSpec": "* * * * *", "replicas": 6, "image": "small"}),
        "spec: Invalid value: \"object\": small has at most 5",
    )
    .await;
    row(
        json!({"cronSpec": "x"}),
        r#"spec.cronSpec: Invalid value: "x": spec.cronSpec in body should match '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'"#,
    )
    .await;
    row(
        json!({}),
        "[spec.cronSpec: Required value, <nil>: Invalid value: \"null\": some validation rules were not checked because \
         the object was invalid; correct the existing errors to complete validation]",
    )
    .await;
    let mut other = tab("a");
    other["apiVersion"] = "stable.example.com/v2".into();
    let failed = world.send("POST", TABS, JSON, &other).await;
    assert_eq!(failed.code, 400, "{}", failed.text());
}

#[tokio::test]
async fn unknown_fields_are_dropped_told_or_refused() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    let mut object = tab("a");
    object["spec"]["unknown"] = 1.into();
    object["spec"]["open"] = json!({"any": {"thing": 1}});
    object["metadata"]["unknown"] = 1.into();
    let strict = world.send("POST", &format!("{TABS}?fieldValidation=Strict"), JSON, &object).await;
    assert_eq!(
        strict.failure(),
        "400 BadRequest CronTab in version \"v1\" cannot be handled as a CronTab: strict decoding error: unknown field \
         \"metadata.unknown\", unknown field \"spec.unknown\""
    );
    let twice = r#"{"metadata":{"name":"a"},"spec":{"cronSpec":"x","cronSpec":"* * * * *"}}"#;
    let twice =
        world.call("POST", &format!("{TABS}?fieldValidation=Strict"), &[("content-type", JSON)], twice).await;
    assert!(
        twice.failure().ends_with("strict decoding error: duplicate field \"spec.cronSpec\""),
        "{}",
        twice.text()
    );
    let warned = world.send("POST", &format!("{TABS}?fieldValidation=Warn"), JSON, &object).await;
    assert_eq!(warned.code, 201);
    assert_eq!(warned.header("warning"), "299 - \"unknown field \\\"metadata.unknown\\\"\"");
    assert_eq!(warned.value()["spec"]["open"], json!({"any": {"thing": 1}}));
    assert!(warned.value()["spec"].get("unknown").is_none());
    let patch = r#"{"spec":{"size":1,"unknown":1,"size":2}}"#;
    let path = format!("{TABS}/a?fieldValidation=Strict");
    let refused = world.call("PATCH", &path, &[("content-type", MERGE)], patch).await.failure();
    let words = "}\": strict decoding error: duplicate field \"spec.size\", unknown field \"spec.unknown\"";
    assert!(refused.starts_with("422 Invalid  \"\" is invalid: patch: Invalid value: \"{"), "{refused}");
    assert!(refused.ends_with(words), "{refused}");
}

#[tokio::test]
async fn subresources_change_their_part_only() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    let mut object = tab("a");
    object["status"] = json!({"phase": "early"});
    assert!(world.create(TABS, object).await.get("status").is_none());
    let path = format!("{TABS}/a");
    let patch =
        json!({"spec": {"replicas": 9}, "status": {"phase": "late", "replicas": 2, "selector": "app=a"}});
    let changed = world.send("PATCH", &format!("{path}/status"), MERGE, &patch).await.value();
    assert_eq!((&changed["spec"]["replicas"], &changed["status"]["phase"]), (&json!(1), &json!("late")));
    assert_eq!(changed["metadata"]["generation"], 1);
    let changed = world.send("PATCH", &path, MERGE, &patch).await.value();
    assert_eq!((&changed["spec"]["replicas"], &changed["metadata"]["generation"]), (&json!(9), &json!(2)));
    let scale = world.get(&format!("{path}/scale")).await.value();
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]),
        (&json!(9), &json!({"replicas": 2, "selector": "app=a"}))
    );
    let scaled =
        world.send("PATCH", &format!("{path}/scale"), MERGE, &json!({"spec": {"replicas": 3}})).await;
    assert_eq!(scaled.value()["kind"], "Scale");
    assert_eq!(world.get(&path).await.value()["spec"]["replicas"], 3);
    let too_many =
        world.send("PATCH", &format!("{path}/scale"), MERGE, &json!({"spec": {"replicas": 11}})).await;
    assert_eq!(too_many.code, 422);
}

#[tokio::test]
async fn patches_and_transitions_are_checked() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create(TABS, tab("a")).await;
    let path = format!("{TABS}/a");
    let patched = world.send("PATCH", &path, MERGE, &json!({"spec": {"size": 2}})).await;
    assert_eq!(patched.code, 200, "{}", patched.text());
    let shrunk = world.send("PATCH", &path, MERGE, &json!({"spec": {"size": 1}})).await;
    assert!(shrunk.failure().contains("size only grows"), "{}", shrunk.text());
    let operations = json!([{"op": "replace", "path": "/spec/size", "value": 3}]);
    let patched = world.send("PATCH", &path, "application/json-patch+json", &operations).await;
    assert_eq!(patched.value()["spec"]["size"], 3);
    let strategic = world.send("PATCH", &path, "application/strategic-merge-patch+json", &json!({})).await;
    assert_eq!(strategic.code, 415);
    // Null gives way to the default.
    let patched = world.send("PATCH", &path, MERGE, &json!({"spec": {"image": null}})).await;
    assert_eq!(patched.value()["spec"]["image"], "app:1");
}

#[tokio::test]
async fn tables_show_the_columns_of_the_definition() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create(TABS, tab("a")).await;
    let table = world.call("GET", TABS, &[super::TABLE], "").await.value();
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Name", "Spec", "Replicas", "Age"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "* * * * */5", 1, "0s"]));
}

#[tokio::test]
async fn selectors_ask_for_what_the_definition_allows() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create(TABS, tab("a")).await;
    let mut other = tab("b");
    other["spec"]["image"] = "other".into();
    world.create(TABS, other).await;
    let chosen = world.get(&format!("{TABS}?fieldSelector=spec.image%3Dother")).await.value();
    assert_eq!(names(&chosen), ["b"]);
    let refused = world.get(&format!("{TABS}?fieldSelector=spec.replicas%3D1")).await;
    assert_eq!(refused.failure(), "400 BadRequest field label not supported: spec.replicas");
}

#[tokio::test]
async fn with_its_definition_a_kind_goes_and_all_its_objects() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    let mut held = tab("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.create(TABS, tab("a")).await;
    world.create(TABS, held).await;
    let definition = format!("{DEFINITIONS}/crontabs.stable.example.com");
    let deleted = world.send("DELETE", &definition, JSON, &json!({})).await.value();
    assert_eq!(deleted["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    world.until(TABS, |list| names(list) == ["held"]).await;
    let found = world.get(&definition).await.value();
    assert_eq!(condition(&found, "Terminating").unwrap()["status"], "True");
    let refused = world.send("POST", TABS, JSON, &tab("b")).await;
    assert_eq!(
        refused.failure(),
        "405 MethodNotAllowed create not allowed while custom resource definition is terminating"
    );
    world.send("PATCH", &format!("{TABS}/held"), MERGE, &json!({"metadata": {"finalizers": null}})).await;
    world.until(&definition, |found| found["code"] == 404).await;
    world.until(TABS, |found| found["code"] == 404).await;
    assert_eq!(world.get("/apis/stable.example.com").await.code, 404);
    // The same kind can come again, and is empty then.
    world.declare(cron_tabs()).await;
    assert!(names(&world.get(TABS).await.value()).is_empty());
}

#[tokio::test]
async fn two_kinds_cannot_share_a_name() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    let mut other = cron_tabs();
    other["metadata"]["name"] = "others.stable.example.com".into();
    other["spec"]["names"] = json!({"plural": "others", "kind": "Other", "shortNames": ["ct"]});
    world.create(DEFINITIONS, other).await;
    let path = format!("{DEFINITIONS}/others.stable.example.com");
    let found = world.until(&path, |found| condition(found, "NamesAccepted").is_some()).await;
    let refused = condition(&found, "NamesAccepted").unwrap();
    assert_eq!(
        (&refused["status"], &refused["reason"], &refused["message"]),
        (&json!("False"), &json!("ShortNamesConflict"), &json!("\"ct\" is already in use"))
    );
    assert_eq!(condition(&found, "Established").unwrap()["reason"], "NotAccepted");
    // The name is free once the first is gone.
    world.send("DELETE", &format!("{DEFINITIONS}/crontabs.stable.example.com"), JSON, &json!({})).await;
    world
        .until(&path, |found| condition(found, "Established").is_some_and(|one| one["status"] == "True"))
        .await;
}

#[tokio::test]
async fn custom_objects_have_no_form_in_protobuf() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create(TABS, tab("a")).await;
    let protobuf = "application/vnd.kubernetes.protobuf";
    let refused = world.send("POST", TABS, protobuf, &tab("b")).await;
    assert_eq!(
        refused.failure(),
        "415 UnsupportedMediaType the body of the request was in an unknown format - accepted media types include: \
         application/json, application/yaml"
    );
    assert_eq!(world.call("GET", TABS, &[("accept", protobuf)], "").await.code, 406);
    let either = format!("{protobuf},application/json");
    assert_eq!(names(&world.call("GET", TABS, &[("accept", &either)], "").await.value()), ["a"]);
}

#[tokio::test]
async fn a_namespace_waits_for_the_custom_objects_in_it() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create("/api/v1/namespaces", json!({"metadata": {"name": "other"}})).await;
    let tabs = TABS.replace("default", "other");
    let mut held = tab("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.create(&tabs, tab("a")).await;
    world.create(&tabs, held).await;
    world.create(TABS, tab("elsewhere")).await;
    let namespace = "/api/v1/namespaces/other";
    world.send("DELETE", namespace, JSON, &json!({})).await;
    let mut finished = world.get(namespace).await.value();
    finished["spec"]["finalizers"] = json!([]);
    let finalize = format!("{namespace}/finalize");
    let waits = world.send("PUT", &finalize, JSON, &finished).await;
    assert!(
        waits.failure().ends_with("Some resources are remaining: crontabs.stable.example.com"),
        "{}",
        waits.text()
    );
    assert_eq!(names(&world.get(&tabs).await.value()), ["held"]);
    world.send("PATCH", &format!("{tabs}/held"), MERGE, &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(world.send("PUT", &finalize, JSON, &finished).await.code, 200);
    assert_eq!(world.get(namespace).await.code, 404);
    assert_eq!(names(&world.get(TABS).await.value()), ["elsewhere"]);
}
