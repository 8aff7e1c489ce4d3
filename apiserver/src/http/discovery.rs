//! Tells clients what is served: the documents of one group each, and the one that holds everything.

mod groups;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Resource, Status};
use arc_swap::ArcSwapOption;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::accept::{self, Discovery};
use super::catalog::{self, Entry, Part};
use super::encode::Encoding;
use super::reply;
use crate::aggregation::{Remote, Remotes};
use crate::builtin::Names;
use crate::served::Served;
use groups::{Content, Group, grouped};

/// The documents of what is served now; made anew after that changed.
pub(super) struct Current {
    with_usage: bool,
    made: ArcSwapOption<(Arc<Served>, Arc<Remotes>, Arc<Documents>)>,
}

impl Current {
    pub fn new(with_usage: bool) -> Self {
        Self { with_usage, made: ArcSwapOption::empty() }
    }

    /// The documents of what is served here and elsewhere.
    pub fn of(&self, served: &Arc<Served>, remotes: &Arc<Remotes>) -> Arc<Documents> {
        if let Some(made) = &*self.made.load()
            && Arc::ptr_eq(&made.0, served)
            && Arc::ptr_eq(&made.1, remotes)
        {
            return made.2.clone();
        }
        let documents = Arc::new(Documents::new(&catalog::entries(served, self.with_usage), remotes));
        self.made.store(Some(Arc::new((served.clone(), remotes.clone(), documents.clone()))));
        documents
    }
}

/// All discovery documents of one moment.
pub(super) struct Documents {
    /// By path, such as `apis/apps/v1`.
    legacy: BTreeMap<String, Bytes>,
    /// By version and path: `api` or `apis`.
    aggregated: BTreeMap<(&'static str, &'static str), Aggregated>,
    /// Those of which other servers have the documents.
    elsewhere: Vec<String>,
}

struct Aggregated {
    json: Bytes,
    etag: HeaderValue,
    content_type: HeaderValue,
}

impl Documents {
    pub fn new(entries: &[Entry], remotes: &Remotes) -> Self {
        let groups = grouped(entries, remotes);
        let mut legacy = BTreeMap::new();
        let mut add = |path: String, document: Value| legacy.insert(path, document.to_string().into());
        add("api".to_owned(), versions());
        let named = groups.iter().filter(|group| !group.name.is_empty());
        let listed: Vec<Value> = named.clone().map(group_entry).collect();
        add("apis".to_owned(), json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}));
        for group in named {
            let mut document = group_entry(group);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            add(format!("apis/{}", group.name), document);
        }
        for Group { name: group, versions, .. } in &groups {
            for (version, content) in versions {
                let Content::Here(entries) = content else {
                    continue;
                };
                let path = if group.is_empty() {
                    format!("api/{version}")
                } else {
                    format!("apis/{group}/{version}")
                };
                add(path, resource_list(&api_version(group, version), entries));
            }
        }
        let mut aggregated = BTreeMap::new();
        for version in ["v2", "v2beta1"] {
            let of = |is_core: bool| groups.iter().filter(move |group| group.name.is_empty() == is_core);
            aggregated.insert((version, "api"), Aggregated::new(version, of(true)));
            aggregated.insert((version, "apis"), Aggregated::new(version, of(false)));
        }
        let elsewhere = remotes.iter().map(|remote| remote.path()).collect();
        Self { legacy, aggregated, elsewhere }
    }

    /// What can be asked for, for people who look around.
    pub fn paths(&self) -> Value {
        let known = self.legacy.keys().map(|path| format!("/{path}"));
        let others = ["/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/version"];
        let mut paths: Vec<String> = known.chain(self.elsewhere.iter().cloned()).collect();
        paths.sort();
        paths.extend(others.map(str::to_owned));
        json!({ "paths": paths })
    }

    /// The document of a path; none if there is none.
    pub fn show(&self, path: &str, headers: &HeaderMap) -> Result<Option<Response>, Status> {
        let Some(legacy) = self.legacy.get(path) else {
            return Ok(None);
        };
        let version = match accept::discovery(headers)? {
            Discovery::Legacy => None,
            Discovery::LegacyProtobuf => return protobuf(legacy).map(Some),
            Discovery::V2 => Some("v2"),
            Discovery::V2Beta1 => Some("v2beta1"),
        };
        let known = self.aggregated.iter().find(|((of, at), _)| Some(*of) == version && *at == path);
        let mut response = match known {
            None => reply::json(StatusCode::OK, legacy.clone()),
            Some((_, Aggregated { json, etag, content_type })) => {
                let is_known = headers.get(IF_NONE_MATCH) == Some(etag);
                let code = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
                let body = if is_known { Bytes::new() } else { json.clone() };
                let mut response = reply::json(code, body);
                response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
                response.headers_mut().insert(ETAG, etag.clone());
                response
            }
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        Ok(Some(response))
    }
}

