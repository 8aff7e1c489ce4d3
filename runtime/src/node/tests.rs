//! A node with a small API server: pods from bound to removed.

#![allow(clippy::unwrap_used)]

mod cluster;
mod ephemeral;
mod eviction;
mod names;
mod order;
mod probes;
mod resize;
mod restart;
mod server;
mod streams;
mod tokens;
mod words;

use std::time::Duration;

use api::Key;
use cluster::Trial;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_pod_comes_up_with_one_write_of_its_status() {
    let trial = Trial::new("localhost/web:v1", "serve 8080; print hello").await;
    let pod = trial.pod("web", json!({}));
    trial.create(pod).await;
    trial.settle().await;
    let status = trial.status("web");
    assert_eq!(status["phase"], "Running");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["ready"], true);
    assert_eq!(container["containerID"], "peapod://uid-web/main/0");
    assert_eq!(status["podIP"], status["podIPs"][0]["ip"]);
    assert_eq!(trial.writes("web"), 1, "bound to running is one write");
    let log = trial.node.output().subscribe().next().await.unwrap();
    assert_eq!((&*log.container, log.run), ("main", 0));
    assert_eq!(log.file.follow().next().await.unwrap().text, "hello");
    let expected = ["Pulled", "Created", "Started"];
    assert_eq!(trial.events("web"), expected);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_is_reported_on_the_way() {
    let trial = Trial::new("localhost/web:v1", "start 3s").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.wait(Duration::from_secs(1)).await;
    let state = &trial.status("web")["containerStatuses"][0]["state"];
    assert_eq!(state["waiting"]["reason"], "ContainerCreating");
    trial.wait(Duration::from_secs(3)).await;
    assert_eq!(trial.status("web")["phase"], "Running");
    assert_eq!(trial.writes("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_reports_its_end_and_goes() {
    let trial = Trial::new("localhost/web:v1", "stop 4s; print bye").await;
    trial.create(trial.pod("web", json!({"volumes": [{"name": "tmp", "emptyDir": {}}]}))).await;
    trial.settle().await;
    assert_eq!(
        trial.files(),
        ["logs/default_web_uid-web/main/0.log", "pods/uid-web/containers/main", "pods/uid-web/volumes/tmp"]
    );
    trial.delete("web").await;
    trial.wait(Duration::from_secs(3)).await;
    assert!(trial.get("web").is_some());
    trial.wait(Duration::from_secs(2)).await;
    assert!(trial.get("web").is_none());
    let last = trial.last_written("web");
    assert_eq!(last["phase"], "Failed");
    assert_eq!(last["containerStatuses"][0]["state"]["terminated"]["exitCode"], 143);
    assert_eq!(trial.files(), [""; 0]);
    assert_eq!(trial.events("web")[3..], ["Killing"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_ends_completes_its_pod() {
    let trial = Trial::new("localhost/web:v1", "print done; exit 0 after 5s").await;
    trial.create(trial.pod("job", json!({"restartPolicy": "Never"}))).await;
    trial.wait(Duration::from_secs(6)).await;
    let status = trial.status("job");
    assert_eq!(status["phase"], "Succeeded");
    let terminated = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&terminated["reason"], &terminated["exitCode"]), (&json!("Completed"), &json!(0)));
    let ready = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "Ready")
        .unwrap();
    assert_eq!(ready["reason"], "PodCompleted");
    assert_eq!(trial.writes("job"), 2);
    assert_eq!(trial.tail("job"), ["done"]);
}

#[tokio::test(start_paused = true)]
async fn a_crashing_container_backs_off_and_keeps_its_last_state() {
    let trial = Trial::new("localhost/web:v1", "print run; exit 3 after 1s").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.wait(Duration::from_secs(3)).await;
    let container = trial.status("web")["containerStatuses"][0].clone();
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(container["restartCount"], 1);
    trial.wait(Duration::from_secs(600)).await;
    assert!(trial.status("web")["containerStatuses"][0]["restartCount"].as_u64().unwrap() > 4);
    let logs = trial.files().into_iter().filter(|path| path.starts_with("logs"));
    assert_eq!(logs.count(), 2, "logs of the last two runs are kept");
    assert_eq!(trial.tail("web"), ["run", "run"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_waited_for_and_taken_when_it_comes() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let spec = json!({"volumes": [{"name": "v", "configMap": {"name": "settings"}}]});
    trial.create(trial.pod("web", spec)).await;
    trial.settle().await;
    let waiting = trial.status("web")["containerStatuses"][0]["state"]["waiting"].clone();
    assert_eq!(waiting["reason"], "ContainerCreating");
    assert_eq!(
        waiting["message"],
        r#"MountVolume.SetUp failed for volume "v" : configmap "settings" not found"#
    );
    trial.put_config_map("settings", json!({"color": "red"})).await;
    trial.settle().await;
    assert_eq!(trial.status("web")["phase"], "Running");
    assert_eq!(trial.read("pods/uid-web/volumes/v/color"), "red");
    trial.put_config_map("settings", json!({"color": "blue"})).await;
    trial.settle().await;
    assert_eq!(trial.read("pods/uid-web/volumes/v/color"), "blue");
    assert_eq!(trial.status("web")["containerStatuses"][0]["restartCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_shown_and_refreshed_and_variables_wait_for_it() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "later", "key": "k"}}}]);
    let spec = json!({"volumes": [{"name": "v", "secret": {"secretName": "keys"}}],
        "containers": [{"name": "main", "image": "localhost/web:v1", "env": env}]});
    trial.put_secret("keys", json!({"password": "b25l"})).await;
    trial.create(trial.pod("web", spec)).await;
    trial.settle().await;
    let waiting = trial.status("web")["containerStatuses"][0]["state"]["waiting"].clone();
    assert_eq!(waiting["message"], "secret \"later\" not found");
    trial.put_secret("later", json!({"k": ""})).await;
    trial.settle().await;
    assert_eq!(trial.status("web")["phase"], "Running");
    assert_eq!(trial.read("pods/uid-web/volumes/v/password"), "one");
    trial.put_secret("keys", json!({"password": "dHdv"})).await;
    trial.settle().await;
    assert_eq!(trial.read("pods/uid-web/volumes/v/password"), "two");
}

#[tokio::test(start_paused = true)]
async fn a_pod_sees_its_new_labels() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let items = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]);
    trial
        .create(trial.pod("web", json!({"volumes": [{"name": "v", "downwardAPI": {"items": items}}]})))
        .await;
    trial.settle().await;
    assert_eq!(trial.read("pods/uid-web/volumes/v/labels"), "");
    trial.change("web", json!({"metadata": {"labels": {"app": "web"}}}));
    trial.settle().await;
    assert_eq!(trial.read("pods/uid-web/volumes/v/labels"), "app=\"web\"");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_comes_later_is_found_at_the_next_try() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let late = |policy: &str| json!({"containers": [{"name": "main", "image": "localhost/late", "imagePullPolicy": policy}]});
    trial.create(trial.pod("a", late("IfNotPresent"))).await;
    trial.create(trial.pod("b", late("Never"))).await;
    trial.wait(Duration::from_secs(25)).await;
    let reason =
        |name: &str| trial.status(name)["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    assert_eq!(reason("a"), "ImagePullBackOff");
    trial.engine.register("localhost/late", "").unwrap();
    trial.wait(Duration::from_secs(10)).await;
    assert_eq!(
        (&trial.status("a")["phase"], &trial.status("b")["phase"]),
        (&json!("Running"), &json!("Running"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_run_says_why() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let reason = async |name: &str, spec: serde_json::Value| {
        trial.create(trial.pod(name, spec)).await;
        trial.settle().await;
        let waiting = trial.status(name)["containerStatuses"][0]["state"]["waiting"].clone();
        format!("{}: {}", waiting["reason"].as_str().unwrap(), waiting["message"].as_str().unwrap())
    };
    let main = |more: serde_json::Value| {
        let mut container = json!({"name": "main", "image": "localhost/web:v1"});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"containers": [container]})
    };
    assert_eq!(
        reason("image", main(json!({"image": "localhost/other"}))).await,
        "ErrImagePull: failed to pull image \"localhost/other\": image \"localhost/other:latest\" is not in the image store; \
         import it with: peapod image import FILE --as other:latest"
    );
    assert_eq!(
        reason("registry", main(json!({"image": "nginx"}))).await,
        "ErrImagePull: failed to pull image \"nginx\": failed to resolve reference \
         \"docker.io/library/nginx:latest\": docker.io/library/nginx:latest: not found"
    );
    assert_eq!(
        reason("never", main(json!({"image": "nginx", "imagePullPolicy": "Never"}))).await,
        "ErrImageNeverPull: Container image \"nginx\" is not present with pull policy of Never"
    );
    let env = json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}}]});
    assert_eq!(reason("env", main(env)).await, "CreateContainerConfigError: configmap \"x\" not found");
    let volumes = json!({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]});
    assert_eq!(
        reason("volume", volumes).await,
        "FailedMount: volume \"x\": path \"/\" of the host is not for pods: this node allows none; its operator allows one \
         with --allow-host-path DIR"
    );
    assert_eq!(
        reason("network", json!({"hostNetwork": true})).await,
        "CreateContainerConfigError: spec.hostNetwork: not supported yet"
    );
    trial.put_config_map("x", json!({"k": "v"})).await;
    trial.settle().await;
    assert_eq!(trial.status("env")["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_fails() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let resources = json!({"requests": {"cpu": "100"}});
    let containers = json!([{"name": "main", "image": "localhost/web:v1", "resources": resources}]);
    trial.create(trial.pod("big", json!({"containers": containers}))).await;
    trial.settle().await;
    let status = trial.status("big");
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("OutOfcpu")));
}

