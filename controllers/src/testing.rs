//! Writes objects for tests in a few words, and a small server to try whole controllers on.

mod server;

use api::Object;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::typed::Typed;

pub(crate) use server::Server;

/// When tests take place.
pub(crate) const NOW: &str = "2026-01-01T12:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

pub(crate) fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

/// Lays `more` over `value`; null removes.
pub(crate) fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, inner) in more {
                if inner.is_null() {
                    fields.remove(&key);
                } else {
                    merge(fields.entry(key).or_insert(Value::Null), inner);
                }
            }
        }
        (value, more @ Value::Object(_)) => {
            *value = json!({});
            merge(value, more);
        }
        (value, more) => *value = more,
    }
}

pub(crate) fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

/// A pod from words: `name:node:ready`, then in any order `running`, `unknown`, `failed`, `succeeded`,
/// `terminating`, `orphan`, `since=SECONDS`, `age=SECONDS`, `restarts=N`, `cost=N`, `app=LABEL`, `ip=ADDRESS`.
/// Without words about it, a pod is pending and called after its uid.
pub(crate) fn pod(text: &str, owners: &Value) -> Typed<Pod> {
    let mut words = text.split(':');
    let name = words.next().expect("a name");
    let mut value = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": "1",
            "labels": {"app": "web"}, "ownerReferences": owners, "creationTimestamp": ago(100)},
        "spec": {"containers": []},
        "status": {"phase": "Pending"},
    });
    for word in words {
        let (key, argument) = word.split_once('=').unwrap_or((word, ""));
        let seconds = || argument.parse().expect("seconds");
        match key {
            "ready" => {
                value["status"]["phase"] = "Running".into();
                value["status"]["conditions"] =
                    json!([{"type": "Ready", "status": "True", "lastTransitionTime": ago(60)}]);
            }
            "running" => value["status"]["phase"] = "Running".into(),
            "unknown" => value["status"]["phase"] = "Unknown".into(),
            "failed" => value["status"]["phase"] = "Failed".into(),
            "succeeded" => value["status"]["phase"] = "Succeeded".into(),
            "terminating" => value["metadata"]["deletionTimestamp"] = NOW.into(),
            "orphan" => value["metadata"]["ownerReferences"] = json!([]),
            "since" => {
                value["status"]["conditions"][0]["lastTransitionTime"] = ago(seconds()).into();
            }
            "age" => value["metadata"]["creationTimestamp"] = ago(seconds()).into(),
            "restarts" => {
                let count: i32 = argument.parse().expect("a number");
                value["status"]["containerStatuses"] = json!([{"name": "c", "restartCount": count,
                    "ready": true, "image": "", "imageID": ""}]);
            }
            "cost" => {
                value["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"] =
                    argument.into();
            }
            "app" => value["metadata"]["labels"]["app"] = argument.into(),
            "ip" => {
                value["status"]["podIP"] = argument.into();
                value["status"]["podIPs"] = json!([{"ip": argument}]);
            }
            node => value["spec"]["nodeName"] = node.into(),
        }
    }
    Typed::new(object(value)).expect("a pod")
}
