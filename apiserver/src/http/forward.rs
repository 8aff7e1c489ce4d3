//! Ports of pods brought to clients: `pods/NAME/portforward`.
//!
//! Each connection of a client is one stream to the node, so that one that lags holds back no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::channels::{Channel, Form, Pipe, Role, Way, carry, pipe};
use api::dialer::Dialer;
use api::resource::PODS;
use api::{Clock, Key, Status};
use axum::response::Response;
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::select;
use tokio::sync::mpsc;

use super::connect::{self, Asked, attend};
use super::node::{self, Opened};
use super::query::{Query, encode};
use super::{Server, reply};
use crate::stream::negotiate::Forwarding;
use crate::stream::spdy::{self, Arrival, Headers};
use crate::stream::upgrade::{Client, switching};

/// The two channels of a port.
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// A WebSocket has numbers for so many ports.
const MOST_PORTS: usize = 127;

/// How long the one stream of a connection waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// As much of a node's refusal is told.
const WORDS_LIMIT: usize = 2048;

/// Streams that have arrived and are not looked at yet.
const ARRIVALS: usize = 16;

/// Answers `portforward`.
pub(super) async fn answer(server: &Server, query: &Query, mut asked: Asked<'_>) -> Result<Response, Status> {
    let ports = ports(query)?;
    let mut document = json!({"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": ports});
    let Asked { user, key, .. } = &asked;
    let warnings =
        server.api.registry.admit_connection(user, &PODS, "portforward", key, &mut document).await?;
    let (_, node) = connect::pod(server, &asked.key).await?;
    let (offer, upgrade) = asked.offer()?;
    let agreed = match offer.forwarding() {
        Ok(agreed) => agreed,
        Err(nothing) => return Ok(connect::refuse(&offer, &nothing)),
    };
    if matches!(agreed.spoken, Forwarding::WebSocket(_)) && !(1..=MOST_PORTS).contains(&ports.len()) {
        let words = format!("query parameter \"ports\" is required, with at most {MOST_PORTS} ports");
        return Err(Status::bad_request(words));
    }
    server.dialer()?;
    let Some(dialer) = server.api.dialer.clone() else {
        return Err(Status::internal("no way to the nodes"));
    };
    let clock = server.api.clock.clone();
    let way = ToPod { dialer, node, key: asked.key.clone(), clock: clock.clone() };
    let mut response = switching(&offer, agreed.name);
    reply::warn(response.headers_mut(), &warnings);
    let (running, end) = (server.api.metrics.long_running(&asked.about), server.end(asked.until));
    upgrade.begin(clock, move |client| async move {
        let _running = running;
        select! {
            biased;
            () = end => {}
            () = way.serve(client, agreed.spoken, &ports) => {}
        }
    });
    Ok(response)
}

/// The ports that a client names before it connects, which those with WebSockets do.
fn ports(query: &Query) -> Result<Vec<u16>, Status> {
    let mut ports = Vec::new();
    for text in query.all("ports").flat_map(|value| value.split(',')) {
        match text.parse() {
            Ok(0) => return Err(Status::bad_request(format!("port {text:?} must be > 0"))),
            Ok(port) => ports.push(port),
            Err(error) => {
                return Err(Status::bad_request(format!("unable to parse {text:?} as a port: {error}")));
            }
        }
    }
    Ok(ports)
}

/// The way to the ports of a pod.
struct ToPod {
    dialer: Arc<dyn Dialer>,
    node: String,
    key: Key,
    clock: Clock,
}

impl ToPod {
    async fn serve(&self, client: Client, spoken: Forwarding, ports: &[u16]) {
        match spoken {
            Forwarding::WebSocket(form) => self.websocket(client, form, ports).await,
            Forwarding::Spdy => self.spdy(client).await,
            Forwarding::Tunnel => {
                let (near, far) = pipe();
                let tunnel = Channel { number: 0, way: Way::Both, pipe: near };
                let carried = carry(client, Role::Server, Form::BARE, vec![tunnel], &[]);
                attend(carried, self.spdy(far), &self.clock).await;
            }
        }
    }

    async fn websocket(&self, client: Client, form: Form, ports: &[u16]) {
        let (mut channels, mut greeting, mut connections) = (Vec::new(), Vec::new(), Vec::new());
        for (place, port) in (0..).step_by(2).zip(ports) {
            let ((data, far_data), (error, far_error)) = (pipe(), pipe());
            channels.push(Channel { number: place + DATA, way: Way::Both, pipe: data });
            channels.push(Channel { number: place + ERROR, way: Way::Out, pipe: error });
            let told = Bytes::copy_from_slice(&port.to_le_bytes());
            greeting.extend([(place + DATA, told.clone()), (place + ERROR, told)]);
            connections.push(self.forward(*port, far_data, far_error));
        }
        let serving = carry(client, Role::Server, form, channels, &greeting);
        attend(serving, async { drop(join_all(connections).await) }, &self.clock).await;
    }