#[tokio::test(start_paused = true)]
async fn another_pod_of_the_same_name_is_another_pod() {
    let trial = Trial::new("localhost/web:v1", "stop 5s").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    let first = trial.status("web")["podIP"].clone();
    trial.remove("web");
    let mut second = trial.pod("web", json!({}));
    second["metadata"]["uid"] = "uid-second".into();
    trial.create(second).await;
    trial.settle().await;
    let status = trial.status("web");
    assert_eq!(status["phase"], "Running");
    assert_ne!(status["podIP"], first);
    assert_eq!(status["containerStatuses"][0]["containerID"], "peapod://uid-second/main/0");
}

#[tokio::test(start_paused = true)]
async fn the_node_is_registered_and_its_lease_renewed() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.settle().await;
    let node = trial.stored("nodes", "", "node-1").unwrap();
    assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "node-1");
    assert_eq!(node["status"]["capacity"], json!({"cpu": "4", "memory": "1Gi", "pods": "100"}));
    assert_eq!(node["spec"]["podCIDR"], "10.128.0.0/18");
    let renewed =
        || trial.stored("leases", "kube-node-lease", "node-1").unwrap()["spec"]["renewTime"].clone();
    let first = renewed();
    trial.wait(Duration::from_secs(11)).await;
    assert_ne!(renewed(), first);
}

