//! Tests of the question about health, against a server of HTTP/2 and against those that are none.

#![allow(clippy::unwrap_used)]

use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::network::Stream;
use crate::node::probes::Check;
use crate::node::probes::tests::World;

/// Answers by the service that is asked about: its state, `error CODE WORDS`, or never.
async fn serve(stream: Stream) {
    let service = service_fn(async |request: Request<Incoming>| {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        let asked = request.into_body().collect().await?.to_bytes();
        let asked = String::from_utf8_lossy(asked.get(7..).unwrap_or_default()).into_owned();
        let mut response = Response::builder().header("content-type", "application/grpc");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let mut said = vec![0, 0, 0, 0, 2, 8, 1];
        match asked.split(' ').collect::<Vec<_>>()[..] {
            ["hang"] => pending().await,
            ["error", code, words] => {
                response = response.header("grpc-status", code).header("grpc-message", words);
            }
            ["late-error"] => {
                trailers.insert("grpc-status", HeaderValue::from_static("5"));
            }
            ["silent"] => said = vec![0, 0, 0, 0, 0],
            ["garbage"] => said = vec![0, 0, 0, 0, 9, 8],
            ["long"] => said = vec![0; 100_000],
            [number] if !number.is_empty() => said[6] = number.parse().unwrap(),
            _ => {}
        }
        let frames = [Ok::<_, hyper::Error>(Frame::data(Bytes::from(said))), Ok(Frame::trailers(trailers))];
        let body = StreamBody::new(futures::stream::iter(frames));
        Ok::<_, hyper::Error>(response.body(BodyExt::boxed(body)).unwrap())
    });
    let _ = server::Builder::new(Tasks::default()).serve_connection(TokioIo::new(stream), service).await;
}

async fn check(world: &World, port: u16, service: &str, expected: Outcome) -> i64 {
    let check = Check::Grpc { port, service: service.to_owned() };
    let (outcome, millis) = world.timed(world.ask(check)).await;
    assert_eq!(outcome, expected, "{service}");
    millis
}

fn failure(words: &str) -> Outcome {
    Outcome::Failure(words.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_service_says_whether_it_is_healthy() {
    let mut world = World::new();
    world.listen(50_051, serve);
    let check = async |service: &str, expected| check(&world, 50_051, service, expected).await;
    check("", Outcome::Success).await;
    check("1", Outcome::Success).await;
    check("2", failure("service unhealthy (responded with \"NOT_SERVING\")")).await;
    check("3", failure("service unhealthy (responded with \"SERVICE_UNKNOWN\")")).await;
    check("silent", failure("service unhealthy (responded with \"UNKNOWN\")")).await;
    let rpc = "error: health rpc probe failed: rpc error: code =";
    check("error 5 no%20such%20service", failure(&format!("{rpc} NotFound desc = no such service"))).await;
    check("late-error", failure(&format!("{rpc} NotFound desc = "))).await;
    check("garbage", failure(&format!("{rpc} Internal desc = the answer cannot be read"))).await;
    check("long", failure(&format!("{rpc} Internal desc = the answer is too long"))).await;
    let words = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no";
    check("error 12 no", failure(words)).await;
    let millis = check("hang", failure("timeout: health rpc did not complete within 1s")).await;
    assert_eq!(millis, 1000);
}

#[tokio::test(start_paused = true)]
async fn who_speaks_no_grpc_is_waited_for() {
    let mut world = World::new();
    world.listen(80, |mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    });
    for port in [80, 81] {
        let words = format!(
            "timeout: failed to connect service \"10.128.0.2:{port}\" within 1s: context deadline exceeded"
        );
        assert_eq!(check(&world, port, "", failure(&words)).await, 1000);
    }
}

#[test]
fn messages_are_written_and_read_as_protobuf_has_them() {
    assert_eq!(message(""), [0, 0, 0, 0, 0]);
    assert_eq!(message("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    assert_eq!(message(&"x".repeat(300))[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
    let check = |fields: &[u8], expected: Option<u64>| {
        let length = u32::try_from(fields.len()).unwrap();
        let bytes = [&[0], &length.to_be_bytes()[..], fields].concat();
        assert_eq!(state(&bytes), expected, "{fields:?}");
    };
    check(&[], Some(0));
    check(&[8, 1], Some(1));
    check(&[8, 0xac, 2], Some(300));
    check(&[0x12, 2, 9, 9, 8, 2], Some(2));
    check(&[0x15, 0, 0, 0, 0, 0x19, 0, 0, 0, 0, 0, 0, 0, 0, 8, 3], Some(3));
    check(&[8], None);
    check(&[0x12, 200, 1], None);
    check(&[0xff; 12], None);
    check(&[0x0b], None);
    assert_eq!(state(&[0, 0, 0, 0, 1]), None);
    assert_eq!(state(&[1, 0, 0, 0, 0]), None);
    assert_eq!(state(&[]), None);
    assert_eq!(unescaped(b"100%25 %zz %e2%82%ac%"), "100% %zz €%");
}
