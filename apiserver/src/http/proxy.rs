//! Requests passed on: `pods/NAME/proxy`, `services/NAME/proxy` and `nodes/NAME/proxy`.

mod target;
mod tls;

use api::status::Reason;
use api::{Resource, Status};
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::select;

use super::connect::Asked;
use super::metrics::Running;
use super::node::{self, Relay};
use super::{LONGEST_REQUEST, Server, in_time, reply};
use crate::stream::upgrade::Upgradable;
use target::Target;

/// Headers that concern one connection, not the request.
const OF_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What is passed on.
pub(super) struct Passed<'r> {
    pub resource: &'r Resource,
    pub method: Method,
    /// The whole path, as it came.
    pub path: &'r str,
    /// What stands behind the question mark, as it came.
    pub query: Option<&'r str>,
    pub body: Body,
}

/// Answers `proxy`.
pub(super) async fn answer(
    server: &Server,
    mut passed: Passed<'_>,
    asked: Asked<'_>,
) -> Result<Response, Status> {
    let (prefix, rest) = split(passed.path, passed.resource.namespaced);
    let mut document = document(passed.resource, rest);
    let admitted = server.api.registry.admit_connection(
        &asked.user,
        passed.resource,
        "proxy",
        &asked.key,
        &mut document,
    );
    let warnings = admitted.await?;
    let target = target::find(server, passed.resource, &asked.key).await?;
    let is_upgrade = asked.headers.contains_key(UPGRADE) && asked.upgrade.is_some();
    if rest.is_empty() && !is_upgrade {
        return Ok(moved(passed.path, passed.query));
    }
    let running = server.api.metrics.long_running(&asked.about);
    let body = std::mem::take(&mut passed.body);
    let request = request(&passed, rest, &target, asked.headers, is_upgrade)?.map(|()| body);
    let unreached = |error: std::io::Error| {
        let words = format!("error trying to reach service: {error}");
        Status::new(Reason::ServiceUnavailable, words)
    };
    let dialer = server.dialer()?;
    let connection = in_time(server, LONGEST_REQUEST, async {
        let connection = dialer.dial(&target.destination).await.map_err(unreached)?;
        match &target.tls {
            true => tls::wrap(connection, &server.api.clock).await.map_err(unreached),
            false => Ok(connection),
        }
    });
    let answered = node::send(connection.await?, request, Box::pin(server.stopping())).await;
    let answered = answered.map_err(unreached)?;
    let mut response = match (answered.status(), asked.upgrade) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) if is_upgrade => {
            switch(server, answered, upgrade, running).await.map_err(unreached)?
        }
        (StatusCode::SWITCHING_PROTOCOLS, _) => {
            return Err(unreached(std::io::Error::other("it switched protocols without being asked")));
        }
        _ => plain(answered, running),
    };
    bring_home(response.headers_mut(), &target.host, prefix);
    reply::warn(response.headers_mut(), &warnings);
    Ok(response)
}

/// The path up to the proxy, and the rest with the slash it begins with.
fn split(path: &str, namespaced: bool) -> (&str, &str) {
    let segments = if namespaced { 7 } else { 5 };
    let inside = path.len() - path.trim_start_matches('/').len();
    let slashes = path.match_indices('/').map(|(at, _)| at).filter(|at| *at >= inside);
    let end = slashes.take(segments).nth(segments - 1).unwrap_or(path.len());
    path.split_at(end)
}

/// The options as admission sees them.
fn document(resource: &Resource, rest: &str) -> serde_json::Value {
    json!({"kind": format!("{}ProxyOptions", resource.kind), "apiVersion": "v1", "path": rest})
}

