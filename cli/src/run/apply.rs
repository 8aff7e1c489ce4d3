//! Brings the cluster to what the manifests ask for: creates, patches what changed, deletes what they no longer name.

use std::collections::BTreeMap;

use api::backend::{
    Answer, Body, DeleteOptions, FieldValidation, Patch, Propagation, Reply, Verb, WriteOptions,
};
use api::{Cache, Client, Key, Resource, Revision, Status};
use serde_json::Value;

use super::desired::Desired;
use super::mistake::Mistakes;
use super::three_way;

/// What was applied before, so that fields and objects gone from the manifests go from the cluster.
#[derive(Default)]
pub struct Applied(BTreeMap<(Resource, Key), Value>);

/// What happened to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `created`, `configured`, `deleted`.
    pub done: &'static str,
    /// `Deployment/hello`.
    pub name: String,
}

impl Applied {
    /// The objects that were applied.
    pub fn objects(&self) -> Vec<(Resource, Key)> {
        self.0.keys().cloned().collect()
    }

    /// What was applied last under this name.
    pub fn last(&self, resource: &Resource, key: &Key) -> Option<&Value> {
        self.0.get(&(resource.clone(), key.clone()))
    }

    /// Applies `desired`; tells what changed.
    ///
    /// When this returns, the cache shows it.
    pub async fn apply(
        &mut self,
        client: &Client,
        cache: &Cache,
        desired: &[Desired],
    ) -> Result<Vec<Step>, Mistakes> {
        let mut steps = Vec::new();
        for one in desired {
            let id = (one.resource.clone(), one.key.clone());
            let last = self.0.get(&id);
            if last == Some(&one.value) {
                continue;
            }
            let attempt = attempt(client, one, last, false).await;
            let (done, revision) = attempt.map_err(|status| Mistakes::of(one.mistakes(&status)))?;
            // Nobody here looks at kinds that the cache does not hold: there is no wait for them.
            cache.reach(&one.resource, revision).await;
            steps.push(Step { done, name: one.name() });
            self.0.insert(id, one.value.clone());
        }
        steps.extend(self.prune(client, desired).await);
        Ok(steps)
    }

    async fn prune(&mut self, client: &Client, desired: &[Desired]) -> Vec<Step> {
        let kept = |id: &(Resource, Key)| desired.iter().any(|one| one.resource == id.0 && one.key == id.1);
        let gone: Vec<_> = self.0.keys().filter(|id| !kept(id)).cloned().collect();
        let mut steps = Vec::new();
        for (resource, key) in gone {
            // What a Job owns would stay otherwise.
            let options =
                DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            let deleted = client.delete(&resource, &key, options).await;
            if deleted.is_ok() {
                steps.push(Step { done: "deleted", name: format!("{}/{}", resource.kind, key.name) });
            }
            self.0.remove(&(resource, key));
        }
        steps
    }
}

/// Creates the object, or patches it if it exists; in a dry run nothing is stored.
pub async fn attempt(
    client: &Client,
    one: &Desired,
    last: Option<&Value>,
    dry_run: bool,
) -> Result<(&'static str, Revision), Status> {
    let options = || WriteOptions {
        dry_run,
        field_validation: FieldValidation::Strict,
        field_manager: "peapod-run".to_owned(),
        ..WriteOptions::default()
    };
    let create = Verb::Create(Body::Value(one.value.clone()), options());
    match client.call(&one.resource, one.key.clone(), "", create).await {
        Ok(reply) => return Ok(("created", revision(&reply))),
        Err(status) if status.is_already_exists() => {}
        Err(status) => return Err(status),
    }
    let patch = three_way::patch(last.unwrap_or(&Value::Null), &one.value);
    let patch = Verb::Patch(Patch::Merge(Body::Value(patch)), options());
    let reply = client.call(&one.resource, one.key.clone(), "", patch).await?;
    Ok(("configured", revision(&reply)))
}

fn revision(reply: &Reply) -> Revision {
    match &reply.answer {
        Answer::Object(object) => object.revision(),
        _ => Revision::default(),
    }
}
