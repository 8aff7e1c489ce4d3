//! Requests of guests: what is sent, what is refused, what is bounded.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use api::Key;
use http_body_util::{Empty, Full};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use tokio::task::JoinHandle;

use super::*;
use crate::network::{Network, NetworkConfig, PodIdentity};

const LIMIT_BYTES: u64 = 1 << 20;

struct Bench {
    network: Network,
    memory: Arc<Account>,
    client: Outgoing,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let network = Network::new(NetworkConfig::new(clock.clone()));
        let memory = Account::new(Some(LIMIT_BYTES));
        let client = Outgoing::new(attach(&network, "client"), clock, &memory);
        Self { network, memory, client }
    }

    /// A pod that answers every request on port 80 with its path and host.
    fn echo(&self) -> (Interface, JoinHandle<()>) {
        let interface = attach(&self.network, "server");
        let mut listener = interface.listen(80).unwrap();
        let serving = tokio::spawn(async move {
            while let Some((stream, _)) = listener.accept().await {
                let service = service_fn(async |request: http::Request<Incoming>| {
                    let host = request.headers()["host"].to_str().unwrap();
                    let text = format!("{} at {host}", request.uri());
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(text))))
                });
                let connection = server::Builder::new().serve_connection(TokioIo::new(stream), service);
                connection.await.unwrap();
            }
        });
        (interface, serving)
    }

    async fn send(&mut self, uri: &str, options: RequestOptions) -> Result<String, Error> {
        let body = Empty::new().map_err(Error::from).boxed_unsync();
        let uri: Uri = uri.parse().unwrap();
        let host = uri.authority().unwrap().to_string();
        let request = http::Request::get(uri).header("host", host).body(body).unwrap();
        let sending = self.client.send_request(request, Some(options), Box::new(async { Ok(()) }));
        let (response, io) = Box::into_pin(sending).await?;
        let io = tokio::spawn(Box::into_pin(io));
        let text = response.into_body().collect().await?.to_bytes();
        io.abort();
        drop(io.await);
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }
}

fn attach(network: &Network, name: &str) -> Interface {
    let pod = PodIdentity { key: Key::new("default", name), uid: name.into() };
    network.attach(&pod).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_reaches_another_pod_and_its_buffers_are_charged_meanwhile() {
    let mut bench = Bench::new();
    let (server, _serving) = bench.echo();
    let uri = format!("http://{}/a?b=c", server.address());
    let text = bench.send(&uri, RequestOptions::default()).await.unwrap();
    assert_eq!(text, format!("/a?b=c at {}", server.address()));
    assert_eq!(bench.memory.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_told_why_a_request_fails() {
    let mut bench = Bench::new();
    let check = async |bench: &mut Bench, uri: &str, expected: &str| {
        let error = bench.send(uri, RequestOptions::default()).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{uri}: {error:?}");
    };
    let own = bench.client.interface.address();
    check(&mut bench, "https://x/", "InternalError(Some(\"https is not supported yet").await;
    check(&mut bench, "http://nobody/", "DnsError").await;
    check(&mut bench, "http://10.128.200.1/", "DestinationUnavailable").await;
    check(&mut bench, &format!("http://{own}/"), "ConnectionRefused").await;
    check(&mut bench, "http://192.0.2.1/", "DestinationIpProhibited").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let mut bench = Bench::new();
    let silent = attach(&bench.network, "silent");
    let _listener = silent.listen(80).unwrap();
    let options =
        RequestOptions { first_byte_timeout: Some(Duration::from_secs(5)), ..RequestOptions::default() };
    let uri = format!("http://{}/", silent.address());
    let error = bench.send(&uri, options).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
    assert_eq!(bench.memory.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_bounded_by_memory() {
    let bench = Bench::new();
    let held: Vec<_> = (0..LIMIT_BYTES / REQUEST_BYTES).map(|_| bench.client.hold().ok().unwrap()).collect();
    assert!(matches!(bench.client.hold(), Err(Error::InternalError(_))));
    drop(held);
    assert!(bench.client.hold().is_ok());
}
