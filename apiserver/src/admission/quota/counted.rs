//! What an object counts for in quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use api::quantity::Quantity;
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PODS, SERVICES};
use api::{Object, Resource, Status};
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Pod, Service};
use serde_json::Value;

use crate::admission::limit_ranger::typed;
use crate::admission::pod_amounts::{self, Amounts};

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
pub(super) struct Counted<'a> {
    resource: Resource,
    pub(super) details: Details<'a>,
}

/// What matters of an object besides that it is there.
pub(super) enum Details<'a> {
    Pod(Seen<'a, Pod>),
    Service(Seen<'a, Service>),
    Claim(Seen<'a, PersistentVolumeClaim>),
    None,
}

/// An object on its way to the store, or one that is there.
pub(super) enum Seen<'a, T> {
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
    /// An object in JSON.
    pub(super) fn new(resource: &Resource, object: &Value) -> Result<Counted<'static>, Status> {
        let details = match resource {
            resource if *resource == PODS => Details::Pod(Seen::Own(typed(object)?)),
            resource if *resource == SERVICES => Details::Service(Seen::Own(typed(object)?)),
            resource if *resource == PERSISTENT_VOLUME_CLAIMS => Details::Claim(Seen::Own(typed(object)?)),
            _ => Details::None,
        };
        Ok(Counted { resource: resource.clone(), details })
    }

    /// A stored object of the same kind.
    pub(super) fn of_same_kind<'o>(&self, object: &'o Object) -> Option<Counted<'o>> {
        let details = match self.details {
            Details::Pod(_) => Details::Pod(Seen::Stored(object.typed().ok()?)),
            Details::Service(_) => Details::Service(Seen::Stored(object.typed().ok()?)),
            Details::Claim(_) => Details::Claim(Seen::Stored(object.typed().ok()?)),
            Details::None => Details::None,
        };
        Some(Counted { resource: self.resource.clone(), details })
    }

    /// All that it counts for.
    pub(super) fn amounts(&self) -> Amounts {
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
    pub(super) fn more_than(&self, old: Option<&Counted<'_>>) -> Amounts {
        let mut more = self.amounts();
        for (resource, amount) in old.map(Counted::amounts).unwrap_or_default() {
            let left = more.entry(resource).or_default();
            *left = left.saturating_sub(amount);
        }
        more.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
        more
    }

    /// What the containers of a pod must say and do not, because a quota counts it.
    pub(super) fn lacks(&self, hard: &Amounts) -> Option<String> {
        let Details::Pod(pod) = &self.details else { return None };
        let spec = pod.spec.as_ref()?;
        let of_all = spec.resources.as_ref().map(|resources| {
            compute(
                &pod_amounts::read(resources.requests.as_ref()),
                &pod_amounts::read(resources.limits.as_ref()),
            )
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

fn one() -> Quantity {
    Quantity::from_millis(1000)
}

fn said(container: &Container) -> Amounts {
    compute(&pod_amounts::requested(container), &pod_amounts::limited(container))
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
        Some(spec) if !has_ended(pod) => compute(&pod_amounts::requests(spec), &pod_amounts::limits(spec)),
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
    let requests =
        pod_amounts::read(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
    let mut amounts = Amounts::new();
    amounts.extend(of_class("persistentvolumeclaims").map(|name| (name, one())));
    if let Some(size) = requests.get("storage") {
        amounts.insert("requests.storage".to_owned(), *size);
        amounts.extend(of_class("requests.storage").map(|name| (name, *size)));
    }
    amounts
}
