//! Keeps the Endpoints of each Service that has a selector, for clients that do not read EndpointSlices yet.

mod subsets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use api::Object;
use api::object::DecodeError;
use api::resource::{ENDPOINTS, PODS, SERVICES};
use k8s_openapi::api::core::v1::{EndpointSubset, Endpoints, Pod, Service};
use serde_json::{Value, json};

use crate::endpointslice::{concerned, is_headless, selects};
use crate::framework::{Action, Controller, Create, Target, View, Watch};
use crate::typed::Typed;

/// The label that says who keeps an object; those of others go with nobody.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY`].
const MANAGER: &str = "endpoint-controller";

/// The label of the Endpoints of a Service without an address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// The annotation of Endpoints that do not hold all there are, and its value.
const OVER_CAPACITY: (&str, &str) = ("endpoints.kubernetes.io/over-capacity", "truncated");

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "endpoints-controller",
    watches: &[
        Watch::Of(SERVICES, |_, change, add| add(Target::of(&SERVICES, change.object()))),
        Watch::Of(ENDPOINTS, |_, change, add| add(Target::new(&SERVICES, change.object().key()))),
        Watch::Of(PODS, concerned),
    ],
    reads: &[],
    decide: |view, target| Ok(reconcile(&observe(view, target)?)),
    workers: 4,
    // All addresses of a Service stand in one object, a quarter of a megabyte for a thousand: four writes in a second
    // are enough for an interface that has a better successor.
    pace: Duration::from_millis(250),
};

/// A Service with all that its Endpoints are made from.
pub struct State {
    /// The Service; none if it is gone.
    pub service: Option<Typed<Service>>,
    /// The pods it selects.
    pub pods: Vec<Typed<Pod>>,
    /// The Endpoints of its name.
    pub endpoints: Option<Typed<Endpoints>>,
}

/// Looks up the Service, its pods and its Endpoints.
pub fn observe(view: &View<'_>, target: &Target) -> Result<State, DecodeError> {
    let service = view.cache.get(&SERVICES, &target.key).map(Typed::<Service>::new).transpose()?;
    let endpoints = view.cache.get(&ENDPOINTS, &target.key).map(Typed::<Endpoints>::new).transpose()?;
    let pods = view.cache.snapshot(&PODS);
    let pods = service.iter().flat_map(|service| {
        let pods = pods.in_namespace(&target.key.namespace);
        pods.filter(|pod| selects(service.object(), pod)).filter_map(Typed::one_of_many)
    });
    let pods = pods.collect();
    Ok(State { service, pods, endpoints })
}

/// Decides what the Endpoints are to say.
pub fn reconcile(state: &State) -> Vec<Action> {
    let Some(service) = &state.service else {
        return leftover(state.endpoints.as_ref());
    };
    let spec = service.spec.as_ref();
    let selector = spec.and_then(|spec| spec.selector.as_ref());
    let external = spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName");
    if selector.is_none_or(BTreeMap::is_empty) || external || service.object().is_terminating() {
        return vec![];
    }
    let (subsets, truncated) = subsets::of(service, &state.pods);
    let labels = labels(service);
    match &state.endpoints {
        None => vec![create(service, &subsets, &labels, truncated)],
        Some(endpoints) => patch(endpoints, &subsets, &labels, truncated).into_iter().collect(),
    }
}

/// Endpoints without a Service go if they are this controller's.
fn leftover(endpoints: Option<&Typed<Endpoints>>) -> Vec<Action> {
    let objects = endpoints.map(Typed::object).into_iter();
    let ours = objects.filter(|object| object.label(MANAGED_BY) == Some(MANAGER) && !object.is_terminating());
    ours.map(|object| Action::delete(&ENDPOINTS, object, None)).collect()
}

fn labels(service: &Typed<Service>) -> BTreeMap<String, String> {
    let mut labels = service.object().metadata().labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    match is_headless(service) {
        true => labels.insert(HEADLESS.to_owned(), String::new()),
        false => labels.remove(HEADLESS),
    };
    labels
}

fn create(
    service: &Typed<Service>,
    subsets: &[EndpointSubset],
    labels: &BTreeMap<String, String>,
    truncated: bool,
) -> Action {
    let object = service.object();
    let mut value = json!({
        "apiVersion": ENDPOINTS.api_version(),
        "kind": ENDPOINTS.kind,
        "metadata": {"name": object.name(), "namespace": object.namespace(), "labels": labels},
        "subsets": subsets,
    });
    if truncated {
        value["metadata"]["annotations"][OVER_CAPACITY.0] = OVER_CAPACITY.1.into();
    }
    Action::Create(Create::one(&ENDPOINTS, object.namespace(), value))
}

/// Writes of the Endpoints what is different.
fn patch(
    endpoints: &Typed<Endpoints>,
    subsets: &[EndpointSubset],
    labels: &BTreeMap<String, String>,
    truncated: bool,
) -> Option<Action> {
    let object: &Object = endpoints.object();
    let mut merge = json!({});
    if endpoints.subsets.as_deref().unwrap_or_default() != subsets {
        merge["subsets"] = json!(subsets);
    }
    let now = object.metadata().labels.clone().unwrap_or_default();
    if now != *labels {
        let gone = now.keys().filter(|key| !labels.contains_key(*key));
        let gone = gone.map(|key| (key.clone(), Value::Null));
        let all = labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        merge["metadata"]["labels"] = Value::Object(all.chain(gone).collect());
    }
    if (object.annotation(OVER_CAPACITY.0) == Some(OVER_CAPACITY.1)) != truncated {
        merge["metadata"]["annotations"][OVER_CAPACITY.0] =
            if truncated { OVER_CAPACITY.1.into() } else { Value::Null };
    }
    (merge != json!({})).then(|| Action::patch(&ENDPOINTS, object, "", merge))
}
