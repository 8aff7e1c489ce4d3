//! The environment a container gets, and what is said where it cannot have it.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::volumes::{Allocatable, TokenSpec};

struct Known(Vec<Object>);

impl Sources for Known {
    fn find(&self, source: Source, name: &str) -> Option<Object> {
        let mut objects = self.0.iter();
        objects.find(|object| object.kind() == kind_of(source) && object.name() == name).cloned()
    }

    fn volume(&self, _: &str) -> Option<Object> {
        None
    }

    fn image(&self, _: &str) -> Result<std::path::PathBuf, String> {
        Err("no image".to_owned())
    }

    fn token(&self, _: &TokenSpec) -> Result<Arc<str>, String> {
        Err("variables hold no tokens".to_owned())
    }

    fn allocatable(&self) -> Allocatable {
        Allocatable { cpu_millis: 4000, memory_bytes: 1 << 30, storage_bytes: 0 }
    }
}

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

/// The environment of a container with these fields, without HOSTNAME.
fn environment_of(container: Value, services: &[Object]) -> Result<Vec<(String, String)>, EnvError> {
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "n"},
        "data": {"color": "red", "size": "7"}});
    let keys = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "n"},
        "data": {"password": "aHVudGVyMg==", "user": "bWU="}});
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}},
        "spec": {"containers": [container], "serviceAccountName": "robot"}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let around = Surroundings {
        hostname: "p",
        node_name: "node-1",
        host_address: "192.0.2.1".parse().unwrap(),
        pod_address: "10.128.0.5".parse().unwrap(),
        sources: &Known(vec![object(settings), object(keys)]),
        services,
    };
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let variables = environment(&pod, container, &around)?;
    assert_eq!(variables[0], ("HOSTNAME".into(), "p".into()));
    Ok(variables[1..].to_vec())
}

fn check(container: Value, expected: &str) {
    let mut container = container;
    container["name"] = "web".into();
    let words = match environment_of(container, &[]) {
        Ok(variables) => {
            let words: Vec<String> =
                variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
            words.join(" ")
        }
        Err(error) => format!("error: {error}"),
    };
    assert_eq!(words, expected);
}

#[test]
fn values_refer_to_those_before_them_and_the_last_wins() {
    check(
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2$(C)"}, {"name": "C", "value": "3"}]}),
        "A=1 B=12$(C) C=3",
    );
    check(json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}), "A=12");
    check(
        json!({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}}], "env": [{"name": "P_size", "value": "8"}]}),
        "P_color=red P_size=8",
    );
}

#[test]
fn config_maps_give_values_or_a_clear_error() {
    let key = |name: &str, key: &str, optional: bool| json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, "optional": optional}}}]});
    check(key("settings", "color", false), "A=red");
    check(key("settings", "shape", false), "error: couldn't find key shape in ConfigMap n/settings");
    check(key("settings", "shape", true), "");
    check(key("other", "shape", false), r#"error: configmap "other" not found"#);
    check(key("other", "shape", true), "");
    check(json!({"envFrom": [{"configMapRef": {"name": "other"}}]}), r#"error: configmap "other" not found"#);
    check(json!({"envFrom": [{"configMapRef": {"name": "other", "optional": true}}]}), "");
}

#[test]
fn fields_of_the_pod_can_be_asked_for() {
    let field = |path: &str| json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}]});
    check(field("metadata.name"), "A=p");
    check(field("metadata.uid"), "A=u");
    check(field("metadata.labels['app']"), "A=web");
    check(field("metadata.annotations['none']"), "A=");
    check(field("spec.nodeName"), "A=node-1");
    check(field("spec.serviceAccountName"), "A=robot");
    check(field("status.podIP"), "A=10.128.0.5");
    check(field("status.hostIP"), "A=192.0.2.1");
    check(
        field("spec.containers"),
        "error: env A: fieldPath \"spec.containers\" is not supported; supported: metadata.name, metadata.namespace, \
         metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, \
         status.podIP, status.podIPs, status.hostIP, status.hostIPs",
    );
}

#[test]
fn secrets_give_values_or_a_clear_error() {
    let key = |name: &str, key: &str, optional: bool| json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": optional}}}]});
    check(key("keys", "password", false), "A=hunter2");
    check(key("keys", "none", false), "error: couldn't find key none in Secret n/keys");
    check(key("keys", "none", true), "");
    check(key("settings", "color", false), r#"error: secret "settings" not found"#);
    check(
        json!({"envFrom": [{"prefix": "P_", "secretRef": {"name": "keys"}}]}),
        "P_password=hunter2 P_user=me",
    );
    check(json!({"envFrom": [{"secretRef": {"name": "other"}}]}), r#"error: secret "other" not found"#);
    check(json!({"envFrom": [{"secretRef": {"name": "other", "optional": true}}]}), "");
}

#[test]
fn amounts_can_be_asked_for() {
    let amount = |resource: &str| {
        let resources = json!({"limits": {"memory": "64Mi"}});
        json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource}}}], "resources": resources})
    };
    check(amount("limits.memory"), "A=67108864");
    check(amount("limits.cpu"), "A=4");
    check(amount("limits.pods"), "error: env A: unsupported container resource : limits.pods");
}

#[test]
fn what_is_not_supported_is_named() {
    check(
        json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}]}),
        "error: env A: valueFrom: not supported yet; supported: value, configMapKeyRef, secretKeyRef, fieldRef, \
         resourceFieldRef",
    );
}

#[test]
fn services_with_an_address_are_told() {
    let service = |name: &str, address: &str| {
        object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "n"},
            "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80}]}}))
    };
    let services = [service("my-web", "10.96.0.9"), service("headless", "None")];
    let variables = environment_of(json!({"name": "web"}), &services).unwrap();
    let words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "MY_WEB_SERVICE_HOST=10.96.0.9",
        "MY_WEB_SERVICE_PORT=80",
        "MY_WEB_SERVICE_PORT_HTTP=80",
        "MY_WEB_PORT=tcp://10.96.0.9:80",
        "MY_WEB_PORT_80_TCP=tcp://10.96.0.9:80",
        "MY_WEB_PORT_80_TCP_PROTO=tcp",
        "MY_WEB_PORT_80_TCP_PORT=80",
        "MY_WEB_PORT_80_TCP_ADDR=10.96.0.9",
    ];
    assert_eq!(words, expected);
}
