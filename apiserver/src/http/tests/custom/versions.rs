//! Custom kinds in several versions, and definitions that change.

use serde_json::{Value, json};

use super::super::{names, start};
use super::{DEFINITIONS, JSON, MERGE, cron_tabs, tab};

fn path(version: &str) -> String {
    format!("/apis/stable.example.com/{version}/namespaces/default/crontabs")
}

/// The example with an older version that is served, too.
fn two_versions() -> Value {
    let mut definition = cron_tabs();
    let mut old = definition["spec"]["versions"][0].clone();
    old["name"] = "v1beta1".into();
    old["storage"] = false.into();
    old["deprecated"] = true.into();
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    versions.insert(0, old);
    definition
}

#[tokio::test]
async fn objects_are_the_same_in_every_version() {
    let world = start().await;
    world.declare(two_versions()).await;
    let mut object = tab("a");
    object["apiVersion"] = "stable.example.com/v1beta1".into();
    let created = world.send("POST", &path("v1beta1"), JSON, &object).await;
    assert_eq!(created.value()["apiVersion"], "stable.example.com/v1beta1");
    assert_eq!(
        created.header("warning"),
        "299 - \"stable.example.com/v1beta1 CronTab is deprecated; use stable.example.com/v1 CronTab\""
    );
    let current = world.get(&format!("{}/a", path("v1"))).await.value();
    assert_eq!(current["apiVersion"], "stable.example.com/v1");
    assert_eq!(current["spec"], created.value()["spec"]);
    let patch = json!({"spec": {"replicas": 4}});
    let patched = world.send("PATCH", &format!("{}/a", path("v1beta1")), MERGE, &patch).await.value();
    assert_eq!(
        (&patched["apiVersion"], &patched["spec"]["replicas"]),
        (&json!("stable.example.com/v1beta1"), &json!(4))
    );
    let list = world.get(&path("v1beta1")).await.value();
    assert_eq!(list["items"][0]["apiVersion"], "stable.example.com/v1beta1");
    let watched = world.get(&format!("{}?watch=1&timeoutSeconds=1", path("v1beta1"))).await;
    assert!(watched.text().contains("\"apiVersion\":\"stable.example.com/v1beta1\""), "{}", watched.text());
    let group = world.get("/apis/stable.example.com").await.value();
    assert_eq!(group["preferredVersion"]["version"], "v1");
}