    async fn spdy(&self, client: impl AsyncRead + AsyncWrite) {
        let (arrivals, arrived) = mpsc::channel(ARRIVALS);
        let serving = spdy::serve(client, |headers| Half::of(headers).is_some(), arrivals);
        let work = self.pair_up(arrived);
        attend(serving, work, &self.clock).await;
    }

    /// Forwards a connection whenever both its streams are there.
    async fn pair_up(&self, mut arrived: mpsc::Receiver<Arrival>) {
        let mut waiting = Waiting::new();
        let mut connections = FuturesUnordered::<BoxFuture<'_, ()>>::new();
        loop {
            select! {
                biased;
                Some(()) = connections.next(), if !connections.is_empty() => {}
                arrival = arrived.recv() => {
                    let Some(Arrival { headers, pipe }) = arrival else { return };
                    let now = self.clock.now();
                    waiting.retain(|_, (since, ..)| api::clock::add(*since, PATIENCE) >= now);
                    if let Some((port, data, error)) = match_up(&mut waiting, &headers, pipe, now) {
                        connections.push(Box::pin(self.forward(port, data, error)));
                    }
                }
            }
        }
    }

    /// Carries one connection to a port and back, or tells why not.
    async fn forward(&self, port: u16, data: Pipe, mut error: Pipe) {
        let (namespace, name) = (encode(&self.key.namespace), encode(&self.key.name));
        let path = format!("/portForward/{namespace}/{name}?port={port}");
        let words = match node::open(&*self.dialer, &self.node, &path).await {
            Ok(Opened::Stream(stream)) => {
                let channels = vec![
                    Channel { number: DATA, way: Way::Both, pipe: data },
                    Channel { number: ERROR, way: Way::In, pipe: error },
                ];
                return carry(stream, Role::Client, Form::ENDING, channels, &[]).await;
            }
            Ok(Opened::Refused(refused)) => {
                match Limited::new(refused.into_body(), WORDS_LIMIT).collect().await {
                    Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).trim().to_owned(),
                    Err(_) => "the node said too much".to_owned(),
                }
            }
            Err(status) => status.message,
        };
        let words = format!("error forwarding port {port} to pod {}: {words}", self.key.name);
        // Who has gone need not know.
        let _ = error.write_all(words.as_bytes()).await;
    }
}

/// One of the two streams of a connection.
struct Half<'h> {
    request: &'h str,
    port: u16,
    is_error: bool,
}

impl<'h> Half<'h> {
    /// What the headers of a stream say; none if they do not say it.
    fn of(headers: &'h Headers) -> Option<Self> {
        let is_error = match headers.get("streamtype")?.as_str() {
            "error" => true,
            "data" => false,
            _ => return None,
        };
        let port = headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
        let request = headers.get("requestid").map_or("", String::as_str);
        Some(Self { request, port, is_error })
    }
}

/// Streams that wait for their other half, by request: since when, the port, whether it is the one for errors.
type Waiting = BTreeMap<String, (Timestamp, u16, bool, Pipe)>;

/// A connection, if the stream that has arrived was the second of its two.
fn match_up(
    waiting: &mut Waiting,
    headers: &Headers,
    pipe: Pipe,
    now: Timestamp,
) -> Option<(u16, Pipe, Pipe)> {
    let half = Half::of(headers)?;
    match waiting.remove(half.request) {
        Some((_, port, was_error, other)) if was_error != half.is_error && port == half.port => {
            let (data, error) = if was_error { (pipe, other) } else { (other, pipe) };
            Some((port, data, error))
        }
        // Two of the same kind are no connection; the newer may still become one.
        _ => {
            waiting.insert(half.request.to_owned(), (now, half.port, half.is_error, pipe));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers() {
        let row = |query: &str, expected: Result<&[u16], &str>| {
            let found = ports(&Query::parse(Some(query))).map_err(|status| status.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{query}");
        };
        row("", Ok(&[]));
        row("ports=80&ports=443,8080", Ok(&[80, 443, 8080]));
        row("ports=0", Err(r#"port "0" must be > 0"#));
        row("ports=web", Err(r#"unable to parse "web" as a port: invalid digit found in string"#));
        row(
            "ports=70000",
            Err(r#"unable to parse "70000" as a port: number too large to fit in target type"#),
        );
    }

    #[test]
    fn streams_of_one_request_become_a_connection() {
        let mut waiting = Waiting::new();
        let mut arrive = |kind: &str, request: &str, port: &str| {
            let pairs = [("streamtype", kind), ("requestid", request), ("port", port)];
            let headers: Headers =
                pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let matched = match_up(&mut waiting, &headers, pipe().0, Timestamp::UNIX_EPOCH);
            matched.map(|(port, ..)| port)
        };
        assert_eq!(arrive("error", "0", "80"), None);
        assert_eq!(arrive("error", "1", "81"), None);
        assert_eq!(arrive("data", "1", "81"), Some(81));
        assert_eq!(arrive("data", "0", "80"), Some(80));
        assert_eq!(arrive("data", "2", "80"), None);
        assert_eq!(arrive("data", "2", "80"), None, "an error stream is missing");
        assert_eq!(arrive("error", "2", "81"), None, "another port");
        assert_eq!(arrive("video", "3", "80"), None);
    }
}
