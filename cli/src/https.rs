//! Asks a server of a cluster over TLS, trusting nobody but its CA.

use std::sync::Arc;

use anyhow::{Context, Result};
use reqwest::Client;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A certificate and its key, in PEM.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The certificate.
    pub certificate: &'a [u8],
    /// Its key.
    pub key: &'a [u8],
}

/// A client that trusts the CA given in PEM, and shows who it is if it has an identity.
pub fn client(ca: &[u8], identity: Option<Identity<'_>>) -> Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).context("read the CA")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let tls = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let certificate = CertificateDer::from_pem_slice(certificate).context("read the certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key).context("read the key")?;
            builder.with_client_auth_cert(vec![certificate], key)?
        }
    };
    Ok(Client::builder().tls_backend_preconfigured(tls).build()?)
}
