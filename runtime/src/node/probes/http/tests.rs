//! Tests of requests and of what may come in answer to them.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::node::probes::Check;
use crate::node::probes::tests::{World, head};

fn get(path: &str) -> HttpGet {
    HttpGet { is_secure: false, host: None, port: Ok(80), path: path.to_owned(), headers: Vec::new() }
}

fn answer(code: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// A pod whose paths have different answers.
fn world() -> World {
    let mut world = World::new();
    let clock = world.target.clock.clone();
    world.listen(80, move |mut stream| {
        let clock = clock.clone();
        async move {
            let head = head(&mut stream).await;
            let path = head.split(' ').nth(1).unwrap_or_default();
            let to = |place: &str| answer(302, &format!("location: {place}\r\n"), "moved");
            let reply = match path.strip_prefix('/').unwrap_or_default() {
                "redirect" => to("/ok"),
                "loop" => to("/loop"),
                "away" => to("http://example.com/"),
                "nowhere" => to(""),
                "304" => "HTTP/1.1 304 X\r\n\r\n".to_owned(),
                "large" => answer(200, "", &"x".repeat(100_000)),
                "broken" => "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf".to_owned(),
                "garbage" => "hello\r\n\r\n".to_owned(),
                "headers" => answer(200, &format!("x: {}\r\n", "x".repeat(100_000)), ""),
                "reset" => return stream.reset(),
                "slow" => {
                    clock.sleep(Duration::from_secs(60)).await;
                    answer(200, "", "")
                }
                "slow-body" => {
                    let _ = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf").await;
                    clock.sleep(Duration::from_secs(60)).await;
                    String::new()
                }
                "eof" => String::new(),
                "ok" => answer(200, "", "fine"),
                code => answer(code.parse().unwrap(), "", "body"),
            };
            // Who asked may have gone.
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    world
}

#[tokio::test(start_paused = true)]
async fn the_code_of_an_answer_counts() {
    let world = world();
    let check = async |path: &str, expected: Outcome| {
        assert_eq!(world.ask(Check::Http(get(path))).await, expected, "{path}");
    };
    let failure = |words: &str| Outcome::Failure(words.to_owned());
    let warning = |body: &str| Outcome::Warning(format!("Probe terminated redirects, Response body: {body}"));
    check("/200", Outcome::Success).await;
    check("/299", Outcome::Success).await;
    check("/large", Outcome::Success).await;
    check("/redirect", Outcome::Success).await;
    check("/away", warning("moved")).await;
    check("/nowhere", warning("moved")).await;
    check("/304", warning("")).await;
    check("/400", failure("HTTP probe failed with statuscode: 400")).await;
    check("/503", failure("HTTP probe failed with statuscode: 503")).await;
    let words = "Get \"http://10.128.0.2:80/loop\": stopped after 10 redirects";
    check("/loop", failure(words)).await;
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_fails() {
    let world = world();
    let check = async |path: &str, why: &str| {
        let words = format!("Get \"http://10.128.0.2:80{path}\": {why}");
        assert_eq!(world.ask(Check::Http(get(path))).await, Outcome::Failure(words), "{path}");
    };
    check("/eof", "EOF").await;
    check("/reset", "read tcp 10.128.0.0:32769->10.128.0.2:80: read: connection reset by peer").await;
    check("/garbage", "net/http: HTTP/1.x transport connection broken: malformed HTTP response").await;
    check("/headers", "net/http: server response headers exceeded 65536 bytes; aborted").await;
    let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    let ((), millis) = world.timed(check("/slow", late)).await;
    assert_eq!(millis, 1000);
    let closed = HttpGet { port: Ok(81), ..get("/") };
    let words = "Get \"http://10.128.0.2:81/\": dial tcp 10.128.0.2:81: connect: connection refused";
    assert_eq!(world.ask(Check::Http(closed)).await, Outcome::Failure(words.into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_tells_nothing() {
    let world = world();
    let unknown = |message: &str| Outcome::Error { state: "failure", message: message.to_owned() };
    assert_eq!(world.ask(Check::Http(get("/broken"))).await, unknown("unexpected EOF"));
    let late = "context deadline exceeded (Client.Timeout or context cancellation while reading body)";
    let (outcome, millis) = world.timed(world.ask(Check::Http(get("/slow-body")))).await;
    assert_eq!((outcome, millis), (unknown(late), 3000), "it is tried three times");
    let nameless = HttpGet { port: Err("invalid port number: 0".into()), ..get("/") };
    assert_eq!(world.ask(Check::Http(nameless)).await, Outcome::unknown("invalid port number: 0"));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_that_of_a_kubelet() {
    let mut world = World::new();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    world.listen(80, move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let head = head(&mut stream).await;
            seen.lock().unwrap().push(head);
            stream.write_all(answer(200, "", "").as_bytes()).await.unwrap();
        }
    });
    let check = async |headers: &[(&str, &str)], expected: &[&str]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let get = HttpGet { headers, ..get("healthz?full=1") };
        assert_eq!(world.ask(Check::Http(get)).await, Outcome::Success);
        let head = heads.lock().unwrap().pop().unwrap();
        let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        assert_eq!(lines.remove(0), "GET /healthz?full=1 HTTP/1.1");
        lines.sort_unstable();
        assert_eq!(lines, expected);
    };
    let usual = ["Accept: */*", "Connection: close", "Host: 10.128.0.2:80", "User-Agent: kube-probe/1.35"];
    check(&[], &usual).await;
    check(&[("accept", ""), ("User-Agent", "")], &["Connection: close", "Host: 10.128.0.2:80"]).await;
    check(
        &[("Host", "web.example"), ("X-A", "1"), ("X-A", "2")],
        &[
            "Accept: */*",
            "Connection: close",
            "Host: web.example",
            "User-Agent: kube-probe/1.35",
            "X-A: 1",
            "X-A: 2",
        ],
    )
    .await;
    let bad = HttpGet { headers: vec![("X-A".into(), "a\nb".into())], ..get("/") };
    let words = "Get \"http://10.128.0.2:80/\": net/http: invalid header field value for \"X-A\"";
    assert_eq!(world.ask(Check::Http(bad)).await, Outcome::Failure(words.into()));
}

#[tokio::test(start_paused = true)]
async fn any_certificate_will_do_but_no_other_protocol() {
    let mut world = world();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["somebody.else".into()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    world.listen(443, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut question = [0; 1024];
            let _ = stream.read(&mut question).await.unwrap();
            stream.write_all(answer(200, "", "fine").as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    world.listen(22, |mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
        let _ = stream.read(&mut [0; 64]).await;
    });
    world.listen(8443, |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let secure = |port| Check::Http(HttpGet { is_secure: true, port: Ok(port), ..get("/") });
    assert_eq!(world.ask(secure(443)).await, Outcome::Success);
    let check = async |port: u16, why: &str| {
        let words = format!("Get \"https://10.128.0.2:{port}/\": {why}");
        assert_eq!(world.ask(secure(port)).await, Outcome::Failure(words));
    };
    check(8443, "http: server gave HTTP response to HTTPS client").await;
    check(22, "tls: first record does not look like a TLS handshake").await;
}
