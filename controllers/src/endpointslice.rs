//! Keeps the EndpointSlices of each Service that has a selector: which pods answer for it, where, and how ready they are.

mod endpoint;
mod fill;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use api::cache::{Change, Index};
use api::object::DecodeError;
use api::resource::{ENDPOINT_SLICES, NODES, PODS, SERVICES};
use api::{Cache, Key, Object};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::framework::{Action, Controller, Target, Watch};
use crate::pod;
use crate::typed::Typed;
pub(crate) use endpoint::{Port, addresses, port_of};
pub(crate) use fill::is_headless;

/// The label that names the Service of a slice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The label that says who keeps a slice; slices of others are left alone.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY`], as clients know it.
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// The controller's slices by the namespace and name of their Service.
const BY_SERVICE: Index = Index {
    name: "kept-for-service",
    texts: |slice| service_of(slice).map(|key| key.to_string()).into_iter().collect(),
};

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "endpointslice-controller",
    watches: &[
        Watch::Of(SERVICES, |_, change, add| add(Target::of(&SERVICES, change.object()))),
        Watch::Of(ENDPOINT_SLICES, |_, change, add| {
            let keys = change.objects().filter_map(service_of);
            keys.for_each(|key| add(Target::new(&SERVICES, key)));
        }),
        Watch::Of(PODS, concerned),
    ],
    reads: &[(NODES, None), (ENDPOINT_SLICES, Some(BY_SERVICE))],
    decide: |view, target| Ok(observe(view.cache, target)?.map_or(vec![], |state| reconcile(&state))),
    workers: 16,
    // A slice is written as a whole, so that a hundred pods becoming ready one by one are worth waiting for.
    pace: Duration::from_millis(20),
};

/// A Service with all that its slices are made from.
pub struct State {
    /// The Service.
    pub service: Typed<Service>,
    /// The pods it selects.
    pub pods: Vec<Typed<Pod>>,
    /// The zones of their nodes.
    pub zones: BTreeMap<String, String>,
    /// The slices it has.
    pub slices: Vec<Typed<EndpointSlice>>,
}

fn service_of(slice: &Object) -> Option<Key> {
    let ours = slice.label(MANAGED_BY) == Some(MANAGER);
    let name = slice.label(SERVICE_NAME).filter(|_| ours)?;
    Some(Key::new(slice.namespace(), name))
}

/// The Services that select a pod, before or after, if what they tell of it changed.
pub(crate) fn concerned(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    let services = cache.snapshot(&SERVICES);
    let services = services.in_namespace(change.object().namespace());
    let mut selecting =
        services.filter(|service| change.objects().any(|pod| selects(service, pod))).peekable();
    // Most pods are in no Service: they need not be decoded.
    if selecting.peek().is_some() && changes_what_is_told(change) {
        selecting.for_each(|service| add(Target::of(&SERVICES, service)));
    }
}

fn changes_what_is_told(change: &Change) -> bool {
    let labels =
        |object: &Option<Object>| object.as_ref().and_then(|object| object.metadata().labels.clone());
    let (old, new) = (endpoint::told(&change.old), endpoint::told(&change.new));
    old != new || (new.is_some() && labels(&change.old) != labels(&change.new))
}

/// Whether a Service selects a pod.
pub(crate) fn selects(service: &Object, pod: &Object) -> bool {
    let spec = service.typed::<Service>().ok().and_then(|service| service.spec.as_ref());
    let selector = spec.and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| pod.label(key) == Some(value))
    })
}

/// Looks up the Service, its pods and its slices.
pub fn observe(cache: &Cache, target: &Target) -> Result<Option<State>, DecodeError> {
    let Some(object) = cache.get(&SERVICES, &target.key) else {
        return Ok(None);
    };
    let service = Typed::<Service>::new(object)?;
    let pods: Vec<Typed<Pod>> = cache
        .snapshot(&PODS)
        .in_namespace(&target.key.namespace)
        .filter(|pod| selects(service.object(), pod))
        .filter_map(Typed::one_of_many)
        .collect();
    let slices = cache
        .snapshot(&ENDPOINT_SLICES)
        .by_index(BY_SERVICE.name, &target.key.to_string())
        .filter_map(Typed::one_of_many)
        .collect();
    let zones = zones(cache, &pods);
    Ok(Some(State { service, pods, zones, slices }))
}

fn zones(cache: &Cache, pods: &[Typed<Pod>]) -> BTreeMap<String, String> {
    let nodes = cache.snapshot(&NODES);
    let mut zones = BTreeMap::new();
    for pod in pods {
        let name = pod::node_name(pod);
        if !name.is_empty() && !zones.contains_key(name) {
            let node = nodes.get(&Key::cluster(name));
            let zone = node.and_then(|node| node.label("topology.kubernetes.io/zone"));
            zones.insert(name.to_owned(), zone.unwrap_or_default().to_owned());
        }
    }
    zones
}

/// Decides which slices to write.
pub fn reconcile(state: &State) -> Vec<Action> {
    let spec = state.service.spec.as_ref();
    let Some(spec) = spec.filter(|spec| spec.selector.as_ref().is_some_and(|selector| !selector.is_empty()))
    else {
        return vec![];
    };
    if state.service.object().is_terminating() || spec.type_.as_deref() == Some("ExternalName") {
        return vec![];
    }
    let families: Vec<&str> = match spec.ip_families.as_deref() {
        Some(families) if !families.is_empty() => families.iter().map(String::as_str).collect(),
        _ => vec!["IPv4"],
    };
    let mut actions = Vec::new();
    for family in &families {
        let wanted = endpoint::wanted(state, family);
        let slices = state.slices.iter().filter(|slice| slice.address_type == **family);
        actions.extend(fill::fill(&state.service, family, wanted, slices.collect()));
    }
    let strange = state.slices.iter();
    let strange = strange.filter(|slice| !families.contains(&slice.address_type.as_str()));
    actions.extend(strange.map(|slice| Action::delete(&ENDPOINT_SLICES, slice.object(), None)));
    actions
}