#[tokio::test(start_paused = true)]
async fn usage_is_known_of_containers_that_run() {
    let trial = Trial::new("localhost/web:v1", "serve 8080").await;
    let names = || {
        let usage = trial.node.usage(&Key::new("default", "web"));
        usage.iter().map(|container| container.name.to_string()).collect::<Vec<_>>()
    };
    let container = |name: &str, image: &str| json!({"name": name, "image": image});
    let containers = [container("first", "localhost/web:v1"), container("second", "localhost/absent")];
    trial.create(trial.pod("web", json!({"containers": containers}))).await;
    trial.create(trial.pod("web-2", json!({}))).await;
    trial.settle().await;
    assert_eq!(names(), ["first"]);
    trial.delete("web").await;
    trial.settle().await;
    assert_eq!(names(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_does_not_hold_is_told() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let resources = json!({"limits": {"example.com/gpu": "1"}});
    let containers = json!([{"name": "main", "image": "localhost/web:v1", "resources": resources}]);
    trial.create(trial.pod("web", json!({"containers": containers}))).await;
    trial.settle().await;
    assert_eq!(trial.status("web")["phase"], "Running");
    assert_eq!(trial.events("web")[..2], ["Unsupported", "Pulled"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_left_goes_with_the_pod() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.leave("logs/default_web_uid-web/main/0.log");
    trial.leave("pods/uid-web/volumes/tmp/file");
    let mut pod = trial.pod("web", json!({"volumes": [{"name": "tmp", "emptyDir": {}}]}));
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z".into();
    pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    trial.create(pod).await;
    trial.settle().await;
    assert!(trial.get("web").is_none());
    assert_eq!(trial.files(), [""; 0]);
}
