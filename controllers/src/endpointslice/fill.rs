//! Which endpoint stands in which slice: each stays where it is, so that a change rewrites as few slices as can be.

use std::collections::BTreeMap;

use api::Object;
use api::resource::{ENDPOINT_SLICES, SERVICES};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde_json::{Value, json};

use super::endpoint::Port;
use super::{MANAGED_BY, MANAGER, SERVICE_NAME};
use crate::framework::{Action, Create};
use crate::owner;
use crate::typed::Typed;

/// How many endpoints stand in one slice at most; every change of one is sent with all of its slice.
const ENDPOINTS_PER_SLICE: usize = 100;

/// A slice as it is to be.
struct Plan<'a> {
    slice: &'a Typed<EndpointSlice>,
    endpoints: Vec<Endpoint>,
}

impl Plan<'_> {
    fn is_changed(&self) -> bool {
        self.endpoints != self.slice.endpoints
    }
}

/// Makes the slices of one address family hold what is wanted.
pub(super) fn fill(
    service: &Typed<Service>,
    family: &str,
    wanted: BTreeMap<Vec<Port>, Vec<Endpoint>>,
    slices: Vec<&Typed<EndpointSlice>>,
) -> Vec<Action> {
    let labels = labels(service);
    let (mut actions, mut surplus) = (Vec::new(), Vec::new());
    let mut creates = Vec::new();
    let mut by_ports: BTreeMap<Vec<Port>, Vec<&Typed<EndpointSlice>>> = BTreeMap::new();
    for slice in slices {
        by_ports.entry(ports_of(slice)).or_default().push(slice);
    }
    let nothing = wanted.is_empty();
    for (ports, endpoints) in wanted {
        let slices = by_ports.remove(&ports).unwrap_or_default();
        let (plans, rest) = distribute(endpoints, &slices);
        for plan in plans {
            if plan.endpoints.is_empty() {
                surplus.push(plan.slice);
            } else {
                actions.extend(patch(&plan, None, &labels));
            }
        }
        let chunks = rest.chunks(ENDPOINTS_PER_SLICE);
        creates.extend(chunks.map(|endpoints| create(service, family, &ports, endpoints, &labels)));
    }
    surplus.extend(by_ports.into_values().flatten());
    if nothing {
        // One empty slice stays, which says that there is nobody, other than no slice.
        match surplus.is_empty() {
            true => creates.push(create(service, family, &[], &[], &labels)),
            false => {
                let endpoints = vec![];
                let slice = surplus.remove(0);
                actions.extend(patch(&Plan { slice, endpoints }, Some(&[]), &labels));
            }
        }
    }
    actions.extend(creates);
    let surplus = surplus.into_iter();
    actions.extend(surplus.map(|slice| Action::delete(&ENDPOINT_SLICES, slice.object(), None)));
    actions
}

fn ports_of(slice: &EndpointSlice) -> Vec<Port> {
    let mut ports: Vec<Port> = slice.ports.iter().flatten().map(Port::from).collect();
    ports.sort();
    ports
}

fn uid(endpoint: &Endpoint) -> &str {
    let target = endpoint.target_ref.as_ref();
    target.and_then(|target| target.uid.as_deref()).unwrap_or_default()
}

/// Leaves every endpoint in its slice; new ones go where a slice is written anyway, then where there is room. Returns
/// those for whom there is none.
fn distribute<'a>(
    endpoints: Vec<Endpoint>,
    slices: &[&'a Typed<EndpointSlice>],
) -> (Vec<Plan<'a>>, Vec<Endpoint>) {
    let mut order: Vec<String> = Vec::with_capacity(endpoints.len());
    let mut pending: BTreeMap<String, Endpoint> = BTreeMap::new();
    for endpoint in endpoints {
        order.push(uid(&endpoint).to_owned());
        pending.insert(uid(&endpoint).to_owned(), endpoint);
    }
    let mut plans: Vec<Plan<'a>> = Vec::with_capacity(slices.len());
    for slice in slices {
        let kept = slice.endpoints.iter();
        let kept = kept.filter_map(|endpoint| pending.remove(uid(endpoint)));
        plans.push(Plan { endpoints: kept.collect(), slice });
    }
    let mut rest: Vec<Endpoint> = order.iter().filter_map(|uid| pending.remove(uid)).collect();
    plans.sort_by_key(|plan| !plan.is_changed());
    for plan in &mut plans {
        let room = ENDPOINTS_PER_SLICE.saturating_sub(plan.endpoints.len());
        plan.endpoints.extend(rest.drain(..room.min(rest.len())));
    }
    (plans, rest)
}

/// Writes of a slice what is different.
fn patch(plan: &Plan<'_>, ports: Option<&[Port]>, labels: &BTreeMap<String, String>) -> Option<Action> {
    let mut merge = json!({});
    if plan.is_changed() {
        merge["endpoints"] = json!(plan.endpoints);
    }
    if let Some(ports) = ports
        && ports_of(plan.slice) != ports
    {
        merge["ports"] = ports_value(ports);
    }
    let now = plan.slice.object().metadata().labels.clone().unwrap_or_default();
    if now != *labels {
        let gone = now.keys().filter(|key| !labels.contains_key(*key));
        let gone = gone.map(|key| (key.clone(), Value::Null));
        let all = labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        merge["metadata"]["labels"] = Value::Object(all.chain(gone).collect());
    }
    let something = merge.as_object().is_some_and(|fields| !fields.is_empty());
    something.then(|| Action::patch(&ENDPOINT_SLICES, plan.slice.object(), "", merge))
}

fn create(
    service: &Typed<Service>,
    family: &str,
    ports: &[Port],
    endpoints: &[Endpoint],
    labels: &BTreeMap<String, String>,
) -> Action {
    let object = service.object();
    let value = json!({
        "apiVersion": ENDPOINT_SLICES.api_version(),
        "kind": ENDPOINT_SLICES.kind,
        "metadata": {
            "generateName": format!("{}-", object.name()),
            "labels": labels,
            "ownerReferences": [owner::controller_reference(&SERVICES, object)],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports_value(ports),
    });
    Action::Create(Create::one(&ENDPOINT_SLICES, object.namespace(), value))
}

fn ports_value(ports: &[Port]) -> Value {
    let value = |port: &Port| {
        let mut value = json!({"name": port.name, "port": port.port, "protocol": port.protocol});
        if let Some(protocol) = &port.app_protocol {
            value["appProtocol"] = protocol.as_str().into();
        }
        value
    };
    ports.iter().map(value).collect()
}

/// The labels of the Service's slices: those of the Service and those that say what they are.
fn labels(service: &Typed<Service>) -> BTreeMap<String, String> {
    let mut labels = service.object().metadata().labels.clone().unwrap_or_default();
    if is_headless(service) {
        labels.insert("service.kubernetes.io/headless".into(), String::new());
    }
    labels.insert(SERVICE_NAME.into(), Object::name(service.object()).into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels
}

/// Whether a Service has no address of its own on purpose.
pub(crate) fn is_headless(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}
