//! The logs of containers: checked here, read by the node that runs the pod.

use api::channels::{Channel, Role, Way, carry, pipe};
use api::field::FieldError;
use api::resource::PODS;
use api::{Key, Resource, Status};
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use tokio::io::AsyncWriteExt;

use super::connect::{self, Asked, attend};
use super::query::{Query, encode};
use super::{LONGEST_REQUEST, Server, in_time, node, reply};
use crate::stream::negotiate::Offer;
use crate::stream::upgrade::switching;

/// As much of a node's refusal is shown.
const REFUSAL_LIMIT: usize = 2048;

/// Answers `pods/NAME/log`.
pub(super) async fn answer(server: &Server, query: &Query, mut asked: Asked<'_>) -> Result<Response, Status> {
    let key = asked.key.clone();
    let parameters = parameters(&key.name, query)?;
    let object = connect::read(server, PODS, &key).await?;
    let pod: &Pod = object.typed().map_err(Status::internal)?;
    let spec = pod.spec.clone().unwrap_or_default();
    let container = container(&key.name, &spec, query.text("container"))?;
    let Some(node) = spec.node_name.filter(|node| !node.is_empty()) else {
        return Ok(reply::text(StatusCode::OK, Body::empty()));
    };
    let dialer = server.dialer()?;
    let Key { namespace, name } = &key;
    let path =
        format!("/containerLogs/{}/{}/{}?{parameters}", encode(namespace), encode(name), encode(&container));
    let follows = query.is_on("follow");
    let asking = node::get(dialer, &node, &path, server.end(asked.until));
    // It begins at once; only following it takes its time.
    let response = in_time(server, LONGEST_REQUEST, asking).await?;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return Err(refusal(parts.status, body, &key).await);
    }
    if matches!(Offer::of(asked.headers), Some(Offer::WebSocket { .. })) {
        return socket(server, &mut asked, body);
    }
    let mut response = match follows {
        false => reply::text(StatusCode::OK, Body::new(body)),
        true => {
            let running = server.api.metrics.long_running(&asked.about);
            let counted = body.map_frame(move |frame| {
                let _ = &running;
                frame
            });
            reply::text(StatusCode::OK, Body::new(counted))
        }
    };
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// Shows the log in the messages of a WebSocket.
fn socket(server: &Server, asked: &mut Asked<'_>, mut body: node::Relay) -> Result<Response, Status> {
    let (offer, upgrade) = asked.offer()?;
    let agreed = match offer.log() {
        Ok(agreed) => agreed,
        Err(nothing) => return Ok(connect::refuse(&offer, &nothing)),
    };
    let (running, clock) = (server.api.metrics.long_running(&asked.about), server.api.clock.clone());
    upgrade.begin(clock.clone(), move |client| async move {
        let _running = running;
        let (near, mut far) = pipe();
        let channel = Channel { number: 0, way: Way::Out, pipe: near };
        let serving = carry(client, Role::Server, agreed.spoken, vec![channel], &[]);
        let reading = async move {
            while let Some(Ok(frame)) = body.frame().await {
                // Trailers say nothing of a log. Who has gone reads no more.
                if let Ok(bytes) = frame.into_data()
                    && far.write_all(&bytes).await.is_err()
                {
                    return;
                }
            }
        };
        attend(serving, reading, &clock).await;
    });
    Ok(switching(&offer, agreed.name))
}

