//! How far the applied objects have come, decided from the cache alone.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use api::cache::Cache;
use api::resource::{DEPLOYMENTS, PODS, REPLICA_SETS, SERVICES};
use api::selector::LabelSelector;
use api::{Key, Object, Resource};
use runtime::network::{Backends, NodePortAddress, Routes};
use serde_json::Value;

use super::Until;
use crate::cluster::Cluster;

/// How far one object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet what was asked for; with how many of how many parts are.
    Waiting(u64, u64),
    /// As asked for, with all its parts.
    Ready(u64),
    /// Ran to its end without an error.
    Complete,
    /// Ended with an error, and will not run again.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(ready, wanted) => write!(formatter, "{ready}/{wanted}"),
            Self::Ready(wanted) => write!(formatter, "{wanted}/{wanted}"),
            Self::Complete => formatter.write_str("complete"),
            Self::Failed => formatter.write_str("failed"),
        }
    }
}

impl State {
    /// Whether more has to come until it is as `until` asks.
    pub fn falls_short_of(&self, until: Option<Until>) -> bool {
        match self {
            Self::Ready(_) => until == Some(Until::Complete),
            Self::Complete => false,
            Self::Waiting(..) | Self::Failed => true,
        }
    }
}

/// One object on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `Deployment/hello`.
    pub name: String,
    /// How far it is.
    pub state: State,
}

/// The rows of those applied objects that have to come up, and of services that cannot be reached yet as they should.
pub fn rows(cluster: &Cluster, applied: &[(Resource, Key)]) -> Vec<Row> {
    let cache = &cluster.cache;
    let runs = |resource: &Resource| [&PODS, &DEPLOYMENTS, &REPLICA_SETS].contains(&resource);
    let running = applied.iter().filter(|(resource, _)| runs(resource));
    let running = running.map(|(resource, key)| row(resource, key, cache.get(resource, key).as_ref()));
    let services = applied.iter().filter(|(resource, _)| *resource == SERVICES);
    let routes = cluster.network.routes();
    let open = cluster.network.node_port_addresses().borrow().clone();
    running.chain(services.filter_map(|(_, key)| service(cache, &routes, &open, key))).collect()
}

/// A row for a service that does not lead to exactly the pods that are ready for it, or whose node port is not open.
fn service(cache: &Cache, routes: &Routes, open: &[NodePortAddress], key: &Key) -> Option<Row> {
    let service = cache.get(&SERVICES, key)?;
    let selector = service.value()["spec"]["selector"].as_object()?;
    let labels =
        selector.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
    let selector = LabelSelector::from_map(&labels.collect());
    let pods = cache.snapshot(&PODS);
    let is_for_it = |pod: &&Object| !pod.is_terminating() && selector.matches(pod.metadata().labels.as_ref());
    let ready = pods.in_namespace(&key.namespace).filter(is_for_it).map(Object::value);
    let ready = ready.filter(|value| pod(value) == State::Ready(1));
    let wanted: BTreeSet<IpAddr> =
        ready.filter_map(|pod| pod["status"]["podIP"].as_str()?.parse().ok()).collect();
    let ports = routes.service(key).map_or(&[][..], |service| &service.ports);
    let routed = |port: &Backends| port.endpoints.iter().map(SocketAddr::ip).collect::<BTreeSet<_>>();
    let is_open = |port: &Backends| port.node_port.is_none() || open.iter().any(|open| open.port == port.id);
    let short = ports.iter().find(|port| routed(port) != wanted || !is_open(port))?;
    let common = routed(short).intersection(&wanted).count() as u64;
    let state = State::Waiting(common, wanted.len() as u64);
    Some(Row { name: format!("Service/{}", key.name), state })
}

fn row(resource: &Resource, key: &Key, object: Option<&Object>) -> Row {
    let state = match object {
        None => State::Waiting(0, 1),
        Some(object) if resource == &PODS => pod(object.value()),
        Some(object) => replicas(object.value()),
    };
    Row { name: format!("{}/{}", resource.kind, key.name), state }
}

fn pod(pod: &Value) -> State {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready =
        conditions.filter(|condition| condition["type"] == "Ready").any(|ready| ready["status"] == "True");
    match pod["status"]["phase"].as_str() {
        Some("Succeeded") => State::Complete,
        Some("Failed") => State::Failed,
        _ if ready => State::Ready(1),
        _ => State::Waiting(0, 1),
    }
}

/// A Deployment or a ReplicaSet: everything updated, available, and nothing old left.
fn replicas(object: &Value) -> State {
    let (spec, status) = (&object["spec"], &object["status"]);
    let count = |name: &str| status[name].as_u64().unwrap_or(0);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let observed = count("observedGeneration") >= object["metadata"]["generation"].as_u64().unwrap_or(0);
    let updated = if object["kind"] == "Deployment" { count("updatedReplicas") } else { count("replicas") };
    let available = count("availableReplicas");
    if observed && updated == wanted && count("replicas") == wanted && available == wanted {
        State::Ready(wanted)
    } else {
        State::Waiting(if observed { available.min(updated) } else { 0 }, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_is_ready_when_nothing_old_is_left() {
        let row = |status: Value, expected: State| {
            let object = json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 3},
                "status": status});
            assert_eq!(replicas(&object), expected);
        };
        row(json!({}), State::Waiting(0, 3));
        row(
            json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            State::Waiting(0, 3),
        );
        row(
            json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 4}),
            State::Waiting(3, 3),
        );
        row(
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            State::Ready(3),
        );
    }

    #[test]
    fn a_pod_ends_complete_or_failed() {
        let row = |status: Value, expected: State| assert_eq!(pod(&json!({"status": status})), expected);
        row(json!({"phase": "Pending"}), State::Waiting(0, 1));
        row(json!({"phase": "Running"}), State::Waiting(0, 1));
        row(
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            State::Ready(1),
        );
        row(json!({"phase": "Succeeded"}), State::Complete);
        row(json!({"phase": "Failed"}), State::Failed);
    }
}
