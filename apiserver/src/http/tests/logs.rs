//! What nodes are asked for: logs and usage.

use std::convert::Infallible;
use std::io;
use std::sync::Mutex;

use super::*;
use api::dialer::{Connection, Destination};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;

/// Nodes that remember what they were asked.
#[derive(Default)]
struct Nodes {
    asked: Arc<Mutex<Vec<String>>>,
    connections: Mutex<JoinSet<()>>,
}

impl Dialer for Nodes {
    fn dial(&self, destination: &Destination) -> BoxFuture<'_, io::Result<Box<dyn Connection>>> {
        let node = match destination.clone() {
            Destination::Node(node) => node,
            other => format!("{other:?}"),
        };
        if node != "n" {
            return Box::pin(async move { Err(io::Error::other(format!("no node {node}"))) });
        }
        let (ours, theirs) = tokio::io::duplex(1024);
        let asked = self.asked.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let path = request.uri().to_string();
            asked.lock().unwrap().push(path.clone());
            async move { Ok::<_, Infallible>(as_node(&path)) }
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
        self.connections.lock().unwrap().spawn(async move { drop(connection.await) });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Connection>) })
    }
}

fn as_node(path: &str) -> Response {
    let answer = |code: u16, text: String| {
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        response
    };
    match path {
        path if path.contains("/endless") => {
            let line = stream::once(async { Ok::<_, Infallible>("line\n") });
            Response::new(Body::from_stream(line.chain(stream::pending())))
        }
        "/stats/summary" => answer(200, summary().to_string()),
        path if path.contains("/waiting") => {
            answer(400, r#"container "waiting" in pod "p" is waiting to start: ContainerCreating"#.to_owned())
        }
        _ => answer(200, "line\n".repeat(1000)),
    }
}

fn summary() -> Value {
    let used = |name: &str| {
        json!({"name": name, "cpu": {"time": "2026-01-01T00:00:00Z", "usageNanoCores": 5_000_000},
            "memory": {"workingSetBytes": 4096}})
    };
    json!({"node": used(""), "pods": [{"podRef": {"name": "p", "namespace": "default", "uid": "set below"},
        "containers": [used("c")]}]})
}

async fn world() -> (World, Arc<Mutex<Vec<String>>>) {
    let nodes = Nodes::default();
    let asked = nodes.asked.clone();
    let world = start_with(Some(Arc::new(nodes))).await;
    let pod = |name: &str, node: Option<&str>| {
        let containers = json!([{"name": "c", "image": "i"}, {"name": "waiting", "image": "i"}]);
        let mut pod =
            json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": containers}});
        if let Some(node) = node {
            pod["spec"]["nodeName"] = node.into();
        }
        pod
    };
    for (name, node) in [("p", Some("n")), ("far", Some("gone")), ("nowhere", None)] {
        world.create("/api/v1/namespaces/default/pods", pod(name, node)).await;
    }
    (world, asked)
}

#[tokio::test(start_paused = true)]
async fn logs_are_relayed_from_the_node_of_the_pod() {
    let (world, asked) = world().await;
    let log = |pod: &str, query: &str| format!("/api/v1/namespaces/default/pods/{pod}/log?{query}");
    let whole = world.get(&log("p", "container=c&tailLines=3&timestamps=true")).await;
    assert_eq!((whole.code, whole.header("content-type")), (200, "text/plain"));
    assert_eq!(whole.bytes.len(), 5000, "also what does not fit the connection at once");
    assert_eq!(*asked.lock().unwrap(), ["/containerLogs/default/p/c?timestamps=true&tailLines=3"]);
    let waiting = world.get(&log("p", "container=waiting")).await.failure();
    assert_eq!(
        waiting,
        r#"400 BadRequest container "waiting" in pod "p" is waiting to start: ContainerCreating"#
    );
    let unclear = world.get(&log("p", "")).await.failure();
    assert_eq!(
        unclear,
        "400 BadRequest a container name must be specified for pod p, choose one of: [c waiting]"
    );
    assert_eq!(world.get(&log("none", "")).await.failure(), r#"404 NotFound pods "none" not found"#);
    let nowhere = world.get(&log("nowhere", "container=c")).await;
    assert_eq!((nowhere.code, nowhere.bytes.len()), (200, 0));
    let far = world.get(&log("far", "container=c")).await.failure();
    assert_eq!(far, r#"500 InternalError Internal error occurred: ask node "gone": no node gone"#);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_followed_for_as_long_as_the_client_is_who_it_said() {
    let (mut world, _) = world().await;
    let containers = json!([{"name": "endless", "image": "i"}]);
    let pod = json!({"metadata": {"name": "q"}, "spec": {"nodeName": "n", "containers": containers}});
    world.create("/api/v1/namespaces/default/pods", pod).await;
    let end = "2026-01-01T00:10:00Z".parse().unwrap();
    world.until = Some(Until(end));
    let log = world.get("/api/v1/namespaces/default/pods/q/log?follow=true").await;
    assert_eq!((log.text().as_str(), world.clock.now()), ("line\n", end));
}

#[tokio::test(start_paused = true)]
async fn usage_is_that_of_the_nodes_that_answer() {
    let (world, _) = world().await;
    for name in ["n", "gone"] {
        world.create("/api/v1/nodes", json!({"metadata": {"name": name}})).await;
    }
    let nodes = world.get("/apis/metrics.k8s.io/v1beta1/nodes").await.value();
    assert_eq!((nodes["kind"].as_str(), names(&nodes)), (Some("NodeMetricsList"), vec!["n"]));
    assert_eq!(nodes["items"][0]["usage"], json!({"cpu": "5000000n", "memory": "4Ki"}));
    let missing = world.get("/apis/metrics.k8s.io/v1beta1/nodes/gone").await.failure();
    assert_eq!(missing, r#"404 NotFound nodemetrics.metrics.k8s.io "gone" not found"#);
    let pods = world.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods").await.value();
    assert_eq!(names(&pods), Vec::<&str>::new(), "another pod of the same name is not this one");
    let missing = world.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/p").await.failure();
    assert_eq!(missing, r#"404 NotFound podmetrics.metrics.k8s.io "default/p" not found"#);
    let resources = world.get("/apis/metrics.k8s.io/v1beta1").await.value();
    assert_eq!(resources["resources"][0]["kind"], "NodeMetrics");
}
