//! The rules of Deployments, one row each.

mod random;

use jiff::SignedDuration;

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, ago, merge, now, object};

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

/// A Deployment `web` of the image `v2`.
fn deployment(replicas: i32, more: &Value) -> Typed<Deployment> {
    let mut value = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "n", "uid": "web", "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("v2"),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}},
    });
    merge(&mut value, more.clone());
    Typed::new(object(value)).expect("a Deployment")
}

/// A ReplicaSet from words: `name:image:replicas/available`, then `rev=N`, `age=SECONDS`, `want=N` and `most=N` as noted
/// when it got its size, `orphan`, `other` (with labels that are not selected).
fn set(text: &str, deployment: &Typed<Deployment>) -> Typed<ReplicaSet> {
    let mut words = text.split(':');
    let mut next = || words.next().expect("name:image:replicas/available");
    let (name, image, counts) = (next(), next(), next());
    let (replicas, available) = counts.split_once('/').expect("replicas/available");
    let number = |text: &str| text.parse::<i32>().expect("a number");
    let mut value = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "n", "uid": name, "generation": 1, "resourceVersion": "1",
            "labels": {"app": "web", "pod-template-hash": name}, "creationTimestamp": ago(100),
            "ownerReferences": [owner::controller_reference(&DEPLOYMENTS, deployment.object())]},
        "spec": {"replicas": number(replicas), "template": template(image),
            "selector": {"matchLabels": {"app": "web", "pod-template-hash": name}}},
        "status": {"replicas": number(replicas), "readyReplicas": number(available),
            "availableReplicas": number(available), "observedGeneration": 1},
    });
    value["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = name.into();
    let bounds = Bounds::of(deployment);
    let noted = &mut value["metadata"]["annotations"];
    *noted = json!({revision::DESIRED: bounds.desired.to_string(), revision::MOST: bounds.most().to_string(),
        "deployment.kubernetes.io/revision": "1"});
    for word in words {
        let (key, argument) = word.split_once('=').unwrap_or((word, ""));
        let metadata = &mut value["metadata"];
        match key {
            "rev" => metadata["annotations"]["deployment.kubernetes.io/revision"] = argument.into(),
            "age" => metadata["creationTimestamp"] = ago(argument.parse().expect("seconds")).into(),
            "want" => metadata["annotations"][revision::DESIRED] = argument.into(),
            "most" => metadata["annotations"][revision::MOST] = argument.into(),
            "orphan" => metadata["ownerReferences"] = json!([]),
            "other" => metadata["labels"] = json!({}),
            _ => panic!("{word}"),
        }
    }
    Typed::new(object(value)).expect("a ReplicaSet")
}

fn state(replicas: i32, more: Value, sets: &str) -> State {
    let deployment = deployment(replicas, &more);
    let sets = sets.split_whitespace().map(|text| set(text, &deployment)).collect();
    State { selector: selector_of(deployment.object()), deployment, sets, name_taken: false, running: vec![] }
}