/// A document that is in JSON as a message.
fn protobuf(json: &[u8]) -> Result<Response, Status> {
    let mut tree: Value = serde_json::from_slice(json).map_err(Status::internal)?;
    // In JSON one of them says nothing of its version.
    tree["apiVersion"] = "v1".into();
    let mut response = reply::encoded(StatusCode::OK, Encoding::Protobuf, &tree)?;
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

impl Aggregated {
    fn new<'a>(version: &str, groups: impl Iterator<Item = &'a Group<'a>>) -> Self {
        let items: Vec<Value> = groups.map(aggregated_group).collect();
        let document = json!({
            "kind": "APIGroupDiscoveryList",
            "apiVersion": format!("apidiscovery.k8s.io/{version}"),
            "metadata": {},
            "items": items,
        });
        let json: Bytes = document.to_string().into();
        let content_type =
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        let header = |text: String| HeaderValue::try_from(text).expect("letters, digits and punctuation");
        Self { etag: header(format!("\"{}\"", hash(&json))), content_type: header(content_type), json }
    }
}

fn versions() -> Value {
    let addresses: [Value; 0] = [];
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})
}

fn group_entry(group: &Group<'_>) -> Value {
    let Group { name: group, versions, .. } = group;
    let versions: Vec<Value> = versions
        .iter()
        .map(|(version, _)| json!({"groupVersion": api_version(group, version), "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

fn resource_list(api_version: &str, entries: &[&Entry]) -> Value {
    let mut resources = Vec::new();
    for entry in entries {
        let Entry { resource, names, verbs, parts } = entry;
        let mut listed = json!({
            "name": resource.plural,
            "singularName": names.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs,
            "storageVersionHash": storage_hash(resource),
        });
        set_lists(&mut listed, names);
        resources.push(listed);
        for Part { name, verbs, document } in parts {
            let mut listed = json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": verbs,
            });
            if let Some((group, version, kind)) = document {
                listed["kind"] = (*kind).into();
                if !group.is_empty() {
                    listed["group"] = (*group).into();
                    listed["version"] = (*version).into();
                }
            }
            resources.push(listed);
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources})
}

fn aggregated_group(group: &Group<'_>) -> Value {
    let Group { name: group, versions, .. } = group;
    let shown = |version: &str, content: &Content<'_>| match content {
        Content::Here(entries) => {
            let resources: Vec<Value> = entries.iter().copied().map(aggregated_resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        }
        Content::Elsewhere(Remote { offered, .. }) => {
            let freshness = if offered.is_stale { "Stale" } else { "Current" };
            json!({"version": version, "resources": offered.resources, "freshness": freshness})
        }
    };
    let versions: Vec<Value> = versions.iter().map(|(version, content)| shown(version, content)).collect();
    json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
}

fn aggregated_resource(entry: &Entry) -> Value {
    let Entry { resource, names, verbs, parts } = entry;
    let Resource { group, version, kind, .. } = resource;
    let own = json!({"group": group, "version": version, "kind": kind});
    let mut shown = json!({
        "resource": resource.plural,
        "responseKind": own,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": names.singular,
        "verbs": verbs,
    });
    set_lists(&mut shown, names);
    let parts: Vec<Value> = parts
        .iter()
        .map(|Part { name, verbs, document }| {
            let other = |(group, version, kind)| json!({"group": group, "version": version, "kind": kind});
            let kind = document.map_or_else(|| own.clone(), other);
            json!({"subresource": name, "responseKind": kind, "verbs": verbs})
        })
        .collect();
    if !parts.is_empty() {
        shown["subresources"] = parts.into();
    }
    shown
}

fn set_lists(shown: &mut Value, names: &Names) {
    if !names.short_names.is_empty() {
        shown["shortNames"] = names.short_names.as_slice().into();
    }
    if !names.categories.is_empty() {
        shown["categories"] = names.categories.as_slice().into();
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Tells clients that move stored objects between versions when there is something to move.
fn storage_hash(resource: &Resource) -> String {
    let Resource { group, version, kind, .. } = resource;
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    STANDARD.encode(&digest[..8])
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::header::ACCEPT;
    use http_body_util::BodyExt;

    async fn shown(documents: &Documents, path: &str, accept: &str) -> (Response, Value) {
        let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
        let response = documents.show(path, &headers).unwrap().unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, axum::body::Body::empty()), serde_json::from_slice(&bytes).unwrap())
    }

    fn named<'a>(list: &'a Value, field: &str, name: &str) -> &'a Value {
        list.as_array().unwrap().iter().find(|item| item[field] == name).unwrap()
    }

    #[tokio::test]
    async fn every_document_tells_of_the_same_resources() {
        let documents = Documents::new(&catalog::entries(&Served::builtin(), true), &Remotes::default());
        let (_, core) = shown(&documents, "api/v1", "application/json").await;
        let pods = named(&core["resources"], "name", "pods");
        assert_eq!((pods["shortNames"][0].as_str(), pods["kind"].as_str()), (Some("po"), Some("Pod")));
        assert_eq!(named(&core["resources"], "name", "pods/log")["verbs"], json!(["get"]));
        let (_, apps) = shown(&documents, "apis/apps/v1", "application/json").await;
        let scale = named(&apps["resources"], "name", "deployments/scale");
        assert_eq!((scale["group"].as_str(), scale["kind"].as_str()), (Some("autoscaling"), Some("Scale")));
        let (_, groups) = shown(&documents, "apis", "application/json").await;
        let group = named(&groups["groups"], "name", "apps");
        assert_eq!(group["preferredVersion"], json!({"groupVersion": "apps/v1", "version": "v1"}));
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let (response, all) = shown(&documents, "apis", accept).await;
        assert_eq!(response.headers()[CONTENT_TYPE], accept);
        assert_eq!(all["apiVersion"], "apidiscovery.k8s.io/v2");
        let apps =
            all["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "apps").unwrap();
        let deployments = named(&apps["versions"][0]["resources"], "resource", "deployments");
        assert_eq!(
            (deployments["scope"].as_str(), deployments["categories"][0].as_str()),
            (Some("Namespaced"), Some("all"))
        );
        let scale = named(&deployments["subresources"], "subresource", "scale");
        assert_eq!(scale["responseKind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    }

    #[tokio::test]
    async fn who_has_the_document_is_not_sent_it_again() {
        let documents = Documents::new(&catalog::entries(&Served::builtin(), false), &Remotes::default());
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let (response, _) = shown(&documents, "api", accept).await;
        let etag = response.headers()[ETAG].clone();
        let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap()), (IF_NONE_MATCH, etag)]);
        let again = documents.show("api", &headers).unwrap().unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.into_body().collect().await.unwrap().to_bytes().is_empty());
        assert!(documents.show("apis/metrics.k8s.io", &headers).unwrap().is_none(), "without nodes to ask");
    }
}
