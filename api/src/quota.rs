//! What an object counts for in quotas.

mod scopes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Pod, Service};
use serde::Deserialize;
use serde_json::Value;

use crate::amounts::{self, Amounts};
use crate::object::Object;
use crate::quantity::Quantity;
use crate::resource::{PERSISTENT_VOLUME_CLAIMS, PODS, Resource, SERVICES};
pub use scopes::chooses;

/// What containers must say if a quota counts it.
const COMPUTE: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// What every node has; the amounts of the rest are counted only as requests.
const STANDARD: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

/// Kinds that were counted by their plural before every kind could be.
const BY_PLURAL: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

/// An object as quotas see it.
pub struct Counted<'a> {
    resource: Resource,
    details: Details<'a>,
}

/// What matters of an object besides that it is there.
enum Details<'a> {
    Pod(Seen<'a, Pod>),
    Service(Seen<'a, Service>),
    Claim(Seen<'a, PersistentVolumeClaim>),
    None,
}

/// An object on its way to the store, or one that is there.
enum Seen<'a, T> {
    Own(Box<T>),
    Stored(&'a T),
}

impl<T> Deref for Seen<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Own(object) => object,
            Self::Stored(object) => object,
        }
    }
}

impl Counted<'_> {
    /// An object in JSON that was checked before as its type.
    pub fn new(resource: &Resource, object: &Value) -> Result<Counted<'static>, serde_json::Error> {
        let details = match resource {
            resource if *resource == PODS => Details::Pod(Seen::Own(Box::deserialize(object)?)),
            resource if *resource == SERVICES => Details::Service(Seen::Own(Box::deserialize(object)?)),
            resource if *resource == PERSISTENT_VOLUME_CLAIMS => {
                Details::Claim(Seen::Own(Box::deserialize(object)?))
            }
            _ => Details::None,
        };
        Ok(Counted { resource: resource.clone(), details })
    }

    /// A stored object; none if it is not what its kind says.
    pub fn stored<'o>(resource: &Resource, object: &'o Object) -> Option<Counted<'o>> {
        let details = match resource {
            resource if *resource == PODS => Details::Pod(Seen::Stored(object.typed().ok()?)),
            resource if *resource == SERVICES => Details::Service(Seen::Stored(object.typed().ok()?)),
            resource if *resource == PERSISTENT_VOLUME_CLAIMS => {
                Details::Claim(Seen::Stored(object.typed().ok()?))
            }
            _ => Details::None,
        };
        Some(Counted { resource: resource.clone(), details })
    }

    /// Another stored object of the same kind.
    pub fn of_same_kind<'o>(&self, object: &'o Object) -> Option<Counted<'o>> {
        Self::stored(&self.resource, object)
    }

    /// Whether it counts as it did, for every quota.
    pub fn is_as(&self, old: &Counted<'_>) -> bool {
        match (&self.details, &old.details) {
            (Details::Pod(new), Details::Pod(old)) => {
                new.spec == old.spec && has_ended(new) == has_ended(old)
            }
            (Details::Service(new), Details::Service(old)) => new.spec == old.spec,
            (Details::Claim(new), Details::Claim(old)) => new.spec == old.spec,
            (Details::None, Details::None) => true,
            _ => false,
        }
    }

    /// All that it counts for.
    pub fn amounts(&self) -> Amounts {
        let mut amounts = match &self.details {
            Details::Pod(pod) => of_pod(pod),
            Details::Service(service) => of_service(service),
            Details::Claim(claim) => of_claim(claim),
            Details::None => Amounts::new(),
        };
        amounts.insert(format!("count/{}", self.resource.group_resource()), one());
        let plural = &*self.resource.plural;
        // A pod that has ended is there, but is none of those that count.
        let ended = matches!(&self.details, Details::Pod(pod) if has_ended(pod));
        if self.resource.group.is_empty() && BY_PLURAL.contains(&plural) && !ended {
            amounts.insert(plural.to_owned(), one());
        }
        amounts
    }

    /// What it counts for beyond what it did.
    pub fn more_than(&self, old: Option<&Counted<'_>>) -> Amounts {
        let mut more = self.amounts();
        for (resource, amount) in old.map(Counted::amounts).unwrap_or_default() {
            let left = more.entry(resource).or_default();
            *left = left.saturating_sub(amount);
        }
        more.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
        more
    }

    /// What the containers of a pod must say and do not, because a quota counts it.
    pub fn lacks(&self, hard: &Amounts) -> Option<String> {
        let Details::Pod(pod) = &self.details else { return None };
        let spec = pod.spec.as_ref()?;
        let of_all = spec.resources.as_ref().map(|resources| {
            compute(&amounts::read(resources.requests.as_ref()), &amounts::read(resources.limits.as_ref()))
        });
        let of_all = of_all.unwrap_or_default();
        let mut lacking: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let said = said(container);
            let required = COMPUTE.iter().filter(|resource| hard.contains_key(**resource));
            for resource in required.filter(|name| !said.contains_key(**name) && !of_all.contains_key(**name))
            {
                lacking.entry(resource).or_default().insert(&container.name);
            }
        }
        let words = lacking.iter().map(|(resource, containers)| {
            let containers: Vec<&str> = containers.iter().copied().collect();
            format!("{resource} for: {}", containers.join(","))
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Whether objects of a kind may count for a resource of quotas.
pub fn is_counted(kind: &Resource, resource: &str) -> bool {
    let is_by_number = resource.strip_prefix("count/").is_some_and(|name| name == kind.group_resource());
    let is_by_plural = kind.group.is_empty() && BY_PLURAL.contains(&resource) && kind.plural == resource;
    let is_by_details = match kind {
        kind if *kind == PODS => is_of_pods(resource),
        kind if *kind == SERVICES => ["services.nodeports", "services.loadbalancers"].contains(&resource),
        kind if *kind == PERSISTENT_VOLUME_CLAIMS => is_of_claims(resource),
        _ => false,
    };
    is_by_number || is_by_plural || is_by_details
}

fn is_of_pods(resource: &str) -> bool {
    let is_standard = |name: &str| STANDARD.contains(&name) || name.starts_with("hugepages-");
    match resource.split_once('.') {
        // Others than the standard ones belong to somebody, and say so.
        Some(("requests", name)) => is_standard(name) || name.contains('/'),
        Some(("limits", name)) => STANDARD.contains(&name),
        _ => is_standard(resource),
    }
}

fn is_of_claims(resource: &str) -> bool {
    let counted = ["requests.storage", "persistentvolumeclaims"];
    let of_class = resource.split_once(".storageclass.storage.k8s.io/");
    resource == "requests.storage" || of_class.is_some_and(|(_, counted_for)| counted.contains(&counted_for))
}

fn one() -> Quantity {
    Quantity::from_millis(1000)
}

fn said(container: &Container) -> Amounts {
    compute(&amounts::requested(container), &amounts::limited(container))
}

/// The names quotas have for what is requested and limited.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut amounts = Amounts::new();
    for (resource, amount) in requests {
        if STANDARD.contains(&resource.as_str()) || resource.starts_with("hugepages-") {
            amounts.insert(resource.clone(), *amount);
        }
        amounts.insert(format!("requests.{resource}"), *amount);
    }
    for (resource, amount) in limits.iter().filter(|(resource, _)| STANDARD.contains(&resource.as_str())) {
        amounts.insert(format!("limits.{resource}"), *amount);
    }
    amounts
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn of_pod(pod: &Pod) -> Amounts {
    match &pod.spec {
        Some(spec) if !has_ended(pod) => compute(&amounts::requests(spec), &amounts::limits(spec)),
        _ => Amounts::new(),
    }
}

fn of_service(service: &Service) -> Amounts {
    let mut amounts = Amounts::new();
    let Some(spec) = &service.spec else { return amounts };
    let ports = spec.ports.as_ref().map_or(0, Vec::len);
    let ports = Quantity::from_millis(1000 * i64::try_from(ports).unwrap_or(i64::MAX / 1000));
    match spec.type_.as_deref() {
        Some("NodePort") => {
            amounts.insert("services.nodeports".to_owned(), ports);
        }
        Some("LoadBalancer") => {
            amounts.insert("services.loadbalancers".to_owned(), one());
            if spec.allocate_load_balancer_node_ports != Some(false) {
                amounts.insert("services.nodeports".to_owned(), ports);
            }
        }
        _ => {}
    }
    amounts
}

fn of_claim(claim: &PersistentVolumeClaim) -> Amounts {
    let spec = claim.spec.clone().unwrap_or_default();
    let class = spec.storage_class_name.as_deref().filter(|class| !class.is_empty());
    let of_class =
        |what: &'static str| class.map(|class| format!("{class}.storageclass.storage.k8s.io/{what}"));
    let requests = amounts::read(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
    let mut amounts = Amounts::new();
    amounts.extend(of_class("persistentvolumeclaims").map(|name| (name, one())));
    if let Some(size) = requests.get("storage") {
        amounts.insert("requests.storage".to_owned(), *size);
        amounts.extend(of_class("requests.storage").map(|name| (name, *size)));
    }
    amounts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{CONFIG_MAPS, REPLICA_SETS};

    #[test]
    fn every_resource_of_quotas_is_counted_by_the_kinds_it_is_about() {
        let row = |kinds: &[&Resource], resource: &str| {
            for kind in [&PODS, &SERVICES, &PERSISTENT_VOLUME_CLAIMS, &CONFIG_MAPS, &REPLICA_SETS] {
                assert_eq!(is_counted(kind, resource), kinds.contains(&kind), "{resource} {kind}");
            }
        };
        for resource in
            ["cpu", "requests.cpu", "limits.memory", "requests.example.com/gpu", "pods", "count/pods"]
        {
            row(&[&PODS], resource);
        }
        row(&[&PODS], "hugepages-2Mi");
        row(&[], "example.com/gpu");
        row(&[], "limits.example.com/gpu");
        row(&[&SERVICES], "services.nodeports");
        row(&[&CONFIG_MAPS], "configmaps");
        row(&[&REPLICA_SETS], "count/replicasets.apps");
        row(&[], "count/replicasets");
        row(&[], "replicasets");
        row(&[&PERSISTENT_VOLUME_CLAIMS], "requests.storage");
        row(&[&PERSISTENT_VOLUME_CLAIMS], "gold.storageclass.storage.k8s.io/requests.storage");
        row(&[], "gold.storageclass.storage.k8s.io/other");
    }
}
