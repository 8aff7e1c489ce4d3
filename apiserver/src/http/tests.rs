//! The API as clients see it, called in this process.
#![allow(clippy::unwrap_used)]

mod aggregation;
mod applying;
mod custom;
mod encodings;
mod logs;
mod malformed;
mod objects;
mod others;
mod streams;
mod strict;
mod watching;

use std::sync::Arc;

use api::Clock;
use api::backend::User;
use api::dialer::Dialer;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Api, HealthCheck, Metrics, router};
use crate::auth::Until;
use crate::{Apiserver, Config};

/// A server in virtual time.
struct World {
    service: TowerToHyperService<Router>,
    user: Option<Arc<User>>,
    until: Option<Until>,
    stop: watch::Sender<bool>,
    clock: Clock,
    _tasks: JoinSet<()>,
}

/// A whole answer.
struct Answered {
    code: u16,
    headers: HeaderMap,
    bytes: Bytes,
}

const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");

async fn start() -> World {
    start_with(None).await
}

async fn start_with(dialer: Option<Arc<dyn Dialer>>) -> World {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    start_of(Config::in_memory(clock, 1), dialer).await
}

async fn start_of(config: Config, dialer: Option<Arc<dyn Dialer>>) -> World {
    let (clock, mut tasks) = (config.clock.clone(), JoinSet::new());
    let authorizer = config.authorizer.clone();
    let registry = Apiserver::start(config, &mut tasks).await.unwrap();
    if let Some(dialer) = &dialer {
        registry.reach_others_through(dialer.clone());
    }
    let mut figures = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut figures);
    let (stop, stopped) = watch::channel(false);
    let api = Api {
        openapi: registry.openapi().clone(),
        registry,
        authorizer,
        clock: clock.clone(),
        dialer,
        metrics,
        figures: Arc::new(figures),
        health: vec![HealthCheck::new("store", || Ok(()))],
        stop: stopped,
    };
    let user = Some(User::component("test"));
    World { service: TowerToHyperService::new(router(api)), user, until: None, stop, clock, _tasks: tasks }
}

impl World {
    async fn respond(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).unwrap();
        if let Some(user) = &self.user {
            request.extensions_mut().insert(user.clone());
        }
        if let Some(until) = self.until {
            request.extensions_mut().insert(until);
        }
        self.service.call(request).await.unwrap()
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let (parts, body) = self.respond(method, path, headers, body.into()).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answered { code: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    async fn get(&self, path: &str) -> Answered {
        self.call("GET", path, &[], Body::empty()).await
    }

    /// Creates an object from JSON.
    async fn create(&self, path: &str, object: Value) -> Value {
        let created =
            self.call("POST", path, &[("content-type", "application/json")], object.to_string()).await;
        assert_eq!(created.code, 201, "{}", created.text());
        created.value()
    }

    async fn config_map(&self, name: &str) -> Value {
        let object =
            serde_json::json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"a": "1"}});
        self.create("/api/v1/namespaces/default/configmaps", object).await
    }
}

impl Answered {
    fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Code and message of an error.
    fn failure(&self) -> String {
        let value = self.value();
        assert_eq!(
            (value["kind"].as_str(), value["code"].as_u64()),
            (Some("Status"), Some(u64::from(self.code)))
        );
        format!(
            "{} {} {}",
            self.code,
            value["reason"].as_str().unwrap_or_default(),
            value["message"].as_str().unwrap()
        )
    }
}

/// The names of what is listed.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}
