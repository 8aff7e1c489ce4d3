//! The quality-of-service class of a pod, where the API server has not set it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

type Amounts = Option<BTreeMap<String, Quantity>>;

/// `Guaranteed` if every container's cpu and memory are limited and requested alike, `BestEffort` if none asks for any.
pub(in crate::node) fn class(pod: &Pod) -> &'static str {
    let spec = pod.spec.as_ref();
    let first = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let containers = first.chain(spec.into_iter().flat_map(|spec| &spec.containers));
    let amounts = |container: &Container| match &container.resources {
        Some(resources) => (resources.limits.clone(), resources.requests.clone()),
        None => (None, None),
    };
    let amounts: Vec<(Amounts, Amounts)> = containers.map(amounts).collect();
    let get = |amounts: &Amounts, name: &str| amounts.as_ref()?.get(name).cloned();
    let is_guaranteed = |(limits, requests): &(Amounts, Amounts)| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = get(limits, name);
            limit.is_some() && (get(requests, name).is_none() || get(requests, name) == limit)
        })
    };
    let asks = |(limits, requests): &(Amounts, Amounts)| {
        ["cpu", "memory"].iter().any(|name| get(limits, name).or_else(|| get(requests, name)).is_some())
    };
    if !amounts.is_empty() && amounts.iter().all(is_guaranteed) {
        "Guaranteed"
    } else if amounts.iter().any(asks) {
        "Burstable"
    } else {
        "BestEffort"
    }
}
