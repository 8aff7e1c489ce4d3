//! The nodes as the scheduler sees them: what each has, and what the pods on it take. Kept up to date step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Key;
use k8s_openapi::api::core::v1::{Node as ApiNode, Taint};

use super::demand::{Amounts, Demand, HostPort};

/// What is known of a node itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it takes no new pods.
    pub unschedulable: bool,
    /// What it has for pods.
    pub allocatable: Amounts,
}

impl Facts {
    /// Reads a node.
    pub fn of(node: &ApiNode) -> Self {
        let spec = node.spec.as_ref();
        let status = node.status.as_ref();
        Self {
            labels: node.metadata.labels.clone().unwrap_or_default(),
            taints: spec.and_then(|spec| spec.taints.clone()).unwrap_or_default(),
            unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
            allocatable: Amounts::read(status.and_then(|status| status.allocatable.as_ref())),
        }
    }
}

/// A node and what is taken of it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// What is known of it.
    pub facts: Facts,
    /// What its pods ask for.
    pub requested: Amounts,
    /// What its pods count as when nodes are compared: CPU and memory.
    pub weight: (i64, i64),
    /// Ports its pods took.
    pub ports: Vec<HostPort>,
    /// How many pods of each controller it has.
    pub owners: BTreeMap<Arc<str>, usize>,
}

impl Node {
    fn new(name: Arc<str>, facts: Facts) -> Self {
        Self {
            name,
            facts,
            requested: Amounts::default(),
            weight: (0, 0),
            ports: Vec::new(),
            owners: BTreeMap::new(),
        }
    }

    fn take(&mut self, demand: &Demand) {
        self.requested.add(&demand.amounts, 1);
        self.weight.0 = self.weight.0.saturating_add(demand.weight.0);
        self.weight.1 = self.weight.1.saturating_add(demand.weight.1);
        self.ports.extend(demand.ports.iter().cloned());
        if !demand.owner.is_empty() {
            *self.owners.entry(Arc::clone(&demand.owner)).or_default() += 1;
        }
    }

    fn give_back(&mut self, demand: &Demand) {
        self.requested.add(&demand.amounts, -1);
        self.weight.0 = self.weight.0.saturating_sub(demand.weight.0);
        self.weight.1 = self.weight.1.saturating_sub(demand.weight.1);
        for port in &demand.ports {
            if let Some(position) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(position);
            }
        }
        if let Some(count) = self.owners.get_mut(&demand.owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&demand.owner);
            }
        }
    }
}

/// Where a pod stands.
#[derive(Clone, Debug)]
struct Placed {
    uid: Arc<str>,
    node: Arc<str>,
    demand: Arc<Demand>,
}

/// All nodes, with the pods on them or on their way to them.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    list: Vec<Node>,
    positions: BTreeMap<Arc<str>, usize>,
    placed: BTreeMap<Key, Placed>,
}

impl Nodes {
    /// The nodes, in an order that is stable but means nothing.
    pub fn list(&self) -> &[Node] {
        &self.list
    }

    /// Takes note of a node. Returns whether it is new or changed.
    pub fn set(&mut self, name: &str, facts: Facts) -> bool {
        if let Some(position) = self.positions.get(name) {
            let known = &mut self.list[*position].facts;
            let changed = *known != facts;
            *known = facts;
            return changed;
        }
        let mut node = Node::new(name.into(), facts);
        let here = self.placed.values().filter(|placed| *placed.node == *name);
        here.for_each(|placed| node.take(&placed.demand));
        self.positions.insert(Arc::clone(&node.name), self.list.len());
        self.list.push(node);
        true
    }

    /// Forgets a node, but not the pods on it.
    pub fn remove(&mut self, name: &str) {
        let Some(position) = self.positions.remove(name) else {
            return;
        };
        self.list.swap_remove(position);
        if let Some(moved) = self.list.get(position) {
            self.positions.insert(Arc::clone(&moved.name), position);
        }
    }

    /// Puts a pod on a node.
    pub fn place(&mut self, key: Key, uid: &str, node: &str, demand: Arc<Demand>) {
        if self.is_at(&key, uid, node) {
            return;
        }
        self.take_away(&key);
        if let Some(node) = self.node_mut(node) {
            node.take(&demand);
        }
        let (uid, node) = (uid.into(), node.into());
        self.placed.insert(key, Placed { uid, node, demand });
    }

    /// Whether this pod stands on this node.
    pub fn is_at(&self, key: &Key, uid: &str, node: &str) -> bool {
        let placed = self.placed.get(key);
        placed.is_some_and(|placed| *placed.uid == *uid && *placed.node == *node)
    }

    /// The uid of the pod of this name that stands somewhere.
    pub fn uid_at(&self, key: &Key) -> Option<&str> {
        self.placed.get(key).map(|placed| &*placed.uid)
    }

    /// Whether a pod of this namespace that stands somewhere uses one of the claims.
    pub fn use_claims(&self, namespace: &str, claims: &[Arc<str>]) -> bool {
        let uses = |demand: &Demand| demand.claims.iter().any(|used| claims.contains(&used.name));
        !claims.is_empty()
            && self.placed.iter().any(|(key, placed)| *key.namespace == *namespace && uses(&placed.demand))
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The node of this name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.list.get(*self.positions.get(name)?)
    }

    /// Takes a pod from its node. Returns whether it stood on one.
    pub fn take_away(&mut self, key: &Key) -> bool {
        let Some(placed) = self.placed.remove(key) else {
            return false;
        };
        if let Some(node) = self.node_mut(&placed.node) {
            node.give_back(&placed.demand);
        }
        true
    }

    fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        let position = *self.positions.get(name)?;
        self.list.get_mut(position)
    }
}
