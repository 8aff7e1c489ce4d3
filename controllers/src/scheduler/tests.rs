//! The rules of placing pods, one row each.

use std::sync::Arc;

use api::Key;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node as ApiNode, Pod};
use serde_json::{Value, json};

use super::*;
use crate::testing::{NOW, merge, now};

fn node(name: &str, more: &Value) -> ApiNode {
    let mut value = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"}},
    });
    merge(&mut value, more.clone());
    serde_json::from_value(value).expect("a node")
}

fn pod(name: &str, more: &Value) -> Pod {
    let mut value = json!({
        "metadata": {"name": name, "namespace": "n", "uid": name,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": "s", "controller": true}]},
        "spec": {"containers": [{"name": "c"}]},
    });
    merge(&mut value, more.clone());
    serde_json::from_value(value).expect("a pod")
}

fn key(name: &str) -> Key {
    Key::new("n", name)
}

/// The node for a pod, or why there is none. Nodes are `(name, more)`.
fn placed(nodes: &[(&str, Value)], more: Value) -> String {
    let mut all = Nodes::default();
    for (name, more) in nodes {
        all.set(name, Facts::of(&node(name, more)));
    }
    match place(&Demand::of(&pod("p", &more)), &Wants::default(), &all, 0) {
        Placement::On(node) => node.to_string(),
        Placement::Nowhere(refused) => refused.to_string(),
    }
}

/// One node, and the reason it gives.
fn check(node: Value, pod: Value, expected: &str) {
    let text = placed(&[("x", node)], pod.clone());
    let reason = text.strip_prefix("0/1 nodes are available: 1 ").unwrap_or(&text);
    let reason = reason.split(". preemption").next().unwrap_or_default();
    assert_eq!(reason, expected, "{pod}");
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]}})
}

#[test]
fn requests_must_fit() {
    check(json!({}), asks("2", "4Gi"), "x");
    check(json!({}), asks("2001m", "1"), "Insufficient cpu");
    check(json!({}), asks("1", "5Gi"), "Insufficient memory");
    check(json!({}), asks("3", "5Gi"), "Insufficient cpu, 1 Insufficient memory");
    check(json!({"status": {"allocatable": {"pods": "0"}}}), json!({}), "Too many pods");
    let gpu = json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"x.io/gpu": "1"}}}]}});
    check(json!({}), gpu.clone(), "Insufficient x.io/gpu");
    check(json!({"status": {"allocatable": {"x.io/gpu": "1"}}}), gpu, "x");
}

#[test]
fn the_largest_requests_of_pods_that_chose_their_node_are_counted() {
    let mut board = Board::default();
    let now = now();
    for name in ["x", "y"] {
        board.see_node(name, Some(&node(name, &json!({}))));
    }
    for name in ["a", "b"] {
        let mut huge = asks("9223372036854775807", "8Ei");
        huge["spec"]["nodeName"] = "x".into();
        board.see_pod(&key(name), Some(&pod(name, &huge)), now);
    }
    board.see_pod(&key("c"), Some(&pod("c", &json!({}))), now);
    assert!(matches!(board.decide(now), Some(Decision::Bind(_, node)) if *node == *"y"));
}

#[test]
fn init_containers_count_while_they_run() {
    let init = |policy: Value| {
        json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}],
        "initContainers": [{"name": "i", "restartPolicy": policy, "resources": {"requests": {"cpu": "1500m"}}}]}})
    };
    check(json!({}), init(Value::Null), "x");
    check(json!({}), init("Always".into()), "Insufficient cpu");
}

#[test]
fn nodes_keep_pods_away() {
    let cordoned = json!({"spec": {"unschedulable": true}});
    check(cordoned.clone(), json!({}), "node(s) were unschedulable");
    let tolerant = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
    check(cordoned, tolerant.clone(), "x");
    let tainted = |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
    check(tainted("NoSchedule"), json!({}), "node(s) had untolerated taint {k: v}");
    check(tainted("NoExecute"), json!({}), "node(s) had untolerated taint {k: v}");
    check(tainted("PreferNoSchedule"), json!({}), "x");
    check(tainted("NoSchedule"), tolerant, "x");
    let toleration = |value: &str| json!({"spec": {"tolerations": [{"key": "k", "value": value, "effect": "NoSchedule"}]}});
    check(tainted("NoSchedule"), toleration("v"), "x");
    check(tainted("NoSchedule"), toleration("w"), "node(s) had untolerated taint {k: v}");
}

