//! Real sockets, real TLS, and clients good and bad.
#![allow(clippy::unwrap_used)]

mod frames;
mod raw;

use std::net::SocketAddr;

use api::backend::User;
use api::resource::SERVICE_ACCOUNTS;
use api::{Clock, Key};
use axum::Extension;
use axum::http::HeaderMap;
use axum::routing::get;
use reqwest::{Client, Response};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::*;
use crate::auth::authority::{Authority, Identity, ServerNames, WallTime};
use crate::auth::tokens::tests::World as Cluster;
use crate::auth::tokens::{Bound, Grant, Issued, Reference};

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// A short while, for what would wait for long.
const SHORT: Duration = Duration::from_millis(50);

/// A server with an authority of its own.
struct World {
    cluster: Cluster,
    authority: Authority,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
    slow: Arc<Slow>,
}

/// Requests to `/slow`: one that came, and leave to finish.
#[derive(Default)]
struct Slow {
    came: Notify,
    may_finish: Notify,
}

async fn start(change: impl FnOnce(&mut Limits)) -> World {
    start_before(change, |_| Router::new()).await
}

/// The same in front of other routes.
async fn start_before(change: impl FnOnce(&mut Limits), routes: impl FnOnce(&Cluster) -> Router) -> World {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let authority = Authority::ephemeral(&ServerNames::new([10, 96, 0, 1].into()), &clock).unwrap();
    let cluster = Cluster::with(clock.clone(), Some(authority.tokens())).await;
    let store = cluster.registry.store().clone();
    let authenticator = Authenticator::new(clock, store, Some(authority.tokens()));
    let mut limits = Limits::of_process();
    change(&mut limits);
    let front = Front { tls: authority.server_config(), authenticator: Arc::new(authenticator), limits };
    let listeners =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let address = listeners[1].local_addr().unwrap();
    let slow = Arc::new(Slow::default());
    let router = routes(&cluster)
        .route("/who", get(who))
        .route("/slow", get(finish_when_told))
        .layer(Extension(Arc::clone(&slow)));
    let (stop, stopped) = watch::channel(false);
    let mut serving = JoinSet::new();
    serving.spawn(serve(listeners.into(), router, front, stopped));
    World { cluster, authority, address, stop, serving, slow }
}

async fn who(Extension(user): Extension<Arc<User>>, headers: HeaderMap) -> String {
    assert!(!headers.contains_key("authorization"), "the secret stays outside");
    format!("{} {}", user.name, user.groups.join(","))
}

async fn finish_when_told(Extension(slow): Extension<Arc<Slow>>) -> &'static str {
    slow.came.notify_one();
    slow.may_finish.notified().await;
    "done"
}

impl World {
    /// What a client trusts, who it is, and what it speaks.
    fn tls(
        &self,
        identity: Option<&Identity>,
        alpn: &[u8],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.ca_pem().as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let time = Arc::new(WallTime(self.cluster.clock.clone()));
        let builder = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(versions)
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate_pem, key_pem }) => {
                let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }

    fn client(&self, identity: Option<&Identity>) -> Client {
        client(self.tls(identity, HTTP2, rustls::ALL_VERSIONS))
    }

    async fn get(&self, client: &Client, path: &str) -> reqwest::Result<Response> {
        client.get(format!("https://{}{path}", self.address)).send().await
    }

    async fn who(&self, identity: Option<&Identity>) -> String {
        self.get(&self.client(identity), "/who").await.unwrap().text().await.unwrap()
    }

    async fn raw(
        &self,
        identity: Option<&Identity>,
        alpn: &[u8],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let config = self.tls(identity, alpn, rustls::ALL_VERSIONS);
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// A day passes at once; the sockets go on in real time.
    async fn pass_days(&self, days: u64) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(days * 86_400)).await;
        tokio::time::resume();
    }
}