/// What is done with ReplicaSets, without annotations.
fn sizes(state: &State) -> Vec<String> {
    let mut actions = reconcile(state, now());
    for action in &mut actions {
        if let Action::Patch { merge, .. } = action
            && let Some(metadata) = merge["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
    }
    let mut texts = describe(&actions);
    let noise = |text: &String| text.contains("/status") || text.starts_with("wake") || text.ends_with(" {}");
    texts.retain(|text| !noise(text) && !text.starts_with("Scaling"));
    texts
}

fn check(replicas: i32, more: Value, sets: &str, expected: &[&str]) {
    let hash = template::set_name(&deployment(replicas, &more));
    let expected: Vec<String> = expected.iter().map(|text| text.replace('#', &hash)).collect();
    assert_eq!(sizes(&state(replicas, more, sets)), expected, "{replicas} {sets:?}");
}

fn resize(name: &str, replicas: i32) -> String {
    format!(r#"patch ReplicaSet {name} {{"spec":{{"replicas":{replicas}}}}}"#)
}

#[test]
fn a_template_gets_its_replica_set() {
    let plain = || json!({});
    check(3, plain(), "", &["create 1 ReplicaSet # replicas=3"]);
    check(0, plain(), "", &["create 1 ReplicaSet # replicas=0"]);
    check(3, plain(), "b:v2:3/3", &[]);
    check(3, plain(), "a:v1:3/3", &["create 1 ReplicaSet # replicas=1"]);
    check(3, json!({"metadata": {"deletionTimestamp": NOW}}), "", &[]);
}

#[test]
fn a_rollout_goes_step_by_step() {
    let plain = || json!({});
    check(3, plain(), "a:v1:3/3 b:v2:0/0", &[&resize("b", 1)]);
    check(3, plain(), "a:v1:3/3 b:v2:1/0", &[&resize("a", 2)]);
    check(3, plain(), "a:v1:2/2 b:v2:1/0", &[&resize("b", 2)]);
    check(3, plain(), "a:v1:2/2 b:v2:2/0", &[]);
    check(3, plain(), "a:v1:2/2 b:v2:2/1", &[&resize("a", 1)]);
    check(3, plain(), "a:v1:1/1 b:v2:3/3", &[&resize("a", 0)]);
    check(3, plain(), "a:v1:0/0 b:v2:3/3", &[]);
    // What is broken goes first.
    check(3, plain(), "a:v1:2/0 z:v0:2/2 b:v2:0/0", &[&resize("a", 0)]);
    // A rollback finds the old ReplicaSet by its template.
    check(
        3,
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v1"}]}}}}),
        "a:v1:0/0 b:v2:3/3",
        &[&resize("a", 1)],
    );
}

#[test]
fn one_that_recreates_has_a_gap() {
    let recreate = || json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
    check(3, recreate(), "a:v1:3/3", &[&resize("a", 0)]);
    check(3, recreate(), "a:v1:0/0", &["create 1 ReplicaSet # replicas=3"]);
    check(3, recreate(), "a:v1:0/0 b:v2:0/0", &[&resize("b", 3)]);
    let mut waiting = state(3, recreate(), "a:v1:0/0");
    waiting.running = vec!["a".into()];
    assert!(sizes(&waiting).is_empty());
}

#[test]
fn a_paused_one_is_resized_only() {
    let paused = || json!({"spec": {"paused": true}});
    check(3, paused(), "", &[]);
    check(3, paused(), "a:v1:3/3", &[]);
    check(5, paused(), "a:v1:3/3:want=3", &[&resize("a", 5)]);
}

#[test]
fn resizing_in_the_middle_keeps_proportions() {
    let wide = || json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}}});
    check(
        15,
        wide(),
        "a:v1:8/8:want=10:most=13 b:v2:5/0:want=10:most=13",
        &[&resize("a", 11), &resize("b", 7)],
    );
    check(
        5,
        wide(),
        "a:v1:8/8:want=10:most=13 b:v2:5/0:want=10:most=13",
        &[&resize("a", 5), &resize("b", 3)],
    );
    check(
        0,
        wide(),
        "a:v1:8/8:want=10:most=13 b:v2:5/0:want=10:most=13",
        &[&resize("a", 0), &resize("b", 0)],
    );
    check(5, wide(), "b:v2:3/3:want=3:most=6", &[&resize("b", 5)]);
}

