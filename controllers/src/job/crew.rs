//! How many pods a Job has at once: which it lacks, and which it can do without.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::ledger::Ledger;
use super::spec::Spec;
use super::{backoff, template, tracking};
use crate::pod;
use crate::replicaset::most_dispensable;
use crate::typed::Typed;

/// Pods created or deleted per look at most, so that a huge number is worked off in steps that can be changed.
const BURST: usize = 500;

/// Pods to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// So many, one like the other.
    Any(usize),
    /// The one with this index.
    Index(usize),
}

/// What changes.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    /// Pods that are to go.
    pub(super) surplus: Vec<&'a Typed<Pod>>,
    /// Pods that are to come.
    pub(super) places: Vec<Place>,
    /// When pods may come, if it is too early.
    pub(super) wake: Option<Timestamp>,
}

/// Decides which pods are to go, or else which are to come.
pub(super) fn change<'a>(
    spec: &Spec,
    ledger: &Ledger,
    pods: &[&'a Typed<Pod>],
    now: Timestamp,
) -> Change<'a> {
    let active: Vec<&Typed<Pod>> = pods.iter().copied().filter(|pod| pod::is_active(pod)).collect();
    let wanted = wanted(spec, ledger, active.len());
    let surplus = surplus(spec, &active, active.len().saturating_sub(wanted), now);
    if !surplus.is_empty() {
        return Change { surplus, ..Change::default() };
    }
    let leaving = pods.iter().filter(|pod| spec.awaits_end && is_leaving(pod));
    let missing = wanted.saturating_sub(active.len() + leaving.count()).min(BURST);
    if missing == 0 {
        return Change::default();
    }
    if let Some(rested) = backoff::rested(spec, pods, now).filter(|rested| *rested > now) {
        return Change { wake: Some(rested), ..Change::default() };
    }
    Change { places: places(spec, ledger, pods, missing), ..Change::default() }
}

/// Whether a pod is being deleted and has not ended yet.
pub(super) fn is_leaving(pod: &Pod) -> bool {
    pod::is_terminating(pod) && !pod::is_finished(pod)
}

fn wanted(spec: &Spec, ledger: &Ledger, active: usize) -> usize {
    match spec.completions {
        _ if spec.is_suspended => 0,
        Some(completions) => completions.saturating_sub(ledger.succeeded()).min(spec.parallelism),
        // One success says that the work is done: nobody comes any more, and who is there ends on its own.
        None if ledger.succeeded() > 0 => active,
        None => spec.parallelism,
    }
}

/// Pods that stand where another stands or where none is to be, and as many more as are too many.
fn surplus<'a>(spec: &Spec, active: &[&'a Typed<Pod>], count: usize, now: Timestamp) -> Vec<&'a Typed<Pod>> {
    let nowhere = BTreeMap::new();
    // One without the finalizer was about to be deleted; its result would not count.
    let mut ranked: Vec<&Typed<Pod>> = most_dispensable(active, &nowhere, now).collect();
    ranked.sort_by_key(|pod| tracking::is_tracked(pod.object()));
    let mut misplaced = BTreeSet::new();
    if spec.is_indexed {
        let mut held = BTreeSet::new();
        for pod in ranked.iter().rev() {
            if !template::index_of(spec, pod.object()).is_some_and(|index| held.insert(index)) {
                misplaced.insert(pod.object().uid());
            }
        }
    }
    ranked.sort_by_key(|pod| !misplaced.contains(pod.object().uid()));
    ranked.truncate(count.max(misplaced.len()).min(BURST));
    ranked
}

fn places(spec: &Spec, ledger: &Ledger, pods: &[&Typed<Pod>], missing: usize) -> Vec<Place> {
    let Some(completions) = spec.completions.filter(|_| spec.is_indexed) else {
        return vec![Place::Any(missing)];
    };
    let holds = |pod: &&&Typed<Pod>| pod::is_active(pod) || spec.awaits_end && is_leaving(pod);
    let held = pods.iter().filter(holds).filter_map(|pod| template::index_of(spec, pod.object()));
    let held: BTreeSet<usize> = held.collect();
    let free = ledger.completed.missing(completions, |index| held.contains(&index));
    free.take(missing).map(Place::Index).collect()
}
