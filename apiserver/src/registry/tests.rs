//! The life of a write, through the public door.
#![allow(clippy::unwrap_used)]

mod changes;
mod deletion;
mod durable;
mod eviction;
mod kinds;
mod parts;
mod plugins;
mod reading;
mod resize;
mod resuming;
mod strategic;
mod watching;

use std::sync::Arc;

use api::backend::{
    Backend, Body, DeleteOptions, FieldValidation, ListOptions, Patch, Request, User, Verb, WriteOptions,
};
use api::resource::{CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICA_SETS, SERVICES};
use api::{Client, Clock, Key, Object, Resource, Status};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Registry;
use crate::{Apiserver, Config};

/// A server in virtual time, and one who may do everything.
struct World {
    registry: Arc<Registry>,
    client: Client,
    clock: Clock,
    _tasks: JoinSet<()>,
}

async fn start() -> World {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let mut tasks = JoinSet::new();
    let config = Config::in_memory(clock.clone(), 1);
    let registry = Apiserver::start(config, &mut tasks).await.unwrap();
    let client = Client::new(registry.clone(), User::component("test"));
    World { registry, client, clock, _tasks: tasks }
}

impl World {
    async fn create(&self, resource: &Resource, value: Value) -> Result<Value, String> {
        let namespace = if resource.namespaced { "default" } else { "" };
        let created = self.client.create(resource, namespace, &value).await;
        created.map(tree).map_err(|status| status.to_string())
    }

    async fn get(&self, resource: &Resource, name: &str) -> Result<Value, Status> {
        self.client.get(resource, &key(resource, name)).await.map(tree)
    }

    async fn call(
        &self,
        resource: &Resource,
        name: &str,
        part: &'static str,
        verb: Verb,
    ) -> Result<Object, Status> {
        let reply = self.client.call(resource, key(resource, name), part, verb).await?;
        match reply.answer {
            api::backend::Answer::Object(object) | api::backend::Answer::Deleted(object) => Ok(object),
            other => panic!("{other:?}"),
        }
    }

    async fn update(
        &self,
        resource: &Resource,
        name: &str,
        part: &'static str,
        value: Value,
    ) -> Result<Value, String> {
        let verb = Verb::Update(Body::Value(value), WriteOptions::default());
        self.call(resource, name, part, verb).await.map(tree).map_err(|status| status.to_string())
    }

    async fn merge(
        &self,
        resource: &Resource,
        name: &str,
        part: &'static str,
        patch: Value,
    ) -> Result<Value, String> {
        let patched = self.client.patch(resource, &key(resource, name), part, patch).await;
        patched.map(tree).map_err(|status| status.to_string())
    }

    async fn delete(
        &self,
        resource: &Resource,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Object, Status> {
        self.client.delete(resource, &key(resource, name), options).await
    }
}

fn key(resource: &Resource, name: &str) -> Key {
    if resource.namespaced { Key::new("default", name) } else { Key::cluster(name) }
}

fn tree(object: Object) -> Value {
    object.value().clone()
}

fn config_map(name: &str, text: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"key": text}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}})
}

fn deployment(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "image": "app"}]}}}})
}

