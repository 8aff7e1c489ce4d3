//! What is no object: discovery, health, figures, schemas, reviews, backups; and who may see them.

use super::*;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn paths_that_are_not_served_are_not_found() {
    let world = start().await;
    let row = async |method: &str, path: &str, code: u16| {
        assert_eq!(world.call(method, path, &[], Body::empty()).await.code, code, "{method} {path}");
    };
    row("GET", "/", 200).await;
    row("GET", "/api", 200).await;
    row("GET", "/apis/", 200).await;
    row("GET", "/apis/apps", 200).await;
    row("GET", "/apis/nothing", 404).await;
    row("GET", "/nothing", 404).await;
    row("GET", "/openapi/v2", 200).await;
    row("GET", "/openapi/v2/x", 404).await;
    row("GET", "/swagger-2.0.0.pb-v1", 404).await;
    row("GET", "/api/v1/namespaces/default/nothings", 404).await;
    row("POST", "/version", 405).await;
    row("OPTIONS", "/api/v1/pods", 405).await;
    row("POST", "/apis/authentication.k8s.io/v1/selfsubjectreview", 404).await;
    row("GET", "/apis/authentication.k8s.io/v1/selfsubjectreviews", 405).await;
    let missing = world.get("/api/v1/namespaces/default/nothings").await.failure();
    assert_eq!(missing, "404 NotFound the server could not find the requested resource");
    let head = world.call("HEAD", "/version", &[], Body::empty()).await;
    assert_eq!((head.code, head.bytes.len(), head.header("content-length").is_empty()), (200, 0, false));
    let version = world.get("/version").await.value();
    assert_eq!(
        (version["minor"].as_str(), version["gitVersion"].as_str()),
        (Some("35"), Some("v1.35.0+peapod"))
    );
}

#[tokio::test(start_paused = true)]
async fn who_asks_decides_what_is_answered() {
    let mut world = start().await;
    world.user = None;
    assert_eq!(world.get("/api").await.failure(), "401 Unauthorized Unauthorized");
    world.user = Some(Arc::new(User {
        name: "jane".to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..User::default()
    }));
    assert_eq!(world.get("/healthz").await.text(), "ok");
    let refused = world.get("/api/v1/namespaces/default/pods").await;
    assert_eq!(
        refused.failure(),
        r#"403 Forbidden pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#
    );
    // Before anything else is said of it, or read.
    let row = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let refused = world.call(method, path, headers, Body::from_stream(NeverRead)).await;
        assert_eq!(refused.code, 403, "{method} {path}");
    };
    let maps = "/api/v1/namespaces/default/configmaps";
    row("POST", maps, &[("content-type", "application/yaml")]).await;
    row("POST", maps, &[("content-type", "foo/bar")]).await;
    row("PATCH", &format!("{maps}/a"), &[]).await;
    row("DELETE", &format!("{maps}/a"), &[("accept", "text/html")]).await;
    row("GET", &format!("{maps}?limit=x"), &[]).await;
    row("GET", "/api/v1/pods?timeout=x", &[]).await;
    row("GET", "/api/v1/nothings", &[]).await;
    let exec = world.call("POST", "/api/v1/namespaces/default/pods/p/exec", &[], Body::empty()).await;
    assert!(exec.failure().contains(r#"cannot create resource "pods/exec" in"#), "{}", exec.text());
    row("POST", "/apis/metrics.k8s.io/v1beta1/nodes", &[]).await;
    for path in [
        "/metrics",
        "/peapod/v1/backup",
        "/api/v1/namespaces/default/pods/p/log",
        "/apis/metrics.k8s.io/v1beta1/nodes",
    ] {
        assert_eq!(world.get(path).await.code, 403, "{path}");
    }
}

/// A body that must not be looked at.
struct NeverRead;

impl futures::Stream for NeverRead {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        panic!("the body was read");
    }
}

