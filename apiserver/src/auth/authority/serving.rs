//! TLS as the server speaks it, with a certificate that renews itself while the process runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::{Clock, clock};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use rcgen::KeyPair;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use tracing::warn;

use super::certifier::{Certifier, RENEWAL, Subject};
use super::names::ServerNames;
use super::{AuthorityError, Identity};
use crate::auth::certificate;

/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(3_600);

/// Tells TLS the time of this process.
#[derive(Clone, Debug)]
pub struct WallTime(pub Clock);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// TLS for this identity.
pub fn config(
    certifier: Arc<Certifier>,
    names: ServerNames,
    identity: &Identity,
    key: KeyPair,
) -> Result<ServerConfig, AuthorityError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| AuthorityError::Tls(error);
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certifier.certificate().clone()).map_err(|error| failed(error.into()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| failed(error.into()))?;
    let time = Arc::new(WallTime(certifier.clock().clone()));
    let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes())
        .map_err(|error| failed(error.into()))?;
    let current = Current::new(certificate, &key, &provider).map_err(|error| failed(error.into()))?;
    let renewing = Renewing {
        certifier,
        names,
        key,
        provider: Arc::clone(&provider),
        current: ArcSwap::from_pointee(current),
    };
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.into()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(renewing));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session would carry a client's certificate past its end.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The certificate that is presented; a new one in good time, so that a server can run for years.
struct Renewing {
    certifier: Arc<Certifier>,
    names: ServerNames,
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Current>,
}

struct Current {
    certified: Arc<CertifiedKey>,
    renew_at: Timestamp,
}

impl Current {
    fn new(
        certificate: CertificateDer<'static>,
        key: &KeyPair,
        provider: &CryptoProvider,
    ) -> Result<Self, rustls::Error> {
        let end = certificate::end(&certificate).unwrap_or(Timestamp::MAX);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let certified = CertifiedKey::from_der(vec![certificate], key, provider)?;
        let renew_at = end.checked_sub(RENEWAL).unwrap_or(end);
        Ok(Self { certified: Arc::new(certified), renew_at })
    }
}

impl Renewing {
    fn renew(&self) -> Result<Current, Box<dyn std::error::Error>> {
        let issued = self.certifier.issue(&self.key, Subject::Server(&self.names))?;
        Ok(Current::new(issued.into(), &self.key, &self.provider)?)
    }
}

impl ResolvesServerCert for Renewing {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.load_full();
        let now = self.certifier.clock().now();
        if now < current.renew_at {
            return Some(Arc::clone(&current.certified));
        }
        let mut next = self.renew().unwrap_or_else(|error| {
            warn!(%error, "could not renew the certificate of the server");
            Current { certified: Arc::clone(&current.certified), renew_at: now }
        });
        // Near the end of the authority itself a new certificate would be due at once.
        next.renew_at = next.renew_at.max(clock::add(now, RETRY));
        let certified = Arc::clone(&next.certified);
        self.current.store(Arc::new(next));
        Some(certified)
    }
}

impl fmt::Debug for Renewing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Renewing")
    }
}
