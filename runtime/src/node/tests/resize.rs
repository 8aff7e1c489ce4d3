//! Running containers are given other amounts of what they may use.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Trial;

async fn with_pod(policy: Value) -> Trial {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.create(trial.pod("web", spec("1", policy))).await;
    trial.settle().await;
    trial
}

fn spec(cpu: &str, policy: Value) -> Value {
    let resources =
        json!({"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"cpu": cpu, "memory": "64Mi"}});
    let main =
        json!({"name": "main", "image": "localhost/web:v1", "resources": resources, "resizePolicy": policy});
    json!({"containers": [main]})
}

fn resize(trial: &Trial, cpu: &str, policy: Value) {
    trial.change("web", json!({"spec": spec(cpu, policy)}));
}

fn limit(trial: &Trial) -> Value {
    let status = trial.status("web")["containerStatuses"][0].clone();
    assert_eq!(status["resources"]["requests"], status["allocatedResources"]);
    json!([status["resources"]["limits"]["cpu"], status["restartCount"]])
}

fn obstacle(trial: &Trial) -> Value {
    let status = trial.status("web");
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|one| one["type"].as_str().unwrap().starts_with("PodResize"));
    found.map_or(Value::Null, |found| json!([found["type"], found["reason"], found["message"]]))
}

#[tokio::test(start_paused = true)]
async fn a_container_is_given_more_without_starting_again() {
    let trial = with_pod(json!([])).await;
    assert_eq!(limit(&trial), json!(["1", 0]));
    resize(&trial, "2", json!([]));
    trial.settle().await;
    assert_eq!((limit(&trial), obstacle(&trial)), (json!(["2", 0]), Value::Null));
    let interval = trial.node.usage(&api::Key::new("default", "web"));
    assert_eq!(interval.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_wants_so_starts_again_for_it() {
    let policy = json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
    let trial = with_pod(policy.clone()).await;
    resize(&trial, "2", policy);
    trial.settle().await;
    assert_eq!(limit(&trial), json!(["2", 1]));
    let killing = trial.stored_events("web").into_iter().find(|event| event["reason"] == "Killing").unwrap();
    assert_eq!(killing["message"], "Container main resize requires restart");
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_waits_or_never_comes() {
    let mut trial = with_pod(json!([])).await;
    let other = json!({"name": "main", "image": "localhost/web:v1", "resources": {"requests": {"cpu": "2"}}});
    trial.create(trial.pod("other", json!({"containers": [other]}))).await;
    trial.settle().await;
    resize(&trial, "3", json!([]));
    trial.settle().await;
    let words = "Node didn't have enough resource: cpu, requested: 3000, used: 2000, capacity: 4000";
    assert_eq!(obstacle(&trial), json!(["PodResizePending", "Deferred", words]));
    assert_eq!(limit(&trial), json!(["1", 0]));
    trial.restart().await;
    assert_eq!(limit(&trial), json!(["1", 1]), "what was given is remembered");
    trial.remove("other");
    trial.wait(Duration::from_secs(11)).await;
    assert_eq!((limit(&trial), obstacle(&trial)), (json!(["3", 1]), Value::Null));
    resize(&trial, "5", json!([]));
    trial.settle().await;
    let words = "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000";
    assert_eq!(obstacle(&trial), json!(["PodResizePending", "Infeasible", words]));
}