#[tokio::test]
async fn what_is_served_and_stored_changes_with_the_definition() {
    let world = start().await;
    world.declare(two_versions()).await;
    world.create(&path("v1"), tab("a")).await;
    let definition = format!("{DEFINITIONS}/crontabs.stable.example.com");
    let mut changed = world.get(&definition).await.value();
    changed["spec"]["versions"][0]["storage"] = true.into();
    changed["spec"]["versions"][1]["storage"] = false.into();
    changed["spec"]["versions"][1]["served"] = false.into();
    let updated = world.send("PUT", &definition, JSON, &changed).await;
    assert_eq!(updated.value()["status"]["storedVersions"], json!(["v1", "v1beta1"]), "{}", updated.text());
    world.until(&path("v1"), |found| found["code"] == 404).await;
    // It is still stored in the version that is no longer served.
    let list = world.get(&path("v1beta1")).await.value();
    assert_eq!(
        (names(&list), &list["items"][0]["apiVersion"]),
        (vec!["a"], &json!("stable.example.com/v1beta1"))
    );
    let mut without = updated.value();
    without["spec"]["versions"].as_array_mut().unwrap().pop();
    let refused = world.send("PUT", &definition, JSON, &without).await;
    assert!(
        refused
            .failure()
            .ends_with("status.storedVersions[0]: Invalid value: \"v1\": must appear in spec.versions"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn new_defaults_show_in_old_objects() {
    let world = start().await;
    world.declare(cron_tabs()).await;
    world.create(&path("v1"), tab("a")).await;
    let definition = format!("{DEFINITIONS}/crontabs.stable.example.com");
    let patch = json!([{"op": "add", "value": {"type": "string", "default": "x"},
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/added"}]);
    let patched = world.send("PATCH", &definition, "application/json-patch+json", &patch).await;
    assert_eq!(patched.code, 200, "{}", patched.text());
    let found = world.until(&format!("{}/a", path("v1")), |found| found["spec"]["added"] == "x").await;
    assert_eq!(found["spec"]["cronSpec"], "* * * * */5");
    assert_eq!(world.get(&path("v1")).await.value()["items"][0]["spec"]["added"], "x");
}

#[tokio::test]
async fn definitions_are_checked() {
    let world = start().await;
    let row = async |pointer: &str, value: Value, expected: &str| {
        let mut definition = cron_tabs();
        let patch = json!([{"op": "add", "path": pointer, "value": value}]);
        definition = crate::patch::apply_operations(definition, &patch).unwrap();
        let refused = world.send("POST", DEFINITIONS, JSON, &definition).await;
        assert_eq!(refused.code, 422, "{pointer}: {}", refused.text());
        assert!(refused.failure().contains(expected), "{pointer}: {}", refused.text());
    };
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let said = "spec.validation.openAPIV3Schema";
    let at = |path: &str| format!("{schema}{path}");
    row(
        "/metadata/name",
        json!("x.example.com"),
        "metadata.name: Invalid value: \"x.example.com\": must be spec.names.plural+\".\"+spec.group",
    )
    .await;
    row(
        "/spec/group",
        json!("example"),
        "spec.group: Invalid value: \"example\": should be a domain with at least one dot",
    )
    .await;
    row(
        "/spec/scope",
        json!("Other"),
        "spec.scope: Unsupported value: \"Other\": supported values: \"Cluster\", \"Namespaced\"",
    )
    .await;
    row(
        "/spec/names/plural",
        json!("A"),
        "spec.names.plural: Invalid value: \"A\": a DNS-1035 label must consist",
    )
    .await;
    row("/spec/versions/0/storage", json!(false), "must have exactly one version marked as storage version")
        .await;
    row(
        "/spec/versions/0/schema",
        json!({}),
        "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
    )
    .await;
    row(&at("/properties/spec/properties/x"), json!({}), &format!("{said}.properties[spec].properties[x].type: Required value: must not be empty for specified object fields")).await;
    row(
        &at("/properties/spec/properties/x"),
        json!({"type": "array"}),
        &format!("{said}.properties[spec].properties[x].items: Required value: must be specified"),
    )
    .await;
    row(
        &at("/type"),
        json!("string"),
        &format!("{said}.type: Invalid value: \"string\": must be object at the root"),
    )
    .await;
    row(
        &at("/properties/spec/properties/x"),
        json!({"type": "string", "pattern": "("}),
        "must be a valid regular expression, but isn't",
    )
    .await;
    row(
        &at("/properties/spec/properties/x"),
        json!({"type": "string", "$ref": "x"}),
        "$ref is not supported",
    )
    .await;
    row(
        &at("/properties/spec/properties/x"),
        json!({"type": "string", "default": 1}),
        &format!("{said}.properties[spec].properties[x].default: Invalid value: \"integer\""),
    )
    .await;
    row(
        &at("/properties/spec/anyOf"),
        json!([{"type": "object"}]),
        &format!("{said}.properties[spec].anyOf[0].type: Forbidden: must be empty to be structural"),
    )
    .await;
    row(&at("/properties/spec/anyOf"), json!([{"properties": {"missing": {"minimum": 1}}}]), &format!("{said}.properties[spec].properties[missing]: Required value: because it is defined in {said}.properties[spec].anyOf[0].properties[missing]")).await;
    row(&at("/properties/spec/x-kubernetes-validations"), json!([{"rule": "self."}]), &format!("{said}.properties[spec].x-kubernetes-validations[0].rule: Invalid value: \"self.\": compilation failed")).await;
    row(
        &at("/properties/spec/properties/x"),
        json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"}),
        "x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
    )
    .await;
    row(
        "/spec/versions/0/additionalPrinterColumns/0/jsonPath",
        json!("spec"),
        "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"spec\"",
    )
    .await;
    row(
        "/spec/versions/0/subresources/scale/specReplicasPath",
        json!(".status.x"),
        "should be a json path under .spec",
    )
    .await;
    row(
        "/spec/conversion",
        json!({"strategy": "Webhook"}),
        "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
    )
    .await;
    let mut deep = json!({"type": "string"});
    for _ in 0..200 {
        deep = json!({"type": "object", "properties": {"x": deep}});
    }
    let mut definition = cron_tabs();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["deep"] = deep;
    let refused = world.send("POST", DEFINITIONS, JSON, &definition).await;
    assert!([400, 422].contains(&refused.code), "{}", refused.text());
}

#[tokio::test]
async fn what_is_stored_and_named_cannot_change_once_established() {
    let world = start().await;
    let definition = world.declare(cron_tabs()).await;
    let row = async |pointer: &str, value: Value, expected: &str| {
        let patch = json!([{"op": "replace", "path": pointer, "value": value}]);
        let changed = crate::patch::apply_operations(definition.clone(), &patch).unwrap();
        let path = format!("{DEFINITIONS}/crontabs.stable.example.com");
        let refused = world.send("PUT", &path, JSON, &changed).await;
        assert!(refused.failure().contains(expected), "{}", refused.text());
    };
    row("/spec/scope", json!("Cluster"), "spec.scope: Invalid value: \"Cluster\": field is immutable").await;
    row("/spec/names/kind", json!("Other"), "spec.names.kind: Invalid value: \"Other\": field is immutable")
        .await;
    row(
        "/spec/names/plural",
        json!("others"),
        "spec.names.plural: Invalid value: \"others\": field is immutable",
    )
    .await;
    row(
        "/spec/group",
        json!("other.example.com"),
        "spec.group: Invalid value: \"other.example.com\": field is immutable",
    )
    .await;
}

#[tokio::test]
async fn policies_see_the_version_they_name() {
    let world = start().await;
    world.declare(two_versions()).await;
    let rule = json!({"operations": ["*"], "apiGroups": ["stable.example.com"], "apiVersions": ["v1"], "resources": ["*"]});
    let seen = "object.apiVersion == 'stable.example.com/v1' && request.kind.version == 'v1' \
                && request.requestKind.version == 'v1beta1' && has(object.metadata.managedFields)";
    let validations =
        json!([{"expression": seen}, {"expression": "object.metadata.name != 'no'", "message": "no no"}]);
    let group = "/apis/admissionregistration.k8s.io/v1";
    let policy = json!({"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": validations}});
    world.create(&format!("{group}/validatingadmissionpolicies"), policy).await;
    let binding =
        json!({"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}});
    world.create(&format!("{group}/validatingadmissionpolicybindings"), binding).await;
    let mut object = tab("yes");
    object["apiVersion"] = "stable.example.com/v1beta1".into();
    world.create(&path("v1beta1"), object.clone()).await;
    object["metadata"]["name"] = "no".into();
    let refused = world.send("POST", &path("v1beta1"), JSON, &object).await;
    assert!(refused.failure().ends_with("denied request: no no"), "{}", refused.text());
}
