//! Keeps what is served in step with the CustomResourceDefinitions, and sets their conditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::backend::{Answer, Backend, Body, Request, User, Verb, WriteOptions};
use api::{Clock, Key, Object, Revision, Status, event};
use serde_json::Value;
use tracing::{info, warn};

use super::declared::{Declared, preference};
use super::names;
use crate::aggregation::registered;
use crate::builtin::Builtin;
use crate::condition;
use crate::registry::Registry;
use crate::resources::api_service::ApiServices;
use crate::resources::custom_resource_definition::{FINALIZER, RESOURCE};
use crate::served::Version;
use crate::store::Collection;
use crate::tree;

/// What could not be written is tried again so long afterwards, if nothing else happens before.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the definitions.
pub struct Keeper {
    registry: Arc<Registry>,
    clock: Clock,
    user: Arc<User>,
    /// What was read from each definition, by its name.
    known: BTreeMap<String, Known>,
}

/// What was read from a definition, and what of it that depends on.
struct Known {
    read_from: [Value; 3],
    declared: Declared,
}

/// What is left to do after everything was looked at.
#[derive(Default)]
struct Left {
    /// Something could not be written.
    to_write: bool,
    /// Objects of these collections hold their definitions.
    awaited: Vec<Collection>,
}

impl Keeper {
    /// A keeper that has not looked yet.
    pub fn new(registry: Arc<Registry>, clock: Clock) -> Self {
        Self { registry, clock, user: User::component("apiserver"), known: BTreeMap::new() }
    }

    /// Looks once: what is established in the store is served afterwards.
    pub async fn look(&mut self) {
        self.settle().await;
    }

    /// Follows the definitions for as long as the task lives.
    pub async fn run(mut self) {
        loop {
            let seen = self.registry.store().revision();
            let left = self.settle().await;
            self.wait(seen, left).await;
        }
    }

