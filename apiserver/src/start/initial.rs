//! Puts in what every cluster has: namespaces, classes of priority, of storage and of runtimes, fairness, and the list of what is served.

use std::collections::BTreeSet;

use api::backend::{Backend, Body, Request, User, Verb, WriteOptions};
use api::resource::{NAMESPACES, STORAGE_CLASSES};
use api::{Key, Resource};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::StartError;
use crate::builtin::Builtin;
use crate::http::catalog;
use crate::priorities;
use crate::registry::Registry;
use crate::resources::api_service::{self, ApiServices};
use crate::resources::flow_defaults;
use crate::resources::flow_schema::FlowSchemas;
use crate::resources::namespace::ALWAYS_THERE;
use crate::resources::priority_class::{self, PriorityClasses};
use crate::resources::priority_level::PriorityLevels;
use crate::resources::runtime_class::{self, RuntimeClasses};
use crate::resources::storage_class;
use crate::store::{Collection, StoreKey};

/// The highest priority of a version within its group.
const FIRST_VERSION: i32 = 15;

/// Creates what is not there yet.
pub(super) async fn put_in(registry: &Registry) -> Result<(), StartError> {
    let namespaces = ALWAYS_THERE.iter().map(|name| (NAMESPACES, json!({"metadata": {"name": name}})));
    create_all(registry, namespaces).await?;
    let classes = priority_class::always_there().map(|class| (PriorityClasses::RESOURCE, class));
    let levels = flow_defaults::levels().into_iter().map(|level| (PriorityLevels::RESOURCE, level));
    let schemas = flow_defaults::schemas().into_iter().map(|schema| (FlowSchemas::RESOURCE, schema));
    let services = services(registry).into_iter().map(|service| (ApiServices::RESOURCE, service));
    // A kind more would otherwise give other names to everything that comes later.
    let was = registry.identity.go_aside();
    let storage = [(STORAGE_CLASSES, storage_class::standard())];
    let runtimes = runtime_class::always_there().map(|class| (RuntimeClasses::RESOURCE, class));
    let all = classes.chain(levels).chain(schemas).chain(services).chain(storage).chain(runtimes);
    let created = create_all(registry, all).await;
    registry.identity.go_back(was);
    created
}

/// All at once, so that they are written with one sync.
async fn create_all(
    registry: &Registry,
    wanted: impl Iterator<Item = (Resource, Value)>,
) -> Result<(), StartError> {
    try_join_all(wanted.map(|(resource, object)| create(registry, resource, object))).await.map(drop)
}

/// One for each group-version that is served here.
fn services(registry: &Registry) -> Vec<Value> {
    let served = registry.served();
    let of = |resource: &Resource| (resource.group.to_string(), resource.version.to_string());
    let stored = served.in_order().map(|version| of(version.resource()));
    let versions: BTreeSet<(String, String)> = stored.chain(catalog::computed().map(of)).collect();
    let rank = |group: &str, version: &str| {
        let better = versions.iter().filter(|(other_group, other)| {
            other_group == group && priorities::of_version(other) > priorities::of_version(version)
        });
        FIRST_VERSION - i32::try_from(better.count()).unwrap_or(FIRST_VERSION - 1).min(FIRST_VERSION - 1)
    };
    let service = |(group, version): &(String, String)| {
        api_service::local(group, version, "onstart", priorities::of_group(group), rank(group, version))
    };
    versions.iter().map(service).collect()
}

async fn create(registry: &Registry, resource: Resource, object: Value) -> Result<(), StartError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let key = Key::cluster(name.as_str());
    let place = StoreKey { collection: Collection::from(&resource), key: key.clone() };
    if registry.store().get(&place).is_some() {
        return Ok(());
    }
    let request = Request {
        user: User::component("apiserver"),
        key,
        resource: resource.clone(),
        subresource: "",
        verb: Verb::Create(Body::Value(object), WriteOptions::default()),
    };
    let refused = |source| StartError::Initial { resource: resource.group_resource(), name, source };
    registry.call(request).await.map(drop).map_err(refused)
}
