//! What a Job asks for, with what is left out filled in.

use std::time::Duration;

use api::clock::add;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::verdict::{SUSPENDED, condition};

/// Failures that are borne unless it is said.
const BACKOFF_LIMIT: usize = 6;

/// The name by which a Job says that this controller is to see to it.
const OURSELVES: &str = "kubernetes.io/job-controller";

/// What a Job asks for.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// Pods at once at most.
    pub(super) parallelism: usize,
    /// Pods that must succeed; if not given, one, and the others end on their own.
    pub(super) completions: Option<usize>,
    /// Failures that are borne.
    pub(super) backoff_limit: usize,
    /// How long it may take.
    timeout: Option<Duration>,
    /// Whether it is to have no pods for now.
    pub(super) is_suspended: bool,
    /// Whether each completion has a number, and a pod of its own.
    pub(super) is_indexed: bool,
    /// Whether a pod that is being deleted still holds its place, until it has ended.
    pub(super) awaits_end: bool,
    /// Whether containers that fail are started again in their pod.
    pub(super) restarts: bool,
}

impl Spec {
    /// What this Job asks for.
    pub(super) fn of(job: &Job) -> Self {
        let default = Default::default();
        let spec = job.spec.as_ref().unwrap_or(&default);
        let count = |count: i32| usize::try_from(count).unwrap_or(0);
        let pod = spec.template.spec.as_ref();
        Self {
            parallelism: spec.parallelism.map_or(1, count),
            completions: spec.completions.map(count),
            backoff_limit: spec.backoff_limit.map_or(BACKOFF_LIMIT, count),
            timeout: spec
                .active_deadline_seconds
                .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
            is_suspended: spec.suspend.unwrap_or(false),
            is_indexed: spec.completion_mode.as_deref() == Some("Indexed"),
            awaits_end: spec.pod_replacement_policy.as_deref() == Some("Failed"),
            restarts: pod.and_then(|pod| pod.restart_policy.as_deref()) == Some("OnFailure"),
        }
    }

    /// When the Job has taken too long, if there is such a time. One that is suspended, or is about to be resumed, has none.
    pub(super) fn deadline(&self, job: &Job) -> Option<Timestamp> {
        let started = job.status.as_ref()?.start_time.as_ref()?.0;
        let rests = self.is_suspended || condition(job, SUSPENDED).is_some();
        self.timeout.filter(|_| !rests).map(|timeout| add(started, timeout))
    }
}

/// Whether this controller is to see to the Job.
pub(super) fn is_ours(job: &Job) -> bool {
    let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    manager.is_none_or(|manager| manager == OURSELVES)
}
