//! What the scheduler knows and what it has decided: pods that wait, nodes with the pods on them or on their way there.

use std::sync::Arc;

use api::Key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node as ApiNode, Pod};

use super::demand::Demand;
use super::node::{Facts, Nodes};
use super::place::{Placement, place};
use super::queue::{Pending, Waiting};
use crate::pod;

/// The scheduler's name in `spec.schedulerName`.
const NAME: &str = "default-scheduler";

/// What is to be done for a pod.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Give it to this node. It counts as being there until [`Board::not_bound`].
    Bind(Pending, Arc<str>),
    /// Tell why no node takes it.
    Refuse(Pending, String),
}

/// The scheduler without its surroundings.
#[derive(Debug, Default)]
pub struct Board {
    nodes: Nodes,
    waiting: Waiting,
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
        let pod = self.waiting.take(now)?;
        self.turn = self.turn.wrapping_add(1);
        Some(match place(&pod.demand, &self.nodes, self.turn) {
            Placement::On(node) => {
                self.waiting.remove(&pod.key);
                let demand = Arc::clone(&pod.demand);
                self.nodes.place(pod.key.clone(), &pod.uid, &node, demand);
                Decision::Bind(pod, node)
            }
            Placement::Nowhere(refused) => {
                self.waiting.park(&pod.key, now);
                Decision::Refuse(pod, refused.to_string())
            }
        })
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
