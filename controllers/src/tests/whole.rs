//! Controllers on the API server itself: what only both of them together can show.

mod budgets;
mod quotas;

use api::Key;
use api::backend::{DeleteOptions, Propagation, WatchOptions};
use api::resource::SECRETS;
use api::watch::WatchEvent;
use apiserver::{Apiserver, Config};
use futures::StreamExt;

use super::*;

const DEFINITIONS: Resource = Resource::new(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
);

const WIDGETS: Resource = Resource::new("example.com", "v1", "widgets", "Widget", true);

/// An API server with all controllers.
struct Whole {
    client: Client,
    clock: Clock,
    _tasks: JoinSet<()>,
}

impl Whole {
    async fn start() -> Self {
        let clock = Clock::virtual_from(now());
        let mut tasks = JoinSet::new();
        let server = Config::in_memory(clock.clone(), 1);
        let registry = Apiserver::start(server, &mut tasks).await.expect("a server");
        let client = Client::new(registry, User::component("test"));
        let cache = cache_builder(Cache::builder()).start(&client, &clock, &mut tasks);
        let recorder = Recorder::start(client.clone(), clock.clone(), "test", &mut tasks);
        Controllers::start(&client, &cache, &clock, &recorder, Settings::default(), &mut tasks);
        let whole = Self { client, clock, _tasks: tasks };
        whole.settle().await;
        whole
    }

    async fn settle(&self) {
        self.clock.sleep(Duration::from_secs(2)).await;
    }

    async fn create(&self, resource: &Resource, value: Value) -> Object {
        let namespace = if resource.namespaced { "default" } else { "" };
        self.client.create(resource, namespace, &value).await.expect("created")
    }

    /// An object with a name, owned by another that it blocks.
    async fn owned(&self, resource: &Resource, name: &str, owner: Option<&Object>) -> Object {
        let owner = owner.map(|owner| {
            json!({"apiVersion": owner.api_version(), "kind": owner.kind(), "name": owner.name(),
                "uid": owner.uid(), "blockOwnerDeletion": true})
        });
        let owners: Vec<Value> = owner.into_iter().collect();
        let metadata = json!({"name": name, "ownerReferences": owners});
        let value =
            json!({"apiVersion": resource.api_version(), "kind": resource.kind, "metadata": metadata});
        self.create(resource, value).await
    }

    async fn define_widgets(&self) {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [
                    {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                        "subresources": {"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}}},
                    {"name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": schema}}]}});
        self.create(&DEFINITIONS, definition).await;
        self.settle().await;
    }

    async fn delete(&self, resource: &Resource, name: &str, propagation: Propagation) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.client.delete(resource, &self.key(resource, name), options).await.expect("deleted");
        self.settle().await;
    }

    fn key(&self, resource: &Resource, name: &str) -> Key {
        Key::new(if resource.namespaced { "default" } else { "" }, name)
    }

    async fn get(&self, resource: &Resource, name: &str) -> Option<Object> {
        self.client.get(resource, &self.key(resource, name)).await.ok()
    }
}

