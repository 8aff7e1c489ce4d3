//! Requests passed on: `pods/NAME/proxy`, `services/NAME/proxy` and `nodes/NAME/proxy`.

mod target;

use api::dialer::Connection;
use api::status::Reason;
use api::{Resource, Status};
use axum::body::Body;
use axum::response::Response;
use http::header::{HOST, HeaderName, HeaderValue, LOCATION, UPGRADE};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;

use super::connect::Asked;
use super::passing::{self, Going};
use super::{LONGEST_REQUEST, Server, in_time, reply};
use crate::outgoing::{Trust, secure};
use target::Target;

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
    passed: Passed<'_>,
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
    let upgrade = asked.upgrade.filter(|_| asked.headers.contains_key(UPGRADE));
    if rest.is_empty() && upgrade.is_none() {
        return Ok(moved(passed.path, passed.query));
    }
    let running = server.api.metrics.long_running(&asked.about);
    let request = request(passed, rest, &target, asked.headers, upgrade.is_some())?;
    let unreached = |words: String| {
        Status::new(Reason::ServiceUnavailable, format!("error trying to reach service: {words}"))
    };
    let (dialer, clock) = (server.dialer()?, &server.api.clock);
    let connection = in_time(server, LONGEST_REQUEST, async {
        let dialed = dialer.dial(&target.destination).await;
        let connection = dialed.map_err(|error| unreached(error.to_string()))?;
        match target.tls {
            // As in Kubernetes nobody vouches for it: pods have certificates of their own making.
            true => {
                let secured =
                    secure(connection, "pod", &Trust::anything(), clock).await.map_err(unreached)?;
                Ok(Box::new(secured) as Box<dyn Connection>)
            }
            false => Ok(connection),
        }
    });
    let going = Going { upgrade, until: asked.until, running };
    let passed = passing::pass(server, connection.await?, request, going).await;
    let mut response = passed.map_err(|error| unreached(error.to_string()))?;
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
    passed: Passed<'_>,
    rest: &str,
    target: &Target,
    headers: &HeaderMap,
    upgrades: bool,
) -> Result<Request<Body>, Status> {
    let query = passed.query.map(|query| format!("?{query}")).unwrap_or_default();
    let rest = if rest.is_empty() { "/" } else { rest };
    let mut builder = Request::builder().method(passed.method).uri(format!("{rest}{query}"));
    if let Some(sent) = builder.headers_mut() {
        *sent = passing::headers(headers, upgrades, &target.host)?;
        let forwarded = [
            ("x-forwarded-host", headers.get(HOST).cloned()),
            ("x-forwarded-uri", HeaderValue::try_from(passed.path).ok()),
            ("x-forwarded-proto", Some(HeaderValue::from_static("https"))),
        ];
        for (name, value) in forwarded {
            sent.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
    }
    builder.body(passed.body).map_err(Status::internal)
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
