//! What a budget says of its pods, one row each.

use serde_json::{Value, json};

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, ago, now, object, pod};

/// A budget with a spec and a status, pods in words, and the scale of those who control them.
fn state(spec: &Value, status: &Value, pods: &str, scale: Result<i32, &str>) -> State {
    let mut spec = spec.clone();
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": spec, "status": status,
        "metadata": {"name": "b", "namespace": "n", "uid": "b", "resourceVersion": "1", "generation": 1}});
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true}]);
    let pods: Vec<Typed<Pod>> = pods.split_whitespace().map(|text| pod(text, &owner)).collect();
    let has_unmanaged = pods.iter().any(|pod| pod.object().controller_uid().is_none());
    let scale = scale
        .map(|replicas| Scale { replicas, has_unmanaged })
        .map_err(|error| NotScaled::Never(error.to_owned()));
    State { budget: Typed::new(object(budget)).expect("a budget"), pods, scale }
}

fn condition(status: &str, reason: &str, message: &str, since: &str) -> Value {
    json!({"type": "DisruptionAllowed", "status": status, "reason": reason, "message": message,
        "observedGeneration": 1, "lastTransitionTime": since})
}

/// The numbers of a status: expected, desired, healthy, allowed.
fn said(numbers: [i32; 4]) -> Value {
    let [expected, desired, healthy, allowed] = numbers;
    let (status, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    json!({"expectedPods": expected, "desiredHealthy": desired, "currentHealthy": healthy,
        "disruptionsAllowed": allowed, "observedGeneration": 1, "conditions": [condition(status, reason, "", NOW)]})
}

fn check(spec: Value, pods: &str, scale: i32, numbers: [i32; 4]) {
    let actions = reconcile(&state(&spec, &json!({}), pods, Ok(scale)), now());
    let mut status = said(numbers);
    status["disruptedPods"] = Value::Null;
    let expected = format!(
        "patch PodDisruptionBudget b/status {}",
        json!({"metadata": {"resourceVersion": "1"}, "status": status})
    );
    assert_eq!(describe(&actions), [expected], "{spec} {pods}");
    let again = state(&spec, &said(numbers), pods, Ok(scale));
    assert_eq!(describe(&reconcile(&again, now())), Vec::<String>::new(), "{spec} {pods}");
}

#[test]
fn as_many_may_go_as_are_healthy_beyond_what_is_wanted() {
    check(json!({"minAvailable": 2}), "a:x:ready b:x:ready c:x:ready", 9, [3, 2, 3, 1]);
    check(json!({"minAvailable": 2}), "a:x:ready b:x:running c:x:ready:terminating", 9, [3, 2, 1, 0]);
    check(json!({"minAvailable": "50%"}), "a:x:ready b:x:ready c:x:ready", 3, [3, 2, 3, 1]);
    check(json!({"minAvailable": "50%"}), "a:x:ready b:x:ready c:x:ready", 10, [10, 5, 3, 0]);
    check(json!({"maxUnavailable": 1}), "a:x:ready b:x:ready", 2, [2, 1, 2, 1]);
    check(json!({"maxUnavailable": 5}), "a:x:ready b:x:ready", 2, [2, 0, 2, 2]);
    check(json!({"maxUnavailable": "34%"}), "a:x:ready b:x:ready c:x:ready", 3, [3, 1, 3, 2]);
    check(json!({"maxUnavailable": 0}), "a:x:ready", 1, [1, 1, 1, 0]);
    // A Deployment at zero with a pod that is left: nothing is expected, so nothing may go.
    check(json!({"maxUnavailable": 1}), "a:x:ready", 0, [0, 0, 1, 0]);
}

#[test]
fn pods_whose_eviction_was_agreed_to_do_not_count() {
    let mut status = said([3, 1, 3, 2]);
    let ended = ago(120);
    status["disruptedPods"] = json!({"a": ago(30), "b": ended, "gone": ago(1)});
    let state = state(&json!({"minAvailable": 1}), &status, "a:x:ready b:x:ready c:x:ready", Ok(3));
    let mut expected = said([3, 1, 2, 1]);
    // Laid over what was said, the others go.
    expected["disruptedPods"] = json!({"a": ago(30), "b": null, "gone": null});
    let patch = json!({"metadata": {"resourceVersion": "1"}, "status": expected});
    assert_eq!(
        describe(&reconcile(&state, now())),
        [
            "NotDeleted: Pod was expected by PDB n/n to be deleted but it wasn't",
            &format!("patch PodDisruptionBudget b/status {patch}"),
            "wake at 2026-01-01T12:01:30Z"
        ]
    );
}

#[test]
fn without_pods_nothing_may_go() {
    let state = state(&json!({"maxUnavailable": 1}), &json!({}), "", Ok(0));
    let actions = describe(&reconcile(&state, now()));
    assert_eq!(actions[0], "NoPods: No matching pods found");
    assert!(actions[1].contains(r#""disruptionsAllowed":0"#), "{actions:?}");
}

#[test]
fn pods_that_nobody_controls_are_told_of_if_it_matters() {
    let words = "UnmanagedPods: Pods selected by this PodDisruptionBudget (selector: \
        &LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}) were \
        found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in \
        undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer \
        value.";
    let told =
        |spec: Value| describe(&reconcile(&state(&spec, &json!({}), "a:x:ready:orphan", Ok(0)), now()));
    assert_eq!(told(json!({"maxUnavailable": 1}))[0], words);
    assert_eq!(told(json!({"minAvailable": 1})).len(), 1);
}

#[test]
fn what_cannot_be_counted_may_not_go() {
    let spec = json!({"maxUnavailable": 1});
    let error = "jobs.batch does not implement the scale subresource";
    let since = ago(50);
    let mut status = said([1, 0, 1, 1]);
    status["conditions"] = json!([condition("False", "InsufficientPods", "", &since)]);
    let failed = condition("False", "SyncFailed", error, &since);
    let patch = json!({"metadata": {"resourceVersion": "1"},
        "status": {"disruptionsAllowed": 0, "conditions": [failed]}});
    assert_eq!(
        describe(&reconcile(&state(&spec, &status, "a:x:ready", Err(error)), now())),
        [
            format!(
                "CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: {error}"
            ),
            format!("patch PodDisruptionBudget b/status {patch}")
        ]
    );
    status["disruptionsAllowed"] = 0.into();
    status["conditions"] = json!([failed]);
    assert!(reconcile(&state(&spec, &status, "a:x:ready", Err(error)), now()).is_empty());
    let unread = State { scale: Err(NotScaled::NotYet), ..state(&spec, &status, "a:x:ready", Ok(1)) };
    assert_eq!(describe(&reconcile(&unread, now())), ["wake at 2026-01-01T12:00:01Z"]);
}

#[test]
fn an_eviction_that_came_to_nothing_is_taken_back() {
    let row = |status: Value, words: &str, expected: &[&str]| {
        let pod = pod(words, &json!([]));
        let mut value = pod.object().value().clone();
        value["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}, status]);
        let pod = Typed::new(object(value)).expect("a pod");
        assert_eq!(describe(&stale::reconcile(&pod, now())), expected);
    };
    let target = |seconds: i64, reason: &str| json!({"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": ago(seconds)});
    let back = format!(
        "patch Pod a/status {}",
        json!({"metadata": {"resourceVersion": "1"}, "status": {"conditions": [{"type": "Ready", "status": "True"},
            {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": NOW}]}})
    );
    row(target(120, "EvictionByEvictionAPI"), "a:x:running", &[&back]);
    row(target(100, "EvictionByEvictionAPI"), "a:x:running", &["wake at 2026-01-01T12:00:20Z"]);
    row(target(500, "TerminationByKubelet"), "a:x:running", &[]);
    row(target(500, "EvictionByEvictionAPI"), "a:x:running:terminating", &[]);
    row(target(500, "EvictionByEvictionAPI"), "a:x:failed", &[]);
    let noted =
        json!({"metadata": {"name": "a"}, "status": {"conditions": [target(1, "EvictionByEvictionAPI")]}});
    assert!(stale::may_be(&object(noted)));
    assert!(!stale::may_be(pod("a:x:ready", &json!([])).object()));
}

#[test]
fn the_scale_is_read_without_the_rest() {
    let of = |value: Value| scale::replicas(&object(value));
    assert_eq!(of(json!({"kind": "ReplicaSet", "metadata": {}, "spec": {"replicas": 3, "template": {}}})), 3);
    assert_eq!(of(json!({"kind": "ReplicaSet", "metadata": {}, "spec": {}})), 0);
}
