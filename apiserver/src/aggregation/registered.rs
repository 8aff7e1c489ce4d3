//! Keeps an APIService for each group-version that CustomResourceDefinitions declare, as Kubernetes does.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::backend::{Backend, Body, DeleteOptions, Request, User, Verb, WriteOptions};
use api::{Key, Object, Status};
use serde_json::Value;
use tracing::warn;

use crate::builtin::Builtin;
use crate::registry::Registry;
use crate::resources::api_service::{self, ApiServices, MANAGED};
use crate::served::Served;
use crate::store::Collection;

/// What Kubernetes gives to custom groups and their versions.
const GROUP_PRIORITY: i32 = 1_000;
const VERSION_PRIORITY: i32 = 100;

/// What is to be done to an APIService.
#[derive(Debug, PartialEq)]
enum Step {
    Create(Value),
    Update(Value),
    Delete(String),
}

/// Brings the APIServices in step with what is served; fails if one could not be written.
pub(crate) async fn keep(registry: &Registry, user: &Arc<User>) -> Result<(), Status> {
    let (snapshot, _) = registry.store().snapshot(&Collection::from(&ApiServices::RESOURCE));
    let mut outcome = Ok(());
    for step in steps(wanted(&registry.served()), snapshot.iter()) {
        if let Err(error) = carry_out(registry, user, step).await {
            warn!(%error, "APIService not written");
            outcome = Err(error);
        }
    }
    outcome
}

/// One for each custom group-version, by name.
fn wanted(served: &Served) -> BTreeMap<String, Value> {
    let custom = served.in_order().filter(|version| version.kind().custom().is_some());
    let service = |group: &str, version: &str| {
        api_service::local(group, version, "true", GROUP_PRIORITY, VERSION_PRIORITY)
    };
    custom
        .map(|version| {
            let resource = version.resource();
            let service = service(&resource.group, &resource.version);
            (format!("{}.{}", resource.version, resource.group), service)
        })
        .collect()
}

/// What differs. An APIService that is not kept by the server is somebody's own.
fn steps<'o>(mut wanted: BTreeMap<String, Value>, stored: impl Iterator<Item = &'o Object>) -> Vec<Step> {
    let mut steps = Vec::new();
    for object in stored {
        let is_kept = object.label(MANAGED) == Some("true");
        match wanted.remove(object.name()) {
            None if is_kept && !object.is_terminating() => steps.push(Step::Delete(object.name().to_owned())),
            Some(service) if is_kept && object.value()["spec"] != service["spec"] => {
                steps.push(Step::Update(service));
            }
            _ => {}
        }
    }
    steps.extend(wanted.into_values().map(Step::Create));
    steps
}

async fn carry_out(registry: &Registry, user: &Arc<User>, step: Step) -> Result<(), Status> {
    let name = |service: &Value| service["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let options = WriteOptions::default;
    let (name, verb) = match step {
        Step::Create(service) => (name(&service), Verb::Create(Body::Value(service), options())),
        Step::Update(service) => (name(&service), Verb::Update(Body::Value(service), options())),
        Step::Delete(name) => (name, Verb::Delete(DeleteOptions::default())),
    };
    let key = Key::cluster(name);
    let request = Request { user: user.clone(), resource: ApiServices::RESOURCE, key, subresource: "", verb };
    match registry.call(request).await {
        Ok(_) => Ok(()),
        // Somebody was faster; that is looked at next.
        Err(error) if error.is_already_exists() || error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_the_server_keeps_is_changed() {
        let service = |name: &str, kept: &str, priority: i32| {
            json!({"metadata": {"name": name, "labels": {MANAGED: kept}},
                "spec": {"group": "g", "version": "v1", "groupPriorityMinimum": priority, "versionPriority": 100}})
        };
        let wanted = || BTreeMap::from([("v1.g".to_owned(), service("v1.g", "true", 1000))]);
        let row = |stored: &[Value], expected: Vec<Step>| {
            let stored: Vec<Object> =
                stored.iter().map(|value| Object::from_value(value.clone()).expect("an object")).collect();
            assert_eq!(steps(wanted(), stored.iter()), expected);
        };
        let own = || service("v1.g", "true", 1000);
        row(&[], vec![Step::Create(own())]);
        row(&[own()], vec![]);
        row(&[service("v1.g", "true", 7)], vec![Step::Update(own())]);
        row(&[service("v1.g", "", 7)], vec![]);
        row(&[own(), service("v2.g", "true", 1000)], vec![Step::Delete("v2.g".to_owned())]);
        row(&[own(), service("v1.apps", "onstart", 1000), service("v3.g", "", 1)], vec![]);
    }
}
