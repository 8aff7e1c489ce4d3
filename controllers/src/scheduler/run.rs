//! Feeds the board from the cache and carries out what it decides.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use api::clock::until;
use api::event::{Severity, seconds};
use api::resource::{NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES};
use api::storage::{BOUND_BY_CONTROLLER, SELECTED_NODE};
use api::{Key, Status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::{debug, error};

use super::board::{Board, Decision};
use super::meter::{Meter, Outcome};
use super::queue::Pending;
use super::storage::{Choice, Storage};
use crate::framework::{Action, Surroundings};
use crate::storage::reference;

/// Bindings under way at once. The store commits what has gathered as one group.
const IN_FLIGHT: usize = 256;

/// The keys of what changed since the scheduler looked last; no more than there are objects.
#[derive(Default)]
struct Changed {
    pods: BTreeSet<Key>,
    nodes: BTreeSet<Key>,
    /// Claims, volumes or classes.
    storage: bool,
}

#[derive(Default)]
struct Inbox {
    changed: Mutex<Changed>,
    arrived: Notify,
}

impl Inbox {
    fn note(&self, note: impl FnOnce(&mut Changed)) {
        note(&mut self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        self.arrived.notify_one();
    }

    fn take(&self) -> Changed {
        std::mem::take(&mut self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A pod that did not get to the node it was given to.
struct NotBound {
    pod: Pending,
    exists: bool,
}

/// Starts the scheduler; it ends with `tasks`.
pub(crate) fn start(surroundings: Surroundings, tasks: &mut JoinSet<()>) -> (Arc<Meter>, AbortHandle) {
    let inbox = Arc::new(Inbox::default());
    let pods = Arc::clone(&inbox);
    let on_pod = move |change: &api::cache::Change| {
        let key = change.object().key();
        pods.note(|changed| _ = changed.pods.insert(key));
    };
    surroundings.cache.subscribe(&PODS, Box::new(on_pod));
    let nodes = Arc::clone(&inbox);
    let on_node = move |change: &api::cache::Change| {
        let key = change.object().key();
        nodes.note(|changed| _ = changed.nodes.insert(key));
    };
    surroundings.cache.subscribe(&NODES, Box::new(on_node));
    for resource in [&PERSISTENT_VOLUME_CLAIMS, &PERSISTENT_VOLUMES, &STORAGE_CLASSES] {
        let inbox = Arc::clone(&inbox);
        let on_change = move |_: &api::cache::Change| inbox.note(|changed| changed.storage = true);
        surroundings.cache.subscribe(resource, Box::new(on_change));
    }
    let meter = Arc::new(Meter::default());
    let running = tasks.spawn(run(surroundings, inbox, Arc::clone(&meter)));
    (meter, running)
}

async fn run(surroundings: Surroundings, inbox: Arc<Inbox>, meter: Arc<Meter>) {
    surroundings.cache.ready().await;
    let clock = surroundings.clock.clone();
    let mut board = Board::default();
    let mut works: JoinSet<Option<NotBound>> = JoinSet::new();
    loop {
        look(&mut board, &surroundings, &inbox.take());
        let now = clock.now();
        while works.len() < IN_FLIGHT {
            let Some(decision) = board.decide(now) else {
                break;
            };
            works.spawn(carry_out(decision, surroundings.clone(), Arc::clone(&meter)));
        }
        meter.waiting(board.waiting());
        let free = works.len() < IN_FLIGHT;
        let next = board.next_time().filter(|_| free);
        tokio::select! {
            biased;
            Some(done) = works.join_next() => {
                take_back(&mut board, &inbox, done, clock.now());
                while let Some(done) = works.try_join_next() {
                    take_back(&mut board, &inbox, done, clock.now());
                }
            }
            () = inbox.arrived.notified() => {}
            () = async { clock.sleep_until(next.unwrap_or_default()).await }, if next.is_some() => {}
        }
    }
}

/// Nodes first: pods are counted on them.
fn look(board: &mut Board, surroundings: &Surroundings, changed: &Changed) {
    if !changed.nodes.is_empty() {
        let nodes = surroundings.cache.snapshot(&NODES);
        for key in &changed.nodes {
            let node = nodes.get(key).and_then(|node| node.typed::<Node>().ok());
            board.see_node(&key.name, node);
        }
    }
    if changed.storage {
        let cache = &surroundings.cache;
        board.see_storage(Storage {
            claims: cache.snapshot(&PERSISTENT_VOLUME_CLAIMS),
            volumes: cache.snapshot(&PERSISTENT_VOLUMES),
            classes: cache.snapshot(&STORAGE_CLASSES),
        });
    }
    if !changed.pods.is_empty() {
        let now = surroundings.clock.now();
        let pods = surroundings.cache.snapshot(&PODS);
        for key in &changed.pods {
            // The board notes down what it needs: a pod that waits for long costs little more than its bytes.
            let pod = pods.get(key).and_then(|pod| pod.peek::<Pod>().ok());
            board.see_pod(key, pod.as_deref(), now);
        }
    }
}

/// Takes back a pod that was not bound, and looks at it again: it may have got a node all the same.
fn take_back(board: &mut Board, inbox: &Inbox, done: Result<Option<NotBound>, JoinError>, now: Timestamp) {
    match done {
        Ok(None) => {}
        Ok(Some(NotBound { pod, exists })) => {
            inbox.note(|changed| _ = changed.pods.insert(pod.key.clone()));
            board.not_bound(pod, exists, now);
        }
        Err(panic) => error!(%panic, "binding panicked"),
    }
}

async fn carry_out(decision: Decision, surroundings: Surroundings, meter: Arc<Meter>) -> Option<NotBound> {
    let clock = &surroundings.clock;
    let begun = clock.now();
    match decision {
        Decision::Bind(pod, node) => {
            let bound = bind(&pod, &node, &surroundings).await;
            let since = |time| until(time, clock.now()).unwrap_or_default();
            meter.note(match &bound {
                Ok(()) => Outcome::Scheduled { attempt: since(begun), waited: since(pod.since) },
                Err(_) => Outcome::Failed,
            });
            let status = bound.err()?;
            debug!(pod = %pod.key, error = %status, "not bound");
            Some(NotBound { pod, exists: !status.is_not_found() })
        }
        Decision::Claim(pod, node, choices) => {
            // It comes back whatever happens: when its claims are bound it is placed for good.
            if let Err(status) = claim(&node, &choices, &surroundings).await {
                debug!(pod = %pod.key, error = %status, "claims not written");
            }
            Some(NotBound { pod, exists: true })
        }
        Decision::Refuse(pod, message) => {
            meter.note(Outcome::Refused);
            if let Err(status) = refuse(&pod, &message, &surroundings).await {
                debug!(pod = %pod.key, error = %status, "refusal not told");
            }
            None
        }
    }
}

/// Writes down how claims come to their volumes on a node, and waits until the cache shows it.
async fn claim(node: &str, choices: &[Choice], surroundings: &Surroundings) -> Result<(), Status> {
    let Surroundings { client, cache, .. } = surroundings;
    for choice in choices {
        let (resource, object, mut merge) = match choice {
            Choice::Made(claim) => {
                let merge = json!({"metadata": {"annotations": {SELECTED_NODE: node}}});
                (&PERSISTENT_VOLUME_CLAIMS, claim, merge)
            }
            Choice::Kept { claim, volume } => {
                let merge = json!({
                    "metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}},
                    "spec": {"claimRef": reference(claim)},
                });
                (&PERSISTENT_VOLUMES, volume, merge)
            }
        };
        merge["metadata"]["uid"] = object.uid().into();
        merge["metadata"]["resourceVersion"] = object.revision().to_string().into();
        let patched = client.patch(resource, &object.key(), "", merge).await?;
        cache.reach(resource, patched.revision()).await;
    }
    Ok(())
}

async fn bind(pod: &Pending, node: &str, surroundings: &Surroundings) -> Result<(), Status> {
    let Key { namespace, name } = &pod.key;
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"namespace": namespace, "name": name, "uid": pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let client = &surroundings.client;
    client.create_subresource(&PODS, &pod.key, "binding", &binding).await?;
    debug!(pod = %pod.key, node, "scheduled");
    let message = format!("Successfully assigned {namespace}/{name} to {node}");
    tell(pod, surroundings, Severity::Normal, "Scheduled", message);
    Ok(())
}

async fn refuse(pod: &Pending, message: &str, surroundings: &Surroundings) -> Result<(), Status> {
    tell(pod, surroundings, Severity::Warning, "FailedScheduling", message.to_owned());
    let Some(object) = surroundings.cache.get(&PODS, &pod.key) else {
        return Ok(());
    };
    let conditions = &object.value()["status"]["conditions"];
    let now = surroundings.clock.now();
    let Some(conditions) = with_refusal(conditions, message, now) else {
        return Ok(());
    };
    let mut merge = json!({"status": {"conditions": conditions}});
    merge["metadata"]["uid"] = (*pod.uid).into();
    let patched = surroundings.client.patch(&PODS, &pod.key, "status", merge).await;
    patched.map(drop)
}

/// The pod's conditions with the one that says why it has no node; none if it says so already.
fn with_refusal(conditions: &Value, message: &str, now: Timestamp) -> Option<Vec<Value>> {
    let mut conditions = conditions.as_array().cloned().unwrap_or_default();
    let known = conditions.iter().position(|condition| condition["type"] == "PodScheduled");
    let mut since = Value::from(seconds(now));
    if let Some(known) = known {
        let old = conditions.remove(known);
        if old["message"] == message && old["reason"] == "Unschedulable" {
            return None;
        }
        if old["status"] == "False" && !old["lastTransitionTime"].is_null() {
            since = old["lastTransitionTime"].clone();
        }
    }
    conditions.push(json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": message, "lastTransitionTime": since,
    }));
    Some(conditions)
}

fn tell(pod: &Pending, surroundings: &Surroundings, severity: Severity, reason: &str, message: String) {
    if let Some(object) = surroundings.cache.get(&PODS, &pod.key)
        && let Action::Event(occurrence) = Action::event(&object, severity, reason, message)
    {
        surroundings.recorder.record(occurrence);
    }
}
