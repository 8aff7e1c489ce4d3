//! The last words of containers in their pod's status.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Trial;

async fn words_of(script: &str, container: Value, spec: Value) -> (Trial, Value) {
    let trial = Trial::new("localhost/web:v1", script).await;
    let mut whole = json!({"name": "main", "image": "localhost/web:v1"});
    whole.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let mut all = json!({"restartPolicy": "Never", "containers": [whole]});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    trial.create(trial.pod("web", all)).await;
    trial.wait(Duration::from_secs(1)).await;
    let message = trial.status("web")["containerStatuses"][0]["state"]["terminated"]["message"].clone();
    (trial, message)
}

#[tokio::test(start_paused = true)]
async fn what_a_container_wrote_to_its_file_is_its_message() {
    let script = "print line; write /dev/termination-log it is over; exit 3";
    let (trial, words) = words_of(script, json!({}), json!({})).await;
    assert_eq!(words, "it is over");
    assert_eq!(trial.files(), ["logs/default_web_uid-web/main/0.log", "pods/uid-web/containers"]);
    let elsewhere = json!({"terminationMessagePath": "/tmp/words/last"});
    let (_, words) = words_of("write /tmp/words/last 0; exit 0", elsewhere, json!({})).await;
    assert_eq!(words, "0");
    let long = format!("write /dev/termination-log {}end; exit 0", "x".repeat(5000));
    let (_, words) = words_of(&long, json!({}), json!({})).await;
    assert_eq!(words, format!("{}end", "x".repeat(4093)));
}

#[tokio::test(start_paused = true)]
async fn the_log_speaks_for_a_container_that_failed_in_silence() {
    let policy = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    let none = json!({});
    let (_, words) = words_of("print one; print two; exit 1", policy.clone(), none.clone()).await;
    assert_eq!(words, "one\ntwo\n");
    let (_, words) = words_of("print one; exit 0", policy.clone(), none.clone()).await;
    assert_eq!(words, Value::Null);
    let (_, words) =
        words_of("print one; write /dev/termination-log two; exit 1", policy.clone(), none.clone()).await;
    assert_eq!(words, "two");
    let (_, words) = words_of("print one; exit 1", json!({}), none.clone()).await;
    assert_eq!(words, Value::Null);
    let many = format!("{}exit 1", "print 0123456789; ".repeat(300));
    let (_, words) = words_of(&many, policy, none).await;
    assert_eq!(words, "0123456789\n".repeat(80));
}

#[tokio::test(start_paused = true)]
async fn a_file_in_a_volume_counts_if_this_run_has_written_it() {
    let inside = json!({"terminationMessagePath": "/data/words",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let volumes = json!({"restartPolicy": "OnFailure", "volumes": [{"name": "data", "emptyDir": {}}]});
    let (trial, _) = words_of("write /data/words first; exit 1", inside, volumes).await;
    let last = |trial: &Trial| trial.status("web")["containerStatuses"][0]["lastState"]["terminated"].clone();
    assert_eq!(last(&trial)["message"], "first");
    trial.engine.register("localhost/web:v1", "exit 2").unwrap();
    trial.wait(Duration::from_secs(12)).await;
    assert_eq!((&last(&trial)["exitCode"], &last(&trial)["message"]), (&json!(2), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_link_is_no_message_and_a_path_that_leads_out_is_refused() {
    let inside = json!({"terminationMessagePath": "/data/words",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let volumes = json!({"volumes": [{"name": "data", "emptyDir": {}}]});
    let trial = Trial::new("localhost/web:v1", "exit 1 after 5s").await;
    let mut container = json!({"name": "main", "image": "localhost/web:v1"});
    container.as_object_mut().unwrap().extend(inside.as_object().unwrap().clone());
    let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes["volumes"]});
    trial.create(trial.pod("web", spec)).await;
    trial.settle().await;
    trial.link("pods/uid-web/volumes/data/words", "/etc/hostname");
    trial.wait(Duration::from_secs(6)).await;
    let words = trial.status("web")["containerStatuses"][0]["state"]["terminated"]["message"].clone();
    assert!(words.as_str().unwrap().starts_with("Error on reading termination log: "), "{words}");

    let trial = Trial::new("localhost/web:v1", "").await;
    let out = json!({"name": "main", "image": "localhost/web:v1", "terminationMessagePath": "/dev/../../x"});
    trial.create(trial.pod("web", json!({"containers": [out]}))).await;
    trial.settle().await;
    let waiting = trial.status("web")["containerStatuses"][0]["state"]["waiting"].clone();
    assert_eq!(waiting["reason"], "CreateContainerError");
    assert_eq!(
        waiting["message"],
        "terminationMessagePath /dev/../../x: must be an absolute path without `..`"
    );
}
