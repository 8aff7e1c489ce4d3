//! Which nodes can take a pod at all, and why the others cannot.

use std::fmt;

use k8s_openapi::api::core::v1::{Taint, Toleration};

use super::demand::{Demand, HostPort};
use super::node::Node;
use super::storage::Wants;

/// Why a node cannot take a pod, in the words of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is cordoned.
    Unschedulable,
    /// It has a taint the pod does not tolerate.
    Taint {
        /// The taint's key.
        key: String,
        /// The taint's value.
        value: String,
    },
    /// The pod asks for other nodes.
    Affinity,
    /// A port the pod asks for is taken.
    Ports,
    /// It has no room for one more pod.
    TooManyPods,
    /// It has not enough of a resource.
    Insufficient(String),
    /// Another pod has a claim that only one pod may use.
    ClaimTaken,
    /// A volume of the pod is on other nodes.
    VolumeElsewhere,
    /// No volume that a claim waits for can be had there.
    NoVolume,
    /// A volume of the pod does not exist.
    VolumeLost,
}

impl Refusal {
    /// Whether it could take the pod if others left.
    pub fn is_resolvable(&self) -> bool {
        matches!(self, Self::Ports | Self::TooManyPods | Self::Insufficient(_) | Self::ClaimTaken)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unschedulable => formatter.write_str("node(s) were unschedulable"),
            Self::Taint { key, value } => {
                write!(formatter, "node(s) had untolerated taint {{{key}: {value}}}")
            }
            Self::Affinity => formatter.write_str("node(s) didn't match Pod's node affinity/selector"),
            Self::Ports => formatter.write_str("node(s) didn't have free ports for the requested pod ports"),
            Self::TooManyPods => formatter.write_str("Too many pods"),
            Self::Insufficient(resource) => write!(formatter, "Insufficient {resource}"),
            Self::ClaimTaken => formatter.write_str(
                "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
            ),
            Self::VolumeElsewhere => formatter.write_str("node(s) had volume node affinity conflict"),
            Self::NoVolume => {
                formatter.write_str("node(s) didn't find available persistent volumes to bind")
            }
            Self::VolumeLost => formatter
                .write_str("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
        }
    }
}

/// Why the node cannot take the pod; nothing if it can.
pub fn refusals(demand: &Demand, wants: &Wants, node: &Node) -> Vec<Refusal> {
    if node.facts.unschedulable && !tolerates(&demand.tolerations, &cordon()) {
        return vec![Refusal::Unschedulable];
    }
    let mut taints = node.facts.taints.iter();
    let hard = |taint: &&Taint| taint.effect != "PreferNoSchedule";
    if let Some(taint) = taints.find(|taint| hard(taint) && !tolerates(&demand.tolerations, taint)) {
        let (key, value) = (taint.key.clone(), taint.value.clone().unwrap_or_default());
        return vec![Refusal::Taint { key, value }];
    }
    if !is_wanted(demand, node) {
        return vec![Refusal::Affinity];
    }
    if demand.ports.iter().any(|port| node.ports.iter().any(|taken| clash(port, taken))) {
        return vec![Refusal::Ports];
    }
    let lacking = lacking(demand, node);
    if lacking.is_empty() { wants.refusals(node) } else { lacking }
}

fn cordon() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

fn is_wanted(demand: &Demand, node: &Node) -> bool {
    let labels = &node.facts.labels;
    let meant = |terms: &Vec<super::demand::Term>| terms.iter().any(|term| term.matches(&node.name, labels));
    demand.selector.matches(Some(labels)) && demand.required.as_ref().is_none_or(meant)
}

fn clash(port: &HostPort, taken: &HostPort) -> bool {
    let everywhere = |port: &HostPort| port.address == "0.0.0.0";
    port.port == taken.port
        && port.protocol == taken.protocol
        && (port.address == taken.address || everywhere(port) || everywhere(taken))
}

fn lacking(demand: &Demand, node: &Node) -> Vec<Refusal> {
    let (asked, has, taken) = (&demand.amounts, &node.facts.allocatable, &node.requested);
    let mut refusals = Vec::new();
    if taken.pods + asked.pods > has.pods {
        refusals.push(Refusal::TooManyPods);
    }
    let mut check = |name: &str, asked: i64, has: i64, taken: i64| {
        if asked > 0 && asked > has.saturating_sub(taken) {
            refusals.push(Refusal::Insufficient(name.to_owned()));
        }
    };
    check("cpu", asked.cpu, has.cpu, taken.cpu);
    check("memory", asked.memory, has.memory, taken.memory);
    check("ephemeral-storage", asked.ephemeral, has.ephemeral, taken.ephemeral);
    for (name, amount) in &asked.extended {
        let of = |amounts: &std::collections::BTreeMap<String, i64>| amounts.get(name).copied().unwrap_or(0);
        check(name, *amount, of(&has.extended), of(&taken.extended));
    }
    refusals
}

/// Whether one of the tolerations is for this taint.
pub fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let key = toleration.key.as_deref().unwrap_or_default();
        let value = toleration.value.as_deref().unwrap_or_default();
        let exists = toleration.operator.as_deref() == Some("Exists");
        (effect.is_empty() || effect == taint.effect)
            && (key == taint.key || (key.is_empty() && exists))
            && (exists || value == taint.value.as_deref().unwrap_or_default())
    })
}
