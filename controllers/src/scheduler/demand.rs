//! What a pod asks of a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::quantity::Quantity;
use api::selector::{LabelSelector, Operator, Requirement};
use api::storage::claim_of;
use k8s_openapi::api::core::v1::{
    Container, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::storage::ClaimUse;

/// What a pod without a CPU request counts as when nodes are compared, in thousandths, as in Kubernetes.
const USUAL_CPU: i64 = 100;

/// What a pod without a memory request counts as when nodes are compared, in bytes, as in Kubernetes.
const USUAL_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a CPU.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of local storage.
    pub ephemeral: i64,
    /// Number of pods.
    pub pods: i64,
    /// Anything else, by name.
    pub extended: BTreeMap<String, i64>,
}

impl Amounts {
    /// Reads a list of resources, such as a node's `allocatable`.
    pub fn read(list: Option<&BTreeMap<String, ApiQuantity>>) -> Self {
        let mut amounts = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            let quantity: Quantity = quantity.0.parse().unwrap_or_default();
            match name.as_str() {
                "cpu" => amounts.cpu = quantity.millis(),
                "memory" => amounts.memory = quantity.value(),
                "ephemeral-storage" => amounts.ephemeral = quantity.value(),
                "pods" => amounts.pods = quantity.value(),
                other => drop(amounts.extended.insert(other.to_owned(), quantity.value())),
            }
        }
        amounts
    }

    /// Adds `sign` times as much.
    pub(super) fn add(&mut self, other: &Self, sign: i64) {
        let step = |amount: &mut i64, by: i64| *amount = amount.saturating_add(by.saturating_mul(sign));
        step(&mut self.cpu, other.cpu);
        step(&mut self.memory, other.memory);
        step(&mut self.ephemeral, other.ephemeral);
        step(&mut self.pods, other.pods);
        for (name, by) in &other.extended {
            step(self.extended.entry(name.clone()).or_default(), *by);
        }
    }

    /// Raises each amount to the other's.
    fn raise(&mut self, other: &Self) {
        self.cpu = self.cpu.max(other.cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral = self.ephemeral.max(other.ephemeral);
        for (name, by) in &other.extended {
            let amount = self.extended.entry(name.clone()).or_default();
            *amount = (*amount).max(*by);
        }
    }
}

/// A port of the node that a pod takes for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The port.
    pub port: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The node's address; `0.0.0.0` is all of them.
    pub address: String,
}

/// One alternative of a choice of nodes.
#[derive(Clone, Debug)]
pub struct Term {
    /// The labels; none can be met if the term was not understood.
    labels: LabelSelector,
    /// By the node's name, as a label `metadata.name`.
    fields: LabelSelector,
}

impl Term {
    /// Whether the node is meant.
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.labels.matches(Some(labels))
            && (self.fields.is_everything() || {
                let name = BTreeMap::from([("metadata.name".to_owned(), name.to_owned())]);
                self.fields.matches(Some(&name))
            })
    }
}

/// What a pod asks of a node.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// The least it needs.
    pub amounts: Amounts,
    /// What it counts as when nodes are compared: CPU and memory.
    pub weight: (i64, i64),
    /// Ports of the node.
    pub ports: Vec<HostPort>,
    /// Labels the node must have.
    pub selector: LabelSelector,
    /// The node must be one of these; none: any.
    pub required: Option<Vec<Term>>,
    /// Nodes it would rather have, and how much.
    pub preferred: Vec<(i32, Term)>,
    /// Taints it does not mind.
    pub tolerations: Vec<Toleration>,
    /// Its controller, whose pods are spread over nodes; empty if it has none.
    pub owner: Arc<str>,
    /// The greater is scheduled first.
    pub priority: i32,
    /// The claims it uses.
    pub claims: Vec<ClaimUse>,
}

