//! Containers that are added to a running pod to look at it.

use serde_json::{Value, json};

use super::cluster::Trial;
use super::streams::{ALL, EXEC, SUCCESS, talk};

async fn with_debugger(script: &str, rest: Value) -> Trial {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.engine.register("localhost/shell:v1", script).unwrap();
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    let mut added = json!({"name": "debugger", "image": "localhost/shell:v1", "targetContainerName": "main"});
    added.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    trial.change("web", json!({"spec": {"ephemeralContainers": [added]}}));
    trial.settle().await;
    trial
}

fn debugger(status: &Value) -> &Value {
    &status["ephemeralContainerStatuses"][0]
}

#[tokio::test(start_paused = true)]
async fn it_is_started_spoken_to_and_not_started_again() {
    let trial = with_debugger("print hello; repeat", json!({"stdin": true, "stdinOnce": true})).await;
    let status = trial.status("web");
    assert_eq!(status["containerStatuses"].as_array().unwrap().len(), 1);
    assert!(debugger(&status)["state"]["running"].is_object(), "{status}");
    assert_eq!(debugger(&status)["ready"], false);
    assert_eq!(debugger(&status)["containerID"], "peapod://uid-web/debugger/0");
    let path = format!("/exec/default/web/debugger?{ALL}&command=echo&command=one");
    assert_eq!(talk(&trial, &path, &EXEC, "").await[1..], ["one\n", "", SUCCESS]);
    let path = format!("/attach/default/web/debugger?{ALL}");
    assert_eq!(talk(&trial, &path, &EXEC, "two\n").await[1..], ["two\n", "", SUCCESS]);
    trial.settle().await;
    let status = trial.status("web");
    assert_eq!(debugger(&status)["state"]["terminated"]["exitCode"], 0);
    assert_eq!(debugger(&status)["restartCount"], 0);
    let ready = status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Ready").unwrap();
    assert_eq!((&status["phase"], &ready["status"]), (&json!("Running"), &json!("True")));
    assert_eq!(trial.ask("/containerLogs/default/web/debugger").await, (200, "hello\ntwo\n".to_owned()));
    let event = trial.stored_events("web").into_iter().rfind(|event| event["reason"] == "Started").unwrap();
    assert_eq!(event["involvedObject"]["fieldPath"], "spec.ephemeralContainers{debugger}");
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_for_too_much_says_so_and_leaves_the_pod_alone() {
    let trial = with_debugger("", json!({"volumeDevices": [{"name": "d", "devicePath": "/d"}]})).await;
    let status = trial.status("web");
    let waiting = &debugger(&status)["state"]["waiting"];
    assert_eq!(waiting["message"], "spec.ephemeralContainers[0].volumeDevices: not supported yet");
    assert!(status["containerStatuses"][0]["state"]["running"].is_object());
    let refused = trial.ask("/containerLogs/default/web/debugger").await;
    let words = "container \"debugger\" in pod \"web\" is waiting to start: CreateContainerError";
    assert_eq!((refused.0, refused.1.trim()), (400, words));
}