#[test]
fn pods_ask_for_nodes() {
    let no = "node(s) didn't match Pod's node affinity/selector";
    let labeled = json!({"metadata": {"labels": {"disk": "ssd", "cores": "8"}}});
    let selector = json!({"spec": {"nodeSelector": {"disk": "ssd"}}});
    check(json!({}), selector.clone(), no);
    check(labeled.clone(), selector, "x");
    let affinity = |field: &str, key: &str, operator: &str, values: &[&str]| {
        json!({"spec": {"affinity": {"nodeAffinity":
        {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
            [{field: [{"key": key, "operator": operator, "values": values}]}]}}}}})
    };
    check(labeled.clone(), affinity("matchExpressions", "disk", "In", &["hdd", "ssd"]), "x");
    check(labeled.clone(), affinity("matchExpressions", "disk", "NotIn", &["ssd"]), no);
    check(labeled.clone(), affinity("matchExpressions", "cores", "Gt", &["7"]), "x");
    check(labeled.clone(), affinity("matchExpressions", "cores", "Lt", &["8"]), no);
    check(labeled.clone(), affinity("matchExpressions", "cores", "DoesNotExist", &[]), no);
    check(labeled.clone(), affinity("matchFields", "metadata.name", "In", &["x"]), "x");
    check(labeled.clone(), affinity("matchFields", "metadata.name", "In", &["y"]), no);
    let empty = json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{}]}}}}});
    check(labeled, empty, no);
}

