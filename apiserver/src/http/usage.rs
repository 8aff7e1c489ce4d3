//! metrics.k8s.io: what nodes and pods use, asked of the nodes at the moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::backend::{Answer, Backend, ListOptions, Request, User, Verb};
use api::resource::{NODES, PODS};
use api::status::Reason;
use api::{Key, Object, Resource, Status};
use axum::response::Response;
use futures::stream::{self, StreamExt};
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::catalog::{NODE_METRICS, POD_METRICS};
use super::path::Address;
use super::query::{Query, encode};
use super::route::{Action, not_allowed, not_found};
use super::{Server, node, options, reply};

mod summary;

use summary::{Summary, Usage};

/// So many nodes are asked at the same time.
const NODES_AT_ONCE: usize = 16;
/// A node that has not answered by then is left out.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest summary that is read: some hundred bytes for each container of a full node.
const SUMMARY_LIMIT: usize = 64 << 20;

/// Answers the paths of metrics.k8s.io.
pub(super) async fn answer(
    server: &Server,
    user: Arc<User>,
    address: &Address,
    action: Action,
    query: &Query,
) -> Result<Response, Status> {
    let resource = match (address.version.as_str(), address.plural.as_str(), address.part.as_str()) {
        ("v1beta1", "nodes", "") if address.namespace.is_none() => NODE_METRICS,
        ("v1beta1", "pods", "") => POD_METRICS,
        _ => return Err(not_found()),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let key = Key::new(text(&address.namespace), text(&address.name));
    let options = options::list(query)?;
    let verb = match action {
        Action::Get => Verb::Get,
        Action::List => Verb::List(options.clone()),
        _ => return Err(not_allowed()),
    };
    let request = Request { user, resource: resource.clone(), key: key.clone(), subresource: "", verb };
    server.api.authorizer.authorize(&request)?;
    let options = ListOptions { limit: None, continue_token: None, revision: None, ..options };
    let shown = match resource == NODE_METRICS {
        true => of_nodes(server, &key, options).await?,
        false => of_pods(server, &key, options).await?,
    };
    if action == Action::List {
        let list = json!({
            "kind": format!("{}List", resource.kind),
            "apiVersion": resource.api_version(),
            "metadata": {},
            "items": shown,
        });
        return Ok(reply::value(StatusCode::OK, &list));
    }
    match shown.into_iter().next() {
        Some(metrics) => Ok(reply::value(StatusCode::OK, &metrics)),
        None => Err(missing(&resource, &key)),
    }
}

/// In the words of Kubernetes' metrics server, whose resources are called by their kinds.
fn missing(resource: &Resource, key: &Key) -> Status {
    let plural = resource.kind.to_ascii_lowercase();
    Status::new(Reason::NotFound, format!("{plural}.{} {:?} not found", resource.group, key.to_string()))
}

async fn of_nodes(server: &Server, key: &Key, options: ListOptions) -> Result<Vec<Value>, Status> {
    let nodes = stored(server, NODES, key, options).await?;
    let names = nodes.iter().map(|node| node.name().to_owned()).collect();
    let summaries = ask(server, names).await?;
    let shown = nodes.iter().filter_map(|node| {
        let used = &summaries.get(node.name())?.node;
        Some(metrics(&NODE_METRICS, node, used.shown()?, &[], used))
    });
    Ok(shown.collect())
}

async fn of_pods(server: &Server, key: &Key, options: ListOptions) -> Result<Vec<Value>, Status> {
    let pods = stored(server, PODS, key, options).await?;
    let node_of = |pod: &Object| pod.typed::<Pod>().ok()?.spec.as_ref()?.node_name.clone();
    let mut names: Vec<String> = pods.iter().filter_map(node_of).collect();
    names.sort_unstable();
    names.dedup();
    let summaries = ask(server, names).await?;
    let used = summaries.values().flat_map(|summary| &summary.pods);
    let by_uid: BTreeMap<&str, _> = used.map(|pod| (pod.pod_ref.uid.as_str(), pod)).collect();
    let shown = pods.iter().filter_map(|pod| {
        let containers = &by_uid.get(pod.uid())?.containers;
        let first = containers.iter().find(|container| container.shown().is_some())?;
        Some(metrics(&POD_METRICS, pod, Value::Null, containers, first))
    });
    Ok(shown.collect())
}

/// The usage of a node, or of the containers of a pod.
fn metrics(resource: &Resource, of: &Object, usage: Value, containers: &[Usage], measured: &Usage) -> Value {
    let mut shown = json!({
        "kind": resource.kind,
        "apiVersion": resource.api_version(),
        "metadata": {"name": of.name(), "creationTimestamp": of.value()["metadata"]["creationTimestamp"]},
        "timestamp": measured.time(),
        "window": "10s",
    });
    if let Some(labels) = &of.metadata().labels {
        shown["metadata"]["labels"] = json!(labels);
    }
    if usage.is_null() {
        shown["metadata"]["namespace"] = of.namespace().into();
        let named = |usage: &Usage| usage.shown().map(|shown| json!({"name": usage.name, "usage": shown}));
        shown["containers"] = containers.iter().filter_map(named).collect();
    } else {
        shown["usage"] = usage;
    }
    shown
}

/// The objects the metrics are to be of. Who may see the metrics may see whose they are.
async fn stored(
    server: &Server,
    resource: Resource,
    key: &Key,
    options: ListOptions,
) -> Result<Vec<Object>, Status> {
    let verb = if key.name.is_empty() { Verb::List(options) } else { Verb::Get };
    let user = User::component("apiserver");
    let request = Request { user, resource, key: key.clone(), subresource: "", verb };
    match server.api.registry.call(request).await {
        Ok(reply) => Ok(match reply.answer {
            Answer::Object(object) => vec![object],
            Answer::List(list) => list.items,
            _ => Vec::new(),
        }),
        Err(status) if status.is_not_found() => Ok(Vec::new()),
        Err(status) => Err(status),
    }
}

/// The summaries of those nodes that answer in time.
async fn ask(server: &Server, nodes: Vec<String>) -> Result<BTreeMap<String, Summary>, Status> {
    let dialer = server.dialer()?;
    let summaries = stream::iter(nodes)
        .map(|node| async move {
            let end = server.end_after(PATIENCE);
            let asked = async {
                let response = node::get(dialer, &node, "/stats/summary", end).await?;
                let bytes = Limited::new(response.into_body(), SUMMARY_LIMIT).collect().await;
                let bytes = bytes.map_err(Status::internal)?.to_bytes();
                serde_json::from_slice(&bytes).map_err(Status::internal)
            };
            let summary: Result<Summary, Status> = tokio::select! {
                biased;
                summary = asked => summary,
                () = server.api.clock.sleep(PATIENCE) => Err(Status::internal("no answer in time")),
            };
            match summary {
                Ok(summary) => Some((node, summary)),
                Err(status) => {
                    tracing::warn!(node = %encode(&node), error = %status, "a node did not tell its usage");
                    None
                }
            }
        })
        .buffer_unordered(NODES_AT_ONCE);
    Ok(summaries.filter_map(std::future::ready).collect().await)
}
