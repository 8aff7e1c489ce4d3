//! Requests of guests: what is sent, what is refused, what is bounded.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use api::Key;
use http_body_util::{Empty, Full};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

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
        Self::trusting(None)
    }

    fn trusting(trusted_ca_pem: Option<String>) -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let network = Network::new(NetworkConfig { trusted_ca_pem, ..NetworkConfig::new(clock.clone()) });
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
    check(&mut bench, "https://nobody/", "DnsError").await;
    check(&mut bench, &format!("https://{own}/"), "ConnectionRefused").await;
    check(&mut bench, "ftp://x/", "HttpRequestUriInvalid").await;
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
    let held: Vec<_> =
        (0..LIMIT_BYTES / REQUEST_BYTES).map(|_| bench.client.hold(false).ok().unwrap()).collect();
    assert!(matches!(bench.client.hold(false), Err(Error::InternalError(_))));
    drop(held);
    assert!(bench.client.hold(false).is_ok());
}

/// The address of the second pod of a bench.
const SERVER: &str = "10.128.0.3";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that shows a certificate for `name`.
fn acceptor(authority: &CertifiedIssuer<'_, KeyPair>, name: &str, last_year: i32) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(last_year, 12, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// What a guest that trusts `trusted` is answered, or told, by a server that shows `shown`; none speaks without TLS.
async fn ask_over_tls(
    trusted: Option<String>,
    shown: Option<TlsAcceptor>,
    host: &str,
) -> Result<String, Error> {
    let mut bench = Bench::trusting(trusted);
    let pod = attach(&bench.network, "server");
    assert_eq!(pod.address().to_string(), SERVER);
    let mut listener = pod.listen(443).unwrap();
    let _serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let Some(acceptor) = shown else {
            use tokio::io::AsyncWriteExt;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            return;
        };
        let Ok(stream) = acceptor.accept(stream).await else { return };
        let service = service_fn(async |request: http::Request<Incoming>| {
            let text = format!("{} over TLS", request.uri());
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(text))))
        });
        // The client may close first.
        drop(server::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    });
    let answer = bench.send(&format!("https://{host}/version"), RequestOptions::default()).await;
    assert_eq!(bench.memory.used(), 0);
    answer
}

#[tokio::test(start_paused = true)]
async fn https_reaches_a_server_that_the_cluster_vouches_for_and_no_other() {
    let (ours, other) = (authority(), authority());
    let trusted = || Some(ours.pem());
    let answer = ask_over_tls(trusted(), Some(acceptor(&ours, SERVER, 2030)), SERVER).await;
    assert_eq!(answer.unwrap(), "/version over TLS");
    let check = async |trusted: Option<String>, shown: Option<TlsAcceptor>, expected: &str| {
        let error = ask_over_tls(trusted, shown, SERVER).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected);
    };
    check(trusted(), Some(acceptor(&ours, "10.128.0.9", 2030)), "TlsCertificateError").await;
    check(trusted(), Some(acceptor(&ours, SERVER, 2025)), "TlsCertificateError").await;
    check(trusted(), Some(acceptor(&other, SERVER, 2030)), "TlsCertificateError").await;
    check(None, Some(acceptor(&ours, SERVER, 2030)), "TlsCertificateError").await;
    check(trusted(), None, "TlsProtocolError").await;
}
