//! What the claims of a pod say about its node: where bound volumes are, and where those could be that wait for the pod.
//!
//! A pod whose claims wait for it is placed twice. The first time its node is written down: on the claims whose volumes are
//! to be made there, or a volume is kept for a claim. When all are bound it is placed again, where the volumes are.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::cache::Snapshot;
use api::storage::SELECTED_NODE;
use api::{Key, Object};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::demand::{Term, terms};
use super::filter::Refusal;
use super::node::Node;
use super::queue::Pending;
use crate::persistent_volume::{CLAIMED, FREE, best};
use crate::storage::{class_of_claim, is_bound, is_offered_on, waits_for_pod};
use crate::typed::Typed;

/// Classes that make no volumes.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Claims, volumes and classes as they are at one moment.
#[derive(Clone)]
pub struct Storage {
    /// All claims.
    pub claims: Arc<Snapshot>,
    /// All volumes, by claim and by class.
    pub volumes: Arc<Snapshot>,
    /// All classes.
    pub classes: Arc<Snapshot>,
}

impl Default for Storage {
    fn default() -> Self {
        let none = || Arc::new(Snapshot::new(vec![]));
        Self { claims: none(), volumes: none(), classes: none() }
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Storage({} claims, {} volumes)", self.claims.len(), self.volumes.len())
    }
}

/// A claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimUse {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is made for this pod alone.
    pub is_ephemeral: bool,
}

/// What the claims of a pod allow.
#[derive(Debug)]
pub enum Outlook {
    /// A node that meets this.
    Open(Wants),
    /// No node yet: volumes are on their way.
    Soon,
    /// No node at all, for this reason.
    Closed(String),
}

/// What a node must meet for the claims of a pod.
#[derive(Debug, Default)]
pub struct Wants {
    /// For each bound volume the places where it is; none if it is everywhere.
    bound: Vec<Option<Vec<Term>>>,
    /// A bound claim's volume does not exist.
    has_lost: bool,
    /// Claims that wait for the pod.
    waiting: Vec<Waiting>,
    /// The claims that no other pod may use while this one does.
    pub exclusive: Vec<Arc<str>>,
    /// Another pod does use one of these.
    pub is_taken: bool,
}

#[derive(Debug)]
struct Waiting {
    claim: Typed<PersistentVolumeClaim>,
    class: Typed<StorageClass>,
    free: Vec<Typed<PersistentVolume>>,
}

/// How a claim that waits comes to its volume.
#[derive(Clone, Debug)]
pub enum Choice {
    /// One is made on the node.
    Made(Object),
    /// This one is kept for the claim.
    Kept {
        /// The claim.
        claim: Object,
        /// The volume.
        volume: Object,
    },
}

impl Storage {
    /// What the claims of `pod` allow.
    pub fn outlook(&self, pod: &Pending) -> Outlook {
        let mut wants = Wants::default();
        let (mut is_soon, mut is_unbound) = (false, false);
        for used in &pod.demand.claims {
            let claim = match self.claim(pod, used) {
                Ok(claim) => claim,
                Err(why) => return Outlook::Closed(why),
            };
            if is_exclusive(&claim) {
                wants.exclusive.push(Arc::clone(&used.name));
            }
            if is_bound(&claim) {
                self.add_bound(&claim, &mut wants);
                continue;
            }
            match self.class(&claim) {
                Some(class) if waits_for_pod(&class) && names_none(&claim) => {
                    let kept = self.volumes_by(CLAIMED.name, &claim.object().key().to_string());
                    let is_kept = best(&claim, &kept, true).is_some();
                    if is_kept || claim.object().annotation(SELECTED_NODE).is_some() {
                        is_soon = true;
                    } else {
                        let free = self.volumes_by(FREE.name, class_of_claim(&claim));
                        wants.waiting.push(Waiting { claim, class, free });
                    }
                }
                _ => is_unbound = true,
            }
        }
        match (is_unbound, is_soon) {
            (true, _) => Outlook::Closed("pod has unbound immediate PersistentVolumeClaims".to_owned()),
            (false, true) => Outlook::Soon,
            (false, false) => Outlook::Open(wants),
        }
    }

