//! Chooses a node for a pod. Pure: the same pod, nodes and turn give the same answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::demand::Demand;
use super::filter::{Refusal, refusals};
use super::node::{Node, Nodes};
use super::score;
use super::storage::Wants;

/// Up to so many nodes all are looked at.
const LOOKED_AT: usize = 100;

/// Where a pod goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// To this node.
    On(Arc<str>),
    /// Nowhere at present.
    Nowhere(Refused),
}

/// Why no node takes a pod: how many nodes there are, and how many gave which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    nodes: usize,
    reasons: BTreeMap<Refusal, usize>,
    unresolvable: usize,
    /// Why none can, whatever the nodes are.
    anywhere: Option<String>,
}

/// Chooses a node. `turn` says where to begin among the nodes, so that equals take turns and, when there are many, not
/// always the same are looked at.
pub fn place(demand: &Demand, wants: &Wants, nodes: &Nodes, turn: usize) -> Placement {
    let all = nodes.list();
    let mut refused = Refused { nodes: all.len(), ..Refused::default() };
    let enough = enough(all.len());
    let mut feasible: Vec<&Node> = Vec::with_capacity(enough.min(all.len()));
    let (before, from) = all.split_at(turn.checked_rem(all.len()).unwrap_or(0));
    for node in from.iter().chain(before) {
        let refusals = refusals(demand, wants, node);
        if refusals.is_empty() {
            feasible.push(node);
            if feasible.len() == enough {
                break;
            }
        } else {
            refused.add(refusals);
        }
    }
    match score::best(demand, &feasible) {
        Some(best) => Placement::On(Arc::clone(&feasible[best].name)),
        None => Placement::Nowhere(refused),
    }
}

/// How many nodes that could take the pod are compared: of many a part, smaller the more there are, as in Kubernetes.
fn enough(nodes: usize) -> usize {
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(LOOKED_AT)
}

impl Refused {
    /// All of so many nodes, for one reason.
    pub fn anywhere(nodes: usize, why: String) -> Self {
        Self { nodes, unresolvable: nodes, anywhere: Some(why), ..Self::default() }
    }

    fn add(&mut self, refusals: Vec<Refusal>) {
        self.unresolvable += usize::from(!refusals.iter().all(Refusal::is_resolvable));
        for refusal in refusals {
            *self.reasons.entry(refusal).or_default() += 1;
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return formatter.write_str("no nodes available to schedule pods");
        }
        let counted = |(reason, count): (&Refusal, &usize)| format!("{count} {reason}");
        let mut reasons: Vec<String> = self.reasons.iter().map(counted).collect();
        reasons.sort();
        let none = format!("0/{} nodes are available", self.nodes);
        let reasons = self.anywhere.clone().unwrap_or_else(|| reasons.join(", "));
        write!(formatter, "{none}: {reasons}. preemption: {none}: ")?;
        let resolvable = self.nodes - self.unresolvable;
        let mut answers = Vec::new();
        if resolvable > 0 {
            answers.push(format!("{resolvable} No preemption victims found for incoming pod"));
        }
        if self.unresolvable > 0 {
            let count = self.unresolvable;
            answers.push(format!("{count} Preemption is not helpful for scheduling"));
        }
        write!(formatter, "{}.", answers.join(", "))
    }
}
