//! The two ways to registries: with valid certificates, and to those that were called insecure.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::Endpoint;

const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// A registry that sends nothing for so long is given up, as the kubelet does.
const SILENCE: Duration = Duration::from_secs(60);
/// As browsers follow.
const MOST_REDIRECTS: usize = 10;

/// Clients for registries.
pub(in super::super) struct Https {
    strict: Client,
    lenient: Client,
}

impl Https {
    /// Trusts what this machine trusts.
    pub(in super::super) fn new() -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)
        };
        let strict = versions()?.with_root_certificates(roots()).with_no_client_auth();
        let verifier = Arc::new(Anyone(Arc::clone(&provider)));
        let lenient =
            versions()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        let build =
            |tls, policy| client(policy).tls_backend_preconfigured(tls).build().map_err(io::Error::other);
        Ok(Self {
            strict: build(strict, secure_redirects())?,
            lenient: build(lenient, Policy::limited(MOST_REDIRECTS))?,
        })
    }

    pub(super) fn of(&self, endpoint: &Endpoint) -> &Client {
        if endpoint.is_insecure { &self.lenient } else { &self.strict }
    }
}

fn client(redirects: Policy) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("peapod/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENCE)
        .redirect(redirects)
}

/// Contents are often elsewhere; but from a secure place nobody is sent to one that is not.
fn secure_redirects() -> Policy {
    Policy::custom(|attempt| {
        if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("too many redirects")
        } else if attempt.url().scheme() != "https" {
            attempt.error("the registry redirects to a place that is not secure")
        } else {
            attempt.follow()
        }
    })
}

/// The authorities this machine trusts. One that cannot be read is left out: connections it would vouch for fail, and say so.
fn roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "certificates this machine trusts not read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// The value of a header with user and password.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Believes every certificate, but not every signature.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
