//! All controllers at work together, in paused time, on a server that only stores.

mod jobs;
mod namespaces;
mod owners;
mod rollouts;
mod storage;
mod whole;

use std::time::Duration;

use api::event::Recorder;
use api::resource::{
    CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, ENDPOINTS, EVENTS, JOBS, NAMESPACES, NODES, PODS,
    REPLICA_SETS, SERVICE_ACCOUNTS, SERVICES,
};
use api::{Client, Clock, Object, Resource, Status};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::*;
use crate::testing::{NOW, Server, ago, now};

struct Cluster {
    server: Server,
    controllers: Controllers,
    clock: Clock,
    _tasks: JoinSet<()>,
}

impl Cluster {
    fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// A cluster whose server was prepared.
    fn start_with(prepare: impl FnOnce(&Server)) -> Self {
        let server = Server::default();
        prepare(&server);
        let clock = Clock::virtual_from(now());
        let client = Client::new(Arc::new(server.clone()), User::component("test"));
        let settings = Settings { root_ca: Some("CA".to_owned()) };
        let mut tasks = JoinSet::new();
        let cache = cache_builder(Cache::builder()).start(&client, &clock, &mut tasks);
        let recorder = Recorder::start(client.clone(), clock.clone(), "test", &mut tasks);
        let controllers = Controllers::start(&client, &cache, &clock, &recorder, settings, &mut tasks);
        let allocatable = json!({"cpu": "100", "memory": "100Gi", "pods": "10000"});
        server.put(
            &NODES,
            json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "one", "uid": "one", "labels": {"kubernetes.io/hostname": "one"}}, "status": {"allocatable": allocatable}}),
        );
        Self { server, controllers, clock, _tasks: tasks }
    }

    /// Lets virtual time pass, and with it everything that is to happen until then.
    async fn pass(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    async fn settle(&self) {
        self.pass(Duration::from_secs(1)).await;
    }

    fn deploy(&self, replicas: usize, image: &str) {
        let value = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "n", "uid": "web", "generation": 1, "annotations": {"image": image}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": image}]}}}});
        let old = self.server.all(&DEPLOYMENTS).into_iter().next();
        match old {
            Some(old) => self.server.change(
                &DEPLOYMENTS,
                &old,
                json!({"spec": value["spec"], "metadata": {"generation": 2}}),
            ),
            None => self.server.put(&DEPLOYMENTS, value),
        }
    }

    /// Does as a node would: pods that were given to it run and are ready.
    fn run_pods(&self) {
        for pod in self.server.all(&PODS) {
            let value = pod.value();
            if !value["spec"]["nodeName"].is_null() && value["status"].is_null() {
                let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": ago(1)});
                let status = json!({"phase": "Running", "podIP": "10.128.0.1", "conditions": [ready]});
                self.server.change(&PODS, &pod, json!({"status": status}));
            }
        }
    }

    async fn live(&self, rounds: usize) {
        for _ in 0..rounds {
            self.settle().await;
            self.run_pods();
        }
        self.settle().await;
    }

    fn one(&self, resource: &Resource) -> Object {
        let all = self.server.all(resource);
        assert_eq!(all.len(), 1, "{resource}");
        all[0].clone()
    }

    fn events(&self, reason: &str) -> Vec<Value> {
        let events = self.server.all(&EVENTS).into_iter().map(|event| event.value().clone());
        events.filter(|event| event["reason"] == reason).collect()
    }
}

fn count(log: &[String], what: &str) -> usize {
    log.iter().filter(|line| *line == what).count()
}