#[test]
fn a_resized_one_that_recreates_goes_on() {
    let recreate = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
    let state = state(5, recreate, "a:v1:2/2:want=3 b:v2:1/1:want=3");
    let noted = patches(&state, "ReplicaSet");
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert!(noted[0].contains(r#""deployment.kubernetes.io/desired-replicas":"5""#), "{noted:?}");
}

#[test]
fn replica_sets_are_adopted_and_released() {
    let actions = describe(&reconcile(&state(3, json!({}), "b:v2:3/3:orphan"), now()));
    assert!(actions[0].contains(r#""kind":"Deployment","name":"web","uid":"web""#), "{actions:?}");
    let actions = describe(&reconcile(&state(3, json!({}), "b:v2:3/3:other"), now()));
    assert!(actions[0].contains(r#""ownerReferences":[]"#), "{actions:?}");
}

#[test]
fn a_taken_name_is_left_for_another() {
    let mut taken = state(3, json!({}), "");
    taken.name_taken = true;
    let expected = r#"patch Deployment web/status {"status":{"collisionCount":1}}"#;
    assert_eq!(describe(&reconcile(&taken, now())), [expected]);
    let first = template::hash(&deployment(3, &json!({})));
    assert_ne!(first, template::hash(&deployment(3, &json!({"status": {"collisionCount": 1}}))));
    assert_eq!(first, template::hash(&deployment(5, &json!({}))));
}

#[test]
fn old_replica_sets_are_kept_as_history() {
    let two = || json!({"spec": {"revisionHistoryLimit": 1}});
    let sets = "a:v0:0/0:rev=1 c:v1:0/0:rev=2 b:v2:3/3:rev=3";
    check(3, two(), sets, &["delete ReplicaSet a"]);
    check(3, json!({}), sets, &[]);
    // Not before the rollout is done, and not what still has pods.
    check(3, two(), "a:v0:0/0:rev=1 c:v1:0/0:rev=2 b:v2:3/2:rev=3", &[]);
}

fn patches(state: &State, kind: &str) -> Vec<String> {
    let mut actions = describe(&reconcile(state, now()));
    let wanted = format!("patch {kind} ");
    actions.retain(|action| action.starts_with(&wanted) && !action.contains("/status"));
    actions
}

#[test]
fn rollouts_are_numbered() {
    let again = state(3, json!({}), "a:v1:0/0:rev=4 b:v2:3/3:rev=2");
    let expected = r#"patch ReplicaSet b {"metadata":{"annotations":{"deployment.kubernetes.io/revision":"5","deployment.kubernetes.io/revision-history":"2"}}}"#;
    assert_eq!(patches(&again, "ReplicaSet"), [expected]);
    let expected =
        r#"patch Deployment web {"metadata":{"annotations":{"deployment.kubernetes.io/revision":"5"}}}"#;
    assert_eq!(patches(&again, "Deployment"), [expected]);
    let fresh = state(3, json!({"metadata": {"annotations": {"why": "because"}}}), "a:v1:3/3:rev=4");
    let actions = reconcile(&fresh, now());
    let Action::Create(create) = &actions[0] else {
        panic!("{actions:?}");
    };
    let annotations = &create.value["metadata"]["annotations"];
    assert_eq!(annotations["deployment.kubernetes.io/revision"], "5");
    assert_eq!(annotations["deployment.kubernetes.io/desired-replicas"], "3");
    assert_eq!(annotations["deployment.kubernetes.io/max-replicas"], "4");
    assert_eq!(annotations["why"], "because");
    let hash = template::hash(&fresh.deployment);
    assert_eq!(create.value["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
    assert_eq!(create.value["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], hash);
}

#[test]
fn sizes_are_told() {
    let mut actions = describe(&reconcile(&state(3, json!({}), ""), now()));
    actions.retain(|action| action.starts_with("Scaling"));
    let name = template::set_name(&deployment(3, &json!({})));
    assert_eq!(actions, [format!("ScalingReplicaSet: Scaled up replica set {name} from 0 to 3")]);
    let mut actions = describe(&reconcile(&state(3, json!({}), "a:v1:3/3 b:v2:1/0"), now()));
    actions.retain(|action| action.starts_with("Scaling"));
    assert_eq!(actions, ["ScalingReplicaSet: Scaled down replica set a from 3 to 2"]);
}

/// The status after a look, as one text of numbers and one per condition.
fn told(replicas: i32, more: Value, sets: &str) -> Vec<String> {
    let state = state(replicas, more, sets);
    let mut texts = Vec::new();
    for action in reconcile(&state, now()) {
        match action {
            Action::Patch { subresource: "status", mut merge, .. } => {
                let conditions = merge["status"]["conditions"].take();
                for condition in conditions.as_array().into_iter().flatten() {
                    let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
                    texts.push(format!(
                        "{}={} {}: {}",
                        text("type"),
                        text("status"),
                        text("reason"),
                        text("message")
                    ));
                }
                merge["status"].as_object_mut().expect("a status").remove("conditions");
                texts.insert(0, merge["status"].to_string());
            }
            Action::WakeAt(time) => texts.push(format!("wake at {time}")),
            _ => {}
        }
    }
    texts
}

const ENOUGH: &str = "Available=True MinimumReplicasAvailable: Deployment has minimum availability.";
const TOO_FEW: &str =
    "Available=False MinimumReplicasUnavailable: Deployment does not have minimum availability.";

#[test]
fn the_status_counts() {
    let done = r#"{"availableReplicas":3,"observedGeneration":1,"readyReplicas":3,"replicas":3,"updatedReplicas":3}"#;
    let complete = r#"Progressing=True NewReplicaSetAvailable: ReplicaSet "b" has successfully progressed."#;
    assert_eq!(told(3, json!({}), "b:v2:3/3"), [done, ENOUGH, complete]);
    let half = r#"{"availableReplicas":1,"observedGeneration":1,"readyReplicas":1,"replicas":4,"unavailableReplicas":3,"updatedReplicas":2}"#;
    let on = r#"Progressing=True ReplicaSetUpdated: ReplicaSet "b" is progressing."#;
    assert_eq!(told(3, json!({}), "a:v1:2/1 b:v2:2/0"), [half, TOO_FEW, on]);
    let name = template::set_name(&deployment(3, &json!({})));
    let made = format!("Progressing=True NewReplicaSetCreated: Created new replica set {name:?}");
    assert_eq!(told(3, json!({}), ""), [r#"{"observedGeneration":1}"#, TOO_FEW, &made]);
}

/// A status that fits `b:v2:2/1` of 2, with a rollout that got on so many seconds ago.
fn under_way(reason: &str, seconds: i64) -> Value {
    let progress = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason,
        "message": "", "lastUpdateTime": ago(seconds), "lastTransitionTime": ago(seconds)})
    };
    json!({"status": {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1,
        "unavailableReplicas": 1, "observedGeneration": 1, "conditions":
        [progress("Available", "True", "MinimumReplicasAvailable"), progress("Progressing", "True", reason)]}})
}

#[test]
fn a_rollout_that_does_not_get_on_is_told() {
    let at = |seconds: i64| format!("wake at {}", now() + SignedDuration::from_secs(seconds));
    assert_eq!(told(2, under_way("ReplicaSetUpdated", 100), "b:v2:2/1"), [at(500)]);
    let late = r#"Progressing=False ProgressDeadlineExceeded: ReplicaSet "b" has timed out progressing."#;
    let available = "Available=True MinimumReplicasAvailable: ";
    assert_eq!(told(2, under_way("ReplicaSetUpdated", 600), "b:v2:2/1"), ["{}", available, late]);
    // One that was complete does not run late when a pod fails.
    assert!(told(2, under_way("NewReplicaSetAvailable", 9999), "b:v2:2/1").is_empty());
    let mut endless = under_way("ReplicaSetUpdated", 9999);
    merge(&mut endless, json!({"spec": {"progressDeadlineSeconds": i32::MAX}}));
    assert!(told(2, endless, "b:v2:2/1").is_empty());
}

#[test]
fn pausing_is_told() {
    let mut paused = under_way("ReplicaSetUpdated", 100);
    merge(&mut paused, json!({"spec": {"paused": true}}));
    let available = "Available=True MinimumReplicasAvailable: ";
    let told_paused = "Progressing=Unknown DeploymentPaused: Deployment is paused";
    assert_eq!(told(2, paused, "b:v2:2/1"), ["{}", available, told_paused]);
    let resumed = under_way("DeploymentPaused", 100);
    let told_resumed = "Progressing=Unknown DeploymentResumed: Deployment is resumed";
    assert_eq!(told(2, resumed, "b:v2:2/1")[..3], ["{}", available, told_resumed]);
}

#[test]
fn bounds_are_numbers_or_percentages() {
    let bounds = |replicas: i32, surge: Value, unavailable: Value| {
        let more = json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}});
        let bounds = Bounds::of(&deployment(replicas, &more));
        (bounds.surge, bounds.unavailable)
    };
    assert_eq!(bounds(10, 3.into(), 2.into()), (3, 2));
    assert_eq!(bounds(10, "25%".into(), "25%".into()), (3, 2));
    assert_eq!(bounds(10, Value::Null, Value::Null), (3, 2));
    assert_eq!(bounds(3, "0%".into(), "10%".into()), (0, 1));
    assert_eq!(bounds(1, "25%".into(), "25%".into()), (1, 0));
    assert_eq!(bounds(2, 0.into(), 5.into()), (0, 2));
}
