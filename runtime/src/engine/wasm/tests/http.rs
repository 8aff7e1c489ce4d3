//! `wasi:http` programs: served over the pod's network, drained when they stop.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::bench::{Bench, Given};
use crate::engine::{Container, ExitReason};

const HELLO: &[u8] = include_bytes!("../../../../../examples/hello/hello.wasm");

/// A program that answers no request but runs `body` for each.
fn handler(body: &str) -> String {
    format!(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $outparam))
            (core module $program
                (memory (export "memory") 1)
                (func (export "handle") (param i32 i32) {body}))
            (core instance $program (instantiate $program))
            (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
                (canon lift (core func $program "handle")))
            (component $interface
                (import "request" (type $request (sub resource)))
                (import "outparam" (type $outparam (sub resource)))
                (import "handle" (func $handle
                    (param "request" (own $request)) (param "response-out" (own $outparam))))
                (export $request-out "incoming-request" (type $request))
                (export $outparam-out "response-outparam" (type $outparam))
                (export "handle" (func $handle) (func
                    (param "request" (own $request-out)) (param "response-out" (own $outparam-out)))))
            (instance $interface (instantiate $interface
                (with "request" (type $request)) (with "outparam" (type $outparam)) (with "handle" (func $handle))))
            (export "wasi:http/incoming-handler@0.2.0" (instance $interface)))"#
    )
}

fn hello(bench: &Bench) -> Given {
    let config = bench.files(&[("greeting", b"hi")]);
    let mut given = bench.given("hello").mounted(config, "/etc/hello", true);
    given.env.push(("POD_NAME".into(), "hello-1".into()));
    given
}

type Sender = SendRequest<Empty<Bytes>>;

/// A connection kept alive.
async fn connect(given: &Given) -> Sender {
    connect_watched(given).await.0
}

/// The second resolves when the connection has ended.
async fn connect_watched(given: &Given) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let address = (given.interface.address(), 8080).into();
    let stream = given.interface.connect(address).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

struct Reply {
    status: StatusCode,
    closes: bool,
    text: String,
}

async fn get(sender: &mut Sender) -> Reply {
    let request = Request::get("/").header("host", "hello").body(Empty::new()).unwrap();
    let reply = sender.send_request(request).await.unwrap();
    let status = reply.status();
    let closes = reply.headers().get("connection").is_some_and(|value| value == "close");
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    Reply { status, closes, text: String::from_utf8(body.to_vec()).unwrap() }
}

async fn served(given: &Given, program: &dyn crate::engine::Program) -> Box<dyn Container> {
    let mut container = given.start(program);
    container.started().await.unwrap();
    container
}

#[tokio::test]
async fn requests_are_answered_one_after_another_and_side_by_side() {
    let bench = Bench::new();
    let program = bench.program(HELLO).await;
    let given = hello(&bench);
    let _container = served(&given, &*program).await;
    let mut sender = connect(&given).await;
    for _ in 0..3 {
        let reply = get(&mut sender).await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (StatusCode::OK, "hello from hello-1 (greeting: hi)\n")
        );
    }
    let replies = (0..50).map(async |_| get(&mut connect(&given).await).await.status);
    let statuses = futures::future::join_all(replies).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert!(given.limits.cpu_used() > std::time::Duration::ZERO);
    assert!(given.limits.memory_used() > 0);
}