    /// Comes when a definition has changed since a revision, or something that is left may go on.
    async fn wait(&self, seen: Revision, left: Left) {
        let own = [&RESOURCE, &ApiServices::RESOURCE].map(Collection::from);
        let changed = self.registry.store().changed(own.into_iter().chain(left.awaited), seen);
        let pause = async {
            match left.to_write {
                true => self.clock.sleep(PAUSE).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed => {}
            () = pause => {}
        }
    }

    /// Brings everything in step with the definitions as they are now.
    async fn settle(&mut self) -> Left {
        let (snapshot, _) = self.registry.store().snapshot(&Collection::from(&RESOURCE));
        let stored: Vec<Object> = snapshot.iter().cloned().collect();
        let mut definitions: Vec<Value> = stored.iter().map(|object| object.value().clone()).collect();
        // Those that came first have the first choice of names.
        let mut order: Vec<usize> = (0..definitions.len()).collect();
        order.sort_by_key(|at| created(&stored[*at]));
        for at in order {
            let status = self.status(at, &definitions);
            tree::set(&mut definitions[at], "status", Some(status));
        }
        self.declare(&definitions);
        // Who reads that a kind is established finds it served.
        self.serve();
        let to_write = registered::keep(&self.registry, &self.user).await.is_err();
        let mut left = Left { to_write, ..Left::default() };
        for (definition, stored) in definitions.iter().zip(&stored) {
            if definition != stored.value() {
                left.to_write |= self.write(definition, "status").await.is_err();
            }
            if stored.is_terminating() {
                self.finish(definition, &mut left).await;
            }
        }
        left
    }

    /// The status a definition is to have.
    fn status(&self, at: usize, definitions: &[Value]) -> Value {
        let definition = &definitions[at];
        let (spec, mut status) = (&definition["spec"], definition["status"].clone());
        let others = definitions
            .iter()
            .enumerate()
            .filter(|(other, definition)| *other != at && definition["spec"]["group"] == spec["group"]);
        let others = others.map(|(_, definition)| &definition["status"]["acceptedNames"]);
        let acceptance = names::accept(&spec["names"], &accepted(&status), others);
        let now = event::seconds(self.clock.now());
        let [state, reason, message] = &acceptance.condition;
        let set = |conditions: &Value, of: &str, condition: [&str; 3]| {
            condition::set(conditions, of, condition, &now)
        };
        let mut conditions = set(&status["conditions"], "NamesAccepted", [state, reason, message]);
        if !condition::is_true(definition, "Established") {
            let condition = match state.as_str() {
                "True" => ["True", "InitialNamesAccepted", "the initial names have been accepted"],
                _ => ["False", "NotAccepted", "not all names are accepted"],
            };
            conditions = set(&conditions, "Established", condition);
        }
        if definition["metadata"].get("deletionTimestamp").is_some() {
            let words = "CustomResource deletion is in progress";
            conditions = set(&conditions, "Terminating", ["True", "InstanceDeletionInProgress", words]);
        }
        let approval = tree::text(&definition["metadata"]["annotations"], "api-approved.kubernetes.io");
        if let Some(approval) = approval.filter(|approval| approval.starts_with("http")) {
            let words = format!("approved in {approval}");
            let condition = ["True", "ApprovedAnnotation", &words];
            conditions = set(&conditions, "KubernetesAPIApprovalPolicyConformant", condition);
        }
        tree::set(&mut status, "acceptedNames", Some(acceptance.names));
        tree::set(&mut status, "conditions", Some(conditions));
        status
    }

    /// Reads the definitions that are new or changed, and forgets those that are gone.
    fn declare(&mut self, definitions: &[Value]) {
        let established =
            definitions.iter().filter(|definition| condition::is_true(definition, "Established"));
        let mut known = BTreeMap::new();
        for definition in established {
            let name = tree::text(&definition["metadata"], "name").unwrap_or_default().to_owned();
            let read_from = [
                definition["spec"].clone(),
                definition["status"]["acceptedNames"].clone(),
                definition["metadata"].get("deletionTimestamp").cloned().unwrap_or_default(),
            ];
            if let Some(same) = self.known.remove(&name) {
                if same.read_from == read_from {
                    known.insert(name, same);
                    continue;
                }
                same.declared.family.retired.send_replace(true);
            }
            match Declared::read(definition) {
                Ok(declared) => {
                    info!(definition = name, "custom kind served");
                    self.registry.openapi().set_custom(&name, declared.documents.clone());
                    known.insert(name, Known { read_from, declared });
                }
                // The schema was checked when it was written; older rules may have allowed it.
                Err(error) => {
                    warn!(definition = name, error = &error as &dyn std::error::Error, "kind not served");
                }
            }
        }
        for (name, gone) in std::mem::replace(&mut self.known, known) {
            info!(definition = name, "custom kind no longer served");
            gone.declared.family.retired.send_replace(true);
            self.registry.openapi().set_custom(&name, Vec::new());
        }
    }

    /// Serves what was read: by groups, and in each the dearest version first.
    fn serve(&self) {
        let served = self.known.values().flat_map(|known| &known.declared.versions);
        let mut versions: Vec<Version> = served.cloned().collect();
        versions.sort_by(|one, other| {
            let (one, other) = (one.resource(), other.resource());
            let dearer = preference(&other.version, &one.version);
            one.group.cmp(&other.group).then(dearer).then(one.plural.cmp(&other.plural))
        });
        self.registry.serve_custom(versions);
    }

    /// Removes the objects of a definition that is deleted, and then lets it go.
    async fn finish(&self, definition: &Value, left: &mut Left) {
        let finalizers: Vec<Value> =
            definition["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return;
        }
        let name = tree::text(&definition["metadata"], "name").unwrap_or_default();
        let collection = self.known.get(name).and_then(|known| known.declared.storage.clone());
        if let Some(version) = collection {
            let collection = Collection::from(version.resource());
            if let Err(error) = self.registry.delete_all(Arc::new(version)).await {
                warn!(definition = name, %error, "objects not deleted");
                left.to_write = true;
            }
            if !self.registry.store().snapshot(&collection).0.is_empty() {
                left.awaited.push(collection);
                return;
            }
        }
        let mut released = definition.clone();
        let others: Vec<Value> = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
        tree::set(tree::object(&mut released, "metadata"), "finalizers", Some(others.into()));
        // The status was written just now.
        tree::set(tree::object(&mut released, "metadata"), "resourceVersion", None);
        left.to_write |= self.write(&released, "").await.is_err();
    }

    async fn write(&self, definition: &Value, subresource: &'static str) -> Result<(), Status> {
        let name = tree::text(&definition["metadata"], "name").unwrap_or_default();
        let request = Request {
            user: self.user.clone(),
            resource: RESOURCE,
            key: Key::cluster(name),
            subresource,
            verb: Verb::Update(Body::Value(definition.clone()), WriteOptions::default()),
        };
        match self.registry.call(request).await.map(|reply| reply.answer) {
            Ok(Answer::Object(_) | Answer::Deleted(_)) => Ok(()),
            Ok(_) => Err(Status::internal("a write was answered with something else")),
            // There is a newer state, at which is looked next.
            Err(status) if status.is_conflict() || status.is_not_found() => Ok(()),
            Err(status) => {
                warn!(definition = name, error = %status, "definition not written");
                Err(status)
            }
        }
    }
}

fn created(object: &Object) -> (Option<jiff::Timestamp>, String) {
    let created = object.metadata().creation_timestamp.as_ref().map(|time| time.0);
    (created, object.name().to_owned())
}

/// The names that were accepted; at first there are none.
fn accepted(status: &Value) -> Value {
    let names = &status["acceptedNames"];
    if names["plural"].as_str().is_some_and(|plural| !plural.is_empty()) {
        names.clone()
    } else {
        Value::Null
    }
}
