//! API groups that other servers serve, registered by APIServices.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use futures::stream;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::custom::{DEFINITIONS, condition, cron_tabs};
use super::streams::{WEBSOCKET, connect, upgrade};
use super::*;
use crate::auth::authority::{Authority, ServerNames};
use crate::outgoing::tests::{Servers, Shown, clock};

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const OWN: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.sea.example.com";
const FISH: &str = "/apis/sea.example.com/v1/namespaces/default/fish";
const ADDRESS: &str = "10.96.0.50:443";
const V2: (&str, &str) = ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

type Answering = BoxFuture<'static, http::Response<Body>>;

/// A server of fish. While it is ill it answers nobody.
fn sea(ill: &Arc<AtomicBool>) -> impl Fn(Request<Incoming>) -> Answering + Send + Sync + 'static {
    let ill = ill.clone();
    move |mut request| {
        let is_ill = ill.load(Ordering::Relaxed);
        Box::pin(async move {
            if request.headers().contains_key("upgrade") {
                return echo(&mut request);
            }
            let (code, value) = match request.uri().path() {
                _ if is_ill => (503, json!({"kind": "Status"})),
                "/apis/sea.example.com/v1" => (200, resources()),
                "/openapi/v3" => {
                    let url = "/openapi/v3/apis/sea.example.com/v1?hash=AB";
                    (200, json!({"paths": {"apis/sea.example.com/v1": {"serverRelativeURL": url}}}))
                }
                "/openapi/v3/apis/sea.example.com/v1" => (200, json!({"openapi": "3.0.0"})),
                path if path.ends_with("/fish") && request.uri().query() == Some("watch=1") => {
                    return watched();
                }
                _ => (200, said(request).await),
            };
            let mut response = http::Response::new(Body::from(value.to_string()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        })
    }
}

fn resources() -> Value {
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "sea.example.com/v1", "resources": [
        {"name": "fish", "singularName": "fish", "namespaced": true, "kind": "Fish", "verbs": ["get", "list", "watch"]}]})
}

/// The request as the server saw it.
async fn said(request: Request<Incoming>) -> Value {
    let shown = request.extensions().get::<Shown>().unwrap().0.first().cloned();
    let name = shown.map(|der| {
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        certificate.subject().to_string()
    });
    let about_user = |name: &str| name.starts_with("x-remote-") || name.starts_with("impersonate-");
    let headers: Vec<String> = request
        .headers()
        .iter()
        .filter(|(name, _)| about_user(name.as_str()) || *name == "authorization")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    json!({"method": method, "path": path, "headers": headers, "body": body, "certificate": name})
}

fn watched() -> http::Response<Body> {
    let lines = ["{\"type\":\"ADDED\"}\n", "{\"type\":\"DELETED\"}\n"].map(Ok::<_, Infallible>);
    http::Response::new(Body::from_stream(stream::iter(lines)))
}

fn echo(request: &mut Request<Incoming>) -> http::Response<Body> {
    let upgrading = hyper::upgrade::on(request);
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    response.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    // Ended with the test, whose runtime owns it.
    drop(tokio::task::spawn(async move {
        let mut io = TokioIo::new(upgrading.await.unwrap());
        let mut heard = [0; 5];
        io.read_exact(&mut heard).await.unwrap();
        io.write_all(&heard).await.unwrap();
        io.shutdown().await.unwrap();
    }));
    response
}

async fn start(servers: impl FnOnce(Servers) -> Servers) -> (World, String) {
    let names = ServerNames::new(Ipv4Addr::new(10, 96, 0, 1));
    let authority = Authority::ephemeral(&names, &clock()).unwrap();
    let proxy = authority.front_proxy();
    let servers = servers(Servers::empty().asking_for(proxy.ca_pem()));
    let bundle = servers.bundle();
    let config = Config { front_proxy: Some(proxy), ..Config::in_memory(clock(), 1) };
    (start_of(config, Some(Arc::new(servers))).await, bundle)
}

