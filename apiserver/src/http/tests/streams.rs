//! Streams to nodes, as clients of every protocol open them.

use std::io;

use super::*;
use crate::stream::spdy::frame::{self, HEAD_BYTES, Head};
use crate::stream::spdy::header::{Packer, Unpacker};
use crate::stream::upgrade::Aftermath;
use api::channels::{Channel, Form, Pipe, Role, Way, carry, pipe};
use api::dialer::{Connection, Destination};
use futures::future::BoxFuture;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A node whose programs say their input in capitals, then how they were asked.
#[derive(Default)]
struct Loud {
    connections: Mutex<JoinSet<()>>,
}

impl Dialer for Loud {
    fn dial(&self, destination: &Destination) -> BoxFuture<'_, io::Result<Box<dyn Connection>>> {
        if *destination != Destination::Node("n".to_owned()) {
            let words = format!("dial tcp {destination:?}: connect: connection refused");
            return Box::pin(async { Err(io::Error::other(words)) });
        }
        let (ours, theirs) = tokio::io::duplex(1024);
        self.connections.lock().unwrap().spawn(serve_as_node(theirs));
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Connection>) })
    }
}

async fn serve_as_node(io: DuplexStream) {
    let session = Mutex::new(None);
    let service = service_fn(async |mut request: Request<Incoming>| {
        let path = request.uri().to_string();
        let answer = |code: StatusCode, text: String| {
            let mut response = http::Response::new(Body::from(text));
            *response.status_mut() = code;
            Ok::<_, Infallible>(response)
        };
        if path.contains("/gone") {
            return answer(StatusCode::INTERNAL_SERVER_ERROR, "container not found (\"gone\")\n".to_owned());
        }
        if !request.headers().contains_key("upgrade") {
            return answer(StatusCode::OK, format!("{} {path}\n", request.method()));
        }
        *session.lock().unwrap() = Some((hyper::upgrade::on(&mut request), path));
        answer(StatusCode::SWITCHING_PROTOCOLS, String::new())
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service);
    served.with_upgrades().await.unwrap();
    let Some((upgraded, path)) = session.lock().unwrap().take() else { return };
    let stream = TokioIo::new(upgraded.await.unwrap());
    let numbers: &[(u8, Way)] = match path.starts_with("/portForward/") {
        true => &[(0, Way::Both), (1, Way::Out)],
        false => &[(0, Way::In), (1, Way::Out), (3, Way::Last)],
    };
    let (channels, mut ends) = channels(numbers);
    let work = async move {
        let mut input = vec![0; 5];
        ends[0].read_exact(&mut input).await.unwrap();
        let said = format!("{} {path}", String::from_utf8(input).unwrap().to_uppercase());
        if ends.len() == 3 {
            ends[2].write_all(br#"{"metadata":{},"status":"Success"}"#).await.unwrap();
        }
        let out = if ends.len() == 3 { 1 } else { 0 };
        ends[out].write_all(said.as_bytes()).await.unwrap();
    };
    tokio::join!(carry(stream, Role::Server, Form::ENDING, channels, &[]), work);
}

fn channels(ways: &[(u8, Way)]) -> (Vec<Channel>, Vec<Pipe>) {
    let make = |(number, way): &(u8, Way)| {
        let (near, far) = pipe();
        (Channel { number: *number, way: *way, pipe: near }, far)
    };
    ways.iter().map(make).unzip()
}

async fn world() -> World {
    let world = start_with(Some(Arc::new(Loud::default()))).await;
    let containers = json!([{"name": "c", "image": "i"}, {"name": "gone", "image": "i"}]);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": containers}});
    world.create("/api/v1/namespaces/default/pods", pod).await;
    world.create("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await;
    world
}

/// A connection to the server, which it serves until the client is gone.
pub(super) fn connect(world: &World) -> (DuplexStream, impl Future<Output = ()>) {
    let (near, far) = tokio::io::duplex(4096);
    let (router, user, until) = (world.service.clone(), world.user.clone(), world.until);
    let serving = async move {
        let aftermath = Aftermath::default();
        let service = service_fn(|mut request: Request<Incoming>| {
            let extensions = request.extensions_mut();
            extensions.insert(aftermath.clone());
            user.clone().map(|user| extensions.insert(user));
            until.map(|until| extensions.insert(until));
            router.call(request.map(Body::new))
        });
        let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        // A client that goes without a word is no failure here.
        let _ = served.with_upgrades().await;
        if let Some(session) = aftermath.take() {
            session.await;
        }
    };
    (near, serving)
}

pub(super) const WEBSOCKET: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

const SPDY: [(&str, &str); 2] = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];

/// Asks for an upgrade and gives the answer; the connection behind it if there is one.
pub(super) async fn upgrade(
    io: DuplexStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Result<TokioIo<hyper::upgrade::Upgraded>, String>) {
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", "server");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let asked = async {
        let mut response = sender.send_request(request).await.unwrap();
        let (code, headers) = (response.status(), response.headers().clone());
        if code == StatusCode::SWITCHING_PROTOCOLS {
            let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
            return (code, headers, Ok(TokioIo::new(upgraded)));
        }
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        (code, headers, Err(String::from_utf8_lossy(&bytes).into_owned()))
    };
    let (answered, driven) = tokio::join!(asked, driver.with_upgrades());
    driven.unwrap();
    answered
}

const EXEC: &str = "/api/v1/namespaces/default/pods/p/exec?container=c&stdin=1&stdout=1&command=say";
const SAID: &str = "HELLO /exec/default/p/c?input=1&output=1&command=say";

#[tokio::test(start_paused = true)]
async fn commands_stream_over_every_websocket_protocol() {
    let world = world().await;
    let row = async |protocol: &str, form: Form, outcome: &str| {
        let (io, serving) = connect(&world);
        let client = async {
            let protocols = [("sec-websocket-protocol", protocol)];
            let headers = [&WEBSOCKET[..], if protocol.is_empty() { &[] } else { &protocols }].concat();
            let (code, headers, stream) = upgrade(io, "GET", EXEC, &headers).await;
            assert_eq!(code, StatusCode::SWITCHING_PROTOCOLS);
            assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            let agreed = headers.get("sec-websocket-protocol").map_or("", |name| name.to_str().unwrap());
            assert_eq!(agreed, protocol);
            let (channels, mut ends) = channels(&[(0, Way::Out), (1, Way::In), (3, Way::In)]);
            let talk = async {
                ends[0].write_all(b"hello").await.unwrap();
                let (mut said, mut told) = (String::new(), String::new());
                ends[1].read_to_string(&mut said).await.unwrap();
                ends[2].read_to_string(&mut told).await.unwrap();
                assert_eq!((said.as_str(), told.as_str()), (SAID, outcome), "{protocol}");
            };
            tokio::join!(carry(stream.unwrap(), Role::Client, form, channels, &[]), talk);
        };
        tokio::join!(serving, client);
    };
    let status = r#"{"metadata":{},"status":"Success"}"#;
    row("v5.channel.k8s.io", Form::ENDING, status).await;
    row("v4.channel.k8s.io", Form::NUMBERED, status).await;
    row("v4.base64.channel.k8s.io", Form::NUMBERED_TEXT, status).await;
    row("channel.k8s.io", Form::NUMBERED, "").await;
    row("base64.channel.k8s.io", Form::NUMBERED_TEXT, "").await;
    row("", Form::NUMBERED, "").await;
}

#[tokio::test(start_paused = true)]
async fn commands_stream_over_every_version_of_spdy() {
    let world = world().await;
    for (version, outcome) in [
        ("v5.channel.k8s.io", r#"{"metadata":{},"status":"Success"}"#),
        ("v4.channel.k8s.io", r#"{"metadata":{},"status":"Success"}"#),
        ("v3.channel.k8s.io", ""),
        ("v2.channel.k8s.io", ""),
        ("channel.k8s.io", ""),
    ] {
        let (io, serving) = connect(&world);
        let client = async {
            let headers = [&SPDY[..], &[("x-stream-protocol-version", version)]].concat();
            let (code, headers, stream) = upgrade(io, "POST", EXEC, &headers).await;
            assert_eq!(
                (code, &headers["x-stream-protocol-version"]),
                (StatusCode::SWITCHING_PROTOCOLS, &http::HeaderValue::try_from(version).unwrap())
            );
            let mut stream = stream.unwrap();
            let mut packer = Packer::new();
            for (number, name) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
                let headers = [("streamtype".to_owned(), name.to_owned())].into();
                stream.write_all(&frame::open(number, &headers, &mut packer).unwrap()).await.unwrap();
            }
            stream.write_all(&frame::data(3, 5, true)).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let heard = hear(stream).await;
            assert_eq!(
                (heard[&5].as_str(), heard.get(&1).map_or("", String::as_str)),
                (SAID, outcome),
                "{version}"
            );
        };
        tokio::join!(serving, client);
    }
}

/// The bytes of each stream until the connection ends.
async fn hear(mut stream: impl tokio::io::AsyncRead + Unpin) -> std::collections::BTreeMap<u32, String> {
    let mut heard = std::collections::BTreeMap::<u32, String>::new();
    let mut unpacker = Unpacker::default();
    let mut head = [0; HEAD_BYTES];
    while stream.read_exact(&mut head).await.is_ok() {
        let head = Head::read(head).unwrap();
        let (Head::Data { length, .. } | Head::Control { length, .. }) = head;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await.unwrap();
        match head {
            Head::Data { stream, .. } => {
                heard.entry(stream).or_default().push_str(std::str::from_utf8(&body).unwrap());
            }
            Head::Control { kind, flags, .. } => {
                frame::control(kind, flags, &body, &mut unpacker).unwrap();
            }
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn ports_stream_over_websocket_spdy_and_the_tunnel() {
    let world = world().await;
    let path = "/api/v1/namespaces/default/pods/p/portforward";
    let said = |port: u16| format!("HELLO /portForward/default/p?port={port}");
    let (io, serving) = connect(&world);
    let client = async {
        let (_, _, stream) = upgrade(io, "GET", &format!("{path}?ports=80,81"), &WEBSOCKET).await;
        let (channels, mut ends) = channels(&[(0, Way::Both), (1, Way::In), (2, Way::Both), (3, Way::In)]);
        let talk = async {
            for (place, port) in [(2, 81_u16), (0, 80)] {
                ends[place].write_all(b"hello").await.unwrap();
                let mut told = vec![0; said(port).len() + 2];
                ends[place].read_exact(&mut told).await.unwrap();
                assert_eq!(told[..2], port.to_le_bytes());
                assert_eq!(told[2..], *said(port).as_bytes());
            }
            drop(ends);
        };
        tokio::join!(carry(stream.unwrap(), Role::Client, Form::NUMBERED, channels, &[]), talk);
    };
    tokio::join!(serving, client);
    let frames = || {
        let (mut packer, mut bytes) = (Packer::new(), Vec::new());
        for (number, kind) in [(1, "error"), (3, "data")] {
            let headers = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            bytes.extend(frame::open(number, &headers, &mut packer).unwrap());
        }
        bytes.extend(frame::data(3, 5, false));
        bytes.extend(b"hello");
        bytes
    };
    let (io, serving) = connect(&world);
    let client = async {
        let headers = [&SPDY[..], &[("x-stream-protocol-version", "portforward.k8s.io")]].concat();
        let (_, _, stream) = upgrade(io, "POST", path, &headers).await;
        let mut stream = stream.unwrap();
        stream.write_all(&frames()).await.unwrap();
        assert_eq!(first_data(&mut stream).await, said(80));
    };
    tokio::join!(serving, client);
    let (io, serving) = connect(&world);
    let client = async {
        let tunnel = ("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io");
        let (_, headers, stream) = upgrade(io, "GET", path, &[&WEBSOCKET[..], &[tunnel]].concat()).await;
        assert_eq!(headers["sec-websocket-protocol"], tunnel.1);
        let (near, mut far) = pipe();
        let channel = Channel { number: 0, way: Way::Both, pipe: near };
        let talk = async {
            far.write_all(&frames()).await.unwrap();
            assert_eq!(first_data(&mut far).await, said(80));
        };
        tokio::select! {
            () = carry(stream.unwrap(), Role::Client, Form::BARE, vec![channel], &[]) => panic!("it ended early"),
            () = talk => {}
        }
    };
    tokio::join!(serving, client);
}

/// The first bytes that come on a stream.
async fn first_data(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut head = [0; HEAD_BYTES];
    loop {
        stream.read_exact(&mut head).await.unwrap();
        let head = Head::read(head).unwrap();
        let (Head::Data { length, .. } | Head::Control { length, .. }) = head;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await.unwrap();
        // The stream for errors may end before.
        if matches!(head, Head::Data { .. }) && length > 0 {
            return String::from_utf8(body).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn logs_stream_over_websocket_too() {
    let world = world().await;
    let (io, serving) = connect(&world);
    let client = async {
        let path = "/api/v1/namespaces/default/pods/p/log?container=c&follow=true";
        let protocol = ("sec-websocket-protocol", "base64.binary.k8s.io");
        let (_, _, stream) = upgrade(io, "GET", path, &[&WEBSOCKET[..], &[protocol]].concat()).await;
        let (channels, mut ends) = channels(&[(0, Way::In)]);
        let mut said = String::new();
        let stream = stream.unwrap();
        let (_, read) = tokio::join!(
            carry(stream, Role::Client, Form::BARE_TEXT, channels, &[]),
            ends[0].read_to_string(&mut said)
        );
        read.unwrap();
        assert_eq!(said, "GET /containerLogs/default/p/c?follow=true\n");
    };
    tokio::join!(serving, client);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_stream_is_refused_in_words() {
    let mut world = world().await;
    let row = async |world: &World, path: &str, headers: &[(&str, &str)], code: u16, words: &str| {
        let (io, serving) = connect(world);
        let client = upgrade(io, "GET", path, headers);
        let (_, (found, _, answer)) = tokio::join!(serving, client);
        let answer = answer.map(|_| "a stream").unwrap_err();
        assert_eq!(found.as_u16(), code, "{answer}");
        assert!(answer.contains(words), "{answer}");
    };
    let pod = "/api/v1/namespaces/default/pods/p";
    row(&world, EXEC, &[], 400, "Upgrade request required").await;
    row(
        &world,
        &format!("{pod}/exec?stdout=1&command=a"),
        &WEBSOCKET,
        400,
        "a container name must be specified for pod p, choose one of: [c gone]",
    )
    .await;
    row(
        &world,
        &format!("{pod}/exec?stdout=1&command=a&container=x"),
        &WEBSOCKET,
        400,
        "container x is not valid for pod p",
    )
    .await;
    row(
        &world,
        &format!("{pod}/attach?container=c"),
        &WEBSOCKET,
        400,
        "you must specify at least 1 of stdin, stdout, stderr",
    )
    .await;
    row(
        &world,
        "/api/v1/namespaces/default/pods/none/exec?stdout=1",
        &WEBSOCKET,
        404,
        r#"pods \"none\" not found"#,
    )
    .await;
    let unknown = [&WEBSOCKET[..], &[("sec-websocket-protocol", "v9.channel.k8s.io")]].concat();
    row(
        &world,
        EXEC,
        &unknown,
        400,
        "client supports [v9.channel.k8s.io], server accepts [v5.channel.k8s.io",
    )
    .await;
    row(&world, EXEC, &SPDY, 403, "client supports [], server accepts [v5.channel.k8s.io").await;
    let gone = format!("{pod}/exec?stdout=1&command=a&container=gone");
    row(&world, &gone, &WEBSOCKET, 500, r#"container not found ("gone")"#).await;
    row(&world, &format!("{pod}/portforward"), &WEBSOCKET, 400, r#"query parameter \"ports\" is required"#)
        .await;
    world.user = Some(Arc::new(User { name: "jane".to_owned(), groups: Vec::new(), ..User::default() }));
    row(&world, EXEC, &WEBSOCKET, 403, r#"cannot get resource \"pods/exec\""#).await;
}

#[tokio::test(start_paused = true)]
async fn clients_of_the_fifth_version_are_told_in_the_stream() {
    let world = world().await;
    let (io, serving) = connect(&world);
    let client = async {
        let path = "/api/v1/namespaces/default/pods/p/exec?stdout=1&command=a&container=gone";
        let protocol = ("sec-websocket-protocol", "v5.channel.k8s.io");
        let (_, _, stream) = upgrade(io, "GET", path, &[&WEBSOCKET[..], &[protocol]].concat()).await;
        let (channels, mut ends) = channels(&[(3, Way::In)]);
        let mut told = String::new();
        let stream = stream.unwrap();
        let (_, read) = tokio::join!(
            carry(stream, Role::Client, Form::ENDING, channels, &[]),
            ends[0].read_to_string(&mut told)
        );
        read.unwrap();
        let status: Value = serde_json::from_str(&told).unwrap();
        let words = r#"Internal error occurred: unable to upgrade connection: container not found ("gone")"#;
        assert_eq!(status["message"], words);
    };
    tokio::join!(serving, client);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_server_ends_streams() {
    let world = world().await;
    let (io, serving) = connect(&world);
    let client = async {
        let (_, _, stream) = upgrade(io, "GET", EXEC, &WEBSOCKET).await;
        let mut stream = stream.unwrap();
        world.stop.send_replace(true);
        // An empty message may come first; then it ends.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    tokio::join!(serving, client);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_a_client_showed_ends_streams() {
    let end = "2026-01-01T00:10:00Z".parse().unwrap();
    for path in [EXEC, "/api/v1/namespaces/default/pods/p/portforward?ports=80"] {
        let mut world = world().await;
        world.until = Some(Until(end));
        let (io, serving) = connect(&world);
        let client = async {
            let (code, _, stream) = upgrade(io, "GET", path, &WEBSOCKET).await;
            assert_eq!(code, StatusCode::SWITCHING_PROTOCOLS, "{path}");
            stream.unwrap().read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(world.clock.now(), end, "{path}");
        };
        tokio::join!(serving, client);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_passed_on() {
    let world = world().await;
    let answer = world.get("/api/v1/nodes/n/proxy/stats/summary?a=b").await;
    assert_eq!((answer.code, answer.text().as_str()), (200, "GET /stats/summary?a=b\n"));
    let answer = world.call("DELETE", "/api/v1/nodes/n/proxy/x//y/", &[], "body").await;
    assert_eq!(answer.text(), "DELETE /x//y/\n");
    let answer = world.get("/api/v1/nodes/n/proxy?a=b").await;
    assert_eq!((answer.code, answer.header("location")), (301, "/api/v1/nodes/n/proxy/?a=b"));
    let answer = world.get("/api/v1/nodes/none/proxy/").await.failure();
    assert_eq!(answer, r#"404 NotFound nodes "none" not found"#);
    let answer = world.get("/api/v1/nodes/n:80/proxy/").await;
    assert_eq!(answer.code, 503);
    let answer = world.get("/api/v1/namespaces/default/pods/p/proxy/").await.failure();
    assert_eq!(answer, "400 BadRequest address not allowed");
    let answer = world.get("/api/v1/namespaces/default/pods/ftp:p:1/proxy/").await.failure();
    assert_eq!(answer, r#"400 BadRequest invalid pod request "ftp:p:1""#);
    let resources = world.get("/api/v1").await.value();
    let find = |name: &str| {
        let mut all = resources["resources"].as_array().unwrap().iter();
        all.find(|resource| resource["name"] == name)
            .map(|resource| (resource["kind"].clone(), resource["verbs"].clone()))
    };
    assert_eq!(find("pods/exec"), Some((json!("PodExecOptions"), json!(["create", "get"]))));
    assert_eq!(
        find("services/proxy"),
        Some((json!("ServiceProxyOptions"), json!(["create", "delete", "get", "patch", "update"])))
    );
}
