//! Webhooks: what they are asked, what they may do, and what happens if they cannot be asked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::backend::DeleteOptions;
use api::resource::{DEPLOYMENTS, PODS};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const ALL_MAPS: &str = "configmaps";

fn hook(bundle: &str, host: &str, more: Value) -> Value {
    merged(
        json!({"name": format!("{host}.example.com"), "clientConfig": {"url": format!("https://{host}/"), "caBundle": bundle},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [ALL_MAPS]}],
        "sideEffects": "None", "admissionReviewVersions": ["v1"]}),
        more,
    )
}

fn hooks(all: &[Value]) -> Value {
    json!({ "webhooks": all })
}

impl World {
    async fn validating(&self, name: &str, all: &[Value]) {
        let kind = "ValidatingWebhookConfiguration";
        self.configure("v1", "validatingwebhookconfigurations", kind, name, hooks(all)).await;
    }

    async fn mutating(&self, name: &str, all: &[Value]) {
        let kind = "MutatingWebhookConfiguration";
        self.configure("v1", "mutatingwebhookconfigurations", kind, name, hooks(all)).await;
    }
}

fn answer(review: &Value, response: Value) -> (u16, Value) {
    let response = merged(json!({"uid": review["request"]["uid"], "allowed": true}), response);
    (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

fn patch(operations: Value) -> Value {
    json!({"patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string())})
}

#[tokio::test(start_paused = true)]
async fn a_validating_webhook_sees_the_request_and_may_refuse_or_warn() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let servers = Servers::empty().with("judge:443", "judge", move |_, review| {
        seen.lock().unwrap().push(review["request"].clone());
        match review["request"]["object"]["data"]["bad"].as_str() {
            Some(why) => answer(
                &review,
                json!({"allowed": false, "status": {"message": why, "code": 403, "reason": "Forbidden"}}),
            ),
            None => answer(&review, json!({"warnings": ["be careful"]})),
        }
    });
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    world.validating("one", &[hook(&bundle, "judge", json!({}))]).await;
    let reply = world.create_map("good", json!({"a": "b"})).await.unwrap();
    assert_eq!(reply.warnings, ["be careful"]);
    let before = world.revision();
    let refused = world.create_map("bad", json!({"bad": "too bad"})).await.unwrap_err();
    assert_eq!(refused.to_string(), "admission webhook \"judge.example.com\" denied the request: too bad");
    assert_eq!((refused.code, refused.to_value()["reason"].clone()), (403, "Forbidden".into()));
    let refused = world.merge("good", json!({"data": {"bad": ""}})).await.unwrap_err();
    assert_eq!(refused.to_string(), "admission webhook \"judge.example.com\" denied the request: Forbidden");
    assert_eq!(world.revision(), before, "nothing was stored");
    world.call(&CONFIG_MAPS, "good", "", Verb::Delete(DeleteOptions::default())).await.unwrap();
    let asked = asked.lock().unwrap();
    let (created, deleted) = (&asked[0], asked.last().unwrap());
    assert_eq!(created["operation"], "CREATE");
    assert_eq!(created["userInfo"], json!({"username": "ann", "groups": ["system:masters"]}));
    assert_eq!(created["kind"], json!({"group": "", "version": "v1", "kind": "ConfigMap"}));
    assert_eq!(created["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!(
        (&created["name"], &created["namespace"], &created["dryRun"]),
        (&"good".into(), &"default".into(), &false.into())
    );
    assert_eq!((&created["options"]["kind"], &created["oldObject"]), (&"CreateOptions".into(), &Value::Null));
    assert_eq!(created["object"]["data"], json!({"a": "b"}));
    assert_eq!((&deleted["operation"], &deleted["object"]), (&"DELETE".into(), &Value::Null));
    assert_eq!(deleted["oldObject"]["data"], json!({"a": "b"}));
}

#[tokio::test(start_paused = true)]
async fn a_mutating_webhook_changes_what_is_stored_and_its_changes_are_checked() {
    let servers = Servers::empty()
        .with("adds:443", "adds", |_, review| {
            let label = review["request"]["object"]["data"]["label"].as_str().unwrap_or("fine").to_owned();
            let operations = json!([{"op": "add", "path": "/metadata/labels", "value": {"added": label}},
                {"op": "add", "path": "/metadata/name", "value": "other"},
                {"op": "add", "path": "/unknown", "value": 1}]);
            answer(&review, patch(operations))
        })
        .with("wrong:443", "wrong", |_, review| {
            answer(&review, patch(json!([{"op": "remove", "path": "/nothing"}])))
        });
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    world.mutating("one", &[hook(&bundle, "adds", json!({}))]).await;
    let stored = object(world.create_map("a", json!({})).await.unwrap());
    assert_eq!(
        (&stored["metadata"]["labels"], &stored["metadata"]["name"]),
        (&json!({"added": "fine"}), &"a".into())
    );
    assert_eq!(stored.get("unknown"), None);
    let refused = world.create_map("b", json!({"label": "not a label"})).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("ConfigMap \"b\" is invalid: metadata.labels: Invalid value: \"not a label\""),
        "{refused}"
    );
    world.mutating("one", &[hook(&bundle, "wrong", json!({}))]).await;
    let refused = world.create_map("c", json!({})).await.unwrap_err();
    assert!(refused.to_string().starts_with("Internal error occurred: "), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_cannot_be_asked_stops_the_request_unless_it_does_not_matter() {
    let servers = Servers::empty()
        .with("broken:443", "broken", |_, _| (500, json!({})))
        .with("absent:443", "absent", |_, _| (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"})))
        .with("liar:443", "liar", |_, _| {
            (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "x", "allowed": true}}))
        })
        .with_silent("silent:443", "silent");
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    let row = async |host: &str, words: &str| {
        world.validating("one", &[hook(&bundle, host, json!({"timeoutSeconds": 3}))]).await;
        let refused = world.create_map("a", json!({})).await.unwrap_err();
        let expected =
            format!("Internal error occurred: failed calling webhook \"{host}.example.com\": {words}");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
        assert_eq!(refused.code, 500);
        world
            .validating(
                "one",
                &[hook(&bundle, host, json!({"timeoutSeconds": 3, "failurePolicy": "Ignore"}))],
            )
            .await;
        world.create(&CONFIG_MAPS, json!({"metadata": {"generateName": "a-"}}), false).await.unwrap();
    };
    row("gone", "failed to call webhook: Post \"https://gone/?timeout=3s\": dial tcp gone:443: connect: connection refused").await;
    row("silent", "failed to call webhook: Post \"https://silent/?timeout=3s\": context deadline exceeded")
        .await;
    row("broken", "failed to call webhook: an error on the server").await;
    row("absent", "webhook response was absent").await;
    row("liar", "received invalid webhook response: expected response.uid=").await;
    let service =
        json!({"clientConfig": {"service": {"namespace": "default", "name": "nothing"}, "caBundle": bundle}});
    world.validating("one", &[hook(&bundle, "x", service)]).await;
    let refused = world.create_map("b", json!({})).await.unwrap_err();
    assert!(refused.to_string().ends_with(
        "failed to call webhook: Post \"https://nothing.default.svc:443?timeout=10s\": service \"nothing\" not found"
    ), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_asked_only_about_what_it_selects() {
    let servers =
        Servers::empty().with("no:443", "no", |_, review| answer(&review, json!({"allowed": false})));
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    let row = async |more: Value, is_asked: bool| {
        world.validating("one", &[hook(&bundle, "no", more.clone())]).await;
        let labels = json!({"labels": {"app": "a"}, "generateName": "a-"});
        let reply = world.create(&CONFIG_MAPS, json!({"metadata": labels, "data": {"k": "v"}}), false).await;
        let refusal = reply.err().map(|status| status.to_string());
        let denied = "admission webhook \"no.example.com\" denied the request without explanation".to_owned();
        assert_eq!(refusal, is_asked.then_some(denied), "{more}");
    };
    let rule = |operations: &str, resource: &str, scope: &str| json!({"rules": [{"operations": [operations], "apiGroups": ["*"], "apiVersions": ["*"], "resources": [resource], "scope": scope}]});
    row(json!({}), true).await;
    row(rule("CREATE", "*", "Namespaced"), true).await;
    row(rule("CREATE", "*/*", "*"), true).await;
    row(rule("UPDATE", "*", "*"), false).await;
    row(rule("CREATE", "configmaps/status", "*"), false).await;
    row(rule("CREATE", "configmaps", "Cluster"), false).await;
    row(json!({"objectSelector": {"matchLabels": {"app": "b"}}}), false).await;
    row(json!({"objectSelector": {"matchLabels": {"app": "a"}}}), true).await;
    row(json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}), true)
        .await;
    row(json!({"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["default"]}]}}), false).await;
    let condition = |expression: &str| json!({"matchConditions": [{"name": "c", "expression": expression}]});
    row(condition("request.userInfo.username == 'ann' && object.data.k == 'v'"), true).await;
    row(condition("request.operation == 'DELETE'"), false).await;
    row(condition("authorizer.requestResource.check('create').allowed()"), true).await;
    world.validating("one", &[hook(&bundle, "no", condition("object.data.nothing == 'v'"))]).await;
    let refused = world.create_map("b", json!({})).await.unwrap_err();
    assert!(refused.to_string().starts_with("configmaps \"b\" is forbidden: match condition \"c\": expression 'object.data.nothing == 'v'' resulted in error: no such key: "), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_reaches_only_webhooks_without_side_effects() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let servers = Servers::empty().with("yes:443", "yes", move |_, review| {
        assert_eq!(review["request"]["dryRun"], true);
        counted.fetch_add(1, Ordering::Relaxed);
        answer(&review, json!({}))
    });
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    let map = || json!({"metadata": {"name": "a"}});
    let before = world.revision();
    world.validating("one", &[hook(&bundle, "yes", json!({"sideEffects": "NoneOnDryRun"}))]).await;
    world.create(&CONFIG_MAPS, map(), true).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    world.validating("one", &[hook(&bundle, "yes", json!({"sideEffects": "Some"}))]).await;
    let refused = world.create(&CONFIG_MAPS, map(), true).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.to_string().as_str()),
        (400, "admission webhook \"yes.example.com\" does not support dry run")
    );
    assert_eq!(world.revision().0, before.0 + 2, "only the configurations were stored");
}

#[tokio::test(start_paused = true)]
async fn mutating_webhooks_go_in_order_and_those_that_want_to_see_what_came_after_them() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let appends = |name: &'static str| {
        let order = order.clone();
        move |_: &str, review: Value| {
            order.lock().unwrap().push(name);
            let labels = &review["request"]["object"]["metadata"]["labels"];
            let mut labels = labels.as_object().cloned().unwrap_or_default();
            labels.insert(name.to_owned(), "x".into());
            answer(&review, patch(json!([{"op": "add", "path": "/metadata/labels", "value": labels}])))
        }
    };
    let servers =
        Servers::empty().with("one:443", "one", appends("one")).with("two:443", "two", appends("two"));
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    world.mutating("b", &[hook(&bundle, "two", again.clone())]).await;
    world.mutating("a", &[hook(&bundle, "one", again)]).await;
    let stored = object(world.create_map("a", json!({})).await.unwrap());
    assert_eq!(stored["metadata"]["labels"], json!({"one": "x", "two": "x"}));
    assert_eq!(*order.lock().unwrap(), ["one", "two", "one"], "the first sees what the second did, once");
}

#[tokio::test(start_paused = true)]
async fn webhooks_see_subresources_and_what_plugins_add_to_their_changes() {
    let servers = Servers::empty()
        .with("adds:443", "adds", |_, review| {
            let container = json!({"name": "more", "image": "localhost/x"});
            answer(&review, patch(json!([{"op": "add", "path": "/spec/containers/-", "value": container}])))
        })
        .with("few:443", "few", |_, review| {
            let replicas = review["request"]["object"]["spec"]["replicas"].as_i64().unwrap();
            assert_eq!(review["request"]["kind"]["kind"], "Scale");
            assert_eq!(review["request"]["subResource"], "scale");
            answer(&review, json!({"allowed": replicas < 5}))
        });
    let bundle = servers.bundle();
    let world = World::start(servers).await;
    let rule = |group: &str, resource: &str| json!({"rules": [{"operations": ["*"], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]}]});
    world.mutating("adds", &[hook(&bundle, "adds", rule("", "pods"))]).await;
    world.validating("few", &[hook(&bundle, "few", rule("apps", "deployments/scale"))]).await;
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "localhost/x"}]}});
    let pod = object(world.create(&PODS, pod, false).await.unwrap());
    assert_eq!(pod["spec"]["containers"][1]["name"], "more");
    assert_eq!(
        pod["spec"]["containers"][1]["terminationMessagePath"], "/dev/termination-log",
        "defaults are set"
    );
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    world.create(&DEPLOYMENTS, deployment, false).await.unwrap();
    let scale = async |replicas: u32| {
        let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": replicas}});
        world
            .call(&DEPLOYMENTS, "d", "scale", Verb::Update(Body::Value(scale), WriteOptions::default()))
            .await
    };
    assert_eq!(object(scale(3).await.unwrap())["spec"]["replicas"], 3);
    let refused = scale(7).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "admission webhook \"few.example.com\" denied the request without explanation"
    );
}
