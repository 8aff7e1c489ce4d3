//! Which pods a ReplicaSet can do without, in Kubernetes' order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pod;
use crate::typed::Typed;

/// How much a pod is worth: the lesser goes first. Fields compare in their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Worth<'a> {
    assigned: bool,
    progress: u8,
    ready: bool,
    deletion_cost: i32,
    /// Where more of the same stand together, one can go.
    crowd: Reverse<usize>,
    /// Ages count by powers of two, so that not always the youngest node loses its pods.
    ready_age: u32,
    restarts: Reverse<i32>,
    age: u32,
    uid: &'a str,
}

/// The pods, those that can best be spared first.
pub(crate) fn most_dispensable<'a>(
    pods: &[&'a Typed<Pod>],
    crowd: &BTreeMap<String, usize>,
    now: Timestamp,
) -> impl Iterator<Item = &'a Typed<Pod>> {
    let mut ranked: Vec<(Worth<'a>, &'a Typed<Pod>)> =
        pods.iter().map(|pod| (worth(pod, crowd, now), *pod)).collect();
    ranked.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    ranked.into_iter().map(|(_, pod)| pod)
}

fn worth<'a>(pod: &'a Typed<Pod>, crowd: &BTreeMap<String, usize>, now: Timestamp) -> Worth<'a> {
    let node = pod::node_name(pod);
    let ready_since = pod::ready_since(pod);
    Worth {
        assigned: !node.is_empty(),
        progress: match pod::phase(pod) {
            "Running" => 2,
            "Unknown" => 1,
            _ => 0,
        },
        ready: ready_since.is_some(),
        deletion_cost: deletion_cost(pod),
        crowd: Reverse(crowd.get(node).copied().unwrap_or(0)),
        ready_age: ready_since.map_or(0, |since| magnitude(since, now)),
        restarts: Reverse(pod::restarts(pod)),
        age: magnitude(pod::created(pod), now),
        uid: pod.object().uid(),
    }
}

fn deletion_cost(pod: &Typed<Pod>) -> i32 {
    let cost = pod.object().annotation("controller.kubernetes.io/pod-deletion-cost");
    cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

/// The number of binary digits of the time passed.
fn magnitude(since: Timestamp, now: Timestamp) -> u32 {
    let nanos = now.duration_since(since).as_nanos();
    nanos.max(0).checked_ilog2().map_or(0, |log| log + 1)
}
