//! Whether a Job is at its end, and how: what was decided once stands in its conditions and stays.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;

use super::ledger::Ledger;
use super::spec::Spec;
use crate::pod;
use crate::typed::Typed;

/// The condition of a Job that is to succeed, once its pods are gone.
pub(super) const SUCCESS: &str = "SuccessCriteriaMet";

/// The condition of a Job that is to fail, once its pods are gone.
pub(super) const FAILURE: &str = "FailureTarget";

/// The condition of a Job that is to have no pods for now.
pub(super) const SUSPENDED: &str = "Suspended";

/// The condition of a Job that succeeded.
pub(super) const COMPLETE: &str = "Complete";

/// The condition of a Job that failed.
pub(super) const FAILED: &str = "Failed";

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// [`SUCCESS`] or [`FAILURE`].
    pub(super) kind: &'static str,
    /// One word that machines check.
    pub(super) reason: String,
    /// A sentence for people.
    pub(super) message: String,
}

impl Verdict {
    fn new(kind: &'static str, reason: &str, message: &str) -> Self {
        Self { kind, reason: reason.to_owned(), message: message.to_owned() }
    }

    /// Whether the Job fails.
    pub(super) fn is_failure(&self) -> bool {
        self.kind == FAILURE
    }

    /// The condition that says it when all is done.
    pub(super) fn last_condition(&self) -> &'static str {
        if self.is_failure() { FAILED } else { COMPLETE }
    }
}

/// A condition of a Job that is said to be true.
pub(super) fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// When a Job finished, if it did.
pub(crate) fn finished_at(job: &Job) -> Option<Timestamp> {
    let condition = condition(job, COMPLETE).or_else(|| condition(job, FAILED))?;
    // One that somebody else wrote without a time counts from when the Job came.
    let time = condition.last_transition_time.as_ref().or(job.metadata.creation_timestamp.as_ref());
    Some(time.map_or(Timestamp::MIN, |time| time.0))
}

/// How the Job ends, if it is at its end.
pub(super) fn reach(
    spec: &Spec,
    job: &Job,
    ledger: &Ledger,
    pods: &[&Typed<Pod>],
    now: Timestamp,
) -> Option<Verdict> {
    for kind in [SUCCESS, FAILURE] {
        if let Some(said) = condition(job, kind) {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            return Some(Verdict { kind, reason: text(&said.reason), message: text(&said.message) });
        }
    }
    if ledger.failed() > spec.backoff_limit || restarts_too_often(spec, pods) {
        let message = "Job has reached the specified backoff limit";
        return Some(Verdict::new(FAILURE, "BackoffLimitExceeded", message));
    }
    if spec.deadline(job).is_some_and(|deadline| deadline <= now) {
        let message = "Job was active longer than specified deadline";
        return Some(Verdict::new(FAILURE, "DeadlineExceeded", message));
    }
    let complete = match spec.completions {
        Some(completions) => ledger.succeeded() >= completions,
        None => ledger.succeeded() > 0 && !pods.iter().any(|pod| pod::is_active(pod)),
    };
    let message = "Reached expected number of succeeded pods";
    complete.then(|| Verdict::new(SUCCESS, "CompletionsReached", message))
}

/// Whether containers that are started again in their pods failed as often as is borne.
fn restarts_too_often(spec: &Spec, pods: &[&Typed<Pod>]) -> bool {
    if !spec.restarts {
        return false;
    }
    let running = pods.iter().filter(|pod| matches!(pod::phase(pod), "Pending" | "Running"));
    let restarts: i64 = running.map(|pod| restarts(pod)).sum();
    let restarts = usize::try_from(restarts).unwrap_or(0);
    restarts > 0 && restarts >= spec.backoff_limit
}

fn restarts(pod: &Pod) -> i64 {
    let statuses = pod.status.iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    statuses.map(|status| i64::from(status.restart_count)).sum()
}
