//! Jobs from their beginning to their end.

use super::*;

impl Cluster {
    fn run_job(&self, spec: Value) {
        let mut value = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "uid": "job"},
            "spec": {"selector": {"matchLabels": {"app": "job"}}, "parallelism": 1, "completions": 1,
                "template": {"metadata": {"labels": {"app": "job"}},
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}}});
        testing::merge(&mut value, json!({"spec": spec}));
        self.server.put(&JOBS, value);
    }

    /// Does as a node would: pods that were given to it end at once.
    fn end_pods(&self, phase: &str) -> usize {
        let mut ended = 0;
        for pod in self.server.all(&PODS) {
            if !pod.value()["spec"]["nodeName"].is_null() && pod.value()["status"].is_null() {
                let state =
                    json!({"terminated": {"exitCode": 0, "finishedAt": self.clock.now().to_string()}});
                let container = json!({"name": "c", "restartCount": 0, "ready": false, "image": "",
                    "imageID": "", "state": state});
                let status = json!({"phase": phase, "containerStatuses": [container]});
                self.server.change(&PODS, &pod, json!({"status": status}));
                ended += 1;
            }
        }
        ended
    }

    fn job_status(&self) -> Value {
        self.one(&JOBS).value()["status"].clone()
    }

    fn said(&self, kind: &str) -> bool {
        let status = self.job_status();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.clone().any(|said| said["type"] == kind && said["status"] == "True")
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_completions_cost_few_other_writes() {
    let cluster = Cluster::start();
    cluster.run_job(json!({"completions": 500, "parallelism": 50}));
    let (mut most, mut steps) = (0, 0);
    while !cluster.said("Complete") {
        steps += 1;
        assert!(steps < 200, "{}", cluster.job_status());
        cluster.pass(Duration::from_millis(5)).await;
        most = most.max(cluster.end_pods("Succeeded"));
    }
    assert!(most <= 50, "{most} at once");
    let mut status = cluster.job_status();
    status.as_object_mut().expect("a status").remove("conditions");
    let (start, end) = (status["startTime"].take(), status["completionTime"].take());
    assert!(start.is_string() && end.is_string());
    let expected = json!({"succeeded": 500, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {},
        "startTime": null, "completionTime": null});
    assert_eq!(status, expected);
    let log = cluster.server.take_log();
    assert_eq!((count(&log, "create pods"), count(&log, "patch pods")), (500, 500));
    let others = count(&log, "patch jobs/status");
    assert!(others < 60, "{others}");
    assert_eq!(cluster.events("Completed").len(), 1);
    assert!(cluster.events("SuccessfulCreate").len() >= 25);
    cluster.settle().await;
    cluster.server.take_log();
    cluster.pass(Duration::from_secs(3600)).await;
    assert_eq!(cluster.server.take_log(), Vec::<String>::new(), "a finished Job is left alone");
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_ever_more_slowly_and_end_it() {
    let cluster = Cluster::start();
    cluster.run_job(json!({"backoffLimit": 2, "ttlSecondsAfterFinished": 100}));
    let mut times = Vec::new();
    for _ in 0..120 {
        cluster.pass(Duration::from_millis(500)).await;
        if cluster.end_pods("Failed") > 0 {
            times.push(cluster.clock.now());
        }
    }
    assert_eq!(times.len(), 3);
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert_eq!(gaps, [10, 20]);
    assert!(cluster.said("Failed") && cluster.said("FailureTarget"), "{}", cluster.job_status());
    assert_eq!(cluster.job_status()["failed"], 3);
    let event = &cluster.events("BackoffLimitExceeded")[0];
    assert_eq!(event["message"], "Job has reached the specified backoff limit");
    assert_eq!(cluster.server.all(&PODS).len(), 3);
    // After its time it goes, and its pods with it.
    cluster.pass(Duration::from_secs(120)).await;
    assert!(cluster.server.all(&JOBS).is_empty() || cluster.one(&JOBS).is_terminating());
    assert!(cluster.server.all(&PODS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_is_suspended_and_resumed_and_has_a_deadline() {
    let cluster = Cluster::start();
    cluster.run_job(json!({"activeDeadlineSeconds": 60, "parallelism": 2, "completions": 2}));
    cluster.settle().await;
    assert_eq!(cluster.job_status()["active"], 2);
    let suspend = |on: bool| {
        let job = cluster.one(&JOBS);
        cluster.server.change(&JOBS, &job, json!({"spec": {"suspend": on}}));
    };
    suspend(true);
    cluster.pass(Duration::from_secs(600)).await;
    assert!(cluster.server.all(&PODS).is_empty());
    assert!(cluster.said("Suspended") && !cluster.said("FailureTarget"));
    assert_eq!(cluster.job_status()["failed"], Value::Null, "who was sent away did not fail");
    suspend(false);
    cluster.pass(Duration::from_secs(50)).await;
    assert!(!cluster.said("Suspended"));
    assert_eq!(cluster.job_status()["active"], 2);
    cluster.pass(Duration::from_secs(15)).await;
    assert!(cluster.said("Failed"), "{}", cluster.job_status());
    assert!(cluster.server.all(&PODS).is_empty());
    assert_eq!(
        cluster.events("DeadlineExceeded")[0]["message"],
        "Job was active longer than specified deadline"
    );
    assert_eq!((cluster.events("Suspended").len(), cluster.events("Resumed").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_job_that_is_gone_are_let_go() {
    let cluster = Cluster::start();
    cluster.run_job(json!({"parallelism": 3, "completions": 3}));
    cluster.settle().await;
    assert_eq!(cluster.server.all(&PODS).len(), 3);
    let client = Client::new(Arc::new(cluster.server.clone()), User::component("test"));
    let job = cluster.one(&JOBS).key();
    client.delete(&JOBS, &job, Default::default()).await.expect("deleted");
    cluster.settle().await;
    assert!(cluster.server.all(&PODS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_given_away_are_let_go() {
    let cluster = Cluster::start();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "p",
        "labels": {"batch.kubernetes.io/job-name": "gone"},
        "finalizers": ["example.com/mine", "batch.kubernetes.io/job-tracking"]},
        "spec": {"containers": []}});
    cluster.server.put(&PODS, pod);
    cluster.settle().await;
    let finalizers = cluster.one(&PODS).metadata().finalizers.clone();
    assert_eq!(finalizers, Some(vec!["example.com/mine".to_owned()]));
}
