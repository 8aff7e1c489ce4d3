//! Servers behind a test's dialer, and what is said when they do not answer well.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Mutex;

use api::Clock;
use api::dialer::Destination;
use axum::body::Body;
use futures::future::BoxFuture;
use http::Response;
use hyper::service::service_fn;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::auth::authority::WallTime;
use base64::Engine;

/// Answers requests; the certificates of the client are in their extensions.
type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The certificates a client has shown.
#[derive(Clone)]
pub struct Shown(pub Vec<CertificateDer<'static>>);

/// Servers by the addresses they are dialed at; all of them have certificates of one authority.
pub struct Servers {
    authority: CertifiedIssuer<'static, KeyPair>,
    by_address: BTreeMap<String, (Arc<ServerConfig>, Handler)>,
    clients: Option<Arc<RootCertStore>>,
    connections: Mutex<JoinSet<()>>,
}

/// Virtual time that begins when certificates are good.
pub fn clock() -> Clock {
    Clock::virtual_from("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap())
}

impl Servers {
    pub fn empty() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority, by_address: BTreeMap::new(), clients: None, connections: Mutex::default() }
    }

    /// The authority's certificate, as a `caBundle`.
    pub fn bundle(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.authority.pem())
    }

    /// Adds a server with this name in its certificate, dialed as `address`.
    pub fn with(
        self,
        address: &str,
        name: &str,
        answer: impl Fn(&str, serde_json::Value) -> (u16, serde_json::Value) + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        self.with_handler(address, name, move |request| {
            let answer = answer.clone();
            Box::pin(async move {
                let path = request.uri().to_string();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let (code, value) = answer(&path, serde_json::from_slice(&body).unwrap_or_default());
                let mut response = Response::new(Body::from(value.to_string()));
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                response
            })
        })
    }

    /// Adds a server that never answers.
    pub fn with_silent(self, address: &str, name: &str) -> Self {
        self.with_handler(address, name, |_| Box::pin(std::future::pending()))
    }

    /// Adds a server that answers whole requests.
    pub fn with_handler(
        mut self,
        address: &str,
        name: &str,
        handler: impl Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        self.by_address.insert(address.to_owned(), (self.config(name), Arc::new(handler)));
        self
    }

    /// Servers that are added from now on ask clients for a certificate of this authority.
    pub fn asking_for(mut self, ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        self.clients = Some(Arc::new(roots));
        self
    }

    fn config(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_details(provider.clone(), Arc::new(WallTime(clock())))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match &self.clients {
            None => config.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = config.with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        );
        Arc::new(config.unwrap())
    }
}

impl Dialer for Servers {
    fn dial(&self, destination: &Destination) -> BoxFuture<'_, io::Result<Box<dyn Connection>>> {
        let address = match destination {
            Destination::Cluster(address) => address.to_string(),
            Destination::Outside(host, port) => format!("{host}:{port}"),
            Destination::Node(node) => node.clone(),
        };
        let Some((config, handler)) = self.by_address.get(&address).cloned() else {
            return Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) });
        };
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        self.connections.lock().unwrap().spawn(async move {
            let Ok(stream) = TlsAcceptor::from(config).accept(theirs).await else {
                return;
            };
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let shown = Shown(shown.iter().map(|certificate| certificate.clone().into_owned()).collect());
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(shown.clone());
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            drop(http.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
        });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Connection>) })
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_asked_over_tls_and_failures_are_said_in_known_words() {
    let json = |value: &str| serde_json::json!({"url": value});
    let servers = Servers::empty()
        .with("good:443", "good", |path, body| (200, serde_json::json!({"path": path, "body": body})))
        .with("other:443", "good", |_, _| (200, serde_json::Value::Null))
        .with("large:443", "large", |_, _| (200, "x".repeat(LARGEST_ANSWER).into()))
        .with_silent("silent:443", "silent");
    let bundle = servers.bundle();
    let outgoing = Outgoing::new(Arc::new(servers), clock(), Store::in_memory().unwrap());
    let post = async |url: &str, bundle: &str| {
        let address = Address::of_client_config(&json(url)).unwrap();
        let trust = Trust::of_bundle(Some(bundle)).unwrap();
        let reply = outgoing.post(&address, &trust, b"{\"a\":1}".to_vec(), Duration::from_secs(5)).await;
        reply.map(|reply| String::from_utf8(reply.body.to_vec()).unwrap())
    };
    let answer = post("https://good/x", &bundle).await.unwrap();
    assert_eq!(answer, r#"{"body":{"a":1},"path":"/x?timeout=5s"}"#);
    let row = async |url: &str, bundle: &str, words: &str| {
        let error = post(url, bundle).await.unwrap_err();
        assert!(error.starts_with(words), "{error}");
    };
    let unknown = Servers::empty().bundle();
    let unknown = unknown.as_str();
    row("https://good/x", unknown, "Post \"https://good/x?timeout=5s\": tls: failed to verify certificate: x509: certificate signed by unknown authority").await;
    row(
        "https://other/",
        &bundle,
        "Post \"https://other/?timeout=5s\": tls: failed to verify certificate: x509: certificate ",
    )
    .await;
    row(
        "https://gone:8443/",
        &bundle,
        "Post \"https://gone:8443/?timeout=5s\": dial tcp gone:8443: connect: connection refused",
    )
    .await;
    row("https://silent/", &bundle, "Post \"https://silent/?timeout=5s\": context deadline exceeded").await;
    row("https://large/", &bundle, "Post \"https://large/?timeout=5s\": the response is larger").await;
}

#[test]
fn addresses_are_read_from_client_configurations() {
    let row = |config: serde_json::Value, expected: Result<&str, &str>| {
        let found = Address::of_client_config(&config).map(|address| address.url(Duration::from_secs(10)));
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    };
    let service = |more: serde_json::Value| {
        let mut service = serde_json::json!({"name": "a", "namespace": "b"});
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::json!({ "service": service })
    };
    row(service(serde_json::json!({})), Ok("https://a.b.svc:443?timeout=10s"));
    row(service(serde_json::json!({"path": "/x", "port": 8443})), Ok("https://a.b.svc:8443/x?timeout=10s"));
    row(serde_json::json!({"url": "https://h:1/p"}), Ok("https://h:1/p?timeout=10s"));
    row(
        serde_json::json!({"url": "http://h/"}),
        Err("\"http://h/\" is not a URL of the form https://host[:port]/path"),
    );
    row(
        service(serde_json::json!({"port": 70000})),
        Err("clientConfig must have a url or a service with a name and a namespace"),
    );
}