#[tokio::test(start_paused = true)]
async fn a_deployment_comes_up_and_is_rolled_and_goes() {
    let cluster = Cluster::start();
    cluster.server.put(
        &SERVICES,
        json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "n", "uid": "service"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
    );
    cluster.deploy(3, "v1");
    cluster.live(1).await;
    let status = cluster.one(&DEPLOYMENTS).value()["status"].clone();
    assert_eq!(status["availableReplicas"], 3, "{status}");
    assert_eq!(status["conditions"][1]["reason"], "NewReplicaSetAvailable", "{status}");
    let slice = cluster.one(&ENDPOINT_SLICES);
    assert_eq!(slice.value()["endpoints"].as_array().map(Vec::len), Some(3));
    let endpoints = cluster.one(&ENDPOINTS);
    assert_eq!(endpoints.value()["subsets"][0]["addresses"].as_array().map(Vec::len), Some(3));
    assert_eq!(cluster.events("Scheduled").len(), 3);
    assert_eq!(cluster.events("SuccessfulCreate").len(), 3);
    assert_eq!(cluster.events("ScalingReplicaSet").len(), 1);

    cluster.deploy(3, "v2");
    cluster.live(8).await;
    let pods = cluster.server.all(&PODS);
    let images: Vec<&Value> = pods.iter().map(|pod| &pod.value()["spec"]["containers"][0]["image"]).collect();
    assert_eq!(images, ["v2", "v2", "v2"]);
    assert_eq!(cluster.one(&DEPLOYMENTS).annotation("deployment.kubernetes.io/revision"), Some("2"));

    cluster.server.take_log();
    cluster.settle().await;
    assert_eq!(cluster.server.take_log(), Vec::<String>::new(), "a cluster at rest writes nothing");
    assert!(
        cluster
            .controllers
            .loads()
            .all(|(_, load)| load.depth == 0 && load.waited.count == load.worked.count)
    );
    let scheduler = cluster.controllers.scheduler();
    assert_eq!((scheduler.active, scheduler.scheduled, scheduler.refused), (0, scheduler.waited.count, 0));
    assert!(scheduler.scheduled >= 6, "{scheduler:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pods_cost_few_other_writes() {
    let cluster = Cluster::start();
    cluster.deploy(1000, "v1");
    cluster.live(1).await;
    let log = cluster.server.take_log();
    assert_eq!(cluster.one(&DEPLOYMENTS).value()["status"]["availableReplicas"], 1000);
    assert_eq!((count(&log, "create pods"), count(&log, "create pods/binding")), (1000, 1000));
    let others = count(&log, "patch replicasets/status") + count(&log, "patch deployments/status");
    assert!(others < 40, "{others}");
}

#[tokio::test(start_paused = true)]
async fn what_must_fail_is_tried_once_at_a_time() {
    let cluster = Cluster::start();
    let full = |request: &api::Request| {
        let creates = request.resource == PODS && request.verb.name() == "create";
        creates.then(|| Status::forbidden(&PODS, "", "exceeded quota"))
    };
    cluster.server.refuse(full);
    cluster.deploy(1000, "v1");
    cluster.pass(Duration::from_secs(10)).await;
    let tries = count(&cluster.server.take_log(), "create pods");
    assert!((8..20).contains(&tries), "{tries} tries in ten seconds");
    let event = &cluster.events("FailedCreate")[0];
    assert_eq!(event["message"], "Error creating: pods is forbidden: exceeded quota");
    assert!(event["count"].as_u64() > Some(5), "{event}");
    let failure = |resource: &Resource| {
        let conditions = cluster.one(resource).value()["status"]["conditions"].clone();
        let all = conditions.as_array().cloned().unwrap_or_default();
        let failure = all.into_iter().find(|condition| condition["type"] == "ReplicaFailure");
        failure.map(|failure| (failure["reason"].clone(), failure["message"].clone()))
    };
    let told = Some(("FailedCreate".into(), "pods is forbidden: exceeded quota".into()));
    assert_eq!((failure(&REPLICA_SETS), failure(&DEPLOYMENTS)), (told.clone(), told));
    cluster.server.refuse(|_| None);
    cluster.pass(Duration::from_secs(20)).await;
    assert_eq!((failure(&REPLICA_SETS), failure(&DEPLOYMENTS)), (None, None));
    assert_eq!(cluster.server.all(&PODS).len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_goes_with_its_owner() {
    let cluster = Cluster::start();
    cluster.deploy(3, "v1");
    cluster.live(1).await;
    let client = Client::new(Arc::new(cluster.server.clone()), User::component("test"));
    let deployment = cluster.one(&DEPLOYMENTS).key();
    client.delete(&DEPLOYMENTS, &deployment, Default::default()).await.expect("deleted");
    cluster.settle().await;
    assert!(cluster.server.all(&REPLICA_SETS).is_empty());
    assert!(cluster.server.all(&PODS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_all_with_it() {
    let cluster = Cluster::start();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "uid": "n"},
        "spec": {"finalizers": ["kubernetes"]}});
    cluster.server.put(&NAMESPACES, namespace);
    cluster.server.put(
        &CONFIG_MAPS,
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "n", "uid": "c"}}),
    );
    cluster.settle().await;
    let namespace = cluster.one(&NAMESPACES);
    assert_eq!(cluster.server.all(&CONFIG_MAPS).len(), 2, "with that of the CA");
    cluster.server.change(&NAMESPACES, &namespace, json!({"metadata": {"deletionTimestamp": NOW}}));
    cluster.settle().await;
    assert!(cluster.server.all(&CONFIG_MAPS).is_empty());
    assert!(cluster.server.all(&SERVICE_ACCOUNTS).is_empty());
    assert_eq!(cluster.one(&NAMESPACES).value()["spec"]["finalizers"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_says_why_and_gets_it_later() {
    let cluster = Cluster::start();
    cluster.server.put(
        &PODS,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big", "namespace": "n", "uid": "big"},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"memory": "200Gi"}}}]}}),
    );
    cluster.settle().await;
    assert_eq!(cluster.controllers.scheduler().unschedulable, 1);
    let condition = cluster.one(&PODS).value()["status"]["conditions"][0].clone();
    let expected = "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption \
                    victims found for incoming pod.";
    assert_eq!((&condition["reason"], &condition["message"]), (&"Unschedulable".into(), &expected.into()));
    assert_eq!(cluster.events("FailedScheduling").len(), 1);
    let node = cluster.one(&NODES);
    cluster.server.change(&NODES, &node, json!({"status": {"allocatable": {"memory": "400Gi"}}}));
    cluster.pass(Duration::from_secs(2)).await;
    assert_eq!(cluster.one(&PODS).value()["spec"]["nodeName"], "one");
}