#[tokio::test(start_paused = true)]
async fn custom_objects_and_others_own_each_other() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let map = whole.owned(&CONFIG_MAPS, "top", None).await;
    let widget = whole.owned(&WIDGETS, "middle", Some(&map)).await;
    whole.owned(&SECRETS, "leaf", Some(&widget)).await;
    whole.settle().await;
    assert!(whole.get(&SECRETS, "leaf").await.is_some());
    whole.delete(&CONFIG_MAPS, "top", Propagation::Background).await;
    assert!(whole.get(&WIDGETS, "middle").await.is_none());
    assert!(whole.get(&SECRETS, "leaf").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_owner_may_be_named_in_another_version() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let second = Resource { version: "v2".into(), ..WIDGETS };
    let widget = whole.owned(&second, "top", None).await;
    assert_eq!(widget.api_version(), "example.com/v2");
    whole.owned(&CONFIG_MAPS, "leaf", Some(&widget)).await;
    whole.settle().await;
    assert!(whole.get(&CONFIG_MAPS, "leaf").await.is_some());
    whole.delete(&second, "top", Propagation::Background).await;
    assert!(whole.get(&CONFIG_MAPS, "leaf").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_foreground_and_orphans_are_for_custom_objects_too() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let widget = whole.owned(&WIDGETS, "top", None).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held",
        "finalizers": ["example.com/mine"], "ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Widget",
            "name": "top", "uid": widget.uid(), "blockOwnerDeletion": true}]}});
    whole.create(&CONFIG_MAPS, map).await;
    whole.delete(&WIDGETS, "top", Propagation::Foreground).await;
    assert!(whole.get(&CONFIG_MAPS, "held").await.expect("is held").is_terminating());
    assert!(whole.get(&WIDGETS, "top").await.expect("waits").is_terminating());
    let merge = json!({"metadata": {"finalizers": null}});
    whole.client.patch(&CONFIG_MAPS, &Key::new("default", "held"), "", merge).await.expect("patched");
    whole.settle().await;
    assert!(whole.get(&WIDGETS, "top").await.is_none());

    let widget = whole.owned(&WIDGETS, "top", None).await;
    whole.owned(&CONFIG_MAPS, "left", Some(&widget)).await;
    whole.delete(&WIDGETS, "top", Propagation::Orphan).await;
    assert!(whole.get(&WIDGETS, "top").await.is_none());
    let left = whole.get(&CONFIG_MAPS, "left").await.expect("is left");
    assert!(left.value()["metadata"].get("ownerReferences").is_none(), "{:?}", left.json());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_deleted_takes_what_its_objects_own_with_it() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let widget = whole.owned(&WIDGETS, "top", None).await;
    whole.owned(&CONFIG_MAPS, "leaf", Some(&widget)).await;
    whole.settle().await;
    whole.delete(&DEFINITIONS, "widgets.example.com", Propagation::Background).await;
    assert!(whole.get(&DEFINITIONS, "widgets.example.com").await.is_none());
    assert!(whole.get(&CONFIG_MAPS, "leaf").await.is_none());
    // The same kind again, as a new one.
    whole.owned(&CONFIG_MAPS, "early", Some(&widget)).await;
    whole.settle().await;
    assert!(whole.get(&CONFIG_MAPS, "early").await.is_none(), "the owner was seen to go");
    whole.define_widgets().await;
    let widget = whole.owned(&WIDGETS, "top", None).await;
    whole.owned(&CONFIG_MAPS, "leaf", Some(&widget)).await;
    whole.delete(&WIDGETS, "top", Propagation::Background).await;
    assert!(whole.get(&CONFIG_MAPS, "leaf").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_owner_stays_when_its_kind_is_served_in_another_version_only() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let widget = whole.owned(&WIDGETS, "top", None).await;
    whole.owned(&CONFIG_MAPS, "leaf", Some(&widget)).await;
    whole.settle().await;
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let version = |name: &str, is_kept: bool| json!({"name": name, "served": is_kept, "storage": is_kept, "schema": schema});
    let merge = json!({"spec": {"versions": [version("v2", true), version("v1", false)]}});
    let definition = whole.key(&DEFINITIONS, "widgets.example.com");
    whole.client.patch(&DEFINITIONS, &definition, "", merge).await.expect("patched");
    whole.settle().await;
    assert!(whole.get(&WIDGETS, "top").await.is_none(), "it is not served any more");
    let second = Resource { version: "v2".into(), ..WIDGETS };
    let widget = whole.get(&second, "top").await.expect("is served");
    whole.owned(&SECRETS, "leaf", Some(&widget)).await;
    whole.settle().await;
    assert!(whole.get(&CONFIG_MAPS, "leaf").await.is_some());
    whole.delete(&second, "top", Propagation::Background).await;
    assert!(whole.get(&SECRETS, "leaf").await.is_none());
    assert!(whole.get(&CONFIG_MAPS, "leaf").await.is_none(), "it was seen to go, by whatever name");
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_how_the_last_objects_went_with_their_kind() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    whole.owned(&WIDGETS, "top", None).await;
    let events = whole.client.watch(&WIDGETS, "default", WatchOptions::default()).await.expect("a watch");
    whole.delete(&DEFINITIONS, "widgets.example.com", Propagation::Background).await;
    let told = events.map(|event| match event {
        WatchEvent::Added(object) => format!("{} came", object.name()),
        WatchEvent::Deleted(object) => format!("{} went", object.name()),
        other => format!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>().await, ["top came", "top went"]);
}
