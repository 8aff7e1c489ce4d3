//! What is owned goes with its owner, of whatever kinds they are.

use api::resource::PERSISTENT_VOLUMES;

use super::*;

const WIDGETS: Resource = Resource::new("example.com", "v1", "widgets", "Widget", true);

/// An object in a namespace, owned by others that block their owner's end.
fn object(resource: &Resource, place: &str, owners: &[&Value]) -> Value {
    let (namespace, name) = place.split_once('/').expect("namespace/name");
    let owners: Vec<Value> = owners.iter().map(|owner| reference(owner)).collect();
    let mut object = json!({"apiVersion": resource.api_version(), "kind": resource.kind,
        "metadata": {"name": name, "uid": format!("{namespace}-{name}"), "ownerReferences": owners}});
    if resource.namespaced {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn reference(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true})
}

impl Cluster {
    fn put(&self, resource: &Resource, object: &Value) {
        self.server.put(resource, object.clone());
    }

    fn names(&self, resource: &Resource) -> Vec<String> {
        self.server.all(resource).iter().map(|object| object.name().to_owned()).collect()
    }

    fn named(&self, resource: &Resource, name: &str) -> Object {
        let all = self.server.all(resource);
        all.into_iter().find(|object| object.name() == name).expect("is there")
    }

    async fn remove(&self, resource: &Resource, name: &str) {
        self.server.remove(resource, &self.named(resource, name));
        self.settle().await;
    }

