//! Whose certificates are trusted, and the certificate that is shown.

use std::fmt;
use std::sync::{Arc, OnceLock};

use api::Clock;
use api::dialer::Connection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::{Secured, words};
use crate::auth::authority::WallTime;

/// Whose certificates are trusted.
pub struct Trust {
    roots: Roots,
    /// Certificate and key in PEM.
    shown: Option<(String, String)>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// What a certificate must come from.
enum Roots {
    /// These authorities, in PEM.
    Of(Vec<u8>),
    /// Anything goes, as somebody asked for.
    Anything,
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Trust")
    }
}

impl Trust {
    /// Trusts the authorities of a `caBundle`: PEM in base64.
    pub fn of_bundle(bundle: Option<&str>) -> Result<Self, String> {
        let pem = STANDARD.decode(bundle.unwrap_or_default());
        let pem = pem.map_err(|error| format!("caBundle is not base64: {error}"))?;
        Ok(Self { roots: Roots::Of(pem), shown: None, config: OnceLock::new() })
    }

    /// Trusts whoever answers.
    pub fn anything() -> Self {
        Self { roots: Roots::Anything, shown: None, config: OnceLock::new() }
    }

    /// Shows a certificate to those who ask for one.
    #[must_use]
    pub fn showing(mut self, certificate_pem: &str, key_pem: &str) -> Self {
        self.shown = Some((certificate_pem.to_owned(), key_pem.to_owned()));
        self
    }

    fn config(&self, clock: &Clock) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| self.build(clock).map(Arc::new)).clone()
    }

    fn build(&self, clock: &Clock) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let failed = |error: Error| format!("tls: {error}");
        let builder =
            ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(WallTime(clock.clone())))
                .with_safe_default_protocol_versions()
                .map_err(failed)?;
        let builder = match &self.roots {
            Roots::Of(pem) => builder.with_root_certificates(roots(pem)?),
            Roots::Anything => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody::new(&provider)))
            }
        };
        let mut config = match &self.shown {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain: Result<Vec<_>, _> =
                    CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
                let (Ok(chain), Ok(key)) = (chain, key) else {
                    return Err("tls: the client certificate is not PEM".to_owned());
                };
                builder.with_client_auth_cert(chain, key).map_err(failed)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Connections are short and few: what is kept for resuming would only be memory.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("caBundle is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("caBundle: {error}"))?;
    }
    Ok(roots)
}

/// Secures a connection to the server of this name; an error is in the words of a Go client.
pub async fn secure(
    connection: Box<dyn Connection>,
    host: &str,
    trust: &Trust,
    clock: &Clock,
) -> Result<Secured, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("tls: {host:?} cannot be the name of a server"))?;
    let connector = TlsConnector::from(trust.config(clock)?);
    connector.connect(name, connection).await.map_err(|error| words::handshake(&error))
}

/// Believes everybody; `insecureSkipTLSVerify` asks for that.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl Anybody {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
