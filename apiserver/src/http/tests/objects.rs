//! Objects: written in every format, shown in every shape, refused in Kubernetes' words.

use super::*;
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn an_object_lives_by_the_methods_of_http() {
    let world = start().await;
    let created = world.config_map("a").await;
    assert_eq!((created["kind"].as_str(), created["apiVersion"].as_str()), (Some("ConfigMap"), Some("v1")));
    let path = format!("{MAPS}/a");
    let read = world.get(&path).await;
    assert_eq!((read.code, read.value()), (200, created.clone()));
    assert_eq!(
        (read.header("content-type"), read.header("cache-control")),
        ("application/json", "no-cache, private")
    );
    let again = world.call("POST", MAPS, &[], json!({"metadata": {"name": "a"}}).to_string()).await;
    assert_eq!(again.failure(), r#"409 AlreadyExists configmaps "a" already exists"#);
    let mut next = created.clone();
    next["data"]["a"] = "2".into();
    let put = world.call("PUT", &path, &[], next.to_string()).await;
    assert_eq!((put.code, &put.value()["data"]), (200, &json!({"a": "2"})));
    let stale = world.call("PUT", &path, &[], created.to_string()).await.failure();
    assert!(stale.starts_with(r#"409 Conflict Operation cannot be fulfilled on configmaps "a""#), "{stale}");
    let patch = async |format: &str, body: &str| {
        world.call("PATCH", &path, &[("content-type", format)], body.to_owned()).await
    };
    let merged = patch("application/merge-patch+json", r#"{"data":{"b":"3","a":null}}"#).await;
    assert_eq!((merged.code, &merged.value()["data"]), (200, &json!({"b": "3"})));
    let operated =
        patch("application/json-patch+json", r#"[{"op":"add","path":"/data/c","value":"4"}]"#).await;
    assert_eq!((operated.code, &operated.value()["data"]), (200, &json!({"b": "3", "c": "4"})));
    assert_eq!(patch("application/apply-patch+cbor", "{}").await.code, 415);
    let misled = world.call("DELETE", &path, &[], r#"{"kind":"Pod","apiVersion":"v1"}"#).await.failure();
    assert_eq!(misled, "400 BadRequest decoded object cannot be converted to DeleteOptions");
    let deleted = world.call("DELETE", &path, &[], r#"{"kind":"DeleteOptions","apiVersion":"v1"}"#).await;
    let status = deleted.value();
    assert_eq!((deleted.code, status["status"].as_str()), (200, Some("Success")));
    let uid = created["metadata"]["uid"].as_str().unwrap();
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "uid": uid}));
    assert_eq!(world.get(&path).await.failure(), r#"404 NotFound configmaps "a" not found"#);
}

#[tokio::test(start_paused = true)]
async fn bodies_come_in_the_formats_of_clients_and_have_a_bound() {
    let world = start().await;
    let send = async |format: &str, body: Body| {
        let headers = [("content-type", format)];
        world.call("POST", MAPS, &headers, body).await
    };
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: \"1\"}\n";
    assert_eq!(send("application/yaml; charset=utf-8", yaml.into()).await.code, 201);
    let unknown = send("text/plain", "x".into()).await.failure();
    assert_eq!(
        unknown,
        "415 UnsupportedMediaType the body of the request was in an unknown format - accepted media types include: \
         application/json, application/yaml, application/vnd.kubernetes.protobuf"
    );
    assert_eq!(send("application/vnd.kubernetes.protobuf", "k8s".into()).await.code, 400);
    assert_eq!(send("application/yaml", "a: [".into()).await.code, 400);
    let two = send("application/yaml", format!("{yaml}---\n{yaml}").into()).await;
    assert!(two.failure().contains(": the text holds more than one object ("));
    let large = send("application/json", vec![b' '; 3 * 1024 * 1024 + 1].into()).await;
    let words = "413 RequestEntityTooLarge Request entity too large: limit is 3145728";
    assert_eq!((large.failure().as_str(), large.header("connection")), (words, "close"));
    // Without a length it is found out while reading.
    let pieces = futures::stream::iter((0..4).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])));
    assert_eq!(send("application/json", Body::from_stream(pieces)).await.failure(), words);
    let strict = json!({"metadata": {"name": "s"}, "dat": {}}).to_string();
    let path = format!("{MAPS}?fieldValidation=Strict");
    assert_eq!(world.call("POST", &path, &[], strict.clone()).await.code, 400);
    let warned = world.call("POST", MAPS, &[], strict).await;
    assert_eq!((warned.code, warned.header("warning")), (201, r#"299 - "unknown field \"dat\"""#));
    let dry = world.call("POST", &format!("{MAPS}?dryRun=All"), &[], r#"{"metadata":{"name":"d"}}"#).await;
    assert_eq!((dry.code, world.get(&format!("{MAPS}/d")).await.code), (201, 404));
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_selected_and_shaped() {
    let world = start().await;
    for name in ["a", "b", "c"] {
        world.config_map(name).await;
    }
    let all = world.get(MAPS).await.value();
    assert_eq!((all["kind"].as_str(), all["apiVersion"].as_str()), (Some("ConfigMapList"), Some("v1")));
    assert_eq!(names(&all), ["a", "b", "c"]);
    let revision = all["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let page = world.get(&format!("{MAPS}?limit=2")).await.value();
    assert_eq!((names(&page), &page["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(1)));
    let token = super::super::query::encode(page["metadata"]["continue"].as_str().unwrap());
    assert_eq!(names(&world.get(&format!("{MAPS}?limit=2&continue={token}")).await.value()), ["c"]);
    assert_eq!(
        names(&world.get(&format!("{MAPS}?labelSelector=app%20in%20(b,c)")).await.value()),
        ["b", "c"]
    );
    assert_eq!(names(&world.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dc")).await.value()), ["c"]);
    world.config_map("d").await;
    let exactly = format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    assert_eq!(names(&world.get(&exactly).await.value()), ["a", "b", "c"], "as it was then");
    let unsupported = world.get(&format!("{MAPS}?fieldSelector=data%3Dx")).await.failure();
    assert_eq!(unsupported, "400 BadRequest field label not supported: data");
    let later = world.get(&format!("{MAPS}?resourceVersion=99999999999999")).await;
    assert_eq!((later.code, later.header("retry-after")), (504, "1"));
    let table = world.call("GET", MAPS, &[TABLE], Body::empty()).await.value();
    assert_eq!(
        (table["kind"].as_str(), table["apiVersion"].as_str()),
        (Some("Table"), Some("meta.k8s.io/v1"))
    );
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "a");
    let bare =
        world.call("GET", &format!("{MAPS}?includeObject=None"), &[TABLE], Body::empty()).await.value();
    assert!(bare["rows"][0].get("object").is_none());
    let metadata = ("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let partial = world.call("GET", MAPS, &[metadata], Body::empty()).await.value();
    assert_eq!((partial["kind"].as_str(), names(&partial).len()), (Some("PartialObjectMetadataList"), 4));
    assert!(partial["items"][0].get("data").is_none());
    let pretty = world.get(&format!("{MAPS}/a?pretty=true")).await;
    assert!(pretty.text().starts_with("{\n  \""), "{}", pretty.text());
    assert_eq!(world.call("GET", MAPS, &[("accept", "text/html")], Body::empty()).await.code, 406);
    let removed = world.call("DELETE", &format!("{MAPS}?labelSelector=app%3Da"), &[], Body::empty()).await;
    assert_eq!((removed.code, names(&removed.value())), (200, vec!["a"]));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_obeys_its_options_and_shows_what_lingers() {
    let world = start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    let created = world.create(pods, pod).await;
    let path = format!("{pods}/p");
    let other = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}});
    assert_eq!(world.call("DELETE", &path, &[], other.to_string()).await.code, 409);
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 7}).to_string();
    let lingering =
        world.call("DELETE", &path, &[("content-type", "application/json")], options).await.value();
    assert_eq!(lingering["metadata"]["deletionGracePeriodSeconds"], 7);
    assert_eq!(lingering["metadata"]["uid"], created["metadata"]["uid"]);
    let gone =
        world.call("DELETE", &format!("{path}?gracePeriodSeconds=0"), &[], Body::empty()).await.value();
    assert_eq!((gone["kind"].as_str(), &gone["metadata"]["name"]), (Some("Pod"), &json!("p")));
    let held = json!({"metadata": {"name": "held", "finalizers": ["a/b"]}});
    world.create(MAPS, held).await;
    let cascading = format!("{MAPS}/held?orphanDependents=false");
    assert_eq!(world.call("DELETE", &cascading, &[], Body::empty()).await.code, 202);
}

#[tokio::test(start_paused = true)]
async fn subresources_are_documents_of_their_own() {
    let world = start().await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({"metadata": {"name": "d"}, "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    world.create(path, deployment).await;
    let scale = format!("{path}/d/scale");
    let patched = world
        .call(
            "PATCH",
            &scale,
            &[("content-type", "application/merge-patch+json")],
            r#"{"spec":{"replicas":5}}"#,
        )
        .await
        .value();
    assert_eq!((patched["kind"].as_str(), &patched["spec"]), (Some("Scale"), &json!({"replicas": 5})));
    let table = world.call("GET", &scale, &[TABLE], Body::empty()).await.value();
    assert_eq!(table["rows"][0]["cells"], json!(["d", 5, 0, "0s"]));
    assert_eq!(world.get(&format!("{path}/d")).await.value()["spec"]["replicas"], 5);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    world.create("/api/v1/namespaces/default/pods", pod).await;
    let binding = json!({"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bound = world.create("/api/v1/namespaces/default/pods/p/binding", binding).await;
    assert_eq!((bound["kind"].as_str(), bound["status"].as_str()), (Some("Status"), Some("Success")));
}

#[tokio::test(start_paused = true)]
async fn pods_are_bound_and_evicted_by_documents() {
    let world = start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |name: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    world.create(pods, pod("p")).await;
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"}});
    let bindings = "/api/v1/namespaces/default/bindings";
    let done = world.create(bindings, binding.clone()).await;
    assert_eq!((done["kind"].as_str(), done["status"].as_str()), (Some("Status"), Some("Success")));
    assert_eq!(world.get(&format!("{pods}/p")).await.value()["spec"]["nodeName"], "n");
    let again = world.call("POST", bindings, &[], binding.to_string()).await;
    assert_eq!(again.code, 409);
    assert_eq!(world.call("GET", bindings, &[], Body::empty()).await.code, 405);
    assert_eq!(
        world.call("POST", bindings, &[], "{}").await.failure(),
        "400 BadRequest name must be provided"
    );
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"},
        "deleteOptions": {"gracePeriodSeconds": 0}});
    let evicted = world.create(&format!("{pods}/p/eviction"), eviction).await;
    assert_eq!((evicted["status"].as_str(), evicted["code"].as_u64()), (Some("Success"), Some(201)));
    assert_eq!(world.get(&format!("{pods}/p")).await.code, 404);
    let listed = world.get("/api/v1").await.value();
    let has = |name: &str| listed["resources"].as_array().unwrap().iter().any(|one| one["name"] == name);
    assert!(
        ["bindings", "pods/eviction", "pods/resize", "pods/ephemeralcontainers"].iter().all(|name| has(name))
    );
}
