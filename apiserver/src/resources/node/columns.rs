//! How kubectl shows nodes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus, NodeSystemInfo};
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, NONE, UNKNOWN, text};

/// The label that names a role of a node in its key.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// The label that names it in its value.
const ROLE: &str = "kubernetes.io/role";

/// The columns.
pub const COLUMNS: &[Column] = &[
    cells::NAME,
    text("Status", "Whether the node takes pods."),
    text("Roles", "What the node is for."),
    cells::AGE,
    text("Version", "Version of the node's agent."),
    text("Internal-IP", "Address of the node within the cluster.").wide(),
    text("External-IP", "Address of the node outside the cluster.").wide(),
    text("OS-Image", "Operating system of the node.").wide(),
    text("Kernel-Version", "Kernel of the node.").wide(),
    text("Container-Runtime", "What runs the containers.").wide(),
];

/// The cells.
pub fn row(node: &Node, now: Timestamp) -> Vec<Value> {
    let nothing = NodeStatus::default();
    let status = node.status.as_ref().unwrap_or(&nothing);
    let unknown = NodeSystemInfo::default();
    let info = status.node_info.as_ref().unwrap_or(&unknown);
    vec![
        cells::name(&node.metadata),
        word(node, status).into(),
        roles(node).into(),
        cells::age(&node.metadata, now),
        info.kubelet_version.as_str().into(),
        cells::or(address(status, "InternalIP"), NONE),
        cells::or(address(status, "ExternalIP"), NONE),
        cells::or(Some(&info.os_image), UNKNOWN),
        cells::or(Some(&info.kernel_version), UNKNOWN),
        cells::or(Some(&info.container_runtime_version), UNKNOWN),
    ]
}

fn word(node: &Node, status: &NodeStatus) -> String {
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let word = match ready.map(|ready| ready.status.as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    match node.spec.as_ref().and_then(|spec| spec.unschedulable) {
        Some(true) => format!("{word},SchedulingDisabled"),
        _ => word.to_owned(),
    }
}

fn roles(node: &Node) -> String {
    let labels = node.metadata.labels.iter().flatten();
    let role = |(key, value): (&'_ String, &'_ String)| match key.strip_prefix(ROLE_PREFIX) {
        Some(role) => Some(role.to_owned()),
        None => (key == ROLE).then(|| value.clone()),
    };
    let roles: BTreeSet<String> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    cells::joined(roles.iter().map(String::as_str), NONE)
}

fn address<'a>(status: &'a NodeStatus, kind: &str) -> Option<&'a str> {
    let mut addresses = status.addresses.iter().flatten();
    addresses.find(|address| address.type_ == kind).map(|address| address.address.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_say_whether_they_take_pods_and_what_for() {
        let check = |labels: Value, unschedulable: bool, status: Value, expected: &str| {
            let node = json!({
                "metadata": {"name": "n1", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels},
                "spec": {"unschedulable": unschedulable}, "status": status,
            });
            let node: Node = serde_json::from_value(node).unwrap();
            let row = row(&node, "2026-01-01T00:00:47Z".parse().unwrap());
            assert_eq!(row.len(), COLUMNS.len());
            let line: Vec<&str> = row.iter().map(|cell| cell.as_str().unwrap()).collect();
            assert_eq!(line.join(" "), expected);
        };
        let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
        let rest = "<none> <none> <unknown> <unknown> <unknown>";
        check(json!({}), false, json!({}), &format!("n1 Unknown <none> 47s  {rest}"));
        check(
            json!({}),
            false,
            json!({"conditions": ready("False")}),
            &format!("n1 NotReady <none> 47s  {rest}"),
        );
        check(
            json!({}),
            false,
            json!({"conditions": ready("Unknown")}),
            &format!("n1 NotReady <none> 47s  {rest}"),
        );
        let labels = json!({
            "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "",
            "kubernetes.io/role": "edge", "node-role.kubernetes.io/": "", "other": "x",
        });
        let status = json!({
            "conditions": ready("True"),
            "addresses": [
                {"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "ExternalIP", "address": "192.0.2.1"},
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.35.0", "osImage": "Linux", "kernelVersion": "6.1",
                "containerRuntimeVersion": "peapod://1", "architecture": "", "bootID": "", "kubeProxyVersion": "",
                "machineID": "", "operatingSystem": "", "systemUUID": "",
            },
        });
        let expected = "n1 Ready,SchedulingDisabled control-plane,edge,worker 47s v1.35.0 \
            10.0.0.1 192.0.2.1 Linux 6.1 peapod://1";
        check(labels, true, status, expected);
    }
}