fn api_service(bundle: &str) -> Value {
    json!({"metadata": {"name": "v1.sea.example.com"}, "spec": {"group": "sea.example.com", "version": "v1",
        "groupPriorityMinimum": 1000, "versionPriority": 15, "caBundle": bundle,
        "service": {"namespace": "default", "name": "sea"}}})
}

impl World {
    /// Makes the service of the server, with somebody behind it.
    async fn service(&self) {
        let ports = json!([{"port": 443, "targetPort": 8443}]);
        let service =
            json!({"metadata": {"name": "sea"}, "spec": {"clusterIP": "10.96.0.50", "ports": ports}});
        self.create("/api/v1/namespaces/default/services", service).await;
    }

    async fn slice(&self) {
        let slice = json!({"metadata": {"name": "sea-1", "labels": {"kubernetes.io/service-name": "sea"}},
            "addressType": "IPv4", "ports": [{"port": 8443}],
            "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": true}}]});
        self.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice).await;
    }

    /// Waits until the condition of the APIService is this.
    async fn available(&self, status: &str, reason: &str) -> Value {
        let found = self
            .until(OWN, |found| {
                let found = condition(found, "Available");
                found.is_some_and(|found| found["status"] == status && found["reason"] == reason)
            })
            .await;
        condition(&found, "Available").unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_of_another_server_is_there_as_if_it_were_served_here() {
    let ill = Arc::<AtomicBool>::default();
    let (mut world, bundle) =
        start(|servers| servers.with_handler(ADDRESS, "sea.default.svc", sea(&ill))).await;
    world.service().await;
    world.slice().await;
    world.create(SERVICES, api_service(&bundle)).await;
    let condition = world.available("True", "Passed").await;
    assert_eq!(condition["message"], "all checks passed");
    let lied = [
        ("x-remote-user", "root"),
        ("x-remote-extra-a", "b"),
        ("impersonate-user", "jane"),
        ("impersonate-group", "staff"),
    ];
    let said = world.call("POST", &format!("{FISH}?a=%20b"), &lied[..2], "{}").await.value();
    assert_eq!(
        said,
        json!({"method": "POST", "path": format!("{FISH}?a=%20b"), "body": "{}", "certificate": "CN=front-proxy-client",
            "headers": ["x-remote-user: system:peapod:test", "x-remote-group: system:masters", "x-remote-group: system:authenticated"]})
    );
    let refused = world.call("GET", FISH, &lied, "").await.failure();
    assert_eq!(
        refused,
        r#"403 Forbidden fish.sea.example.com is forbidden: User "jane" cannot list resource "fish" in API group "sea.example.com" in the namespace "default""#
    );
    let watched = world.get(&format!("{FISH}?watch=1")).await.text();
    assert_eq!(watched, "{\"type\":\"ADDED\"}\n{\"type\":\"DELETED\"}\n");
    assert_eq!(world.get("/apis/sea.example.com/v1").await.value(), resources());
    world.user = Some(Arc::new(User {
        name: "eve".into(),
        groups: vec!["system:authenticated".into()],
        ..User::default()
    }));
    assert_eq!(
        world.get("/apis/sea.example.com/v1").await.value(),
        resources(),
        "who may look around may look here"
    );
    assert_eq!(world.get(&format!("{FISH}/a/bowl/b//c")).await.code, 403);
}

#[tokio::test(start_paused = true)]
async fn an_api_of_another_server_is_discovered_until_it_goes() {
    let ill = Arc::<AtomicBool>::default();
    let (world, bundle) = start(|servers| servers.with_handler(ADDRESS, "sea.default.svc", sea(&ill))).await;
    world.service().await;
    world.slice().await;
    world.create(SERVICES, api_service(&bundle)).await;
    world.available("True", "Passed").await;
    let group = world.get("/apis/sea.example.com").await.value();
    assert_eq!(group["preferredVersion"]["groupVersion"], "sea.example.com/v1");
    let shown = async || {
        let all = world.call("GET", "/apis", &[V2], "").await.value();
        let groups = all["items"].as_array().unwrap().iter();
        let found = groups.clone().find(|group| group["metadata"]["name"] == "sea.example.com");
        found.map(|group| group["versions"].clone())
    };
    let fish = json!({"resource": "fish", "singularResource": "fish", "scope": "Namespaced", "verbs": ["get", "list", "watch"],
        "responseKind": {"group": "sea.example.com", "version": "v1", "kind": "Fish"}});
    let versions = |freshness: &str| json!([{"version": "v1", "resources": [fish], "freshness": freshness}]);
    assert_eq!(shown().await, Some(versions("Current")));
    let url = "/openapi/v3/apis/sea.example.com/v1?hash=AB";
    let index = world.get("/openapi/v3").await.value();
    assert_eq!(index["paths"]["apis/sea.example.com/v1"]["serverRelativeURL"], url);
    assert!(index["paths"]["apis/apps/v1"].is_object());
    assert_eq!(world.get(url).await.value(), json!({"openapi": "3.0.0"}));
    ill.store(true, Ordering::Relaxed);
    world.clock.sleep(std::time::Duration::from_secs(40)).await;
    let condition = world.available("False", "FailedDiscoveryCheck").await;
    let url = "https://10.96.0.50:443/apis/sea.example.com/v1";
    assert_eq!(
        condition["message"],
        format!("failing or missing response from {url}: bad status from {url}: 503")
    );
    assert_eq!(shown().await, Some(versions("Stale")));
    let refused = world.get(FISH).await;
    assert_eq!((refused.code, refused.text().as_str()), (503, "service unavailable\n"));
    ill.store(false, Ordering::Relaxed);
    world.clock.sleep(std::time::Duration::from_secs(40)).await;
    world.available("True", "Passed").await;
    assert_eq!(shown().await, Some(versions("Current")));
    assert_eq!(world.call("DELETE", OWN, &[], "").await.code, 200);
    world.until("/apis/sea.example.com", |found| found["code"] == 404).await;
    assert_eq!(shown().await, None);
    assert_eq!(world.get(FISH).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_lacks_is_said_in_its_condition() {
    let (world, bundle) = start(|servers| servers).await;
    world.create(SERVICES, api_service(&bundle)).await;
    world.available("False", "ServiceNotFound").await;
    assert_eq!(world.get(FISH).await.text(), "service unavailable\n");
    world.service().await;
    world.available("False", "EndpointsNotFound").await;
    world.slice().await;
    let condition = world.available("False", "FailedDiscoveryCheck").await;
    let url = "https://10.96.0.50:443/apis/sea.example.com/v1";
    assert_eq!(
        condition["message"],
        format!(
            "failing or missing response from {url}: Get \"{url}\": dial tcp 10.96.0.50:443: connect: connection refused"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_with_a_wrong_certificate_is_well_but_not_believed() {
    let ill = Arc::<AtomicBool>::default();
    let (world, _) = start(|servers| servers.with_handler(ADDRESS, "sea.default.svc", sea(&ill))).await;
    world.service().await;
    world.slice().await;
    world.create(SERVICES, api_service(&Servers::empty().bundle())).await;
    world.available("True", "Passed").await;
    let refused = world.get(FISH).await;
    assert_eq!(
        (refused.code, refused.text().as_str()),
        (
            503,
            "error trying to reach service: tls: failed to verify certificate: x509: certificate signed by unknown authority\n"
        )
    );
    let mut insecure = world.get(OWN).await.value();
    insecure["spec"].as_object_mut().unwrap().remove("caBundle");
    insecure["spec"]["insecureSkipTLSVerify"] = true.into();
    world.send("PUT", OWN, "application/json", &insecure).await;
    world.available("True", "Passed").await;
    let mut answer = world.get(FISH).await;
    for _ in 0..1000 {
        if answer.code == 200 {
            break;
        }
        tokio::task::yield_now().await;
        answer = world.get(FISH).await;
    }
    assert_eq!(answer.value()["method"], "GET");
}

#[tokio::test(start_paused = true)]
async fn streams_go_through() {
    let ill = Arc::<AtomicBool>::default();
    let (world, bundle) = start(|servers| servers.with_handler(ADDRESS, "sea.default.svc", sea(&ill))).await;
    world.service().await;
    world.slice().await;
    world.create(SERVICES, api_service(&bundle)).await;
    world.available("True", "Passed").await;
    let (io, serving) = connect(&world);
    let client = async {
        let (code, _, stream) = upgrade(io, "GET", &format!("{FISH}/a/bowl/deep/in?x"), &WEBSOCKET).await;
        assert_eq!(code, StatusCode::SWITCHING_PROTOCOLS);
        let (mut stream, mut heard) = (stream.unwrap(), String::new());
        stream.write_all(b"hello").await.unwrap();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hello");
    };
    tokio::join!(serving, client);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_served_here_may_be_taken_over() {
    let list = json!({"kind": "APIResourceList", "resources": [
        {"name": "nodes", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get"]}]});
    let (world, bundle) = start(|servers| {
        servers.with(ADDRESS, "sea.default.svc", move |path, _| match path {
            "/apis/metrics.k8s.io/v1beta1" => (200, list.clone()),
            path => (200, json!({"path": path})),
        })
    })
    .await;
    world.service().await;
    world.slice().await;
    let own = format!("{SERVICES}/v1beta1.metrics.k8s.io");
    assert_eq!(world.get(&own).await.value()["status"]["conditions"][0]["reason"], "Local");
    let patch = json!({"spec": {"caBundle": bundle, "service": {"namespace": "default", "name": "sea"}}});
    world.send("PATCH", &own, "application/merge-patch+json", &patch).await;
    let nodes = "/apis/metrics.k8s.io/v1beta1/nodes";
    world.until(nodes, |found| found["path"] == nodes).await;
    let patch = json!({"spec": {"caBundle": null, "service": null}});
    let returned = world.send("PATCH", &own, "application/merge-patch+json", &patch).await.value();
    let condition = condition(&returned, "Available").unwrap();
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("Local")));
    world.until(nodes, |found| found["kind"] == "NodeMetricsList").await;
}

#[tokio::test(start_paused = true)]
async fn every_group_has_its_api_service() {
    let world = super::start().await;
    let list = world.get(SERVICES).await.value();
    let rows: Vec<(&str, &str, &str)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let condition = condition(item, "Available").unwrap();
            let text = |value: &'static str| condition[value].as_str().unwrap();
            (item["metadata"]["name"].as_str().unwrap(), text("status"), text("reason"))
        })
        .collect();
    for name in
        ["v1.", "v1.apps", "v1.authorization.k8s.io", "v1.authentication.k8s.io", "v1beta1.metrics.k8s.io"]
    {
        assert!(rows.contains(&(name, "True", "Local")), "{name}: {rows:?}");
    }
    world.declare(cron_tabs()).await;
    let own = format!("{SERVICES}/v1.stable.example.com");
    let registered = world.until(&own, |found| found["kind"] == "APIService").await;
    assert_eq!(
        registered["metadata"]["labels"],
        json!({"kube-aggregator.kubernetes.io/automanaged": "true"})
    );
    assert_eq!(
        registered["spec"],
        json!({"group": "stable.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100})
    );
    let uid = registered["metadata"]["uid"].clone();
    world.call("DELETE", &own, &[], "").await;
    world.until(&own, |found| found["kind"] == "APIService" && found["metadata"]["uid"] != uid).await;
    let definition = format!("{}/crontabs.stable.example.com", DEFINITIONS);
    world.call("DELETE", &definition, &[], "").await;
    world.until(&own, |found| found["code"] == 404).await;
}
