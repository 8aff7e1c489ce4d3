//! What the scheduler knows and what it has decided: pods that wait, nodes with the pods on them or on their way there.

use std::sync::Arc;

use api::Key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node as ApiNode, Pod};

use super::demand::Demand;
use super::node::{Facts, Nodes};
use super::place::{Placement, Refused, place};
use super::queue::{Pending, Waiting};
use super::storage::{Choice, Outlook, Storage, Wants};
use crate::pod;

/// The scheduler's name in `spec.schedulerName`.
const NAME: &str = "default-scheduler";

/// What is to be done for a pod.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Give it to this node. It counts as being there until [`Board::not_bound`].
    Bind(Pending, Arc<str>),
    /// Have its claims get their volumes on this node, and look at it again then.
    Claim(Pending, Arc<str>, Vec<Choice>),
    /// Tell why no node takes it.
    Refuse(Pending, String),
}

/// The scheduler without its surroundings.
#[derive(Debug, Default)]
pub struct Board {
    nodes: Nodes,
    waiting: Waiting,
    storage: Storage,
    turn: usize,
    /// Something changed that could help pods that found no node.
    relieved: bool,
}

impl Board {
    /// Takes note of a node as it is now.
    pub fn see_node(&mut self, name: &str, node: Option<&ApiNode>) {
        match node {
            Some(node) => self.relieved |= self.nodes.set(name, Facts::of(node)),
            None => self.nodes.remove(name),
        }
    }

    /// Takes note of claims, volumes and classes as they are now.
    pub fn see_storage(&mut self, storage: Storage) {
        self.storage = storage;
        self.relieved = true;
    }

    /// Takes note of a pod as it is now.
    pub fn see_pod(&mut self, key: &Key, pod: Option<&Pod>, now: Timestamp) {
        let Some(pod) = pod.filter(|pod| !pod::is_finished(pod)) else {
            self.waiting.remove(key);
            self.relieved |= self.nodes.take_away(key);
            return;
        };
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let node = pod::node_name(pod);
        if !node.is_empty() {
            self.waiting.remove(key);
            if !self.nodes.is_at(key, uid, node) {
                self.nodes.place(key.clone(), uid, node, Arc::new(Demand::of(pod)));
            }
        } else if self.nodes.uid_at(key) == Some(uid) {
            // On its way to a node; the cache has not seen it arrive.
        } else {
            self.relieved |= self.nodes.take_away(key);
            if is_ours(pod) {
                self.waiting.add(Pending {
                    key: key.clone(),
                    uid: uid.into(),
                    generation: pod.metadata.generation.unwrap_or(0),
                    demand: Arc::new(Demand::of(pod)),
                    since: now,
                });
            } else {
                self.waiting.remove(key);
            }
        }
    }

    /// What to do next, if there is something.
    pub fn decide(&mut self, now: Timestamp) -> Option<Decision> {
        if std::mem::take(&mut self.relieved) {
            self.waiting.wake(now);
        }
        loop {
            let pod = self.waiting.take(now)?;
            let wants = match self.outlook(&pod) {
                Outlook::Open(wants) => wants,
                Outlook::Soon => {
                    self.waiting.park(&pod.key, now);
                    continue;
                }
                Outlook::Closed(why) => {
                    self.waiting.park(&pod.key, now);
                    let refused = Refused::anywhere(self.nodes.count(), why);
                    return Some(Decision::Refuse(pod, refused.to_string()));
                }
            };
            return Some(self.place(pod, &wants, now));
        }
    }

    /// Pods without claims, which are most, look at nothing.
    fn outlook(&self, pod: &Pending) -> Outlook {
        if pod.demand.claims.is_empty() {
            return Outlook::Open(Wants::default());
        }
        let mut outlook = self.storage.outlook(pod);
        if let Outlook::Open(wants) = &mut outlook {
            wants.is_taken = self.nodes.use_claims(&pod.key.namespace, &wants.exclusive);
        }
        outlook
    }

    fn place(&mut self, pod: Pending, wants: &Wants, now: Timestamp) -> Decision {
        self.turn = self.turn.wrapping_add(1);
        let node = match place(&pod.demand, wants, &self.nodes, self.turn) {
            Placement::On(node) => node,
            Placement::Nowhere(refused) => {
                self.waiting.park(&pod.key, now);
                return Decision::Refuse(pod, refused.to_string());
            }
        };
        let choices = self.nodes.get(&node).and_then(|node| wants.choices(node)).unwrap_or_default();
        self.waiting.remove(&pod.key);
        self.nodes.place(pod.key.clone(), &pod.uid, &node, Arc::clone(&pod.demand));
        match choices.is_empty() {
            true => Decision::Bind(pod, node),
            false => Decision::Claim(pod, node, choices),
        }
    }

    /// A pod did not get to the node it was given to; if it still `exists`, it is tried again.
    pub fn not_bound(&mut self, pod: Pending, exists: bool, now: Timestamp) {
        if self.nodes.uid_at(&pod.key) == Some(&*pod.uid) {
            self.relieved |= self.nodes.take_away(&pod.key);
            if exists {
                self.waiting.retry(pod, now);
            }
        }
    }

    /// How many pods wait for their turn, for a while, and for a change.
    pub fn waiting(&self) -> (usize, usize, usize) {
        self.waiting.counts()
    }

    /// When there is something to decide next, if nothing happens.
    pub fn next_time(&self) -> Option<Timestamp> {
        self.waiting.next_time()
    }
}

fn is_ours(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(NAME);
    let gates = spec.and_then(|spec| spec.scheduling_gates.as_ref());
    scheduler == NAME && gates.is_none_or(Vec::is_empty) && !pod::is_terminating(pod)
}