    fn claim(&self, pod: &Pending, used: &ClaimUse) -> Result<Typed<PersistentVolumeClaim>, String> {
        let key = Key::new(Arc::clone(&pod.key.namespace), Arc::clone(&used.name));
        let name = &*used.name;
        let claim: Option<Typed<PersistentVolumeClaim>> = self.claims.get(&key).and_then(Typed::one_of_many);
        let Some(claim) = claim else {
            return Err(if used.is_ephemeral {
                format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
                )
            } else {
                format!("persistentvolumeclaim {name:?} not found")
            });
        };
        let object = claim.object();
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        if phase == Some("Lost") {
            let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
            return Err(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
            ));
        }
        if object.is_terminating() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        if used.is_ephemeral && object.controller_uid() != Some(&*pod.uid) {
            let pod = &pod.key;
            return Err(format!("PVC {key} was not created for pod {pod} (pod is not owner)"));
        }
        Ok(claim)
    }

    fn class(&self, claim: &PersistentVolumeClaim) -> Option<Typed<StorageClass>> {
        self.classes.get(&Key::cluster(class_of_claim(claim))).and_then(Typed::one_of_many)
    }

    fn volumes_by(&self, index: &str, text: &str) -> Vec<Typed<PersistentVolume>> {
        self.volumes.by_index(index, text).filter_map(Typed::one_of_many).collect()
    }

    fn add_bound(&self, claim: &PersistentVolumeClaim, wants: &mut Wants) {
        let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
        match self.volumes.get(&Key::cluster(name)).and_then(|volume| volume.typed().ok()) {
            Some(volume) => wants.bound.push(places(volume)),
            None => wants.has_lost = true,
        }
    }
}

fn names_none(claim: &PersistentVolumeClaim) -> bool {
    claim.spec.as_ref().is_none_or(|spec| spec.volume_name.as_deref().unwrap_or_default().is_empty())
}

fn is_exclusive(claim: &PersistentVolumeClaim) -> bool {
    let mut modes = claim.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten());
    modes.any(|mode| mode == "ReadWriteOncePod")
}

/// Where a volume is; none if it can be reached from everywhere.
fn places(volume: &PersistentVolume) -> Option<Vec<Term>> {
    let affinity = volume.spec.as_ref()?.node_affinity.as_ref()?;
    Some(terms(&affinity.required.as_ref()?.node_selector_terms))
}

fn is_at(places: Option<&Vec<Term>>, node: &Node) -> bool {
    places.is_none_or(|terms| terms.iter().any(|term| term.matches(&node.name, &node.facts.labels)))
}

impl Wants {
    /// Why the node cannot take the pod for its claims' sake; nothing if it can.
    pub fn refusals(&self, node: &Node) -> Vec<Refusal> {
        if self.is_taken {
            return vec![Refusal::ClaimTaken];
        }
        let mut refusals = Vec::new();
        if !self.bound.iter().all(|places| is_at(places.as_ref(), node)) {
            refusals.push(Refusal::VolumeElsewhere);
        }
        if !self.waiting.is_empty() && self.choices(node).is_none() {
            refusals.push(Refusal::NoVolume);
        }
        if self.has_lost {
            refusals.push(Refusal::VolumeLost);
        }
        refusals
    }

    /// How each claim that waits comes to its volume if the pod goes to this node; none if one cannot.
    pub fn choices(&self, node: &Node) -> Option<Vec<Choice>> {
        let mut taken = BTreeSet::new();
        let mut waiting: Vec<&Waiting> = self.waiting.iter().collect();
        // Those that ask for least leave the larger volumes to the others.
        waiting.sort_by_key(|waiting| crate::storage::requested(&waiting.claim).value());
        let mut choose = |waiting: &Waiting| {
            let here = |volume: &&Typed<PersistentVolume>| {
                is_at(places(volume).as_ref(), node) && !taken.contains(volume.object().name())
            };
            let free: Vec<Typed<PersistentVolume>> = waiting.free.iter().filter(here).cloned().collect();
            let claim = waiting.claim.object().clone();
            if let Some(volume) = best(&waiting.claim, &free, false) {
                let volume = volume.object().clone();
                taken.insert(volume.name().to_owned());
                return Some(Choice::Kept { claim, volume });
            }
            let is_made = waiting.class.provisioner != NO_PROVISIONER
                && is_offered_on(&waiting.class, &node.facts.labels);
            is_made.then_some(Choice::Made(claim))
        };
        waiting.into_iter().map(&mut choose).collect()
    }
}
