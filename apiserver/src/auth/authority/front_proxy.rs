//! Who this server is to the servers of other API groups: they believe whoever shows this certificate about its users.
//!
//! The certificate is of an authority of its own. So nobody gets one by the ways in which clients get theirs.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracing::warn;

use super::certifier::{Certifier, RENEWAL, Subject};
use super::folder::Folder;
use super::{AuthorityError, Identity, Kept, load_certifier, load_identity};
use crate::auth::certificate;

/// The name in the certificate, which is to be trusted.
pub const NAME: &str = "front-proxy-client";

const SUBJECT: Subject<'_> = Subject::Client { user: NAME, group: "" };

const AUTHORITY: Kept = Kept {
    name: "front-proxy-ca",
    common_name: "peapod-front-proxy",
    remedy: "remove it and what else begins with front-proxy, and new ones are made at the next start",
};

/// The identity with which this server passes on requests of its users.
pub struct FrontProxy {
    certifier: Certifier,
    ca_pem: String,
    client_ca_pem: String,
    key: KeyPair,
    current: Mutex<Current>,
}

struct Current {
    identity: Arc<Identity>,
    renew_at: Timestamp,
}

impl FrontProxy {
    /// Loads the identity and its authority, or makes them. `client_ca_pem` is the authority of clients.
    pub(super) fn load(
        folder: &Folder,
        clock: &api::Clock,
        client_ca_pem: &str,
    ) -> Result<Self, AuthorityError> {
        let (ca_pem, certifier) = load_certifier(folder, &AUTHORITY, clock)?;
        let (identity, key) = load_identity(folder, NAME, &certifier, SUBJECT)?;
        let current = Mutex::new(Current::new(identity));
        Ok(Self { certifier, ca_pem, client_ca_pem: client_ca_pem.to_owned(), key, current })
    }

    /// The authority of this identity.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The authority whose certificates clients show.
    pub fn client_ca_pem(&self) -> &str {
        &self.client_ca_pem
    }

    /// The certificate to show, a new one in good time, and its key.
    pub fn identity(&self) -> Arc<Identity> {
        let now = self.certifier.clock().now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= current.renew_at {
            match self.certifier.issue(&self.key, SUBJECT) {
                Ok(issued) => {
                    let key_pem = self.key.serialize_pem();
                    *current = Current::new(Identity { certificate_pem: issued.pem(), key_pem });
                }
                Err(error) => warn!(%error, "could not renew the certificate of the front proxy"),
            }
        }
        Arc::clone(&current.identity)
    }
}

impl Current {
    fn new(identity: Identity) -> Self {
        let der = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).ok();
        let end = der.and_then(|der| certificate::end(&der)).unwrap_or(Timestamp::MAX);
        Self { identity: Arc::new(identity), renew_at: end.checked_sub(RENEWAL).unwrap_or(end) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use api::Clock;

    #[tokio::test(start_paused = true)]
    async fn the_certificate_is_renewed_in_time_and_is_of_no_authority_of_clients() {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let proxy = FrontProxy::load(&Folder::nowhere(), &clock, "clients").unwrap();
        let first = proxy.identity();
        assert_eq!(first.certificate_pem, proxy.identity().certificate_pem);
        assert_ne!(proxy.ca_pem(), proxy.client_ca_pem());
        clock.sleep(Duration::from_secs(340 * 86_400)).await;
        let second = proxy.identity();
        assert_ne!(first.certificate_pem, second.certificate_pem);
        assert_eq!(first.key_pem, second.key_pem);
    }
}