#[tokio::test]
async fn under_virtual_time_requests_are_answered_too() {
    tokio::time::pause();
    let bench = Bench::at(api::Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
    let program = bench.program(HELLO).await;
    let given = hello(&bench);
    let _container = served(&given, &*program).await;
    let mut sender = connect(&given).await;
    assert_eq!(get(&mut sender).await.status, StatusCode::OK);
    // Idle instances are dropped in time.
    bench.clock.sleep(std::time::Duration::from_secs(30)).await;
    let connection_alone = given.limits.memory_used();
    assert!(connection_alone < 64 << 10, "{connection_alone}");
    assert_eq!(get(&mut sender).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stopping_server_answers_who_is_connected_and_then_ends_with_143() {
    let bench = Bench::new();
    let program = bench.program(HELLO).await;
    let given = hello(&bench);
    let mut container = served(&given, &*program).await;
    let mut used = connect(&given).await;
    let (mut idle, let_go) = connect_watched(&given).await;
    assert!(!get(&mut used).await.closes);
    assert!(!get(&mut idle).await.closes);
    container.terminate();
    // Who asks again is told to go; who does not is let go after a while.
    loop {
        let reply = get(&mut used).await;
        assert_eq!(reply.status, StatusCode::OK);
        if reply.closes {
            break;
        }
    }
    let exit = container.exited().await;
    assert_eq!((exit.code, exit.reason), (143, ExitReason::Error));
    let_go.await.unwrap().unwrap();
    let address = (given.interface.address(), 8080).into();
    assert!(given.interface.connect(address).await.is_err());
}

#[tokio::test]
async fn a_port_is_taken_once_in_a_pod_and_free_again_afterwards() {
    let bench = Bench::new();
    let program = bench.program(HELLO).await;
    let given = hello(&bench);
    let mut first = served(&given, &*program).await;
    let refused = given.try_start(&*program).err().unwrap();
    assert!(refused.message.starts_with("listen on port 8080: "), "{refused}");
    first.kill();
    assert_eq!(first.exited().await.code, 137);
    drop(first);
    given.output().await;
    served(&given, &*program).await;
}

#[tokio::test]
async fn a_request_that_traps_is_answered_500_and_the_next_are_served() {
    let bench = Bench::new();
    let program = bench.text(&handler("unreachable")).await;
    let given = bench.given("trap");
    let mut container = served(&given, &*program).await;
    let mut sender = connect(&given).await;
    for _ in 0..3 {
        assert_eq!(get(&mut sender).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    container.kill();
    container.exited().await;
    drop(container);
    assert_eq!(given.output().await.matches("instruction executed").count(), 3);
}

#[tokio::test]
async fn a_request_left_without_answer_is_500() {
    let bench = Bench::new();
    let program = bench.text(&handler("nop")).await;
    let given = bench.given("silent");
    let _container = served(&given, &*program).await;
    assert_eq!(get(&mut connect(&given).await).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_server_that_fails_for_lack_of_memory_ends_with_137() {
    let bench = Bench::new();
    let eat = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let program = bench.text(&handler(eat)).await;
    let given = bench.given("eater").limited(Some(8 << 20), None);
    let mut container = served(&given, &*program).await;
    let mut sender = connect(&given).await;
    let request = Request::get("/").header("host", "hello").body(Empty::new()).unwrap();
    // The container may be gone before its client is answered.
    drop(sender.send_request(request).await);
    let exit = container.exited().await;
    assert_eq!((exit.code, exit.reason), (137, ExitReason::OomKilled));
}

#[tokio::test]
async fn instances_adapt_to_the_memory_there_is() {
    let bench = Bench::new();
    let program = bench.program(HELLO).await;
    // Room for two or three instances; the other requests wait for them.
    let given = hello(&bench).limited(Some(5 << 20), None);
    let _container = served(&given, &*program).await;
    let replies = (0..20).map(async |_| get(&mut connect(&given).await).await.status);
    let statuses = futures::future::join_all(replies).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
}

#[tokio::test]
async fn failures_are_told_no_faster_than_the_log_takes_them() {
    tokio::time::pause();
    let bench = Bench::at(api::Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
    let program = bench.text(&handler("unreachable")).await;
    let given = bench.given("fails").muted(&bench);
    let container = served(&given, &*program).await;
    let mut sender = connect(&given).await;
    for _ in 0..5 {
        assert_eq!(get(&mut sender).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    drop(container);
    let told = given.output().await;
    assert_eq!(told.matches("request failed").count(), 1, "{told}");
}

#[tokio::test]
async fn short_requests_keep_to_the_cpu_limit() {
    tokio::time::pause();
    let bench = Bench::at(api::Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
    let program = bench.program(HELLO).await;
    let given = hello(&bench).limited(None, Some(10));
    let _container = served(&given, &*program).await;
    let mut sender = connect(&given).await;
    let start = bench.clock.now();
    for _ in 0..20 {
        assert_eq!(get(&mut sender).await.status, StatusCode::OK);
    }
    // Each poll counts a millisecond, and so much is all there is in a tenth of a second.
    let passed: std::time::Duration = bench.clock.now().duration_since(start).try_into().unwrap();
    assert!(passed >= given.limits.cpu_used() * 90, "{passed:?} for {:?}", given.limits.cpu_used());
    assert!(given.limits.cpu_held() > std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn whoever_hears_of_the_end_finds_the_port_free() {
    let bench = Bench::new();
    let program = bench.program(HELLO).await;
    let given = hello(&bench);
    for _ in 0..40 {
        let mut container = served(&given, &*program).await;
        let _client = connect(&given).await;
        container.kill();
        container.exited().await;
        given.interface.listen(8080).unwrap();
    }
}
