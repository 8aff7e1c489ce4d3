//! In which version webhooks and policies see objects, and who owns their fields.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const OLD: Resource =
    Resource::new("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true);

fn hook(bundle: &str, host: &str, group: &str, version: &str, more: Value) -> Value {
    let hook = json!({"name": format!("{host}.example.com"),
        "clientConfig": {"url": format!("https://{host}/"), "caBundle": bundle},
        "rules": [{"operations": ["*"], "apiGroups": [group], "apiVersions": [version], "resources": ["*"]}],
        "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    json!({"webhooks": [merged(hook, more)]})
}

fn allowed(review: &Value, operations: Value) -> (u16, Value) {
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    if !operations.is_null() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(operations.to_string()).into();
    }
    (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

impl World {
    async fn with_hooks(&self, hooks: Value) {
        let kind = "MutatingWebhookConfiguration";
        self.configure("v1", "mutatingwebhookconfigurations", kind, "one", hooks).await;
    }
}

/// A server with a webhook that makes these changes, and what it is asked.
async fn start(operations: Value) -> (World, String, Arc<Mutex<Vec<Value>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let servers = Servers::empty().with("sees:443", "sees", move |_, review| {
        seen.lock().unwrap().push(review["request"].clone());
        allowed(&review, operations.clone())
    });
    let bundle = servers.bundle();
    (World::start(servers).await, bundle, asked)
}

fn scaler() -> Value {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    json!({"metadata": {"name": "h"}, "spec": {"scaleTargetRef": target, "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 50}})
}

#[tokio::test(start_paused = true)]
async fn a_webhook_sees_the_version_its_rules_name() {
    let kind = |version: &str| json!({"group": "autoscaling", "version": version, "kind": "HorizontalPodAutoscaler"});
    let row = async |version: &str, policy: &str, seen: Option<(&str, &str)>| {
        let (world, bundle, asked) = start(Value::Null).await;
        world.with_hooks(hook(&bundle, "sees", "autoscaling", version, json!({"matchPolicy": policy}))).await;
        world.create(&OLD, scaler(), false).await.unwrap();
        let asked = asked.lock().unwrap();
        let found = asked.first().map(|request| {
            assert_eq!(request["requestKind"], kind("v1"));
            assert_eq!(request["requestResource"]["version"], "v1");
            assert_eq!(request["resource"]["version"], request["kind"]["version"]);
            assert_eq!(
                request["object"]["apiVersion"],
                format!("autoscaling/{}", request["kind"]["version"].as_str().unwrap())
            );
            let target =
                if request["object"]["spec"]["metrics"].is_array() { "metrics" } else { "percentage" };
            (request["kind"].clone(), target)
        });
        assert_eq!(found, seen.map(|(version, target)| (kind(version), target)), "{version} {policy}");
    };
    row("v1", "Equivalent", Some(("v1", "percentage"))).await;
    row("v1", "Exact", Some(("v1", "percentage"))).await;
    row("v2", "Equivalent", Some(("v2", "metrics"))).await;
    row("v2", "Exact", None).await;
    row("*", "Equivalent", Some(("v1", "percentage"))).await;
    row("v3", "Equivalent", None).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_in_another_version_is_stored() {
    let operations = json!([{"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 70}]);
    let (world, bundle, asked) = start(operations).await;
    world.with_hooks(hook(&bundle, "sees", "autoscaling", "v1", json!({}))).await;
    let own = Resource { version: "v2".into(), ..OLD };
    let mut given = scaler();
    given["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 60}}}]);
    given["spec"].as_object_mut().unwrap().remove("targetCPUUtilizationPercentage");
    let stored = object(world.create(&own, given, false).await.unwrap());
    assert_eq!(stored["apiVersion"], "autoscaling/v2");
    assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    let asked = asked.lock().unwrap();
    assert_eq!(
        (&asked[0]["kind"]["version"], &asked[0]["requestKind"]["version"]),
        (&"v1".into(), &"v2".into())
    );
    assert_eq!(asked[0]["object"]["spec"]["targetCPUUtilizationPercentage"], 60);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_sees_and_may_change_who_owns_fields() {
    let row = async |operations: Value, managers: &[&str], warning: &str| {
        let (world, bundle, asked) = start(operations.clone()).await;
        world.create_map("a", json!({"x": "1"})).await.unwrap();
        world.with_hooks(hook(&bundle, "sees", "", "v1", json!({}))).await;
        let reply = world.merge("a", json!({"data": {"y": "1"}})).await.unwrap();
        assert_eq!(reply.warnings.concat(), warning, "{operations}");
        let stored = object(reply);
        let owners = stored["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = owners.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
        assert_eq!(found, managers, "{operations}");
        let asked = asked.lock().unwrap();
        let fields = |state: &str| asked[0][state]["metadata"]["managedFields"][0]["fieldsV1"].clone();
        assert_eq!(fields("oldObject"), json!({"f:data": {".": {}, "f:x": {}}}));
        assert_eq!(fields("object"), json!({"f:data": {".": {}, "f:x": {}, "f:y": {}}}));
    };
    row(Value::Null, &["unknown"], "").await;
    let set = |value: Value| json!([{"op": "replace", "path": "/metadata/managedFields", "value": value}]);
    let entry = |operation: &str| {
        json!([{"manager": "hook", "operation": operation, "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}}])
    };
    row(set(entry("Update")), &["hook"], "").await;
    row(json!([{"op": "remove", "path": "/metadata/managedFields"}]), &[], "").await;
    let words = ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: metadata.managedFields[0].operation: Invalid value: \"Other\": must be `Apply` or `Update`";
    row(set(entry("Other")), &["unknown"], words).await;
}