#[test]
fn the_best_node_is_chosen() {
    let small = json!({"status": {"allocatable": {"cpu": "1", "memory": "1Gi"}}});
    assert_eq!(placed(&[("a", small), ("b", json!({}))], asks("500m", "512Mi")), "b");
    let avoided = json!({"spec": {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}});
    assert_eq!(placed(&[("a", avoided), ("b", json!({}))], json!({})), "b");
    let preferring = json!({"spec": {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
        [{"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]}}}});
    let labeled = json!({"metadata": {"labels": {"disk": "ssd"}}});
    assert_eq!(placed(&[("a", json!({})), ("b", labeled)], preferring), "b");
}

#[test]
fn why_no_node_takes_a_pod() {
    let cordoned = json!({"spec": {"unschedulable": true}});
    let nodes = [("a", json!({})), ("b", json!({})), ("c", cordoned)];
    let expected = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory. preemption: 0/3 nodes are \
                    available: 2 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    assert_eq!(placed(&nodes, asks("1", "8Gi")), expected);
    assert_eq!(placed(&[], json!({})), "no nodes available to schedule pods");
}

/// Plays a script on a board with the nodes `a` and `b` (2 CPUs each). Words: `+p` a pod of 1 CPU comes, `+p!` a pod of
/// prioritiy 9, `p@a` the pod is seen on a node, `-p` it is gone, `x:p` it was not bound, `*` a node changes,
/// `>5` five seconds pass, `?` decide all.
fn play(script: &str) -> String {
    let mut board = Board::default();
    for name in ["a", "b"] {
        board.see_node(name, Some(&node(name, &json!({}))));
    }
    let mut now: Timestamp = now();
    let mut last = std::collections::BTreeMap::new();
    let mut said = Vec::new();
    for word in script.split_whitespace() {
        if let Some(name) = word.strip_prefix('+') {
            let (name, priority) = name.strip_suffix('!').map_or((name, 0), |name| (name, 9));
            let mut more = asks("1", "1");
            more["spec"]["priority"] = priority.into();
            board.see_pod(&key(name), Some(&pod(name, &more)), now);
        } else if let Some(name) = word.strip_prefix('-') {
            board.see_pod(&key(name), None, now);
        } else if let Some(name) = word.strip_prefix("x:") {
            let pending: Pending = last.remove(name).expect("it was decided");
            board.not_bound(pending, true, now);
        } else if let Some(seconds) = word.strip_prefix('>') {
            now += SignedDuration::from_secs(seconds.parse().expect("seconds"));
        } else if let Some((name, node)) = word.split_once('@') {
            let mut more = asks("1", "1");
            more["spec"]["nodeName"] = node.into();
            board.see_pod(&key(name), Some(&pod(name, &more)), now);
        } else if word == "*" {
            let changed = json!({"metadata": {"labels": {"at": now.to_string()}}});
            board.see_node("a", Some(&node("a", &changed)));
        } else {
            assert_eq!(word, "?");
            while let Some(decision) = board.decide(now) {
                match decision {
                    Decision::Bind(pending, node) => {
                        said.push(format!("{}@{node}", pending.key.name));
                        last.insert(pending.key.name.to_string(), pending);
                    }
                    Decision::Claim(..) => panic!("no pod here has claims"),
                    Decision::Refuse(pending, _) => said.push(format!("{}!", pending.key.name)),
                }
            }
        }
    }
    said.join(" ")
}

#[test]
fn scripts() {
    let check = |script, expected: &str| assert_eq!(play(script), expected, "{script}");
    // Spread over the nodes, each counted before its binding is seen.
    check("+p +q +r +s +t ?", "p@b q@a r@b s@a t!");
    check("p@a q@a +r +s ?", "r@b s@b");
    // The most important first, then in their order.
    check("p@a q@a r@b +s +t! ?", "t@b s!");
    // Decided once, however often it is seen.
    check("+p ? +p ? p@b +p ?", "p@b");
    // Who found no room tries again when there is some, after a rest that grows.
    check("p@a q@a r@b s@b +t ? -p ? >1 ?", "t! t@a");
    check("p@a q@a r@b s@b +t ? >2 ? -p ?", "t! t@a");
    check("p@a q@a r@b s@b +t ? >2 * ? >1 * ? >1 * ?", "t! t! t! t!");
    check("p@a q@a r@b s@b +t ? * ? * ?", "t!");
    check("p@a q@a r@b s@b +t ? >299 ? >1 ?", "t! t!");
    // A binding that failed is tried again, and what it took is free meanwhile.
    check("p@a q@a r@b +s ? x:s ? +t ? >1 ?", "s@b t@b s!");
    check("p@a q@a r@b s@b +t ? -t -p >5 ?", "t!");
}

#[test]
fn only_pods_of_this_scheduler_are_placed() {
    let mut board = Board::default();
    board.see_node("a", Some(&node("a", &json!({}))));
    for more in [
        json!({"spec": {"schedulerName": "other"}}),
        json!({"spec": {"schedulingGates": [{"name": "wait"}]}}),
        json!({"metadata": {"deletionTimestamp": NOW}}),
        json!({"status": {"phase": "Failed"}}),
    ] {
        board.see_pod(&key("p"), Some(&pod("p", &more)), now());
        assert!(board.decide(now()).is_none(), "{more}");
    }
}

#[test]
fn a_host_port_is_taken_once_per_node() {
    let mut board = Board::default();
    for name in ["a", "b"] {
        board.see_node(name, Some(&node(name, &json!({}))));
    }
    let more =
        json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}});
    let mut decisions = Vec::new();
    for name in ["p", "q", "r"] {
        board.see_pod(&key(name), Some(&pod(name, &more)), now());
        decisions.push(board.decide(now()).expect("a decision"));
    }
    let Decision::Refuse(_, why) = &decisions[2] else {
        panic!("{decisions:?}");
    };
    assert!(why.contains("2 node(s) didn't have free ports for the requested pod ports"), "{why}");
}

#[test]
fn what_nodes_hold_is_what_stands_on_them() {
    let mut nodes = Nodes::default();
    let demand = Arc::new(Demand::of(&pod("p", &asks("1", "1Gi"))));
    // A pod is seen before its node.
    nodes.place(key("p"), "p", "a", Arc::clone(&demand));
    assert!(nodes.set("a", Facts::default()));
    assert!(!nodes.set("a", Facts::default()));
    nodes.place(key("q"), "q", "a", Arc::clone(&demand));
    assert_eq!((nodes.list()[0].requested.cpu, nodes.list()[0].requested.pods), (2000, 2));
    nodes.place(key("p"), "other", "a", Arc::clone(&demand));
    assert!(nodes.take_away(&key("q")));
    assert!(!nodes.take_away(&key("q")));
    assert_eq!((nodes.list()[0].requested.cpu, nodes.list()[0].owners.len()), (1000, 1));
    nodes.set("b", Facts::default());
    nodes.remove("a");
    nodes.set("a", Facts::default());
    let names: Vec<(&str, i64)> = nodes.list().iter().map(|node| (&*node.name, node.requested.cpu)).collect();
    assert_eq!(names, [("b", 0), ("a", 1000)]);
}