#[tokio::test(start_paused = true)]
async fn who_acts_as_somebody_else_may_do_what_that_somebody_may() {
    let mut world = start().await;
    let path = "/api/v1/namespaces/default/secrets";
    let jane = [("impersonate-user", "jane")];
    let refused = world.call("GET", path, &jane, Body::empty()).await.failure();
    assert!(refused.contains(r#"User "jane" cannot list resource "secrets""#), "{refused}");
    let master = [("impersonate-user", "jane"), ("impersonate-group", "system:masters")];
    assert_eq!(world.call("GET", path, &master, Body::empty()).await.code, 200);
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = world.call("POST", reviews, &jane, "{}").await.value();
    let expected = json!({"username": "jane", "groups": ["system:authenticated"]});
    assert_eq!(review["status"]["userInfo"], expected);
    world.user = Some(Arc::new(User {
        name: "eve".to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..User::default()
    }));
    let refused = world.call("GET", "/healthz", &jane, Body::empty()).await.failure();
    assert_eq!(
        refused,
        r#"403 Forbidden users "jane" is forbidden: User "eve" cannot impersonate resource "users" in API group "" at the cluster scope"#
    );
}

#[tokio::test(start_paused = true)]
async fn questions_about_others_are_answered_to_those_who_may_ask() {
    let mut world = start().await;
    let base = "/apis/authorization.k8s.io/v1";
    let path = format!("{base}/subjectaccessreviews");
    let asked = |user: &str, groups: Value| json!({"spec": {"user": user, "groups": groups, "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "a"}}});
    let review = world.create(&path, asked("jane", json!([]))).await;
    assert_eq!(
        (&review["status"]["allowed"], &review["kind"]),
        (&json!(false), &json!("SubjectAccessReview"))
    );
    let masters = json!(["system:masters"]);
    assert_eq!(world.create(&path, asked("jane", masters.clone())).await["status"], json!({"allowed": true}));
    let nobody = world.call("POST", &path, &[], asked("", json!([])).to_string()).await.failure();
    assert!(
        nobody.ends_with(r#"spec.user: Invalid value: "": at least one of user or group must be specified"#)
    );
    let local = |namespace: &str| format!("{base}/namespaces/{namespace}/localsubjectaccessreviews");
    assert_eq!(world.create(&local("a"), asked("jane", masters)).await["status"]["allowed"], true);
    let elsewhere =
        world.call("POST", &local("b"), &[], asked("jane", json!([])).to_string()).await.failure();
    assert!(elsewhere.contains("spec.resourceAttributes.namespace: Invalid value"), "{elsewhere}");
    assert_eq!(world.call("POST", &format!("{base}/localsubjectaccessreviews"), &[], "{}").await.code, 404);
    let tokens = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = world.create(tokens, json!({"spec": {"token": "nonsense"}})).await;
    assert_eq!(review["status"]["user"], json!({}));
    assert!(review["status"]["error"].as_str().unwrap().contains("invalid bearer token"));
    let empty = world.call("POST", tokens, &[], json!({"spec": {}}).to_string()).await.failure();
    assert!(empty.ends_with("token is required for TokenReview in authentication"), "{empty}");
    let rules = format!("{base}/selfsubjectrulesreviews");
    let all = world.create(&rules, json!({"spec": {"namespace": "default"}})).await;
    assert_eq!(
        all["status"]["resourceRules"],
        json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])
    );
    world.user = Some(Arc::new(User {
        name: "eve".to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..User::default()
    }));
    let own = world.create(&rules, json!({"spec": {"namespace": "default"}})).await;
    assert_eq!(own["status"]["resourceRules"].as_array().unwrap().len(), 3);
    assert_eq!(world.call("POST", &path, &[], "{}").await.code, 403);
    // A question can be answered in protobuf too, for those who ask in it.
    let accept = [("accept", "application/vnd.kubernetes.protobuf"), ("content-type", "application/json")];
    let answer = world.call("POST", &rules, &accept, json!({"spec": {"namespace": "a"}}).to_string()).await;
    assert_eq!((answer.code, answer.header("content-type")), (201, "application/vnd.kubernetes.protobuf"));
    assert!(answer.bytes.starts_with(b"k8s\0"));
}

#[tokio::test(start_paused = true)]
async fn clients_can_ask_about_themselves() {
    let mut world = start().await;
    world.user = Some(Arc::new(User {
        name: "jane".to_owned(),
        groups: vec!["system:masters".to_owned()],
        ..User::default()
    }));
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = world
        .create(path, json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}))
        .await;
    assert_eq!(review["status"]["userInfo"], json!({"username": "jane", "groups": ["system:masters"]}));
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let asked =
        json!({"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "a"}}});
    assert_eq!(world.create(path, asked.clone()).await["status"]["allowed"], true);
    let nothing = world.call("POST", path, &[], json!({"spec": {}}).to_string()).await.failure();
    assert!(
        nothing.ends_with("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    );
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted() {
    let world = start().await;
    world.get("/api/v1/namespaces/default/configmaps/a").await;
    world.config_map("a").await;
    let watch = world.respond("GET", "/api/v1/pods?watch=1", &[], Body::empty()).await;
    let shown = async || {
        let figures = world.get("/metrics").await;
        assert!(figures.header("content-type").starts_with("application/openmetrics-text"));
        figures.text()
    };
    let text = shown().await;
    let has =
        |text: &str, line: &str| assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    has(
        &text,
        r#"apiserver_request_total{verb="GET",group="",version="v1",resource="configmaps",subresource="",scope="resource",code="404"} 1"#,
    );
    has(
        &text,
        r#"apiserver_request_total{verb="POST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",code="201"} 1"#,
    );
    let watches = r#"apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="pods",subresource="",scope="cluster"}"#;
    has(&text, &format!("{watches} 1"));
    drop(watch);
    has(&shown().await, &format!("{watches} 0"));
}

#[tokio::test(start_paused = true)]
async fn schemas_are_found_by_the_index() {
    let world = start().await;
    let index = world.get("/openapi/v3").await;
    assert!(index.header("etag").starts_with('"'));
    let value = index.value();
    let url = value["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = world.get(url).await;
    assert_eq!((document.code, document.header("cache-control")), (200, "public, immutable"));
    assert!(document.value()["components"]["schemas"].is_object());
    let moved = world.get("/openapi/v3/apis/apps/v1?hash=00").await;
    assert_eq!((moved.code, moved.header("location")), (301, url));
}

/// What kubectl 1.27 and 1.28 read before they apply.
#[tokio::test(start_paused = true)]
async fn old_clients_find_everything_in_one_document() {
    let world = start().await;
    let json = world.get("/openapi/v2").await;
    assert_eq!((json.header("content-type"), json.header("vary")), ("application/json", "Accept"));
    let document = json.value();
    assert_eq!(document["swagger"], "2.0");
    let asked = [("accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")];
    let protobuf = world.call("GET", "/openapi/v2", &asked, Body::empty()).await;
    let form = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    assert_eq!((protobuf.code, protobuf.header("content-type")), (200, form));
    assert!(protobuf.bytes.starts_with(b"\n\x032.0"));
    assert_eq!(protobuf.header("etag"), json.header("etag"));
    let known = [("if-none-match", json.header("etag"))];
    let known = world.call("GET", "/openapi/v2", &known, Body::empty()).await;
    assert_eq!((known.code, known.bytes.len()), (304, 0));
    assert_eq!(world.call("GET", "/openapi/v2", &[("accept", "text/html")], Body::empty()).await.code, 406);
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_a_stream() {
    let world = start().await;
    let backup = world.get("/peapod/v1/backup").await;
    assert_eq!((backup.code, backup.header("content-type")), (200, "application/octet-stream"));
    assert!(backup.bytes.starts_with(b"peapod backup"));
}

#[tokio::test(start_paused = true)]
async fn answers_say_which_flow_they_belong_to() {
    let mut world = start().await;
    let told = |answered: &Answered| {
        ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"]
            .map(|name| answered.header(name).to_owned())
    };
    let schemas = world.get("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas").await;
    assert_eq!(told(&world.get("/version").await), told(&schemas), "both are exempt");
    world.user = None;
    assert_eq!(told(&world.get("/version").await), ["", ""], "who is nobody has no flow");
    let figures = {
        world.user = Some(User::component("test"));
        world.get("/metrics").await.text()
    };
    let line =
        r#"apiserver_flowcontrol_current_executing_requests{flow_schema="exempt",priority_level="exempt"} 1"#;
    assert!(figures.contains(line), "the request for the figures itself: {figures}");
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_the_control_plane_are_looked_at() {
    let world = start().await;
    let list = world.get("/api/v1/componentstatuses").await;
    assert_eq!(list.header("warning"), r#"299 - "v1 ComponentStatus is deprecated in v1.19+""#);
    assert_eq!(list.value()["kind"], "ComponentStatusList");
    assert_eq!(names(&list.value()), ["controller-manager", "etcd-0", "scheduler"]);
    let one = world.get("/api/v1/componentstatuses/etcd-0").await.value();
    let well = json!([{"type": "Healthy", "status": "True", "message": "ok"}]);
    assert_eq!((&one["kind"], &one["conditions"]), (&"ComponentStatus".into(), &well));
    let table = world.call("GET", "/api/v1/componentstatuses", &[TABLE], Body::empty()).await.value();
    let columns: Vec<&Value> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(columns, ["Name", "Status", "Message", "Error"]);
    assert_eq!(table["rows"][1]["cells"], json!(["etcd-0", "Healthy", "ok", ""]));
    let elsewhere = json!(["scheduler", "Unhealthy", "", "it is not part of this process"]);
    assert_eq!(table["rows"][2]["cells"], elsewhere);
    let chosen = world.get("/api/v1/componentstatuses?fieldSelector=metadata.name%3Dscheduler").await.value();
    assert_eq!(names(&chosen), ["scheduler"]);
    let missing = world.get("/api/v1/componentstatuses/nobody").await;
    assert_eq!(missing.failure(), "500  Component not found: nobody");
    for (method, path, code) in [
        ("DELETE", "/api/v1/componentstatuses/etcd-0", 405),
        ("POST", "/api/v1/componentstatuses", 405),
        ("GET", "/api/v1/componentstatuses?watch=1", 405),
        ("GET", "/api/v1/namespaces/default/componentstatuses", 404),
        ("GET", "/api/v1/componentstatuses/etcd-0/status", 404),
    ] {
        assert_eq!(world.call(method, path, &[], Body::empty()).await.code, code, "{method} {path}");
    }
    let listed = world.get("/api/v1").await.value();
    let listed = listed["resources"].as_array().unwrap().iter();
    let entry = listed.clone().find(|entry| entry["name"] == "componentstatuses").unwrap();
    assert_eq!((&entry["verbs"], &entry["shortNames"]), (&json!(["get", "list"]), &json!(["cs"])));
}
