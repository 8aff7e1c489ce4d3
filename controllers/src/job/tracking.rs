//! The finalizer that keeps a Job's pod until its result is in the books, and the pods that nobody will count.

use std::collections::BTreeSet;

use api::cache::Index;
use api::resource::{JOBS, PODS};
use api::selector::LabelSelector;
use api::{Key, Object};
use serde_json::{Value, json};

use crate::framework::{Action, Target};
use crate::owner::{self, is_of};

/// The finalizer.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";

/// The label that names a pod's Job.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Pods with the finalizer by the namespace and name of the Job that is to take it off.
pub(super) const TRACKED: Index =
    Index { name: "tracked", texts: |pod| job_of(pod).map(|key| key.to_string()).into_iter().collect() };

/// Whether the pod has the finalizer.
pub(super) fn is_tracked(pod: &Object) -> bool {
    pod.metadata().finalizers.iter().flatten().any(|name| name == FINALIZER)
}

/// The Job that is to take the finalizer off: the one that controls the pod, else the one its labels name.
pub(super) fn job_of(pod: &Object) -> Option<Key> {
    if !is_tracked(pod) {
        return None;
    }
    let name = match owner::controller_of(pod) {
        Some(owner) if is_of(&JOBS, &owner.api_version, &owner.kind) => owner.name.as_str(),
        // Somebody else's pod, and so is its finalizer.
        Some(_) => return None,
        None => pod.label(JOB_NAME).unwrap_or_default(),
    };
    Some(Key::new(pod.namespace(), name))
}

/// Whether the pod, which names this Job, is none that the Job will count.
pub(super) fn is_stray(job: Option<&Object>, selector: &LabelSelector, pod: &Object) -> bool {
    let Some(job) = job else {
        return true;
    };
    match pod.controller_uid() {
        Some(uid) => uid != job.uid(),
        None => !is_adoptable(job, selector, pod),
    }
}

fn is_adoptable(job: &Object, selector: &LabelSelector, pod: &Object) -> bool {
    let ended = matches!(pod.value()["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    owner::claim(job, selector, pod) == owner::Claim::Adopt && !ended
}

/// Lets pods go that no Job counts. The cache may not have seen their Job yet, so the API is asked first.
pub(super) fn let_strays_go(target: &Target, strays: &[Object]) -> Vec<Action> {
    let uids: BTreeSet<&str> = strays.iter().filter_map(Object::controller_uid).collect();
    let absent =
        uids.into_iter().map(|uid| Action::ExpectAbsent { target: target.clone(), uid: uid.to_owned() });
    absent.chain(strays.iter().map(let_go)).collect()
}

/// Takes the finalizer off.
pub(super) fn let_go(pod: &Object) -> Action {
    Action::patch_unchanged(&PODS, pod, "", json!({"metadata": {"finalizers": finalizers(pod, false)}}))
}

/// Makes a pod the Job's, to be counted when it ends.
pub(super) fn adopt(job: &Object, pod: &Object) -> Action {
    with_finalizers(owner::adopt(&JOBS, job, &PODS, pod), finalizers(pod, true))
}

/// Makes a pod no longer the Job's, nor counted.
pub(super) fn release(job: &Object, pod: &Object) -> Action {
    with_finalizers(owner::release(job.uid(), &PODS, pod), finalizers(pod, false))
}

fn with_finalizers(mut action: Action, finalizers: Vec<Value>) -> Action {
    if let Action::Patch { merge, .. } = &mut action {
        merge["metadata"]["finalizers"] = finalizers.into();
    }
    action
}

fn finalizers(pod: &Object, tracked: bool) -> Vec<Value> {
    let others = pod.metadata().finalizers.iter().flatten().filter(|name| *name != FINALIZER);
    let ours = tracked.then_some(FINALIZER);
    others.map(String::as_str).chain(ours).map(Value::from).collect()
}
