//! Containers that come before the others and those that run beside them, as their pod's status shows them.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Trial;

/// A node with a pod: `setup` takes two seconds, `proxy` runs beside `main`.
async fn with_pod(main: &str, spec: Value) -> Trial {
    let trial = Trial::new("localhost/web:v1", main).await;
    trial.engine.register("localhost/setup:v1", "print ready; exit 0 after 2s").unwrap();
    trial.engine.register("localhost/proxy:v1", "start 1s; stop 3s").unwrap();
    let first = json!([
        {"name": "proxy", "image": "localhost/proxy:v1", "restartPolicy": "Always"},
        {"name": "setup", "image": "localhost/setup:v1"}
    ]);
    let mut whole = json!({"initContainers": first});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    trial.create(trial.pod("web", whole)).await;
    trial
}

fn condition(status: &Value, name: &str) -> Value {
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == name).unwrap();
    json!([found["status"], found["reason"], found["message"]])
}

#[tokio::test(start_paused = true)]
async fn a_pod_shows_how_far_its_first_containers_are() {
    let trial = with_pod("", json!({})).await;
    trial.wait(Duration::from_millis(500)).await;
    let status = trial.status("web");
    for list in ["initContainerStatuses", "containerStatuses"] {
        let waiting = &status[list][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], "PodInitializing", "{list}");
    }
    let incomplete = "containers with incomplete status: [proxy setup]";
    assert_eq!(condition(&status, "Initialized"), json!(["False", "ContainersNotInitialized", incomplete]));
    trial.wait(Duration::from_secs(1)).await;
    let status = trial.status("web");
    let [proxy, setup] = [&status["initContainerStatuses"][0], &status["initContainerStatuses"][1]];
    assert!(proxy["state"]["running"].is_object() && setup["state"]["running"].is_object(), "{status}");
    assert_eq!(
        (&proxy["ready"], &proxy["started"], &setup["ready"]),
        (&json!(true), &json!(true), &json!(false))
    );
    assert_eq!(status["phase"], "Pending");
    trial.wait(Duration::from_secs(2)).await;
    let status = trial.status("web");
    let setup = &status["initContainerStatuses"][1];
    assert_eq!(setup["state"]["terminated"]["reason"], "Completed");
    assert_eq!((&setup["ready"], &setup["started"]), (&json!(true), &json!(false)));
    assert_eq!(condition(&status, "Initialized"), json!(["True", null, null]));
    assert_eq!(condition(&status, "Ready"), json!(["True", null, null]));
    assert_eq!(status["phase"], "Running");
    assert_eq!(trial.ask("/containerLogs/default/web/setup").await, (200, "ready\n".into()));
    let fields: Vec<Value> =
        trial.stored_events("web").iter().map(|event| event["involvedObject"]["fieldPath"].clone()).collect();
    assert_eq!(fields[0], "spec.initContainers{proxy}");
    assert_eq!(fields[8], "spec.containers{main}");
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_with_its_own_container_and_then_its_sidecar() {
    let trial = with_pod("exit 0 after 5s", json!({"restartPolicy": "Never"})).await;
    trial.wait(Duration::from_secs(9)).await;
    let status = trial.status("web");
    assert_eq!(status["phase"], "Running", "the sidecar takes its time");
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    trial.wait(Duration::from_secs(3)).await;
    let status = trial.status("web");
    assert_eq!(status["phase"], "Succeeded");
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 143);
    assert_eq!(condition(&status, "Initialized"), json!(["True", "PodCompleted", null]));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_first_is_not_done_again_after_a_restart() {
    let mut trial = with_pod("", json!({})).await;
    trial.wait(Duration::from_secs(4)).await;
    trial.restart().await;
    trial.wait(Duration::from_secs(2)).await;
    let status = trial.status("web");
    let counts = |list: &str| {
        let list = status[list].as_array().unwrap();
        list.iter().map(|one| one["restartCount"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((counts("initContainerStatuses"), counts("containerStatuses")), (vec![1, 0], vec![1]));
    assert_eq!(condition(&status, "Ready"), json!(["True", null, null]));
    assert_eq!(status["initContainerStatuses"][1]["state"]["terminated"]["exitCode"], 0);
}
