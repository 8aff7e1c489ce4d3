//! Tokens of service accounts: fetched before the pod runs, renewed while it does.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Trial;

const TOKEN: &str = "pods/uid-web/volumes/api/token";

fn with_token() -> Value {
    let token = json!({"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}});
    json!({"volumes": [{"name": "api", "projected": {"sources": [token]}}], "serviceAccountName": "robot"})
}

#[tokio::test(start_paused = true)]
async fn a_token_is_there_before_the_pod_runs_and_is_renewed_in_time() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.create(trial.pod("web", with_token())).await;
    trial.settle().await;
    assert_eq!(trial.status("web")["phase"], "Running");
    assert_eq!(trial.writes("web"), 1, "bound to running is one write");
    assert_eq!(trial.read(TOKEN), "robot-0");
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "uid-web"});
    assert_eq!(trial.tokens()[0]["spec"]["boundObjectRef"], bound);
    assert_eq!(trial.tokens()[0]["spec"]["audiences"], json!([]));
    trial.wait(Duration::from_secs(2860)).await;
    assert_eq!(trial.read(TOKEN), "robot-0");
    trial.wait(Duration::from_secs(30)).await;
    assert_eq!(trial.read(TOKEN), "robot-1");
    trial.refuse_tokens(true);
    trial.wait(Duration::from_secs(3000)).await;
    assert_eq!(trial.read(TOKEN), "robot-1", "the last one is used on");
    trial.refuse_tokens(false);
    trial.wait(Duration::from_secs(11)).await;
    assert_eq!(trial.read(TOKEN), "robot-2");
    assert_eq!(trial.status("web")["containerStatuses"][0]["restartCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_holds_the_pod_back_with_words() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.refuse_tokens(true);
    trial.create(trial.pod("web", with_token())).await;
    trial.settle().await;
    let waiting = trial.status("web")["containerStatuses"][0]["state"]["waiting"].clone();
    let words = "MountVolume.SetUp failed for volume \"api\" : failed to fetch token: \
                 Internal error occurred: no key to sign with";
    assert_eq!(waiting, json!({"reason": "ContainerCreating", "message": words}));
    assert_eq!(trial.events("web"), ["FailedMount"]);
    trial.refuse_tokens(false);
    trial.wait(Duration::from_secs(1)).await;
    assert_eq!(trial.status("web")["phase"], "Running");
    assert_eq!(trial.read(TOKEN), "robot-0");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_waits_for_its_token_can_be_deleted() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.refuse_tokens(true);
    trial.create(trial.pod("web", with_token())).await;
    trial.settle().await;
    trial.delete("web").await;
    trial.settle().await;
    assert!(trial.get("web").is_none());
    assert_eq!(trial.files(), [""; 0]);
}
