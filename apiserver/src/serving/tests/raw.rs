//! Requests that no client library would send: byte by byte over TLS, to the whole API.

use tokio::time::timeout;

use super::*;
use crate::Config;
use crate::http::{Api, Metrics, router};

pub const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What would be stored if one of these bodies were taken for whole.
pub const MAP: &str = r#"{"metadata":{"name":"smuggled"},"data":{"a":"1"}}"#;

/// A server that does not end a connection it should have ended is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The API in front of the store of this world.
pub fn api(cluster: &Cluster) -> Router {
    let mut figures = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut figures);
    let (_, stop) = watch::channel(false);
    router(Api {
        openapi: cluster.registry.openapi().clone(),
        registry: cluster.registry.clone(),
        authorizer: Config::in_memory(cluster.clock.clone(), 1).authorizer,
        clock: cluster.clock.clone(),
        dialer: None,
        metrics,
        figures: Arc::new(figures),
        health: Vec::new(),
        stop,
    })
}

impl World {
    /// Sends these bytes and nothing more as the administrator; what the server answers until it ends the connection.
    pub async fn send(&self, alpn: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.raw(Some(self.authority.admin()), alpn).await;
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let sending = async {
            // The server may have ended the connection before it read everything.
            let _ = write.write_all(bytes).await;
            let _ = write.shutdown().await;
        };
        let mut answer = Vec::new();
        let reading = async { drop(read.read_to_end(&mut answer).await) };
        timeout(PATIENCE, async { tokio::join!(sending, reading) }).await.expect("the connection ends");
        answer
    }

    /// The names of what is stored.
    pub async fn maps(&self) -> Vec<String> {
        let client = self.client(Some(self.authority.admin()));
        let list = self.get(&client, MAPS).await.unwrap().text().await.unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The codes of the answers, one after the other.
fn codes(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.filter_map(|head| head.get(..3)).collect::<Vec<_>>().join(" ")
}

/// A POST of an object with these headers and this body.
fn post(headers: &str, body: &str) -> String {
    format!("POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
}

fn sized(length: &str, body: &str) -> String {
    post(&format!("Content-Length: {length}\r\n"), body)
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// A request for what is there, with these headers.
fn get(headers: &str) -> String {
    format!("GET {MAPS} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

fn requests() -> Vec<(String, &'static str)> {
    let length = MAP.len();
    let headers = |count: usize| (0..count).map(|at| format!("X-{at}: 1\r\n")).collect::<String>();
    vec![
        // Lengths.
        (sized(&(length + 1).to_string(), MAP), "400"),
        (sized("99999999", MAP), "413"),
        (sized(&(length - 1).to_string(), MAP), "400 400"),
        (sized("0", MAP), "400 400"),
        (sized("-1", MAP), "400"),
        (sized("+5", MAP), "400"),
        (sized("0x10", MAP), "400"),
        (sized("", MAP), "400"),
        (sized("99999999999999999999999999", MAP), "400"),
        (post(&format!("Content-Length: {length}\r\nContent-Length: 5\r\n"), MAP), "400"),
        (post(&format!("Content-Length: {length}, 5\r\n"), MAP), "400"),
        (post(&format!("Content-Length : {length}\r\n"), MAP), "400"),
        // Chunks.
        (chunked("zz\r\n"), "400"),
        (chunked("-1\r\n"), "400"),
        (chunked("fffffffffffffffffff\r\n"), "400"),
        (chunked(&format!("{length:x}\r\n{MAP}")), "400"),
        (chunked(&format!("{length:x}\r\n{MAP}\r\n")), "400"),
        (chunked(&format!("{length:x}\r\n{MAP}XX0\r\n\r\n")), "400"),
        (chunked(&format!("{:x}\r\n{MAP}\r\n0\r\n\r\n", length + 1)), "400"),
        (chunked(&format!("{length:x}{}\r\n{MAP}\r\n0\r\n\r\n", ";x".repeat(20_000))), "400"),
        (chunked(&format!("{length:x}\r\n{MAP}\r\n0\r\n{}\r\n", headers(2_000))), "400"),
        (chunked(&format!("{:x}\r\n", 4 << 20)), "400"),
        (post("Transfer-Encoding: gzip\r\n", MAP), "400"),
        (post("Transfer-Encoding: chunked, gzip\r\n", MAP), "400"),
        // Headers and request lines.
        (get(&headers(1_000)), "431"),
        (get(&format!("X: {}\r\n", "x".repeat(1 << 20))), "431"),
        (get(&format!("{}: 1\r\n", "x".repeat(70_000))), "431"),
        (get("No colon\r\n"), "400"),
        (get("X: a\r\n folded\r\n"), "400"),
        (get("X: \u{1}\r\n"), "400"),
        (get(": empty\r\n"), "400"),
        // A server in Go says the same of a line that is too long.
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20)), "431"),
        (format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "X".repeat(1 << 20)), "431"),
        ("G@T / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(), "400"),
        ("GET  HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / \r\n\r\n".to_owned(), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
        ("\0\0\0\0\r\n\r\n".to_owned(), "400"),
        ("\u{16}\u{3}\u{1}\0".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: x".to_owned(), ""),
        (String::new(), ""),
    ]
}

#[tokio::test]
async fn what_is_no_request_is_refused_stores_nothing_and_ends_the_connection() {
    let world = start_before(|_| {}, api).await;
    let mut wrong = Vec::new();
    for (request, expected) in requests() {
        let answer = world.send(HTTP1, request.as_bytes()).await;
        if codes(&answer) != expected {
            let answer = String::from_utf8_lossy(&answer);
            wrong.push(format!("{request:.200}\n  expected {expected:?}, found {answer:.300}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!world.maps().await.contains(&"smuggled".to_owned()));
}
