//! Which pod has to go when the node runs short, and what is said about it. Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use api::Key;

use super::pressure::Due;
use super::threshold::Signal;

/// From this priority on a pod is critical for the cluster and stays, as Kubernetes has it.
pub(super) const CRITICAL: i32 = 2_000_000_000;

/// A pod that may have to go, with what it has of the resource that is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) key: Key,
    pub(super) uid: Arc<str>,
    pub(super) priority: i32,
    pub(super) requested: u64,
    pub(super) used: u64,
    pub(super) containers: Vec<Part>,
}

/// What one of its containers has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: Arc<str>,
    pub(super) requested: u64,
    pub(super) used: u64,
}

/// One that uses more than it asked for comes before all that do not, then the one of lesser priority, then the one that uses
/// most beyond what it asked for. Critical pods stay.
pub(super) fn choose(tenants: &[Tenant]) -> Option<&Tenant> {
    let all = tenants.iter().filter(|tenant| tenant.priority < CRITICAL);
    all.min_by_key(|tenant| {
        let excess = i128::from(tenant.used) - i128::from(tenant.requested);
        (excess <= 0, tenant.priority, Reverse(excess), tenant.key.clone())
    })
}

/// What the pod's status and its event say.
pub(super) fn message(due: &Due, tenant: &Tenant) -> String {
    let signal = due.threshold.signal;
    let (resource, observed) = (signal.resource(), due.observed);
    let mut message = format!("The node was low on resource: {resource}. ");
    let quantity = signal.written(due.threshold.quantity(observed.capacity));
    let available = signal.written(observed.available);
    message += &format!("Threshold quantity: {quantity}, available: {available}. ");
    // Nobody asks for inodes, so there is nothing to compare with.
    let compared = tenant.containers.iter().filter(|_| signal != Signal::NodefsInodesFree);
    for part in compared.filter(|part| part.used > part.requested) {
        message += &format!(
            "Container {} was using {}, request is {}, has larger consumption of {resource}. ",
            part.name,
            signal.written(part.used),
            signal.written(part.requested),
        );
    }
    message
}

#[cfg(test)]
mod tests {
    use super::super::threshold::{Observation, Threshold};
    use super::*;

    /// `name priority used/requested`, with commas between.
    fn tenants(text: &str) -> Vec<Tenant> {
        let tenant = |text: &str| {
            let mut words = text.split_whitespace();
            let mut next = || words.next().expect("a word");
            let (name, priority, amounts) = (next(), next(), next());
            let (used, requested) = amounts.split_once('/').expect("two amounts");
            let amount = |text: &str| text.parse::<u64>().expect("a number");
            Tenant {
                key: Key::new("default", name),
                uid: name.into(),
                priority: priority.parse().expect("a priority"),
                requested: amount(requested),
                used: amount(used),
                containers: Vec::new(),
            }
        };
        text.split(',').filter(|text| !text.is_empty()).map(tenant).collect()
    }

    #[test]
    fn the_pod_that_goes_is_the_one_that_kubernetes_would_evict() {
        let check = |pods: &str, expected: Option<&str>| {
            let tenants = tenants(pods);
            let chosen = choose(&tenants).map(|tenant| &*tenant.key.name);
            assert_eq!(chosen, expected, "{pods}");
        };
        check("", None);
        check("a 0 10/0", Some("a"));
        // Beyond its request before within it, whatever the priorities.
        check("a 0 90/100,b 1000 10/0", Some("b"));
        check("a 0 100/100,b 1000 101/100", Some("b"));
        // Then by priority, then by the excess, not by the use.
        check("a 5 900/0,b 3 10/0", Some("b"));
        check("a 0 500/450,b 0 90/0", Some("b"));
        check("a -1 10/50,b 0 500/500", Some("a"));
        check("a 0 10/50,b 0 50/60", Some("b"));
        check("b 0 10/0,a 0 10/0", Some("a"));
        // What keeps the cluster up stays.
        check("a 2000000000 900/0,b 1999999999 1/100", Some("b"));
        check("a 2000001000 900/0", None);
    }

    #[test]
    fn the_message_is_the_kubelets() {
        let part = |name: &str, used: u64, requested: u64| Part { name: name.into(), requested, used };
        let tenant = Tenant {
            containers: vec![part("a", 200 << 20, 0), part("b", 1 << 20, 2 << 20), part("c", 70_000, 65_536)],
            ..tenants("pod 0 1/0").remove(0)
        };
        let check = |threshold: &str, available: u64, expected: &str| {
            let threshold: Threshold = threshold.parse().expect("a threshold");
            let due = Due { threshold, observed: Observation { available, capacity: 10 << 30 } };
            assert_eq!(message(&due, &tenant), expected);
        };
        check(
            "memory.available<100Mi",
            60 << 20,
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. \
             Container a was using 200Mi, request is 0, has larger consumption of memory. \
             Container c was using 70000, request is 64Ki, has larger consumption of memory. ",
        );
        check(
            "nodefs.inodesFree<5%",
            7,
            "The node was low on resource: inodes. Threshold quantity: 536870912, available: 7. ",
        );
    }
}