/// Relative links work only below a folder.
fn moved(path: &str, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::try_from(format!("{path}/{query}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The request as the target gets it. The front has taken the client's secret out of it.
fn request(
    passed: &Passed<'_>,
    rest: &str,
    target: &Target,
    headers: &HeaderMap,
    is_upgrade: bool,
) -> Result<Request<()>, Status> {
    let query = passed.query.map(|query| format!("?{query}")).unwrap_or_default();
    let rest = if rest.is_empty() { "/" } else { rest };
    let mut builder = Request::builder().method(passed.method.clone()).uri(format!("{rest}{query}"));
    if let Some(sent) = builder.headers_mut() {
        *sent = headers.clone();
        OF_CONNECTION.iter().for_each(|name| drop(sent.remove(name)));
        sent.remove("x-forwarded-for");
        if is_upgrade && let Some(protocol) = headers.get(UPGRADE) {
            sent.insert(UPGRADE, protocol.clone());
            sent.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        let host = headers.get(HOST).cloned();
        let forwarded = [
            ("x-forwarded-host", host),
            ("x-forwarded-uri", HeaderValue::try_from(passed.path).ok()),
            ("x-forwarded-proto", Some(HeaderValue::from_static("https"))),
        ];
        for (name, value) in forwarded {
            sent.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
        sent.insert(HOST, HeaderValue::try_from(target.host.as_str()).map_err(Status::internal)?);
    }
    builder.body(()).map_err(Status::internal)
}

/// An answer with its body, counted while it goes on.
fn plain(answered: http::Response<Relay>, running: Running) -> Response {
    let mut response = answered.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &running;
            frame
        }))
    });
    OF_CONNECTION.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    response
}

/// Joins the two connections under an answer that switches protocols.
async fn switch(
    server: &Server,
    answered: http::Response<Relay>,
    upgrade: Upgradable,
    running: Running,
) -> std::io::Result<Response> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answered.status();
    *response.headers_mut() = answered.headers().clone();
    let mut far = node::upgraded(answered).await?;
    let stopping = server.stopping();
    upgrade.begin(server.api.clock.clone(), move |mut near| async move {
        let _running = running;
        select! {
            biased;
            () = stopping => {}
            // However it ends, it is over.
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        }
    });
    Ok(response)
}

/// Makes an answer that sends the client elsewhere at the same server lead through the proxy again.
fn bring_home(headers: &mut HeaderMap, host: &str, prefix: &str) {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    if let Some(location) = location.and_then(|location| led_home(location, host, prefix))
        && let Ok(location) = HeaderValue::try_from(location)
    {
        headers.insert(LOCATION, location);
    }
}

/// Where a location leads through the proxy; none if it stays as it is.
fn led_home(location: &str, host: &str, prefix: &str) -> Option<String> {
    let rest = match location.split_once("://") {
        Some((_, rest)) => rest.strip_prefix(host)?,
        None if location.starts_with("//") => location.trim_start_matches('/').strip_prefix(host)?,
        None => location,
    };
    let is_path = rest.starts_with('/') && !rest.starts_with(prefix);
    is_path.then(|| format!("{prefix}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_path_is_kept_as_it_came() {
        let row = |path: &str, namespaced: bool, prefix: &str, rest: &str| {
            assert_eq!(split(path, namespaced), (prefix, rest));
        };
        let pod = "/api/v1/namespaces/a/pods/b:80/proxy";
        row(pod, true, pod, "");
        row(&format!("{pod}/"), true, pod, "/");
        row(&format!("{pod}/a//b%2Fc/"), true, pod, "/a//b%2Fc/");
        row("/api/v1/nodes/n/proxy/metrics", false, "/api/v1/nodes/n/proxy", "/metrics");
        row("//api/v1/nodes/n/proxy/metrics", false, "//api/v1/nodes/n/proxy", "/metrics");
    }

    #[test]
    fn redirections_lead_through_the_proxy() {
        let row = |location: &str, expected: Option<&str>| {
            assert_eq!(led_home(location, "10.1.2.3:80", "/p/proxy").as_deref(), expected, "{location}");
        };
        row("/login?a", Some("/p/proxy/login?a"));
        row("http://10.1.2.3:80/login/", Some("/p/proxy/login/"));
        row("//10.1.2.3:80/x", Some("/p/proxy/x"));
        row("http://elsewhere/login", None);
        row("http://10.1.2.3:8080/login", None);
        row("login", None);
        row("/p/proxy/login", None);
    }
}
