//! Webhooks and policies through the public door, with servers behind a test's dialer.

#![allow(clippy::unwrap_used)]

mod policies;
mod versions;
mod webhooks;

use std::sync::Arc;

use api::backend::{Answer, Backend, Body, Patch, Reply, Request, User, Verb, WriteOptions};
use api::resource::{CONFIG_MAPS, EVENTS};
use api::{Key, Object, Resource, Revision, Status};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::outgoing::tests::{Servers, clock};
use crate::store::{Collection, Draft, Expected, Next, StoreKey, Write};
use crate::{Apiserver, Config, Registry};

/// A server in virtual time that reaches servers of a test.
struct World {
    registry: Arc<Registry>,
    _tasks: JoinSet<()>,
}

impl World {
    async fn start(servers: Servers) -> Self {
        let mut tasks = JoinSet::new();
        let registry = Apiserver::start(Config::in_memory(clock(), 1), &mut tasks).await.unwrap();
        registry.reach_others_through(Arc::new(servers));
        Self { registry, _tasks: tasks }
    }

    /// Stores a configuration as it is.
    async fn configure(
        &self,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        name: &str,
        more: Value,
    ) {
        let resource = Resource::new("admissionregistration.k8s.io", version, plural, kind, false);
        let mut value = json!({"apiVersion": resource.api_version(), "kind": kind, "metadata": {"name": name, "uid": name}});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let metadata = Object::from_value(value.clone()).unwrap().metadata().clone();
        let key = StoreKey { collection: Collection::from(&resource), key: Key::cluster(name) };
        let expected = match self.registry.store().get(&key) {
            Some(known) => Expected::At(known.revision()),
            None => Expected::Absent,
        };
        let next = Next::Put(Draft::new(&value, metadata));
        self.registry.store().commit_one(Write { key, expected, next, hold: None }).await.unwrap();
    }

    async fn call(
        &self,
        resource: &Resource,
        name: &str,
        part: &'static str,
        verb: Verb,
    ) -> Result<Reply, Status> {
        let namespace = if resource.namespaced { "default" } else { "" };
        let user = Arc::new(User {
            name: "ann".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..User::default()
        });
        let key = Key::new(namespace, name);
        self.registry.call(Request { user, resource: resource.clone(), key, subresource: part, verb }).await
    }

    async fn create(&self, resource: &Resource, value: Value, dry_run: bool) -> Result<Reply, Status> {
        let options = WriteOptions { dry_run, ..WriteOptions::default() };
        self.call(resource, "", "", Verb::Create(Body::Value(value), options)).await
    }

    async fn create_map(&self, name: &str, data: Value) -> Result<Reply, Status> {
        self.create(&CONFIG_MAPS, json!({"metadata": {"name": name}, "data": data}), false).await
    }

    async fn merge(&self, name: &str, patch: Value) -> Result<Reply, Status> {
        let patch = Patch::Merge(Body::Value(patch));
        self.call(&CONFIG_MAPS, name, "", Verb::Patch(patch, WriteOptions::default())).await
    }

    fn revision(&self) -> Revision {
        self.registry.store().revision()
    }
}

fn object(reply: Reply) -> Value {
    match reply.answer {
        Answer::Object(object) | Answer::Deleted(object) => object.value().clone(),
        other => panic!("{other:?}"),
    }
}

fn merged(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}
