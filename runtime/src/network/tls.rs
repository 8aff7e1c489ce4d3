//! How pods' requests over HTTPS are secured: trusted is the cluster's CA alone, and time is that of the one clock.

use std::sync::Arc;
use std::time::Duration;

use api::Clock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// The settings of all connections; without a CA none is trusted.
pub(super) fn config(trusted_ca_pem: Option<&str>, clock: &Clock) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let time = Arc::new(Time(clock.clone()));
    let versions = ClientConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .expect("the provider can do the usual versions of TLS");
    let roots = roots(trusted_ca_pem.unwrap_or_default());
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        if let Err(error) = added {
            warn!(error, "certificate of the cluster's CA not understood");
        }
    }
    roots
}

#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
