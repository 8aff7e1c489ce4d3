//! The books of a Job: whose result is counted, whose is about to be, and who ended since.
//!
//! The uid of a pod that ended is first written to the status, then the pod's finalizer is taken off, and once that is
//! seen the uid makes way for a count of one more. Every step may be lost or repeated: a uid in the status is never
//! written again, a pod without the finalizer is never looked at again, and a status is only written over the one it
//! was made from. This needs a view of the pods that is no older than any write of a former controller; a process that
//! starts has that, as it reads everything first.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::indexes::Indexes;
use super::spec::Spec;
use super::{template, tracking};
use crate::pod;
use crate::typed::Typed;

/// Uids in the status at most, which bounds its size; pods beyond that keep their finalizer for the next look.
const MOST_UNCOUNTED: usize = 500;

/// The books.
pub(super) struct Ledger {
    /// Counted for good. Of an indexed Job the indexes are the count.
    counted: (usize, usize),
    /// In the status by their uids, as their finalizers are not off yet.
    pub(super) uncounted: Uncounted,
    /// Ended, and not in the status yet.
    fresh: Uncounted,
    /// The indexes that succeeded; only if the Job is indexed.
    pub(super) completed: Indexes,
    /// Ended with nothing to be counted by uid: indexed ones that succeeded, and such without a valid index.
    settled: BTreeSet<String>,
    is_indexed: bool,
}

/// Uids of pods that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uncounted {
    pub(super) succeeded: BTreeSet<String>,
    pub(super) failed: BTreeSet<String>,
}

impl Uncounted {
    /// Those in a Job's status.
    pub(super) fn of(job: &Job) -> Self {
        let uncounted = job.status.as_ref().and_then(|status| status.uncounted_terminated_pods.as_ref());
        let set = |uids: Option<&Vec<String>>| uids.into_iter().flatten().cloned().collect();
        let succeeded = uncounted.and_then(|uncounted| uncounted.succeeded.as_ref());
        let failed = uncounted.and_then(|uncounted| uncounted.failed.as_ref());
        Self { succeeded: set(succeeded), failed: set(failed) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.succeeded.len() + self.failed.len()
    }

    fn contains(&self, uid: &str) -> bool {
        self.succeeded.contains(uid) || self.failed.contains(uid)
    }
}

impl Ledger {
    /// Reads the books, moves to the counts what is ready for it, and notes who ended since.
    pub(super) fn open(spec: &Spec, job: &Job, pods: &[&Typed<Pod>]) -> Self {
        let tracked: Vec<&Typed<Pod>> =
            pods.iter().copied().filter(|pod| tracking::is_tracked(pod.object())).collect();
        let held: BTreeSet<&str> = tracked.iter().map(|pod| pod.object().uid()).collect();
        let status = job.status.as_ref();
        let count = |count: Option<i32>| usize::try_from(count.unwrap_or(0)).unwrap_or(0);
        let mut uncounted = Uncounted::of(job);
        let before = (uncounted.succeeded.len(), uncounted.failed.len());
        uncounted.succeeded.retain(|uid| held.contains(uid.as_str()));
        uncounted.failed.retain(|uid| held.contains(uid.as_str()));
        let counted = (
            count(status.and_then(|status| status.succeeded)) + before.0 - uncounted.succeeded.len(),
            count(status.and_then(|status| status.failed)) + before.1 - uncounted.failed.len(),
        );
        let completed = status.and_then(|status| status.completed_indexes.as_deref());
        let completed = completed.filter(|_| spec.is_indexed).unwrap_or_default();
        let mut ledger = Self {
            counted,
            uncounted,
            fresh: Uncounted::default(),
            completed: Indexes::parse(completed, spec.completions.unwrap_or(0)),
            settled: BTreeSet::new(),
            is_indexed: spec.is_indexed,
        };
        for pod in tracked {
            ledger.note(spec, pod);
        }
        ledger
    }

    fn note(&mut self, spec: &Spec, pod: &Typed<Pod>) {
        let uid = pod.object().uid();
        if self.uncounted.contains(uid) {
            return;
        }
        let index = template::index_of(spec, pod.object());
        match (pod::phase(pod) == "Succeeded", has_failed(spec, pod)) {
            (false, false) => {}
            _ if spec.is_indexed && index.is_none() => drop(self.settled.insert(uid.to_owned())),
            (false, true) => drop(self.fresh.failed.insert(uid.to_owned())),
            (true, _) => match index {
                Some(index) => {
                    self.completed.insert(index);
                    self.settled.insert(uid.to_owned());
                }
                None => drop(self.fresh.succeeded.insert(uid.to_owned())),
            },
        }
    }

    /// How many succeeded, counted or not.
    pub(super) fn succeeded(&self) -> usize {
        match self.is_indexed {
            true => self.completed.len(),
            false => self.counted.0 + self.uncounted.succeeded.len() + self.fresh.succeeded.len(),
        }
    }

    /// How many failed, counted or not.
    pub(super) fn failed(&self) -> usize {
        self.counted.1 + self.uncounted.failed.len() + self.fresh.failed.len()
    }

    /// What the status is to say: how many succeeded, how many failed.
    pub(super) fn counts(&self) -> (usize, usize) {
        let succeeded = if self.is_indexed { self.completed.len() } else { self.counted.0 };
        (succeeded, self.counted.1)
    }

    /// Writes those who ended into the books, as far as there is room; if `all_fail`, those who still run as failed.
    /// Returns the pods whose result is safe with that.
    pub(super) fn enter(&mut self, pods: &[&Typed<Pod>], all_fail: bool) -> BTreeSet<String> {
        let mut safe = std::mem::take(&mut self.settled);
        safe.extend(self.uncounted.succeeded.iter().chain(&self.uncounted.failed).cloned());
        let mut fresh = std::mem::take(&mut self.fresh);
        if all_fail {
            let tracked = pods.iter().filter(|pod| tracking::is_tracked(pod.object()));
            let uids = tracked.map(|pod| pod.object().uid());
            let rest = uids.filter(|uid| !safe.contains(*uid) && !fresh.succeeded.contains(*uid));
            fresh.failed.extend(rest.map(str::to_owned));
        }
        let room = MOST_UNCOUNTED.saturating_sub(self.uncounted.len());
        let entries = fresh.succeeded.into_iter().map(|uid| (true, uid));
        let entries = entries.chain(fresh.failed.into_iter().map(|uid| (false, uid)));
        for (succeeded, uid) in entries.take(room) {
            safe.insert(uid.clone());
            let side = if succeeded { &mut self.uncounted.succeeded } else { &mut self.uncounted.failed };
            side.insert(uid);
        }
        safe
    }
}

/// Whether a pod counts as failed. One that is being deleted does, unless its end is awaited.
pub(super) fn has_failed(spec: &Spec, pod: &Pod) -> bool {
    match pod::phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod::is_terminating(pod) && !spec.awaits_end,
    }
}
