//! The rules of Jobs, one row each.

mod random;

use serde_json::{Value, json};

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, ago, merge, now, object, pod};
use tracking::FINALIZER;

/// A Job `j` of 3 completions, 2 at a time, that began 100 seconds ago and has told all it can tell of no pods.
fn job(more: &Value) -> Typed<Job> {
    let mut value = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "j", "namespace": "n", "uid": "job", "resourceVersion": "1"},
        "spec": {"parallelism": 2, "completions": 3, "backoffLimit": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}},
        "status": {"startTime": ago(100), "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}},
    });
    merge(&mut value, more.clone());
    Typed::new(object(value)).expect("a Job")
}

/// A Job's pod from the words of [`pod`], and: `loose`, without the finalizer; `index=N`; `ended=SECONDS` ago.
fn worker(text: &str) -> Typed<Pod> {
    let own = ["loose", "index", "ended"];
    let is_own = |word: &&str| own.contains(&word.split('=').next().unwrap_or_default());
    let plain: Vec<&str> = text.split(':').filter(|word| !is_own(word)).collect();
    let owner = owner::controller_reference(&JOBS, job(&json!({})).object());
    let mut value = pod(&plain.join(":"), &json!([owner])).object().value().clone();
    value["metadata"]["finalizers"] = json!([FINALIZER]);
    for word in text.split(':').filter(is_own) {
        match word.split_once('=') {
            Some(("index", index)) => {
                value["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = index.into();
            }
            Some((_, seconds)) => {
                let finished = ago(seconds.parse().expect("seconds"));
                let state = json!({"terminated": {"exitCode": 1, "finishedAt": finished}});
                value["status"]["containerStatuses"] = json!([{"name": "c", "restartCount": 0, "ready": false,
                    "image": "", "imageID": "", "state": state}]);
            }
            None => value["metadata"]["finalizers"] = json!([]),
        }
    }
    Typed::new(object(value)).expect("a pod")
}

fn look(more: Value, pods: &str) -> Vec<String> {
    let job = job(&more);
    let pods = pods.split_whitespace().map(worker).collect();
    let selector = selector_of(job.object());
    let target = Target::of(&JOBS, job.object());
    let state = State { selector, target, pods, strays: vec![], job: Some(job) };
    let mut actions = describe(&reconcile(&state, now()));
    // Preconditions are the same everywhere.
    actions.iter_mut().for_each(|action| {
        *action = action
            .replace(r#""metadata":{"resourceVersion":"1"},"#, "")
            .replace(r#","resourceVersion":"1""#, "");
    });
    actions
}

/// What is done with pods.
fn check(more: Value, pods: &str, expected: &[&str]) {
    let mut actions = look(more.clone(), pods);
    actions.retain(|action| action.contains(" Pod ") || action.starts_with("wake"));
    let expected: Vec<String> = expected.iter().map(|text| text.replace("free ", &free(""))).collect();
    let expected: Vec<String> = expected.iter().map(|text| close(text)).collect();
    assert_eq!(actions, expected, "{more} {pods:?}");
}

const FREE: &str = r#" {"metadata":{"finalizers":[]}}"#;

fn free(name: &str) -> String {
    format!("patch Pod {name}")
}

fn close(text: &str) -> String {
    if text.starts_with("patch Pod") { format!("{text}{FREE}") } else { text.to_owned() }
}

/// What the status says then, conditions and events in brief.
fn told(more: Value, pods: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for action in look(more, pods) {
        if let Some(status) = action.strip_prefix("patch Job j/status ") {
            let mut status: Value = serde_json::from_str(status).expect("a tree");
            let conditions = status["status"].as_object_mut().expect("a status").remove("conditions");
            texts.push(status["status"].to_string());
            for condition in conditions.iter().flat_map(|all| all.as_array()).flatten() {
                let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
                texts.push(format!("{}={} {}", text("type"), text("status"), text("reason")));
            }
        } else if !action.contains(" Pod ") && !action.starts_with("wake") {
            texts.push(action);
        }
    }
    texts
}

#[test]
fn as_many_pods_as_work_is_left_for() {
    check(json!({}), "", &["create 2 Pod j-*"]);
    check(json!({}), "a:n1:running", &["create 1 Pod j-*"]);
    check(json!({}), "a:n1:running b:n1", &[]);
    check(json!({"status": {"succeeded": 2}}), "", &["create 1 Pod j-*"]);
    check(json!({"status": {"succeeded": 2}}), "a:n1", &[]);
    check(json!({"spec": {"parallelism": 0}}), "", &[]);
    check(json!({"spec": {"parallelism": 1}}), "a:n1:running b:n1", &["free b", "delete Pod b"]);
    check(json!({"spec": {"parallelism": 5000, "completions": 5000}}), "", &["create 500 Pod j-*"]);
    // One that would not be counted goes first.
    check(json!({"spec": {"parallelism": 1}}), "a:n1:ready:loose b:n1", &["delete Pod a"]);
    check(json!({"metadata": {"deletionTimestamp": NOW}}), "a:n1", &["free a"]);
    check(json!({"spec": {"managedBy": "example.com/other"}}), "a:n1:succeeded", &[]);
    check(json!({"spec": {"managedBy": "kubernetes.io/job-controller"}}), "", &["create 2 Pod j-*"]);
}

#[test]
fn a_success_is_written_before_its_pod_goes_and_counted_after() {
    let entered = r#"{"active":1,"uncountedTerminatedPods":{"failed":null,"succeeded":["a"]}}"#;
    assert_eq!(told(json!({}), "a:n1:succeeded b:n1"), [entered]);
    let actions = look(json!({}), "a:n1:succeeded b:n1");
    assert!(actions[0].starts_with("patch Job j/status"), "{actions:?}");
    assert_eq!(actions[1..], [close(&free("a")), "create 1 Pod j-*".into()]);
    let entered = || json!({"status": {"active": 1, "uncountedTerminatedPods": {"succeeded": ["a"]}}});
    // Not again, but its finalizer goes; and once that is off, it counts.
    assert!(told(entered(), "a:n1:succeeded b:n1").is_empty());
    check(entered(), "a:n1:succeeded b:n1", &["free a", "create 1 Pod j-*"]);
    let counted = r#"{"succeeded":1,"uncountedTerminatedPods":{"failed":null,"succeeded":null}}"#;
    assert_eq!(told(entered(), "a:n1:succeeded:loose b:n1"), [counted]);
    assert_eq!(told(entered(), "b:n1"), [counted]);
    // And never again.
    assert!(told(json!({"status": {"succeeded": 1}}), "a:n1:succeeded:loose").is_empty());
}

#[test]
fn a_failure_is_borne_with_growing_patience() {
    let wait = |seconds: i64| format!("wake at {}", now() + jiff::SignedDuration::from_secs(seconds));
    let often = || json!({"spec": {"backoffLimit": 20}, "status": {"failed": 1}});
    check(often(), "a:n1:failed:loose:ended=3", &[&wait(7)]);
    check(often(), "a:n1:failed:loose:ended=10", &["create 2 Pod j-*"]);
    let pods = "a:n1:failed:loose:ended=60 b:n1:failed:loose:ended=40 c:n1:failed:loose:ended=3";
    check(often(), pods, &[&wait(37)]);
    let pods = "a:n1:failed:loose:ended=60 b:n1:succeeded:loose:ended=50 c:n1:failed:loose:ended=3";
    check(often(), pods, &[&wait(7)]);
    let pods: Vec<String> = (0..12).map(|number| format!("p{number}:n1:failed:loose:ended=1")).collect();
    check(often(), &pods.join(" "), &[&wait(359)]);
    // One that is being deleted has failed, and is replaced when it is asked for.
    check(often(), "a:n1:running:terminating", &["free a", &wait(10)]);
    let awaits = || json!({"spec": {"podReplacementPolicy": "Failed"}});
    check(awaits(), "a:n1:running:terminating", &["create 1 Pod j-*"]);
    check(awaits(), "a:n1:running:terminating b:n1:running", &[]);
    let counted = r#"{"terminating":1}"#;
    assert_eq!(told(awaits(), "a:n1:running:terminating"), [counted]);
}

#[test]
fn a_job_ends_when_all_is_counted() {
    let two = || json!({"status": {"succeeded": 2, "uncountedTerminatedPods": {"succeeded": ["a"]}}});
    let met = "SuccessCriteriaMet=True CompletionsReached";
    assert_eq!(told(two(), "a:n1:succeeded"), ["{}", met]);
    let complete = "Complete=True CompletionsReached";
    let told_all = told(two(), "a:n1:succeeded:loose");
    assert_eq!(told_all[1..], [met, complete, "Completed: Job completed"]);
    let counts = format!(
        r#"{{"completionTime":"{NOW}","succeeded":3,"uncountedTerminatedPods":{{"failed":null,"succeeded":null}}}}"#
    );
    assert_eq!(told_all[0], counts);
    // Whoever still runs is sent away first, and does not count.
    let done = || json!({"status": {"succeeded": 3}});
    assert_eq!(told(done(), "b:n1"), [r#"{"active":1}"#, met]);
    check(done(), "b:n1", &["free b", "delete Pod b"]);
    assert_eq!(told(done(), "b:n1:terminating:loose"), [r#"{"terminating":1}"#, met]);
    // Nothing to do is done.
    assert_eq!(
        told(json!({"spec": {"completions": 0}}), "")[1..],
        [met, complete, "Completed: Job completed"]
    );
    let over = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
    check(over, "a:n1:succeeded", &["free a"]);
}

#[test]
fn work_from_a_queue_is_done_at_the_first_success() {
    let queue = || json!({"spec": {"completions": null}});
    check(queue(), "", &["create 2 Pod j-*"]);
    check(queue(), "a:n1:succeeded b:n1", &["free a"]);
    assert_eq!(told(queue(), "a:n1:succeeded b:n1").len(), 1);
    let met = "SuccessCriteriaMet=True CompletionsReached";
    assert_eq!(told(queue(), "a:n1:succeeded b:n1:failed")[1..], [met]);
}

#[test]
fn too_many_failures_end_it() {
    let target = "FailureTarget=True BackoffLimitExceeded";
    let two = "a:n1:failed b:n1:failed c:n1:running";
    let entered = r#"{"active":1,"uncountedTerminatedPods":{"failed":["a","b","c"],"succeeded":null}}"#;
    assert_eq!(told(json!({}), two), [entered, target]);
    check(json!({}), two, &["free a", "free b", "free c", "delete Pod c"]);
    let said = json!({"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified backoff limit"});
    let last = json!({"status": {"conditions": [said], "failed": 3}});
    let event = "BackoffLimitExceeded: Job has reached the specified backoff limit";
    assert_eq!(told(last, "a:n1:failed:loose")[2..], ["Failed=True BackoffLimitExceeded", event]);
    // With the finalizer off, pods that stop are still waited for.
    let waits = json!({"status": {"conditions": [said], "failed": 3}});
    assert_eq!(told(waits, "c:n1:running:terminating:loose"), [r#"{"terminating":1}"#]);
    // Containers that are started again in their pod.
    let restarts = json!({"spec": {"template": {"spec": {"restartPolicy": "OnFailure"}}}});
    assert_eq!(told(restarts.clone(), "a:n1:running:restarts=1")[1..], [target]);
    assert_eq!(told(restarts, "a:n1:running:restarts=0").len(), 1);
}

#[test]
fn a_job_has_a_deadline() {
    let at = |seconds: i64| json!({"spec": {"activeDeadlineSeconds": seconds}});
    check(at(101), "a:n1 b:n1", &["wake at 2026-01-01T12:00:01Z"]);
    assert_eq!(told(at(100), "a:n1")[1..], ["FailureTarget=True DeadlineExceeded"]);
    let fresh = json!({"spec": {"activeDeadlineSeconds": 5}, "status": {"startTime": null}});
    assert_eq!(told(fresh.clone(), ""), [format!(r#"{{"startTime":"{NOW}"}}"#)]);
    check(fresh, "", &["create 2 Pod j-*"]);
    let suspended = json!({"spec": {"activeDeadlineSeconds": 5, "suspend": true}});
    assert_eq!(told(suspended, "")[1..], ["Suspended=True JobSuspended", "Suspended: Job suspended"]);
}

#[test]
fn a_suspended_job_has_no_pods_and_starts_anew() {
    let suspended = || json!({"spec": {"suspend": true}});
    check(suspended(), "", &[]);
    check(suspended(), "a:n1 b:n1:succeeded", &["free a", "free b", "delete Pod a"]);
    let said = json!({"type": "Suspended", "status": "True"});
    let resumed = json!({"status": {"conditions": [said]}});
    let expected = [
        format!(r#"{{"startTime":"{NOW}"}}"#),
        "Suspended=False JobResumed".into(),
        "Resumed: Job resumed".into(),
    ];
    assert_eq!(told(resumed, ""), expected);
}

fn indexed(completed: &str) -> Value {
    let spec = json!({"completionMode": "Indexed", "completions": 5, "parallelism": 3, "backoffLimit": 10});
    json!({"spec": spec, "status": {"completedIndexes": completed}})
}

#[test]
fn an_indexed_job_has_a_pod_for_each_index() {
    check(indexed(""), "", &["create 1 Pod j-0-*", "create 1 Pod j-1-*", "create 1 Pod j-2-*"]);
    check(indexed("0,2"), "a:n1:index=3", &["create 1 Pod j-1-*", "create 1 Pod j-4-*"]);
    // The index is what counts, however many had it.
    let pods = "a:n1:succeeded:index=1 b:n1:succeeded:index=1:loose c:n1:index=2 d:n1:index=3 e:n1:index=4";
    assert_eq!(told(indexed("0"), pods), [r#"{"active":3,"completedIndexes":"0,1","succeeded":2}"#]);
    check(indexed("0"), pods, &["free a"]);
    // Twice the same, or none at all, is one too many.
    check(indexed(""), "a:n1:index=1 b:n1:ready:index=1", &["free a", "delete Pod a"]);
    check(indexed(""), "a:n1 b:n1:index=7", &["free a", "free b", "delete Pod a", "delete Pod b"]);
    let four = "a:n1:ready:index=0 b:n1:index=1 c:n1:ready:index=2 d:n1:ready:index=3";
    check(indexed(""), four, &["free b", "delete Pod b"]);
    assert_eq!(
        told(indexed("0-4"), "")[2..],
        ["Complete=True CompletionsReached", "Completed: Job completed"]
    );
}

#[test]
fn a_pod_knows_its_index() {
    let job = job(&indexed(""));
    let Action::Create(create) = template::create(&job, &Spec::of(&job), crew::Place::Index(4)) else {
        panic!("no create");
    };
    let pod = create.value;
    assert_eq!(pod["metadata"]["generateName"], "j-4-");
    assert_eq!(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], "4");
    assert_eq!(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"], "4");
    assert_eq!(pod["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!(pod["spec"]["hostname"], "j-4");
    let field = json!({"fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"});
    let variable = json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": field}});
    assert_eq!(pod["spec"]["containers"][0]["env"], json!([variable]));
}

#[test]
fn pods_are_adopted_released_and_let_go() {
    let adopted = look(json!({}), "a:n1:orphan:loose");
    assert_eq!(adopted.len(), 1, "{adopted:?}");
    assert!(
        adopted[0].contains(r#""kind":"Job","name":"j""#) && adopted[0].contains(FINALIZER),
        "{adopted:?}"
    );
    let released = look(json!({}), "a:n1:app=db");
    assert_eq!(released, [r#"patch Pod a {"metadata":{"finalizers":[],"ownerReferences":[]}}"#]);
    // One that ended may have been counted already.
    check(json!({}), "a:n1:orphan:succeeded b:n1 c:n1", &[]);
    let strays = vec![worker("a:n1:succeeded").object().clone()];
    let target = Target::of(&JOBS, job(&json!({})).object());
    let gone = State { job: None, selector: LabelSelector::nothing(), pods: vec![], target, strays };
    let actions = describe(&reconcile(&gone, now()));
    assert_eq!(actions[0], "expect no Job j");
    assert!(actions[1].starts_with("patch Pod a") && actions.len() == 2, "{actions:?}");
    // Both a pod and a status are only written over what was seen.
    assert!(actions[1].contains(r#""resourceVersion":"1""#), "{actions:?}");
    let job = job(&json!({"status": null}));
    let told = describe(&decide(&job, &[], now()));
    assert!(told[0].contains(r#"{"metadata":{"resourceVersion":"1"},"status""#), "{told:?}");
}

#[test]
fn a_stray_is_one_that_its_job_will_not_count() {
    let job = job(&json!({}));
    let selector = selector_of(job.object());
    let stray = |text: &str| tracking::is_stray(Some(job.object()), &selector, worker(text).object());
    assert!(!stray("a:n1"));
    assert!(!stray("a:n1:orphan"));
    assert!(stray("a:n1:orphan:succeeded"));
    assert!(stray("a:n1:orphan:terminating"));
    assert!(stray("a:n1:orphan:app=db"));
    assert_eq!(tracking::job_of(worker("a:n1").object()).expect("a Job").to_string(), "n/j");
    assert!(tracking::job_of(worker("a:n1:loose").object()).is_none());
}