fn client(tls: ClientConfig) -> Client {
    Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

const NOBODY: &str = "system:anonymous system:unauthenticated";

#[tokio::test]
async fn a_certificate_or_its_absence_tells_who_a_client_is() {
    let world = start(|_| {}).await;
    let jane = world.authority.client_identity("jane", "").unwrap();
    for alpn in [HTTP1, HTTP2] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let admin = Some(world.authority.admin());
            for (identity, expected) in [
                (None, NOBODY),
                (admin, "kubernetes-admin system:masters,system:authenticated"),
                (Some(&jane), "jane system:authenticated"),
            ] {
                let client = client(world.tls(identity, alpn, &[version]));
                let answer = world.get(&client, "/who").await.unwrap();
                let spoken = if alpn == HTTP2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
                assert_eq!(answer.version(), spoken);
                assert_eq!(answer.text().await.unwrap(), expected);
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_in_the_handshake() {
    let world = start(|_| {}).await;
    let other = Authority::ephemeral(&ServerNames::default(), &world.cluster.clock).unwrap();
    let forged = other.client_identity("kubernetes-admin", "system:masters").unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = client(world.tls(Some(&forged), HTTP2, &[version]));
        assert!(world.get(&client, "/who").await.is_err());
    }
    assert_eq!(world.who(None).await, NOBODY, "others are served on");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_while_the_servers_renews_itself() {
    let world = start(|_| {}).await;
    let admin = world.authority.admin().clone();
    let connected = world.client(Some(&admin));
    assert!(world.get(&connected, "/who").await.is_ok());
    world.pass_days(364).await;
    assert!(world.who(Some(&admin)).await.starts_with("kubernetes-admin"));
    world.pass_days(2).await;
    assert!(world.get(&world.client(Some(&admin)), "/who").await.is_err());
    assert_eq!(world.who(None).await, NOBODY);
    let fresh = world.authority.client_identity("jane", "").unwrap();
    assert_eq!(world.who(Some(&fresh)).await, "jane system:authenticated");
}

#[tokio::test]
async fn a_token_tells_who_a_client_is_and_a_bad_one_is_refused_everywhere() {
    let world = start(|_| {}).await;
    let robot = Key::new("default", "robot");
    let account = world.cluster.client.get(&SERVICE_ACCOUNTS, &robot).await.unwrap();
    let issue = |audience: &str| -> String {
        let grant = Grant {
            namespace: "default".to_owned(),
            account: Reference { name: "robot".to_owned(), uid: account.uid().to_owned() },
            audiences: Some(audience.to_owned()).into_iter().filter(|text| !text.is_empty()).collect(),
            lifetime: Duration::from_secs(3_600),
            bound: Bound::Nothing,
            id: "1".to_owned(),
        };
        let Issued { token, .. } = world.authority.tokens().issue(grant).unwrap();
        token
    };
    let client = world.client(None);
    let ask = async |token: &str| {
        let request = client.get(format!("https://{}/who", world.address)).bearer_auth(token);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let good = issue("");
    let groups = "system:serviceaccounts,system:serviceaccounts:default,system:authenticated";
    assert_eq!(ask(&good).await, (200, format!("system:serviceaccount:default:robot {groups}")));
    let tampered = good.replace('.', ".e");
    let unauthorized = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401});
    let (_, rest) = good.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
    for bad in [tampered.as_str(), &unsigned, &issue("vault"), "nonsense"] {
        let (code, body) = ask(bad).await;
        assert_eq!(
            (code, serde_json::from_str::<Value>(&body).unwrap()),
            (401, unauthorized.clone()),
            "{bad}"
        );
    }
    world.pass_days(1).await;
    assert_eq!(ask(&good).await.0, 401, "expired");
}

#[tokio::test]
async fn plain_http_is_told_what_is_wrong() {
    let world = start(|_| {}).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let expected = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_client_gets_in_past_two_thousand_that_say_nothing() {
    let world = start(|limits| limits.handshakes = 200).await;
    let mut silent = Vec::new();
    for number in 0..2_000 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&[0x16, 3, 1]).await.unwrap();
        }
        silent.push(stream);
        if number % 500 == 499 {
            assert_eq!(world.who(None).await, NOBODY);
        }
    }
    // The oldest had to give way, which they see as an end or a reset.
    for stream in &mut silent[..1_700] {
        assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)));
    }
    assert_eq!(world.who(None).await, NOBODY);
}

#[tokio::test]
async fn whoever_is_slow_to_begin_is_let_go() {
    let world =
        start(|limits| (limits.handshake, limits.first_request) = (Duration::from_secs(600), SHORT)).await;
    for sent in ["", "GET /who HTTP/1.1\r\nHost: localh"] {
        let mut stream = world.raw(None, HTTP1).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 "), "{sent}");
    }
    let world = start(|limits| limits.handshake = SHORT).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&[0x16, 3, 1]).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn headers_have_a_bound() {
    let world = start(|_| {}).await;
    for (alpn, bytes, code) in
        [(HTTP1, 32_000, 200), (HTTP1, 100_000, 431), (HTTP2, 32_000, 200), (HTTP2, 100_000, 431)]
    {
        let client = client(world.tls(None, alpn, rustls::ALL_VERSIONS));
        let request = client.get(format!("https://{}/who", world.address)).header("x", "a".repeat(bytes));
        assert_eq!(request.send().await.unwrap().status(), code, "{bytes}");
    }
}

#[tokio::test]
async fn a_connection_waits_for_its_place() {
    let world = start(|limits| (limits.connections, limits.idle) = (1, SHORT)).await;
    let first = world.client(None);
    assert!(world.get(&first, "/who").await.is_ok());
    // The first client keeps its connection, until it has been idle for long enough.
    assert_eq!(world.who(None).await, NOBODY);
    assert!(world.get(&first, "/who").await.is_ok(), "and may come back");
}

#[tokio::test]
async fn a_stop_lets_requests_finish() {
    for alpn in [HTTP1, HTTP2] {
        let mut world = start(|limits| limits.grace = Duration::from_secs(600)).await;
        let client = client(world.tls(None, alpn, rustls::ALL_VERSIONS));
        let url = format!("https://{}/slow", world.address);
        let mut requests = JoinSet::new();
        requests.spawn(async move { client.get(url).send().await.unwrap().text().await.unwrap() });
        let mut idle = world.raw(None, HTTP1).await;
        world.slow.came.notified().await;
        world.stop.send(true).unwrap();
        let _ = idle.read_to_end(&mut Vec::new()).await;
        assert!(TcpStream::connect(world.address).await.is_err(), "nobody is let in any more");
        world.slow.may_finish.notify_one();
        assert_eq!(requests.join_next().await.unwrap().unwrap(), "done");
        world.serving.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let mut world = start(|limits| limits.grace = SHORT).await;
    let client = world.client(None);
    let url = format!("https://{}/slow", world.address);
    let mut requests = JoinSet::new();
    requests.spawn(async move { client.get(url).send().await });
    world.slow.came.notified().await;
    world.stop.send(true).unwrap();
    world.serving.join_next().await.unwrap().unwrap();
    assert!(requests.join_next().await.unwrap().unwrap().is_err());
}
