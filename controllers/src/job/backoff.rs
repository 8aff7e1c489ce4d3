//! How long a Job waits before it replaces a pod that failed.

use std::time::Duration;

use api::clock::add;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::ledger::has_failed;
use super::spec::Spec;
use crate::pod;
use crate::typed::Typed;

/// The wait after the first failure; each further one in a row doubles it.
const FIRST: Duration = Duration::from_secs(10);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(360);

/// From when on a pod may be created, after the failures there were since the last success.
///
/// Goes by the pods there are, so that it outlives this process; one that was deleted is forgotten.
pub(super) fn rested(spec: &Spec, pods: &[&Typed<Pod>], now: Timestamp) -> Option<Timestamp> {
    let succeeded = pods.iter().filter(|pod| pod::phase(pod) == "Succeeded");
    let last_success = succeeded.map(|pod| ended(pod, now)).max();
    let failures = pods.iter().filter(|pod| has_failed(spec, pod)).map(|pod| ended(pod, now));
    let failures: Vec<Timestamp> = failures.filter(|time| Some(*time) > last_success).collect();
    let last = failures.iter().max()?;
    let doublings = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    Some(add(*last, FIRST.saturating_mul(factor).min(LONGEST)))
}

/// When a pod ended: its last container did, or it was told to, or it was no longer ready.
fn ended(pod: &Pod, now: Timestamp) -> Timestamp {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let container = |status: &ContainerStatus| {
        let terminated = status.state.as_ref()?.terminated.as_ref()?;
        terminated.finished_at.as_ref().map(|time| time.0)
    };
    let deleted = || {
        let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        let deadline = pod.metadata.deletion_timestamp.as_ref()?.0;
        deadline.checked_sub(grace).ok()
    };
    let unready = || {
        pod::condition(pod, "Ready").and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0)
    };
    let ended = statuses.filter_map(container).max().or_else(deleted).or_else(unready);
    ended.unwrap_or_else(|| pod::created(pod)).min(now)
}
