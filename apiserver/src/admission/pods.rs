//! What every new pod gets: time on failing nodes before it is replaced.

use serde_json::{Value, json};

use crate::tree;

/// So long a pod stays on a node that does not answer, unless it says otherwise.
const SECONDS_ON_FAILED_NODE: u64 = 300;

const NODE_FAILURES: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Adds the tolerations of node failures that the pod does not have in some form.
pub fn tolerate_node_failures(pod: &mut Value) {
    let spec = tree::object(pod, "spec");
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for taint in NODE_FAILURES {
        let tolerated = tolerations.iter().any(|toleration| {
            let covers =
                |field: &str, value: &str| tree::text(toleration, field).is_none_or(|text| text == value);
            covers("key", taint) && covers("effect", "NoExecute")
        });
        if !tolerated {
            tolerations.push(json!({"key": taint, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": SECONDS_ON_FAILED_NODE}));
        }
    }
    tree::set(spec, "tolerations", Some(tolerations.into()));
}