    /// Begins to delete an object as a server does if this finalizer is to say how.
    async fn delete(&self, resource: &Resource, name: &str, finalizer: &str) {
        let more = json!({"metadata": {"deletionTimestamp": NOW, "finalizers": [finalizer]}});
        self.server.change(resource, &self.named(resource, name), more);
        self.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn custom_kinds_own_and_are_owned_from_when_they_are_served() {
    let cluster = Cluster::start();
    cluster.settle().await;
    cluster.server.serve(&WIDGETS);
    cluster.settle().await;
    let widget = object(&WIDGETS, "n/top", &[]);
    cluster.put(&WIDGETS, &widget);
    let map = object(&CONFIG_MAPS, "n/middle", &[&widget]);
    cluster.put(&CONFIG_MAPS, &map);
    cluster.put(&WIDGETS, &object(&WIDGETS, "n/leaf", &[&map]));
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/other", &[]));
    cluster.settle().await;
    assert_eq!(cluster.server.take_log(), Vec::<String>::new());
    cluster.remove(&WIDGETS, "top").await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["other"]);
    assert!(cluster.names(&WIDGETS).is_empty());
    assert_eq!(cluster.server.take_log(), ["delete configmaps", "delete widgets"]);
    cluster.pass(Duration::from_secs(3600)).await;
    assert_eq!(cluster.server.take_log(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_owner_in_the_foreground_goes_after_those_that_block_it() {
    let cluster = Cluster::start();
    cluster.server.serve(&WIDGETS);
    let widget = object(&WIDGETS, "n/top", &[]);
    cluster.put(&WIDGETS, &widget);
    let mut held = object(&CONFIG_MAPS, "n/held", &[&widget]);
    held["metadata"]["finalizers"] = json!(["example.com/mine"]);
    cluster.put(&CONFIG_MAPS, &held);
    cluster.settle().await;
    cluster.delete(&WIDGETS, "top", "foregroundDeletion").await;
    assert!(cluster.named(&CONFIG_MAPS, "held").is_terminating());
    assert_eq!(cluster.names(&WIDGETS), ["top"]);
    cluster.remove(&CONFIG_MAPS, "held").await;
    assert!(cluster.names(&WIDGETS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_orphans_leaves_all_behind() {
    let cluster = Cluster::start();
    cluster.server.serve(&WIDGETS);
    let (top, other) = (object(&WIDGETS, "n/top", &[]), object(&WIDGETS, "n/other", &[]));
    cluster.put(&WIDGETS, &top);
    cluster.put(&WIDGETS, &other);
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/one", &[&top]));
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/two", &[&other, &top]));
    cluster.settle().await;
    cluster.delete(&WIDGETS, "top", "orphan").await;
    assert_eq!(cluster.names(&WIDGETS), ["other"]);
    assert!(cluster.named(&CONFIG_MAPS, "one").metadata().owner_references.is_none());
    let left = cluster.named(&CONFIG_MAPS, "two").metadata().owner_references.clone().unwrap_or_default();
    assert_eq!(left.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn those_who_own_each_other_go_together() {
    let cluster = Cluster::start();
    let (mut one, two) = (object(&CONFIG_MAPS, "n/one", &[]), object(&CONFIG_MAPS, "n/two", &[]));
    one["metadata"]["ownerReferences"] = json!([reference(&two)]);
    let two = object(&CONFIG_MAPS, "n/two", &[&one]);
    cluster.put(&CONFIG_MAPS, &two);
    cluster.put(&CONFIG_MAPS, &one);
    cluster.settle().await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["one", "two"]);
    cluster.delete(&CONFIG_MAPS, "one", "foregroundDeletion").await;
    assert!(cluster.names(&CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_owner_of_an_unknown_kind_counts_as_there_until_the_kind_is_served() {
    let cluster = Cluster::start();
    let widget = object(&WIDGETS, "n/top", &[]);
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/owned", &[&widget]));
    cluster.settle().await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["owned"]);
    cluster.server.serve(&WIDGETS);
    cluster.settle().await;
    assert!(cluster.names(&CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_objects_of_a_kind_take_what_they_own_with_them() {
    let cluster = Cluster::start();
    cluster.server.serve(&WIDGETS);
    let widget = object(&WIDGETS, "n/top", &[]);
    cluster.put(&WIDGETS, &widget);
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/owned", &[&widget]));
    cluster.settle().await;
    // The object and its kind go before anybody sees either.
    cluster.server.remove(&WIDGETS, &cluster.one(&WIDGETS));
    cluster.server.stop_serving(&WIDGETS);
    cluster.settle().await;
    assert!(cluster.names(&CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_kind_that_is_not_served_for_a_while_stays() {
    let cluster = Cluster::start();
    cluster.server.serve(&WIDGETS);
    let widget = object(&WIDGETS, "n/top", &[]);
    cluster.put(&WIDGETS, &widget);
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/owned", &[&widget]));
    cluster.settle().await;
    cluster.server.stop_serving(&WIDGETS);
    cluster.settle().await;
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/later", &[&widget]));
    cluster.settle().await;
    cluster.server.serve(&WIDGETS);
    cluster.settle().await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["later", "owned"]);
    cluster.remove(&WIDGETS, "top").await;
    assert!(cluster.names(&CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_owns_across_namespaces() {
    let cluster = Cluster::start();
    let owner = object(&CONFIG_MAPS, "n/owner", &[]);
    cluster.put(&CONFIG_MAPS, &owner);
    cluster.settle().await;
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "m/owned", &[&owner]));
    cluster.put(&PERSISTENT_VOLUMES, &object(&PERSISTENT_VOLUMES, "/volume", &[&owner]));
    cluster.settle().await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["owner"], "it has no owner in its own namespace");
    assert_eq!(cluster.names(&PERSISTENT_VOLUMES), ["volume"], "it is left alone");
    let told: Vec<Value> = cluster.events("OwnerRefInvalidNamespace");
    let told: Vec<&str> = told.iter().filter_map(|event| event["message"].as_str()).collect();
    let words = |namespace: &str| {
        format!(
            "ownerRef [v1/ConfigMap, namespace: {namespace}, name: owner, uid: n-owner] does not exist in namespace \
             {namespace:?}"
        )
    };
    assert_eq!(told, [words(""), words("m")]);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_the_cluster_owns_in_every_namespace() {
    let cluster = Cluster::start();
    let volume = object(&PERSISTENT_VOLUMES, "/volume", &[]);
    cluster.put(&PERSISTENT_VOLUMES, &volume);
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "n/one", &[&volume]));
    cluster.put(&CONFIG_MAPS, &object(&CONFIG_MAPS, "m/two", &[&volume]));
    cluster.settle().await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["two", "one"]);
    cluster.remove(&PERSISTENT_VOLUMES, "volume").await;
    assert!(cluster.names(&CONFIG_MAPS).is_empty());
    assert!(cluster.events("OwnerRefInvalidNamespace").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_custom_objects_with_it() {
    let cluster = Cluster::start();
    cluster.server.serve(&WIDGETS);
    let metadata = json!({"name": "n", "uid": "n", "finalizers": ["example.com/mine"]});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata,
        "spec": {"finalizers": ["kubernetes"]}});
    cluster.put(&NAMESPACES, &namespace);
    let mut widget = object(&WIDGETS, "n/top", &[]);
    widget["metadata"]["finalizers"] = json!(["example.com/mine"]);
    cluster.put(&WIDGETS, &widget);
    cluster.settle().await;
    let namespace = cluster.one(&NAMESPACES);
    cluster.server.change(&NAMESPACES, &namespace, json!({"metadata": {"deletionTimestamp": NOW}}));
    cluster.settle().await;
    assert!(cluster.one(&WIDGETS).is_terminating());
    let conditions = cluster.one(&NAMESPACES).value()["status"]["conditions"].clone();
    let remaining = "Some resources are remaining: widgets.example.com has 1 resource instances";
    assert_eq!(conditions[3]["message"], remaining);
    cluster.remove(&WIDGETS, "top").await;
    assert_eq!(cluster.one(&NAMESPACES).value()["spec"]["finalizers"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_cannot_be_read_holds_up_only_those_who_wait_for_its_objects() {
    let cluster = Cluster::start_with(|server| {
        server.serve(&WIDGETS);
        let lists = |request: &api::Request| request.resource == WIDGETS && request.verb.name() == "list";
        server.refuse(move |request| lists(request).then(|| Status::internal("conversion webhook failed")));
    });
    cluster.deploy(1, "v1");
    cluster.live(1).await;
    assert_eq!(cluster.one(&DEPLOYMENTS).value()["status"]["availableReplicas"], 1);
    let map = object(&CONFIG_MAPS, "n/top", &[]);
    cluster.put(&CONFIG_MAPS, &map);
    cluster.put(&WIDGETS, &object(&WIDGETS, "n/leaf", &[&map]));
    cluster.settle().await;
    cluster.delete(&CONFIG_MAPS, "top", "orphan").await;
    assert_eq!(cluster.names(&CONFIG_MAPS), ["top"], "there may be objects to be set free");
    cluster.server.refuse(|_| None);
    cluster.pass(Duration::from_secs(3)).await;
    assert!(cluster.names(&CONFIG_MAPS).is_empty());
    assert!(cluster.one(&WIDGETS).metadata().owner_references.is_none());
}
