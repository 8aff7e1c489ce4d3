//! Keeps pods off nodes that run short: a condition of pressure becomes a taint.

use std::time::Duration;

use api::Object;
use api::event::seconds;
use api::resource::NODES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use crate::framework::{Action, Controller, Target, Watch};
use crate::typed::Typed;

/// The conditions that are bad if they hold, and the taints that say so.
const PRESSURES: [(&str, &str); 3] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
];

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "node-lifecycle-controller",
    watches: &[Watch::Of(NODES, |_, change, add| {
        // Heartbeats change nothing here.
        let states =
            |object: Option<&Object>| object.and_then(|object| object.typed::<Node>().ok().map(wanted));
        let taints = |object: Option<&Object>| object.map(|object| object.value()["spec"]["taints"].clone());
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        if states(old) != states(new) || taints(old) != taints(new) {
            add(Target::of(&NODES, change.object()));
        }
    })],
    reads: &[],
    decide: |view, target| match view.cache.get(&NODES, &target.key) {
        Some(object) => Ok(reconcile(&Typed::new(object)?, view.now)),
        None => Ok(vec![]),
    },
    workers: 1,
    pace: Duration::ZERO,
};

/// The taints that the node's conditions ask for.
fn wanted(node: &Node) -> Vec<&'static str> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let holding = conditions.filter(|condition| condition.status == "True");
    let names: Vec<&str> = holding.map(|condition| condition.type_.as_str()).collect();
    PRESSURES.iter().filter(|(name, _)| names.contains(name)).map(|(_, taint)| *taint).collect()
}

/// Decides which taints come and go. Those of others stay as they are.
pub fn reconcile(node: &Typed<Node>, now: Timestamp) -> Vec<Action> {
    let wanted = wanted(node);
    let object = node.object();
    let taints = object.value()["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let is_ours = |taint: &Value, key: &str| taint["key"] == key && taint["effect"] == "NoSchedule";
    let stays =
        |taint: &&Value| PRESSURES.iter().all(|(_, key)| !is_ours(taint, key) || wanted.contains(key));
    let mut kept: Vec<Value> = taints.iter().filter(stays).cloned().collect();
    for key in wanted {
        if !kept.iter().any(|taint| is_ours(taint, key)) {
            kept.push(json!({"key": key, "effect": "NoSchedule", "timeAdded": seconds(now)}));
        }
    }
    if kept == taints {
        return vec![];
    }
    vec![Action::patch_unchanged(&NODES, object, "", json!({"spec": {"taints": kept}}))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::describe;
    use crate::testing::{now, object};

    fn look(conditions: &[(&str, &str)], taints: Value) -> Vec<String> {
        let conditions: Vec<Value> =
            conditions.iter().map(|(name, status)| json!({"type": name, "status": status})).collect();
        let value = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n", "uid": "n", "resourceVersion": "7"},
            "spec": {"taints": taints}, "status": {"conditions": conditions}});
        describe(&reconcile(&Typed::new(object(value)).expect("a node"), now()))
    }

    #[test]
    fn pressure_becomes_a_taint_and_goes_with_it() {
        let memory = json!({"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule",
            "timeAdded": "2026-01-01T12:00:00Z"});
        let other = json!({"key": "mine", "effect": "NoExecute"});
        let patch = |taints: Value| {
            format!(
                "patch Node n {}",
                json!({"metadata": {"resourceVersion": "7"}, "spec": {"taints": taints}})
            )
        };
        let pressed = [("MemoryPressure", "True"), ("DiskPressure", "False"), ("Ready", "True")];
        assert_eq!(look(&pressed, Value::Null), [patch(json!([memory]))]);
        assert_eq!(look(&pressed, json!([other])), [patch(json!([other, memory]))]);
        assert_eq!(look(&pressed, json!([memory])), [""; 0]);
        let relieved = [("MemoryPressure", "False"), ("Ready", "True")];
        assert_eq!(look(&relieved, json!([memory, other])), [patch(json!([other]))]);
        assert_eq!(look(&relieved, Value::Null), [""; 0]);
        // What holds nobody knows is not said.
        assert_eq!(look(&[("MemoryPressure", "Unknown")], Value::Null), [""; 0]);
        assert_eq!(look(&[("DiskPressure", "True"), ("PIDPressure", "True")], Value::Null).len(), 1);
    }
}
