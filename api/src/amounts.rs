//! What a whole pod asks for and is limited to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use crate::quantity::Quantity;

/// Amounts by the names of their resources.
pub type Amounts = BTreeMap<String, Quantity>;

/// A list of amounts as it is written; what cannot be read is refused elsewhere.
pub fn read(list: Option<&BTreeMap<String, Written>>) -> Amounts {
    let entries = list.into_iter().flatten();
    let read = |(name, amount): (&String, &Written)| Some((name.clone(), Quantity::try_from(amount).ok()?));
    entries.filter_map(read).collect()
}

/// What a container asks for.
pub fn requested(container: &Container) -> Amounts {
    read(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

/// What a container is limited to.
pub fn limited(container: &Container) -> Amounts {
    read(container.resources.as_ref().and_then(|resources| resources.limits.as_ref()))
}

/// What a pod asks for.
pub fn requests(spec: &PodSpec) -> Amounts {
    let own = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let mut total = total(spec, requested, own);
    add(&mut total, &read(spec.overhead.as_ref()));
    total
}

/// What a pod is limited to.
pub fn limits(spec: &PodSpec) -> Amounts {
    let own = spec.resources.as_ref().and_then(|resources: &ResourceRequirements| resources.limits.as_ref());
    let mut total = total(spec, limited, own);
    let mut overhead = read(spec.overhead.as_ref());
    overhead.retain(|resource, _| total.contains_key(resource));
    add(&mut total, &overhead);
    total
}

/// Containers run together, init containers one after the other before them; those that stay run beside the rest. What
/// the pod says of itself counts instead.
fn total(spec: &PodSpec, of: fn(&Container) -> Amounts, own: Option<&BTreeMap<String, Written>>) -> Amounts {
    let mut together = Amounts::new();
    spec.containers.iter().for_each(|container| add(&mut together, &of(container)));
    let mut beside = Amounts::new();
    let mut before = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let amounts = of(container);
        let mut now = beside.clone();
        add(&mut now, &amounts);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut together, &amounts);
            beside.clone_from(&now);
        }
        raise(&mut before, now);
    }
    raise(&mut together, before);
    together.extend(read(own));
    together
}

/// Adds amounts to others.
pub fn add(total: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        let sum = total.entry(resource.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(total: &mut Amounts, other: Amounts) {
    for (resource, amount) in other {
        let most = total.entry(resource).or_default();
        *most = amount.max(*most);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pod_asks_for_the_most_it_needs_at_a_time() {
        let row = |spec: Value, cpu: &str| {
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(requests(&spec)["cpu"].to_string(), cpu);
        };
        let container = |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
        let stays = |cpu: &str| {
            let mut stays = container(cpu);
            stays["restartPolicy"] = "Always".into();
            stays
        };
        row(json!({"containers": [container("1"), container("500m")]}), "1500m");
        row(json!({"containers": [container("1")], "initContainers": [container("2"), container("1")]}), "2");
        row(json!({"containers": [container("1")], "initContainers": [stays("1"), container("3")]}), "4");
        row(json!({"containers": [container("1")], "initContainers": [container("2"), stays("1")]}), "2");
        row(json!({"containers": [container("1")], "overhead": {"cpu": "1"}}), "2");
        row(json!({"containers": [container("1")], "resources": {"requests": {"cpu": "5"}}}), "5");
    }
}