#[tokio::test(start_paused = true)]
async fn a_new_object_gets_its_identity_from_the_server() {
    let world = start().await;
    let mut asked = config_map("a", "1");
    asked["metadata"]["uid"] = "mine".into();
    asked["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    asked["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    let created = world.create(&CONFIG_MAPS, asked).await.unwrap();
    let metadata = &created["metadata"];
    assert_eq!(metadata["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(metadata["namespace"], "default");
    assert_eq!((created["apiVersion"].as_str(), created["kind"].as_str()), (Some("v1"), Some("ConfigMap")));
    assert!(metadata.get("deletionTimestamp").is_none() && metadata["uid"] != "mine");
    assert_eq!(world.get(&CONFIG_MAPS, "a").await.unwrap(), created);
    let again = world.create(&CONFIG_MAPS, config_map("a", "2")).await.unwrap_err();
    assert_eq!(again, r#"configmaps "a" already exists"#);
    let other = start().await;
    let twin = other.create(&CONFIG_MAPS, config_map("a", "1")).await.unwrap();
    assert_eq!(twin["metadata"]["uid"], metadata["uid"], "the same seed makes the same cluster");
}

#[tokio::test(start_paused = true)]
async fn names_are_generated_and_checked() {
    let world = start().await;
    let mut unnamed = pod("");
    unnamed["metadata"] = json!({"generateName": "web-"});
    let name = world.create(&PODS, unnamed).await.unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    let row = async |resource: &Resource, value: Value, words: &str| {
        assert_eq!(world.create(resource, value).await.unwrap_err(), words);
    };
    row(
        &CONFIG_MAPS,
        json!({"metadata": {}}),
        r#"ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#,
    )
    .await;
    let error = world.create(&PODS, pod("Web")).await.unwrap_err();
    assert!(error.starts_with(
        r#"Pod "Web" is invalid: metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain must"#
    ));
    let error = world.create(&NAMESPACES, json!({"metadata": {"name": "a.b"}})).await.unwrap_err();
    assert!(error.contains("a lowercase RFC 1123 label must consist of"), "{error}");
    row(
        &CONFIG_MAPS,
        json!({"metadata": {"name": "a", "namespace": "other"}}),
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    .await;
    row(
        &CONFIG_MAPS,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}),
        "the API version in the data (v1, Kind=Pod) does not match the expected API version (v1, Kind=ConfigMap)",
    )
    .await;
    row(
        &CONFIG_MAPS,
        json!({"metadata": {"name": "a", "resourceVersion": "1"}}),
        "resourceVersion should not be set on objects to be created",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn only_members_of_masters_may_do_anything() {
    let world = start().await;
    let nobody =
        Arc::new(User { name: "eve".into(), groups: vec!["system:authenticated".into()], ..User::default() });
    let client = world.client.with_user(nobody);
    let row = async |resource: &Resource, key: Key, part, verb, words: &str| {
        let status = client.call(resource, key, part, verb).await.unwrap_err();
        assert_eq!((status.code, status.to_string().as_str()), (403, words));
    };
    row(
        &PODS,
        Key::new("default", "a"),
        "",
        Verb::Get,
        r#"pods "a" is forbidden: User "eve" cannot get resource "pods" in API group "" in the namespace "default""#,
    )
    .await;
    row(
        &DEPLOYMENTS,
        Key::new("", ""),
        "",
        Verb::List(ListOptions::default()),
        r#"deployments.apps is forbidden: User "eve" cannot list resource "deployments" in API group "apps" at the cluster scope"#,
    )
    .await;
    row(
        &PODS,
        Key::new("default", "a"),
        "status",
        Verb::Get,
        r#"pods "a" is forbidden: User "eve" cannot get resource "pods/status" in API group "" in the namespace "default""#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_warn_or_refuse() {
    let world = start().await;
    let send = async |name: &str, field_validation, dry_run| {
        let json =
            format!(r#"{{"metadata": {{"name": "{name}"}}, "dat": {{}}, "data": {{"a": "1", "a": "2"}}}}"#);
        let options = WriteOptions { field_validation, dry_run, ..WriteOptions::default() };
        let verb = Verb::Create(Body::Json(json.into()), options);
        world.client.call(&CONFIG_MAPS, Key::new("default", name), "", verb).await
    };
    let warned = send("a", FieldValidation::Warn, false).await.unwrap();
    assert_eq!(warned.warnings, [r#"unknown field "dat""#, r#"duplicate field "data.a""#]);
    assert!(send("b", FieldValidation::Ignore, false).await.unwrap().warnings.is_empty());
    let refused = send("c", FieldValidation::Strict, false).await.unwrap_err();
    assert_eq!(refused.code, 400);
    assert_eq!(
        refused.message,
        r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat", duplicate field "data.a""#
    );
    assert_eq!(causes(&refused), [r#"dat: unknown field; did you mean "data"?"#, "data.a: duplicate field"]);
    assert!(world.get(&CONFIG_MAPS, "c").await.unwrap_err().is_not_found());
}

/// The field and the words of each cause.
fn causes(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_has_the_wrong_type_is_named_by_its_field() {
    let world = start().await;
    let row = async |spec: Value, cause: &str| {
        let mut value = deployment("d");
        crate::patch::merge(&mut value, json!({"spec": spec}));
        let status = world.client.create(&DEPLOYMENTS, "default", &value).await.unwrap_err();
        assert_eq!(status.code, 400);
        let head = r#"Deployment in version "v1" cannot be handled as a Deployment"#;
        assert_eq!(status.message, format!("{head}: {cause}"));
        assert_eq!(causes(&status), [cause]);
    };
    row(json!({"replicas": "three"}), r#"spec.replicas: Invalid value: "three": must be an integer"#).await;
    row(
        json!({"template": {"spec": {"containers": {}}}}),
        r#"spec.template.spec.containers: Invalid value: "object": must be a list"#,
    )
    .await;
    let mut deep = json!(1);
    for _ in 0..110 {
        deep = json!([deep]);
    }
    let status =
        world.client.create(&CONFIG_MAPS, "default", &json!({"data": {"a": deep}})).await.unwrap_err();
    assert_eq!(causes(&status), [r#"data[a]: Invalid value: "array": must be a string"#]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_means_nothing_to_objects_of_the_cluster() {
    let world = start().await;
    let node = json!({"metadata": {"name": "n", "namespace": "default"}});
    let created = world.create(&NODES, node.clone()).await.unwrap();
    assert_eq!(created["metadata"].get("namespace"), None);
    assert_eq!(world.update(&NODES, "n", "", node).await.unwrap(), created);
    let label = "kubernetes.io/metadata.name";
    let named = json!({"metadata": {"name": "mine", "labels": {label: "other"}}});
    let named = world.create(&NAMESPACES, named).await.unwrap();
    assert_eq!(named["metadata"]["labels"][label], "mine", "the label tells the truth");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_not_found() {
    let world = start().await;
    let request = |resource: Resource, subresource, verb| {
        let key = Key::new("default", "a");
        world.registry.call(Request { user: User::component("test"), resource, key, subresource, verb })
    };
    let gone = Resource::new("extensions", "v1beta1", "deployments", "Deployment", true);
    assert_eq!(request(gone, "", Verb::Get).await.unwrap_err().code, 404);
    assert_eq!(request(CONFIG_MAPS, "status", Verb::Get).await.unwrap_err().code, 404);
    let body = || Body::Value(json!({}));
    let verb = Verb::Create(body(), WriteOptions::default());
    assert_eq!(request(REPLICA_SETS, "scale", verb).await.unwrap_err().code, 405);
}
