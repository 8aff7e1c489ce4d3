//! The process of a node ends and another takes its place: pods go on, and what they left is still there.

use std::time::Duration;

use serde_json::json;

use super::cluster::Trial;

#[tokio::test(start_paused = true)]
async fn pods_go_on_with_their_files_counts_and_logs() {
    let mut trial = Trial::new("localhost/web:v1", "print hello").await;
    trial.create(trial.pod("web", json!({"volumes": [{"name": "tmp", "emptyDir": {}}]}))).await;
    trial.create(trial.pod("gone", json!({}))).await;
    trial.settle().await;
    trial.leave("pods/uid-web/volumes/tmp/file");
    trial.leave("pods/uid-other/volumes/tmp/file");
    trial.engine.register("localhost/web:v1", "print again").unwrap();
    trial.remove_quietly("gone").await;
    trial.restart().await;

    let container = trial.status("web")["containerStatuses"][0].clone();
    assert_eq!((&container["restartCount"], &container["ready"]), (&json!(1), &json!(true)));
    assert_eq!(container["containerID"], "peapod://uid-web/main/1");
    assert_eq!(container["lastState"]["terminated"]["containerID"], "peapod://uid-web/main/0");
    assert_eq!(
        trial.files(),
        [
            "logs/default_web_uid-web/main/0.log",
            "logs/default_web_uid-web/main/1.log",
            "pods/uid-web/containers/main",
            "pods/uid-web/volumes/tmp/file"
        ],
        "its own is kept, what belongs to nobody is gone"
    );
    let log = "/containerLogs/default/web/main";
    assert_eq!(trial.ask(log).await, (200, "again\n".into()));
    assert_eq!(trial.ask(&format!("{log}?previous=true")).await, (200, "hello\n".into()));
    // A log of an earlier process gets no more lines.
    assert_eq!(trial.ask(&format!("{log}?previous=true&follow=true")).await, (200, "hello\n".into()));
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_pod_that_had_ended_is_still_there() {
    let mut trial = Trial::new("localhost/web:v1", "print done; exit 0 after 1s").await;
    trial.create(trial.pod("job", json!({"restartPolicy": "Never"}))).await;
    trial.wait(Duration::from_secs(2)).await;
    trial.restart().await;
    assert_eq!(trial.status("job")["phase"], "Succeeded");
    assert_eq!(trial.ask("/containerLogs/default/job/main").await, (200, "done\n".into()));
}

#[tokio::test(start_paused = true)]
async fn only_the_last_two_logs_are_kept_over_restarts() {
    let mut trial = Trial::new("localhost/web:v1", "print hello").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    for _ in 0..3 {
        trial.restart().await;
    }
    assert_eq!(trial.status("web")["containerStatuses"][0]["restartCount"], 3);
    let logs: Vec<String> = trial.files().into_iter().filter(|path| path.starts_with("logs")).collect();
    assert_eq!(logs, ["logs/default_web_uid-web/main/2.log", "logs/default_web_uid-web/main/3.log"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_asked_to_end_ends_its_pods_and_they_go_on_later() {
    let mut trial = Trial::new("localhost/web:v1", "stop 3s").await;
    trial.engine.register("localhost/stubborn:v1", "stop never").unwrap();
    trial.create(trial.pod("web", json!({"volumes": [{"name": "tmp", "emptyDir": {}}]}))).await;
    let stubborn = json!({"containers": [{"name": "main", "image": "localhost/stubborn:v1"}]});
    trial.create(trial.pod("stubborn", stubborn)).await;
    trial.settle().await;
    trial.leave("pods/uid-web/volumes/tmp/file");
    let (written, before) = (trial.writes("web"), trial.now());
    trial.node.leave(Duration::from_secs(10)).await;
    assert_eq!((before.as_str(), trial.now().as_str()), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"));
    trial.create(trial.pod("late", json!({}))).await;
    trial.settle().await;
    assert_eq!(trial.writes("web"), written, "nothing is said of the end");
    assert_eq!(trial.writes("late"), 0, "nothing begins any more");
    trial.restart().await;
    for name in ["web", "stubborn"] {
        let container = trial.status(name)["containerStatuses"][0].clone();
        assert_eq!((&container["restartCount"], &container["ready"]), (&json!(1), &json!(true)), "{name}");
    }
    assert_eq!(trial.status("late")["phase"], "Running");
    assert_eq!(trial.read("pods/uid-web/volumes/tmp/file"), "left");
}
