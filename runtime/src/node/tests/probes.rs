//! Probes and hooks of pods on a node: what follows from their answers, and what people see of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Trial;

/// A node with one pod, whose container plays `script` and has these fields besides.
async fn with_container(script: &str, fields: Value, spec: Value) -> Trial {
    let trial = Trial::new("localhost/web:v1", script).await;
    let mut container = json!({"name": "main", "image": "localhost/web:v1"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut whole = json!({"containers": [container]});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    trial.create(trial.pod("web", whole)).await;
    trial.settle().await;
    trial
}

fn get(port: u16, more: Value) -> Value {
    let mut probe = json!({"httpGet": {"port": port, "path": "/healthz"}, "periodSeconds": 2});
    probe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    probe
}

/// Whether the container has started and is ready, and how often it was started again.
fn state(trial: &Trial) -> (bool, bool, u64) {
    let container = &trial.status("web")["containerStatuses"][0];
    let is = |field: &str| container[field].as_bool().unwrap();
    (is("started"), is("ready"), container["restartCount"].as_u64().unwrap())
}

async fn after(trial: &Trial, seconds: u64, expected: (bool, bool, u64)) {
    trial.wait(Duration::from_secs(seconds)).await;
    assert_eq!(state(trial), expected, "at {}", trial.now());
}

/// Holds that these are the events that warn and those that tell of an end; each comes once, however often it was recorded.
fn check_told(trial: &Trial, expected: &[&str]) {
    let is_told = |event: &&Value| event["type"] == "Warning" || event["reason"] == "Killing";
    let words = |event: &Value| {
        let (reason, message) = (event["reason"].as_str().unwrap(), event["message"].as_str().unwrap());
        format!("{reason}: {message}")
    };
    let mut told: Vec<String> = trial.stored_events("web").iter().filter(is_told).map(words).collect();
    let mut expected = expected.to_vec();
    told.sort();
    expected.sort_unstable();
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_ready_as_long_as_its_probe_succeeds() {
    let probe = json!({"readinessProbe": get(8080, json!({"failureThreshold": 1}))});
    let trial = with_container("serve 8080; fail 8080 from 5s for 4s", probe, json!({})).await;
    assert_eq!(state(&trial), (true, true, 0), "it is asked at once");
    assert_eq!(trial.writes("web"), 1, "the first answer is waited for");
    after(&trial, 5, (true, true, 0)).await;
    after(&trial, 1, (true, false, 0)).await;
    let conditions = trial.status("web")["conditions"].clone();
    let ready = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == "Ready").unwrap();
    let words = "containers with unready status: [main]";
    assert_eq!(
        (&ready["status"], &ready["reason"], &ready["message"]),
        (&json!("False"), &json!("ContainersNotReady"), &json!(words))
    );
    assert_eq!(trial.status("web")["phase"], "Running");
    after(&trial, 4, (true, true, 0)).await;
    check_told(&trial, &["Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503"]);
    let before = trial.writes("web");
    after(&trial, 3600, (true, true, 0)).await;
    assert_eq!(trial.writes("web"), before, "what does not change is not written");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_does_not_live_is_started_again() {
    let probe = json!({"livenessProbe": get(8080, json!({"failureThreshold": 2, "periodSeconds": 1}))});
    let trial = with_container("serve 8080; fail 8080 from 5s", probe, json!({})).await;
    after(&trial, 5, (true, true, 0)).await;
    after(&trial, 3, (true, true, 1)).await;
    let last = &trial.status("web")["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(143), &json!("Error")));
    let failed = "Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 503";
    check_told(&trial, &[failed, "Killing: Container main failed liveness probe, will be restarted"]);
    after(&trial, 60, (false, false, 4)).await;
    let waiting = &trial.status("web")["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "CrashLoopBackOff");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_never_runs_again_fails_its_pod() {
    let probe = json!({"livenessProbe": get(81, json!({"failureThreshold": 1}))});
    let trial = with_container("serve 8080", probe, json!({"restartPolicy": "Never"})).await;
    trial.wait(Duration::from_secs(5)).await;
    assert_eq!(trial.status("web")["phase"], "Failed");
    let refused = "dial tcp 10.128.0.2:81: connect: connection refused";
    let unhealthy =
        format!("Unhealthy: Liveness probe failed: Get \"http://10.128.0.2:81/healthz\": {refused}");
    check_told(&trial, &[&unhealthy, "Killing: Container main failed liveness probe"]);
}

#[tokio::test(start_paused = true)]
async fn the_others_wait_for_the_startup_probe() {
    let probes = json!({
        "startupProbe": get(8080, json!({"failureThreshold": 3, "successThreshold": 1})),
        "livenessProbe": get(8080, json!({"failureThreshold": 1})),
        "readinessProbe": {"exec": {"command": ["test", "-d", "/tmp"]}},
    });
    let trial = with_container("serve 8080; fail 8080 from 0s for 3s", probes.clone(), json!({})).await;
    assert_eq!(state(&trial), (false, false, 0));
    after(&trial, 3, (false, false, 0)).await;
    after(&trial, 2, (true, true, 0)).await;
    let failed = "Unhealthy: Startup probe failed: HTTP probe failed with statuscode: 503";
    check_told(&trial, &[failed]);
    let trial = with_container("serve 8080; fail 8080 from 0s for 1h", probes, json!({})).await;
    after(&trial, 5, (false, false, 0)).await;
    after(&trial, 2, (false, false, 1)).await;
    check_told(&trial, &[failed, "Killing: Container main failed startup probe, will be restarted"]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_may_give_less_time_to_end() {
    let liveness = get(81, json!({"failureThreshold": 1, "terminationGracePeriodSeconds": 4}));
    let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 600});
    let trial = with_container("stop never", json!({"livenessProbe": liveness}), spec).await;
    trial.wait(Duration::from_secs(2)).await;
    assert_eq!(trial.status("web")["phase"], "Running");
    trial.wait(Duration::from_secs(5)).await;
    let status = trial.status("web");
    let ended = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&status["phase"], &ended["exitCode"]), (&json!("Failed"), &json!(137)));
}

#[tokio::test(start_paused = true)]
async fn a_container_counts_as_running_when_its_hook_has_ended() {
    let hook = json!({"lifecycle": {"postStart": {"sleep": {"seconds": 3}}}, "readinessProbe": get(8080, json!({}))});
    let trial = with_container("serve 8080", hook, json!({})).await;
    trial.wait(Duration::from_secs(2)).await;
    let waiting = &trial.status("web")["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "ContainerCreating");
    after(&trial, 1, (true, true, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_after_the_start_ends_the_container() {
    let hook = json!({"lifecycle": {"postStart": {"httpGet": {"port": 81, "path": "/"}}}});
    let trial = with_container("serve 8080", hook, json!({"restartPolicy": "Never"})).await;
    trial.wait(Duration::from_secs(1)).await;
    assert_eq!(trial.status("web")["phase"], "Failed");
    check_told(&trial, &["FailedPostStartHook: PostStartHook failed", "Killing: FailedPostStartHook"]);
    let hook = json!({"lifecycle": {"postStart": {"tcpSocket": {"port": 8080}}}});
    let trial = with_container("serve 8080", hook, json!({"restartPolicy": "Never"})).await;
    trial.wait(Duration::from_secs(1)).await;
    assert_eq!(trial.status("web")["phase"], "Failed", "as with a kubelet");
}

#[tokio::test(start_paused = true)]
async fn a_hook_before_the_end_has_its_time_and_no_more() {
    let hook = |hook: Value| json!({"lifecycle": {"preStop": hook}, "readinessProbe": get(8080, json!({}))});
    let check = async |script: &str, fields: Value, seconds: u64, code: i32, words: &[&str]| {
        let trial = with_container(script, fields, json!({})).await;
        trial.delete("web").await;
        trial.wait(Duration::from_secs(seconds - 1)).await;
        assert!(trial.get("web").is_some(), "{script}: gone after {} s", seconds - 1);
        trial.wait(Duration::from_millis(1500)).await;
        assert!(trial.get("web").is_none(), "{script}: still there after {seconds} s");
        let ended = &trial.last_written("web")["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(ended["exitCode"], code);
        check_told(&trial, words);
    };
    let killing = "Killing: Stopping container main";
    let sleep = |seconds: u64| hook(json!({"sleep": {"seconds": seconds}}));
    check("serve 8080; stop 1s", sleep(5), 6, 143, &[killing]).await;
    check("serve 8080; stop 1s", sleep(60), 31, 143, &[killing]).await;
    check("serve 8080; stop never", sleep(60), 32, 137, &[killing]).await;
    check("serve 8080; stop never", sleep(5), 30, 137, &[killing]).await;
    let refused = hook(json!({"httpGet": {"port": 81, "path": "/"}}));
    let words = [killing, "FailedPreStopHook: PreStopHook failed"];
    check("serve 8080; stop 2s", refused, 2, 143, &words).await;
}

#[tokio::test(start_paused = true)]
async fn connections_come_in_as_long_as_the_hook_runs() {
    let fields = json!({
        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
        "readinessProbe": get(8080, json!({"failureThreshold": 1})),
        "livenessProbe": get(81, json!({"failureThreshold": 1, "initialDelaySeconds": 5})),
    });
    let trial = with_container("serve 8080; fail 8080 from 6s; stop 5s", fields, json!({})).await;
    trial.delete("web").await;
    after(&trial, 5, (true, true, 0)).await;
    after(&trial, 2, (true, false, 0)).await;
    let unhealthy = "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503";
    // Whether it lives is not asked any more.
    check_told(&trial, &["Killing: Stopping container main", unhealthy]);
    trial.wait(Duration::from_secs(20)).await;
    assert!(trial.get("web").is_none());
}

#[tokio::test(start_paused = true)]
async fn probes_are_counted() {
    let probe = json!({"readinessProbe": get(8080, json!({}))});
    let trial = with_container("serve 8080; fail 8080 from 5s", probe, json!({})).await;
    trial.wait(Duration::from_secs(9)).await;
    let (code, page) = trial.ask("/metrics/probes").await;
    assert_eq!(code, 200);
    let labels = "container=\"main\",namespace=\"default\",pod=\"web\",probe_type=\"Readiness\"";
    let count = |result: &str, count: u32| {
        let line = format!("prober_probe_total{{{labels},pod_uid=\"uid-web\",result=\"{result}\"}} {count}");
        assert!(page.lines().any(|found| found == line), "{line} not in {page}");
    };
    count("successful", 3);
    count("failed", 2);
    trial.remove("web");
    trial.settle().await;
    assert!(!trial.ask("/metrics/probes").await.1.contains("pod=\"web\""));
}