impl Demand {
    /// Reads a pod's demand.
    pub fn of(pod: &Pod) -> Self {
        let default = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&default);
        let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required = affinity
            .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        let preferred = affinity
            .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
        let amounts = amounts(spec);
        let owners = pod.metadata.owner_references.iter().flatten();
        let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
        Self {
            weight: (
                if amounts.cpu == 0 { USUAL_CPU } else { amounts.cpu },
                if amounts.memory == 0 { USUAL_MEMORY } else { amounts.memory },
            ),
            amounts,
            ports: ports(spec),
            selector: spec.node_selector.as_ref().map(LabelSelector::from_map).unwrap_or_default(),
            required: required.map(|choice| terms(&choice.node_selector_terms)),
            preferred: preferred
                .into_iter()
                .flatten()
                .map(|choice| (choice.weight, term(&choice.preference)))
                .collect(),
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            owner: owner.map_or("", |owner| owner.uid.as_str()).into(),
            priority: spec.priority.unwrap_or(0),
            claims: claims(pod, spec),
        }
    }
}

/// Containers run together; init containers one by one before them, except those that stay (`restartPolicy: Always`).
fn amounts(spec: &PodSpec) -> Amounts {
    let requests = |container: &Container| {
        let resources = container.resources.as_ref();
        Amounts::read(resources.and_then(|resources| resources.requests.as_ref()))
    };
    let mut total = Amounts::default();
    spec.containers.iter().for_each(|container| total.add(&requests(container), 1));
    let (mut staying, mut peak) = (Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        let own = requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            staying.add(&own, 1);
            peak.raise(&staying);
        } else {
            let mut together = staying.clone();
            together.add(&own, 1);
            peak.raise(&together);
        }
    }
    total.add(&staying, 1);
    total.raise(&peak);
    if let Some(whole) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) {
        let whole_amounts = Amounts::read(Some(whole));
        total.cpu = if whole.contains_key("cpu") { whole_amounts.cpu } else { total.cpu };
        total.memory = if whole.contains_key("memory") { whole_amounts.memory } else { total.memory };
    }
    total.add(&Amounts::read(spec.overhead.as_ref()), 1);
    total.pods = 1;
    total
}

fn ports(spec: &PodSpec) -> Vec<HostPort> {
    let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let taken = ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        Some(HostPort {
            port: number,
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            address: match port.host_ip.as_deref() {
                None | Some("" | "::") => "0.0.0.0".to_owned(),
                Some(address) => address.to_owned(),
            },
        })
    });
    taken.collect()
}

fn claims(pod: &Pod, spec: &PodSpec) -> Vec<ClaimUse> {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let used = spec.volumes.iter().flatten().filter_map(|volume| {
        let name = claim_of(pod_name, volume)?;
        Some(ClaimUse { name: (*name).into(), is_ephemeral: volume.ephemeral.is_some() })
    });
    used.collect()
}

/// The alternatives of a choice of nodes.
pub(super) fn terms(terms: &[NodeSelectorTerm]) -> Vec<Term> {
    terms.iter().map(term).collect()
}

fn term(term: &NodeSelectorTerm) -> Term {
    let selector = |list: &Option<Vec<NodeSelectorRequirement>>| {
        let requirements = list.iter().flatten().map(requirement);
        requirements.collect::<Option<Vec<_>>>().map_or_else(LabelSelector::nothing, LabelSelector::new)
    };
    let (labels, fields) = (selector(&term.match_expressions), selector(&term.match_fields));
    // A term that asks for nothing means no node.
    let empty = labels.is_everything() && fields.is_everything();
    Term { labels: if empty { LabelSelector::nothing() } else { labels }, fields }
}

fn requirement(requirement: &NodeSelectorRequirement) -> Option<Requirement> {
    let values = || requirement.values.iter().flatten().cloned().collect();
    let number = || requirement.values.as_ref()?.first()?.parse().ok();
    let operator = match requirement.operator.as_str() {
        "In" => Operator::In(values()),
        "NotIn" => Operator::NotIn(values()),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan(number()?),
        "Lt" => Operator::LessThan(number()?),
        _ => return None,
    };
    Requirement::new(requirement.key.as_str(), operator).ok()
}