/// The container that is meant.
fn container(pod: &str, spec: &PodSpec, asked: Option<&str>) -> Result<String, Status> {
    let containers = spec.containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>();
    let init =
        spec.init_containers.iter().flatten().map(|container| container.name.as_str()).collect::<Vec<_>>();
    let is_added = |asked: &str| spec.ephemeral_containers.iter().flatten().any(|added| added.name == asked);
    match (asked, containers.as_slice()) {
        (Some(asked), _) if containers.contains(&asked) || init.contains(&asked) || is_added(asked) => {
            Ok(asked.to_owned())
        }
        (Some(asked), _) => Err(Status::bad_request(format!("container {asked} is not valid for pod {pod}"))),
        (None, [only]) if init.is_empty() => Ok((*only).to_owned()),
        (None, _) => {
            let mut words = format!(
                "a container name must be specified for pod {pod}, choose one of: [{}]",
                containers.join(" ")
            );
            if !init.is_empty() {
                words.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            Err(Status::bad_request(words))
        }
    }
}

/// The parameters for the node, checked.
fn parameters(pod: &str, query: &Query) -> Result<String, Status> {
    const POSITIVE: &str = "must be greater than 0";
    let mut errors = Vec::new();
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for switch in ["follow", "previous", "timestamps"] {
        if query.is_on(switch) {
            pairs.push((switch, "true".to_owned()));
        }
    }
    let bounds = [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, POSITIVE),
        ("sinceSeconds", 1, POSITIVE),
    ];
    for (name, least, words) in bounds {
        match query.integer(name)? {
            Some(number) if number < least => errors.push(FieldError::invalid(name, number, words)),
            Some(number) => pairs.push((name, number.to_string())),
            None => {}
        }
    }
    if let Some(text) = query.text("sinceTime") {
        let time = text.parse::<Timestamp>();
        time.map_err(|_| {
            Status::bad_request(format!("parsing time {text:?}: it is not in the form of RFC 3339"))
        })?;
        if query.get("sinceSeconds").is_some() {
            let words = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.push(FieldError::forbidden("sinceSeconds", words));
        }
        pairs.push(("sinceTime", text.to_owned()));
    }
    if !errors.is_empty() {
        let options = Resource::new("", "v1", "pods", "PodLogOptions", true);
        return Err(Status::invalid(&options, pod, &errors));
    }
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    Ok(pairs.join("&"))
}

/// Why the node did not show the log, in its own words.
async fn refusal(code: StatusCode, body: node::Relay, key: &Key) -> Status {
    let text = match Limited::new(body, REFUSAL_LIMIT).collect().await {
        Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).trim().to_owned(),
        Err(_) => "the node said too much".to_owned(),
    };
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => Status { message: text, ..Status::not_found(&PODS, &key.name) },
        _ => Status::internal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Container, EphemeralContainer};

    fn spec(containers: &[&str], init: &[&str]) -> PodSpec {
        let named = |names: &[&str]| {
            let container = |name: &&str| Container { name: (*name).to_owned(), ..Container::default() };
            names.iter().map(container).collect::<Vec<_>>()
        };
        let added = EphemeralContainer { name: "debugger".to_owned(), ..EphemeralContainer::default() };
        PodSpec {
            containers: named(containers),
            init_containers: Some(named(init)),
            ephemeral_containers: Some(vec![added]),
            ..PodSpec::default()
        }
    }

    #[test]
    fn the_container_must_be_clear() {
        let row = |containers: &[&str], init: &[&str], asked: Option<&str>, expected: &str| {
            let found = container("web", &spec(containers, init), asked);
            assert_eq!(found.unwrap_or_else(|status| status.to_string()), expected);
        };
        row(&["a"], &[], None, "a");
        row(&["a", "b"], &[], Some("b"), "b");
        row(&["a"], &["setup"], Some("setup"), "setup");
        row(&["a"], &[], Some("debugger"), "debugger");
        row(&["a"], &[], Some("y"), "container y is not valid for pod web");
        row(&["a", "b"], &[], None, "a container name must be specified for pod web, choose one of: [a b]");
        row(
            &["a"],
            &["setup"],
            None,
            "a container name must be specified for pod web, choose one of: [a] or one of the init containers: [setup]",
        );
    }

    #[test]
    fn parameters_are_checked_and_passed_on() {
        let row = |query: &str, expected: &str| {
            let found = parameters("web", &Query::parse(Some(query)));
            assert_eq!(found.unwrap_or_else(|status| status.to_string()), expected, "{query}");
        };
        row("", "");
        row("container=a&follow=true&tailLines=5&previous=false", "follow=true&tailLines=5");
        row("sinceTime=2026-01-01T00:00:00Z", "sinceTime=2026-01-01T00%3A00%3A00Z");
        row(
            "tailLines=-1",
            r#"PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"#,
        );
        row(
            "limitBytes=0",
            r#"PodLogOptions "web" is invalid: limitBytes: Invalid value: 0: must be greater than 0"#,
        );
        row(
            "sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z",
            r#"PodLogOptions "web" is invalid: sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"#,
        );
    }
}
