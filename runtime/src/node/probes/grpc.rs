//! Probes that ask a gRPC service whether it is healthy: `grpc.health.v1.Health/Check` over HTTP/2 without TLS.
//!
//! The messages are small enough to be written and read here: a request is the name of a service as field 1, an answer a
//! number as field 1.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::clock::add;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::ask::{Target, VERSION};
use super::outcome::Outcome;

/// How long a client of gRPC waits before it connects again; the next waits are longer.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const WAITS_GROW_PERCENT: u32 = 160;
/// More than any answer has: a few bytes, behind five that say how many.
const ANSWER_BYTES: usize = 4 << 10;
/// As much as all headers of an answer may take.
const HEAD_BYTES: u32 = 16 << 10;

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// Number of the state it is in.
    State(u64),
    /// Code and words of an error.
    Error(u32, String),
}

/// `UNIMPLEMENTED`, `DEADLINE_EXCEEDED`, `UNKNOWN` and `INTERNAL` of gRPC.
const UNIMPLEMENTED: u32 = 12;
const DEADLINE_EXCEEDED: u32 = 4;
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;

/// `SERVING` of `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;

/// Whether the service is healthy.
pub(super) async fn probe(port: u16, service: &str, target: &Target, timeout: Duration) -> Outcome {
    let deadline = add(target.clock.now(), timeout);
    let seconds = timeout.as_secs();
    let authority = target.authority(None, port);
    let mut has_connected = false;
    let asking = persist(port, &authority, service, target, deadline, &mut has_connected);
    let said = target.within(deadline, asking).await;
    match said {
        None if has_connected => late(seconds),
        None => Outcome::Failure(format!(
            "timeout: failed to connect service {authority:?} within {seconds}s: context deadline exceeded"
        )),
        Some(said) => judge(said, seconds),
    }
}

fn late(seconds: u64) -> Outcome {
    Outcome::Failure(format!("timeout: health rpc did not complete within {seconds}s"))
}

fn judge(said: Said, seconds: u64) -> Outcome {
    match said {
        Said::State(SERVING) => Outcome::Success,
        Said::State(state) => {
            let name = match state {
                0 => "UNKNOWN".to_owned(),
                2 => "NOT_SERVING".to_owned(),
                3 => "SERVICE_UNKNOWN".to_owned(),
                other => other.to_string(),
            };
            Outcome::Failure(format!("service unhealthy (responded with {name:?})"))
        }
        Said::Error(UNIMPLEMENTED, words) => Outcome::Failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {words}"
        )),
        Said::Error(DEADLINE_EXCEEDED, _) => late(seconds),
        Said::Error(code, words) => Outcome::Failure(format!(
            "error: health rpc probe failed: rpc error: code = {} desc = {words}",
            name_of(code)
        )),
    }
}

/// Tries to connect until somebody is there who speaks HTTP/2, as a client of gRPC does; then asks once.
async fn persist(
    port: u16,
    authority: &str,
    service: &str,
    target: &Target,
    deadline: Timestamp,
    has_connected: &mut bool,
) -> Said {
    let mut wait = FIRST_WAIT;
    loop {
        if let Some(said) = converse(port, authority, service, target, has_connected).await {
            return said;
        }
        if add(target.clock.now(), wait) >= deadline {
            return pending().await;
        }
        target.pause(wait).await;
        wait = wait * WAITS_GROW_PERCENT / 100;
    }
}

/// Connects and asks; none if nobody is there who speaks HTTP/2.
async fn converse(
    port: u16,
    authority: &str,
    service: &str,
    target: &Target,
    has_connected: &mut bool,
) -> Option<Said> {
    let stream = target.dial(None, port).await.ok()?;
    let tasks = Tasks::default();
    let mut builder = http2::Builder::new(tasks.clone());
    builder.max_header_list_size(HEAD_BYTES).initial_stream_window_size(1 << 16);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.ok()?;
    *has_connected = true;
    let mut driving = pin!(async {
        // How it ends shows in the answer.
        let _ = connection.await;
        pending::<Infallible>().await
    });
    let asking = async {
        let response = sender.send_request(question(authority, service)).await;
        match response {
            Ok(response) => Some(read(response).await),
            Err(_) => None,
        }
    };
    let said = tokio::select! { biased;
        said = asking => said,
        never = driving.as_mut() => match never {},
    };
    *has_connected = said.is_some();
    said
}

fn question(authority: &str, service: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(message(service))));
    let uri = format!("http://{authority}/grpc.health.v1.Health/Check");
    *request.uri_mut() = uri.parse().expect("an address and a path make a URI");
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = Version::HTTP_2;
    let agent = format!("kube-probe/{VERSION} grpc-peapod");
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, agent.try_into().expect("a name and a version make a header"));
    request
}

/// The request: whether it is compressed, its length, and the name as field 1 if there is one.
fn message(service: &str) -> Vec<u8> {
    let mut field = Vec::new();
    if !service.is_empty() {
        field.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(field.len()).expect("names are short");
    [&[0], &length.to_be_bytes()[..], &field].concat()
}

async fn read(response: Response<Incoming>) -> Said {
    let (head, mut body) = response.into_parts();
    if let Some(said) = error_in(&head.headers) {
        return said;
    }
    if !head.status.is_success() {
        let words = format!("unexpected HTTP status code received from server: {}", head.status);
        return Said::Error(UNKNOWN, words);
    }
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) if bytes.len() + data.len() <= ANSWER_BYTES => bytes.extend_from_slice(&data),
            Ok(Ok(_)) => return Said::Error(INTERNAL, "the answer is too long".to_owned()),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(error) => return Said::Error(INTERNAL, error.to_string()),
        }
    }
    if let Some(said) = trailers.as_ref().and_then(error_in) {
        return said;
    }
    match state(&bytes) {
        Some(state) if trailers.is_some() => Said::State(state),
        _ => Said::Error(INTERNAL, "the answer cannot be read".to_owned()),
    }
}

/// The error that headers or trailers tell of.
fn error_in(headers: &HeaderMap) -> Option<Said> {
    let code =
        headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
    let words = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    (code != 0).then(|| Said::Error(code, unescaped(words)))
}

/// A message of gRPC, in which `%XX` stands for a byte.
fn unescaped(words: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(words.len());
    let mut rest = words;
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The state in an answer: field 1 of one message that is not compressed, 0 if it is left out.
fn state(bytes: &[u8]) -> Option<u64> {
    let (head, mut rest) = bytes.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    if head[0] != 0 || usize::try_from(length).ok()? != rest.len() {
        return None;
    }
    let mut state = 0;
    while !rest.is_empty() {
        let key = number(&mut rest)?;
        let skipped = match key & 7 {
            0 if key >> 3 == 1 => {
                state = number(&mut rest)?;
                0
            }
            0 => {
                number(&mut rest)?;
                0
            }
            1 => 8,
            2 => number(&mut rest)?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(usize::try_from(skipped).ok()?..)?;
    }
    Some(state)
}

/// A number of protobuf, seven bits a byte.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn name_of(code: u32) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let known = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    known.map_or_else(|| format!("Code({code})"), |name| (*name).to_owned())
}

/// Runs what a connection of HTTP/2 does beside; it ends with the last clone.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, work: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move { drop(work.await) });
    }
}

#[cfg(test)]
mod tests;
