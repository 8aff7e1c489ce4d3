//! What the containers of a pod have been given of cpu and memory, and why they have not been given what their pod asks for
//! now. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use api::quantity::Quantity;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

/// What the containers of a pod have been given. Only those that may run for long can be given other amounts while they run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allocation {
    given: BTreeMap<String, ResourceRequirements>,
    obstacle: Option<Obstacle>,
}

/// Why a pod is not given what it asks for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The condition that says so.
    pub condition: &'static str,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// The conditions that tell of a resize that is not done.
pub const CONDITIONS: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

/// Other amounts for a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub container: String,
    /// The new amounts.
    pub wanted: ResourceRequirements,
    /// Whether it has to start again to get them.
    pub needs_restart: bool,
}

impl Allocation {
    /// What an earlier process had given, as the pod's status tells, else what the pod asks for.
    pub fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let lists = status
            .into_iter()
            .flat_map(|status| [&status.init_container_statuses, &status.container_statuses]);
        let told: BTreeMap<&str, &ResourceRequirements> = lists
            .flatten()
            .flatten()
            .filter_map(|status| Some((status.name.as_str(), status.resources.as_ref()?)))
            .collect();
        let given = resizable(pod).map(|container| {
            let told = told.get(container.name.as_str()).map(|told| (*told).clone());
            (container.name.clone(), told.unwrap_or_else(|| container.resources.clone().unwrap_or_default()))
        });
        Self { given: given.collect(), obstacle: None }
    }

    /// What a container has been given, if it can be given other amounts.
    pub fn of_container(&self, name: &str) -> Option<&ResourceRequirements> {
        self.given.get(name)
    }

    /// Why the pod is not given what it asks for now.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// What the pod asks for beyond what it has been given.
    pub fn changes(&self, pod: &Pod) -> Vec<Change> {
        let changes = resizable(pod).filter_map(|container| {
            let wanted = container.resources.clone().unwrap_or_default();
            let given = self.given.get(&container.name)?;
            let changed = changed(given, &wanted);
            (!changed.is_empty()).then(|| Change {
                container: container.name.clone(),
                wanted,
                needs_restart: changed.iter().any(|name| restarts_for(container, name)),
            })
        });
        changes.collect()
    }

    /// The pod as it would be if it asked for no more than it was given.
    pub fn applied<'a>(&self, pod: &'a Pod) -> Cow<'a, Pod> {
        if self.changes(pod).is_empty() {
            return Cow::Borrowed(pod);
        }
        let mut pod = pod.clone();
        if let Some(spec) = &mut pod.spec {
            for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
                if let Some(given) = self.given.get(&container.name) {
                    container.resources = Some(given.clone());
                }
            }
        }
        Cow::Owned(pod)
    }

    /// The change was made.
    pub fn give(&mut self, change: &Change) {
        self.given.insert(change.container.clone(), change.wanted.clone());
    }

    /// What the pod asks for is given, or is not for this reason. Whether that is news.
    pub fn set_obstacle(&mut self, obstacle: Option<Obstacle>) -> bool {
        let words = |known: &Option<Obstacle>| {
            known.as_ref().map(|known| (known.condition, known.reason, known.message.clone()))
        };
        let is_new = words(&self.obstacle) != words(&obstacle);
        if is_new {
            self.obstacle = obstacle;
        }
        is_new
    }
}

/// The containers of a pod that can be given other amounts while they run.
fn resizable(pod: &Pod) -> impl Iterator<Item = &Container> {
    let lasts = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let spec = pod.spec.as_ref();
    let first = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
    first.filter(lasts).chain(spec.into_iter().flat_map(|spec| &spec.containers))
}

/// The resources whose amounts differ.
fn changed(given: &ResourceRequirements, wanted: &ResourceRequirements) -> Vec<&'static str> {
    let amount = |resources: &ResourceRequirements, name: &str| {
        [&resources.limits, &resources.requests].map(|amounts| {
            let amount = amounts.as_ref().and_then(|amounts| amounts.get(name));
            amount.and_then(|amount| Quantity::try_from(amount).ok())
        })
    };
    let differs = |name: &&str| amount(given, name) != amount(wanted, name);
    ["cpu", "memory"].into_iter().filter(differs).collect()
}

fn restarts_for(container: &Container, resource: &str) -> bool {
    let policies = container.resize_policy.iter().flatten();
    { policies }.any(|policy| policy.resource_name == resource && policy.restart_policy == "RestartContainer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(resources: Value, status: Value) -> Pod {
        let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        let main = json!({"name": "main", "resources": resources, "resizePolicy": policy});
        let first = json!({"name": "first", "resources": resources});
        let spec = json!({"initContainers": [first], "containers": [main]});
        let statuses = json!([{"name": "main", "resources": status, "image": "", "imageID": "", "ready": true, "restartCount": 0}]);
        serde_json::from_value(json!({"spec": spec, "status": {"containerStatuses": statuses}}))
            .expect("a pod")
    }

    #[test]
    fn what_differs_from_what_was_given_is_a_change() {
        let check = |given: Value, wanted: Value, expected: Option<bool>| {
            let allocation = Allocation::of(&pod(wanted.clone(), given));
            let changes = allocation.changes(&pod(wanted, Value::Null));
            assert_eq!(changes.first().map(|change| change.needs_restart), expected);
            assert!(changes.iter().all(|change| change.container == "main"));
        };
        let cpu = |amount: &str| json!({"limits": {"cpu": amount}});
        check(cpu("1"), cpu("1000m"), None);
        check(cpu("1"), cpu("2"), Some(false));
        check(cpu("1"), json!({"limits": {"cpu": "1", "memory": "1Mi"}}), Some(true));
        check(Value::Null, cpu("2"), None);
        check(cpu("1"), json!({"limits": {"cpu": "1"}, "requests": {"cpu": "10m"}}), Some(false));
    }
}
