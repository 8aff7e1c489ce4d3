//! Limits of the disk that pods use on the node itself: for logs, volumes that live as long as the pod, and root layers. Pure.

use std::collections::BTreeMap;

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

const STORAGE: &str = "ephemeral-storage";

/// What a pod has on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskUse {
    /// All of it.
    pub(super) total: u64,
    /// By container: its logs and its root layer.
    pub(super) containers: BTreeMap<String, u64>,
}

/// Whether the pod has a limit that could be exceeded.
pub(super) fn has_limit(pod: &Pod) -> bool {
    pod_limit(pod).is_some() || own(pod).any(|container| limit(container.resources.as_ref()).is_some())
}

/// What the pod exceeds, in a sentence; none if nothing.
pub(super) fn exceeded(pod: &Pod, used: &DiskUse) -> Option<String> {
    if let Some(limit) = pod_limit(pod).filter(|limit| exceeds(used.total, *limit)) {
        return Some(format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        ));
    }
    own(pod).find_map(|container| {
        let limit = limit(container.resources.as_ref())?;
        let used = used.containers.get(&container.name)?;
        let name = &container.name;
        exceeds(*used, limit)
            .then(|| format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". "))
    })
}

fn own(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| &spec.containers)
}

/// The pod's own limit, or else the sum of its containers', those that have one: Kubernetes adds them up so. Init containers
/// run before the others, so only the largest of them counts.
fn pod_limit(pod: &Pod) -> Option<Quantity> {
    let spec = pod.spec.as_ref()?;
    if let Some(limit) = limit(spec.resources.as_ref()) {
        return Some(limit);
    }
    let sum =
        own(pod).filter_map(|container| limit(container.resources.as_ref())).reduce(Quantity::saturating_add);
    let init = spec.init_containers.iter().flatten();
    let largest =
        init.filter_map(|container| limit(container.resources.as_ref())).max_by_key(|limit| limit.value());
    [sum, largest].into_iter().flatten().max_by_key(|limit| limit.value())
}

fn limit(resources: Option<&ResourceRequirements>) -> Option<Quantity> {
    let limit = resources?.limits.as_ref()?.get(STORAGE)?;
    Quantity::try_from(limit).ok().filter(|limit| !limit.is_zero())
}

fn exceeds(used: u64, limit: Quantity) -> bool {
    u64::try_from(limit.value()).is_ok_and(|limit| used > limit)
}

/// What a container asked for.
pub(super) fn requested(container: &Container, resource: &str) -> u64 {
    let amount = || Quantity::try_from(container.resources.as_ref()?.requests.as_ref()?.get(resource)?).ok();
    amount().map_or(0, |amount| u64::try_from(amount.value()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_pod_goes_when_it_or_one_of_its_containers_exceeds_a_limit() {
        let check = |whole: Option<&str>,
                     a: Option<&str>,
                     b: Option<&str>,
                     used: [u64; 3],
                     expected: Option<&str>| {
            let resources = |limit: Option<&str>| match limit {
                Some(limit) => json!({"limits": {"ephemeral-storage": limit}}),
                None => Value::Null,
            };
            let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": {
                "resources": resources(whole),
                "containers": [{"name": "a", "resources": resources(a)}, {"name": "b", "resources": resources(b)}],
            }}))
            .expect("a pod");
            let [total, of_a, of_b] = used;
            let containers = [("a".to_owned(), of_a), ("b".to_owned(), of_b)].into();
            assert_eq!(exceeded(&pod, &DiskUse { total, containers }).as_deref(), expected);
            assert_eq!(has_limit(&pod), whole.or(a).or(b).is_some());
        };
        const MIB: u64 = 1 << 20;
        check(None, None, None, [1 << 40, 1 << 40, 0], None);
        check(None, Some("1Mi"), None, [MIB, MIB, 0], None);
        let pod = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
        check(None, Some("1Mi"), None, [MIB + 1, 0, 0], Some(pod));
        check(Some("1Mi"), Some("5Mi"), None, [MIB + 1, 0, 0], Some(pod));
        check(None, Some("1Mi"), Some("3Mi"), [3 * MIB, MIB, 2 * MIB], None);
        let container = "Container a exceeded its local ephemeral storage limit \"1Mi\". ";
        check(None, Some("1Mi"), Some("3Mi"), [3 * MIB, MIB + 1, MIB], Some(container));
        check(Some("1Gi"), Some("1Mi"), None, [2 * MIB, 2 * MIB, 0], Some(container));
    }
}
