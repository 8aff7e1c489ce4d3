//! Whether the service of another API server can be reached at all, as far as objects tell.

use api::resource::{ENDPOINT_SLICES, SERVICES};
use api::{Key, Object, Revision};
use serde_json::Value;

use crate::outgoing::Target;
use crate::store::{Collection, Store, StoreKey};
use crate::tree;

/// The label that says of which service a slice is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Why a server cannot be asked, in the words of the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// In one word.
    pub reason: &'static str,
    /// In a sentence.
    pub message: String,
}

/// The objects on which it depends.
pub struct Objects {
    service: Option<Object>,
    slices: Vec<Object>,
}

impl Objects {
    /// Those of a service, as they are now.
    pub fn of(target: &Target, store: &Store) -> Self {
        let Target::Service { namespace, name, .. } = target else {
            return Self { service: None, slices: Vec::new() };
        };
        let key = Key::new(namespace.as_str(), name.as_str());
        let service = store.get(&StoreKey { collection: Collection::from(&SERVICES), key });
        let (snapshot, _) = store.snapshot(&Collection::from(&ENDPOINT_SLICES));
        let all = snapshot.range(namespace, None);
        let slices = all.filter(|slice| slice.label(SERVICE_NAME) == Some(name.as_str())).cloned().collect();
        Self { service, slices }
    }

    /// Differs when one of them has changed.
    pub fn revisions(&self) -> Vec<Revision> {
        self.service.iter().chain(&self.slices).map(Object::revision).collect()
    }

    /// Whether the service has its port, and somebody behind it.
    pub fn check(&self, target: &Target) -> Result<(), Unready> {
        let Target::Service { namespace, name, port } = target else {
            return Ok(());
        };
        let of = format!("service/{name} in {namespace:?}");
        let unready = |reason, message| Err(Unready { reason, message });
        let Some(service) = &self.service else {
            return unready("ServiceNotFound", format!("{of} is not present"));
        };
        let spec = &service.value()["spec"];
        if tree::text(spec, "type").is_some_and(|kind| kind != "ClusterIP") {
            return Ok(());
        }
        let mut ports = spec["ports"].as_array().into_iter().flatten();
        let Some(found) = ports.find(|known| known["port"].as_u64() == Some(u64::from(*port))) else {
            return unready("ServicePortError", format!("{of} is not listening on port {port}"));
        };
        let port_name = tree::text(found, "name").unwrap_or_default();
        if self.slices.is_empty() {
            return unready("EndpointsNotFound", format!("cannot find endpointslices for {of}"));
        }
        if !self.slices.iter().any(|slice| has_address(slice.value(), port_name)) {
            let message = format!("endpointslices for {of} have no addresses with port name {port_name:?}");
            return unready("MissingEndpoints", message);
        }
        Ok(())
    }
}

/// Whether a slice has an endpoint that is ready, and a port of this name.
fn has_address(slice: &Value, port_name: &str) -> bool {
    let list = |field: &str| slice[field].as_array().into_iter().flatten();
    let mut endpoints = list("endpoints").filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let mut ports = list("ports").filter(|port| port["port"].is_u64());
    endpoints.next().is_some() && ports.any(|port| tree::text(port, "name").unwrap_or_default() == port_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_needs_a_service_with_a_port_and_somebody_behind_it() {
        let row = |service: Option<Value>, slices: &[Value], expected: Result<(), (&'static str, &str)>| {
            let object = |value: Value| Object::from_value(value).expect("an object");
            let slices = slices.iter().cloned().map(object).collect();
            let objects = Objects { service: service.map(object), slices };
            let target = Target::Service { namespace: "n".into(), name: "s".into(), port: 443 };
            let found = objects.check(&target).map_err(|found| (found.reason, found.message));
            let expected = expected.map_err(|(reason, message)| (reason, message.to_owned()));
            assert_eq!(found, expected);
        };
        let service = |kind: &str, port: u16| {
            Some(json!({"spec": {"type": kind, "ports": [{"name": "https", "port": port}]}}))
        };
        let slice = |ready: Value, port: &str| {
            json!({"endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": ready}}],
            "ports": [{"name": port, "port": 8443}]})
        };
        row(None, &[], Err(("ServiceNotFound", "service/s in \"n\" is not present")));
        row(
            service("ClusterIP", 80),
            &[],
            Err(("ServicePortError", "service/s in \"n\" is not listening on port 443")),
        );
        let words = "cannot find endpointslices for service/s in \"n\"";
        row(service("ClusterIP", 443), &[], Err(("EndpointsNotFound", words)));
        let words = "endpointslices for service/s in \"n\" have no addresses with port name \"https\"";
        row(service("ClusterIP", 443), &[slice(json!(false), "https")], Err(("MissingEndpoints", words)));
        row(service("ClusterIP", 443), &[slice(json!(true), "http")], Err(("MissingEndpoints", words)));
        row(service("ClusterIP", 443), &[slice(json!(true), "https")], Ok(()));
        row(service("ClusterIP", 443), &[slice(json!(null), "https")], Ok(()));
        row(service("ExternalName", 80), &[], Ok(()));
    }
}
