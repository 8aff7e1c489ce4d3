//! Answers as protobuf and as YAML: the same as in JSON.

use super::*;
use crate::codec::protobuf::{self, wire};
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: (&str, &str) = ("accept", "application/vnd.kubernetes.protobuf");
const PARTIAL: (&str, &str) =
    ("accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
const PARTIAL_LIST: (&str, &str) =
    ("accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");

/// Every run of bytes with this tag.
fn members(message: &[u8], tag: u32) -> Vec<Vec<u8>> {
    let members = wire::Reader::new(message).map(Result::unwrap).filter(|(found, _)| *found == tag);
    members.map(|(_, payload)| payload.bytes().unwrap().to_vec()).collect()
}

/// Version and kind on the envelope, and the message in it.
fn opened(bytes: &[u8]) -> (String, Vec<u8>) {
    let envelope = bytes.strip_prefix(b"k8s\0").unwrap();
    let about = &members(envelope, 1)[0];
    let text = |tag| String::from_utf8(members(about, tag)[0].clone()).unwrap();
    (format!("{} {}", text(1), text(2)), members(envelope, 2)[0].clone())
}

/// The metadata in a message, as JSON has it.
fn metadata(message: &[u8]) -> Value {
    let message = protobuf::enclose("v1", "ConfigMap", message);
    protobuf::decode(&message).unwrap()["metadata"].clone()
}

#[tokio::test(start_paused = true)]
async fn objects_lists_and_errors_come_as_protobuf() {
    let world = start().await;
    let created = world.config_map("a").await;
    world.config_map("b").await;
    let one = world.call("GET", &format!("{MAPS}/a"), &[PROTOBUF], Body::empty()).await;
    assert_eq!(one.header("content-type"), "application/vnd.kubernetes.protobuf");
    assert_eq!(protobuf::decode(&one.bytes).unwrap(), created);
    let list = world.call("GET", &format!("{MAPS}?limit=2"), &[PROTOBUF], Body::empty()).await;
    let json = world.get(&format!("{MAPS}?limit=2")).await.value();
    let (about, message) = opened(&list.bytes);
    assert_eq!(about, "v1 ConfigMapList");
    let items: Vec<Value> = members(&message, 2)
        .iter()
        .map(|item| protobuf::decode(&protobuf::enclose("v1", "ConfigMap", item)).unwrap())
        .collect();
    assert_eq!(json!(items), json["items"]);
    let revision = members(&members(&message, 1)[0], 2)[0].clone();
    assert_eq!(String::from_utf8(revision).unwrap(), json["metadata"]["resourceVersion"]);
    let missing = world.call("GET", &format!("{MAPS}/none"), &[PROTOBUF], Body::empty()).await;
    let status = protobuf::decode(&missing.bytes).unwrap();
    let expected = world.get(&format!("{MAPS}/none")).await.value();
    assert_eq!((missing.code, &status["message"]), (404, &expected["message"]));
    assert_eq!((&status["details"], &status["code"]), (&expected["details"], &json!(404)));
    let gone = world.call("DELETE", &format!("{MAPS}/b"), &[PROTOBUF], Body::empty()).await;
    assert_eq!(protobuf::decode(&gone.bytes).unwrap()["status"], "Success");
}

#[tokio::test(start_paused = true)]
async fn metadata_comes_as_protobuf_too() {
    let world = start().await;
    let created = world.config_map("a").await;
    let path = format!("{MAPS}/a");
    let (about, message) = opened(&world.call("GET", &path, &[PARTIAL], Body::empty()).await.bytes);
    assert_eq!(about, "meta.k8s.io/v1 PartialObjectMetadata");
    assert_eq!(metadata(&message), created["metadata"]);
    let (about, message) = opened(&world.call("GET", MAPS, &[PARTIAL_LIST], Body::empty()).await.bytes);
    assert_eq!(about, "meta.k8s.io/v1 PartialObjectMetadataList");
    assert!(members(&message, 2).iter().any(|item| metadata(item) == created["metadata"]));
    let row = async |path: &str, accept: (&str, &str), expected: &str| {
        let json = accept.1.replace("vnd.kubernetes.protobuf", "json");
        let refused = world.call("GET", path, &[("accept", &json)], Body::empty()).await;
        assert_eq!(refused.failure(), format!("406 NotAcceptable {expected}"));
    };
    row(
        &path,
        PARTIAL_LIST,
        "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
    )
    .await;
    row(
        MAPS,
        PARTIAL,
        "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_comes_in_frames() {
    let world = start().await;
    let created = world.config_map("a").await;
    let query = "watch=true&timeoutSeconds=90&allowWatchBookmarks=true&sendInitialEvents=true\
        &resourceVersionMatch=NotOlderThan";
    let accept = ("accept", "application/vnd.kubernetes.protobuf;stream=watch");
    let watch = world.call("GET", &format!("{MAPS}?{query}"), &[accept], Body::empty()).await;
    assert_eq!(watch.header("content-type"), "application/vnd.kubernetes.protobuf;stream=watch");
    let mut rest = &watch.bytes[..];
    let mut events = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (event, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        let object = members(&members(event, 2)[0], 1)[0].clone();
        events.push((
            String::from_utf8(members(event, 1)[0].clone()).unwrap(),
            protobuf::decode(&object).unwrap(),
        ));
        rest = tail;
    }
    assert!(rest.is_empty());
    assert_eq!(events[0], ("ADDED".to_owned(), created));
    assert_eq!((events[1].0.as_str(), &events[1].1["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    let end = &events[1].1["metadata"]["annotations"];
    assert_eq!(*end, json!({"k8s.io/initial-events-end": "true"}));
}

#[tokio::test(start_paused = true)]
async fn objects_and_lists_come_as_yaml() {
    let world = start().await;
    let created = world.config_map("a").await;
    let read = |text: &str| api::manifest::read("answer", text).unwrap().pop().unwrap().value;
    let accept = [("accept", "application/yaml")];
    let one = world.call("GET", &format!("{MAPS}/a"), &accept, Body::empty()).await;
    assert_eq!((one.header("content-type"), read(&one.text())), ("application/yaml", created));
    let list = world.call("GET", MAPS, &accept, Body::empty()).await;
    assert!(list.text().contains("kind: ConfigMapList\n"), "{}", list.text());
    assert_eq!(read(&list.text()), world.get(MAPS).await.value()["items"][0], "the reader takes lists apart");
    let table = [("accept", "application/yaml;as=Table;g=meta.k8s.io;v=v1beta1")];
    let table = read(&world.call("GET", MAPS, &table, Body::empty()).await.text());
    assert_eq!(
        (table["kind"].as_str(), table["apiVersion"].as_str()),
        (Some("Table"), Some("meta.k8s.io/v1beta1"))
    );
    assert_eq!(table["rows"][0]["object"]["apiVersion"], "meta.k8s.io/v1beta1");
    let refused = world.call("GET", &format!("{MAPS}/none"), &accept, Body::empty()).await;
    assert_eq!((refused.code, read(&refused.text())["reason"].as_str()), (404, Some("NotFound")));
}

#[tokio::test(start_paused = true)]
async fn discovery_comes_as_protobuf() {
    let world = start().await;
    let row = async |path: &str, kind: &str, list: &str, field: &str| {
        let shown = world.call("GET", path, &[PROTOBUF], Body::empty()).await;
        assert_eq!(shown.header("content-type"), PROTOBUF.1);
        assert_eq!(opened(&shown.bytes).0, format!("v1 {kind}"));
        let (shown, json) = (protobuf::decode(&shown.bytes).unwrap(), world.get(path).await.value());
        let names = |of: &Value| {
            let items = of[list].as_array().unwrap().iter();
            items.map(|item| item.get(field).unwrap_or(item).clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&shown), names(&json), "{path}");
    };
    row("/api", "APIVersions", "versions", "").await;
    row("/api/v1", "APIResourceList", "resources", "verbs").await;
    row("/apis", "APIGroupList", "groups", "preferredVersion").await;
    row("/apis/apps", "APIGroup", "versions", "groupVersion").await;
    row("/apis/apps/v1", "APIResourceList", "resources", "name").await;
}

#[tokio::test(start_paused = true)]
async fn reviews_are_asked_and_answered_in_protobuf() {
    let world = start().await;
    let row = async |kind: &str, group: &str, spec: Value, field: &str, expected: Value| {
        let version = format!("{group}/v1");
        let review = json!({"kind": kind, "apiVersion": version, "spec": spec});
        let sent = protobuf::encode(&review, protobuf::type_of(&version, kind).unwrap()).unwrap();
        let path = format!("/apis/{version}/{}s", kind.to_lowercase());
        let answer = world.call("POST", &path, &[PROTOBUF, ("content-type", PROTOBUF.1)], sent).await;
        assert_eq!((answer.code, answer.header("content-type")), (201, PROTOBUF.1), "{}", answer.text());
        let answer = protobuf::decode(&answer.bytes).unwrap();
        assert_eq!(answer.pointer(field), Some(&expected), "{kind}: {answer}");
    };
    let pods = json!({"verb": "get", "resource": "pods", "namespace": "default"});
    let about = |user: &str| json!({"user": user, "groups": ["system:masters"], "extra": {"a": ["b"]}, "resourceAttributes": pods});
    let access = "authorization.k8s.io";
    row("SubjectAccessReview", access, about("jane"), "/status/allowed", true.into()).await;
    row("SubjectAccessReview", access, about("jane"), "/spec/extra/a/0", "b".into()).await;
    let own = json!({"resourceAttributes": pods});
    row("SelfSubjectAccessReview", access, own, "/status/allowed", true.into()).await;
    let within = json!({"namespace": "default"});
    row("SelfSubjectRulesReview", access, within, "/status/resourceRules/0/verbs/0", "*".into()).await;
    let who = "authentication.k8s.io";
    row("SelfSubjectReview", who, Value::Null, "/status/userInfo/username", "system:peapod:test".into())
        .await;
    row("TokenReview", who, json!({"token": "x"}), "/status/error", "invalid bearer token".into()).await;
}
