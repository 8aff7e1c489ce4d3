//! The cluster's authority: its certificate, its keys, and the identities it issues.
//!
//! Kept as files in a folder that only its owner can read:
//! - `ca.key`, `ca.crt`: the authority. Made once; never replaced here, as every kubeconfig trusts them.
//! - `server.key`, `server.crt`, `admin.key`, `admin.crt`: identities. The certificates are renewed, for the same keys.
//! - `front-proxy-ca.key`, `.crt` and `front-proxy-client.key`, `.crt`: the same for the server as a client of other API servers.
//! - `sa.key`: signs the tokens of service accounts.
//!
//! A key is written before its certificate, and a certificate that is missing is made for the key that is there: so a
//! start that was cut short is finished by the next one.

mod certifier;
mod folder;
mod front_proxy;
mod names;
mod serving;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::{Clock, clock};
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub use front_proxy::{FrontProxy, NAME as FRONT_PROXY};
pub use names::{NotAName, ServerNames};
pub use serving::WallTime;

use super::certificate;
use super::tokens::Tokens;
use certifier::{Certifier, Subject, belongs};
use folder::Folder;

/// The user of the kubeconfig that the server writes.
const ADMINISTRATOR: Subject<'_> = Subject::Client { user: "kubernetes-admin", group: super::MASTERS };

/// What helps when the authority itself is damaged.
const RESTORE: &str = "restore it from a backup, or remove the whole folder to start with a new authority, which \
                       existing kubeconfigs and tokens do not fit";

/// An authority as it is kept.
struct Kept {
    /// Of its files, `NAME.key` and `NAME.crt`.
    name: &'static str,
    /// What it calls itself.
    common_name: &'static str,
    /// What helps when it is damaged.
    remedy: &'static str,
}

/// The authority of clients and servers.
const CLIENTS: Kept = Kept { name: "ca", common_name: "peapod", remedy: RESTORE };

/// What helps when only a certificate is damaged.
const REISSUE: &str = "remove it, and a new one is issued at the next start";

/// What helps when the key of an identity is damaged.
const REISSUE_BOTH: &str =
    "remove it and the certificate of the same name, and new ones are made at the next start";

/// The keys cannot be loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file or folder cannot be used.
    #[error("{doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what belongs there.
    #[error("{} cannot be used: {why}; {remedy}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A certificate cannot be issued.
    #[error("issue a certificate for {subject}")]
    Issue {
        /// For whom.
        subject: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// A key cannot be made.
    #[error("make a key")]
    Key(#[source] rcgen::Error),
    /// TLS cannot be set up with the certificates.
    #[error("set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key.
    pub key_pem: String,
}

/// The authority of a cluster.
pub struct Authority {
    certifier: Arc<Certifier>,
    ca_pem: String,
    admin: Identity,
    server: Arc<ServerConfig>,
    tokens: Arc<Tokens>,
    front_proxy: Arc<FrontProxy>,
}

impl Authority {
    /// Loads the authority from a folder, or makes a new one there. The caller holds what keeps others off the folder.
    pub fn open(folder: &Path, names: &ServerNames, clock: &Clock) -> Result<Self, AuthorityError> {
        Self::load(&Folder::open(folder)?, names, clock)
    }

    /// An authority that ends with the process.
    pub fn ephemeral(names: &ServerNames, clock: &Clock) -> Result<Self, AuthorityError> {
        Self::load(&Folder::nowhere(), names, clock)
    }

    fn load(folder: &Folder, names: &ServerNames, clock: &Clock) -> Result<Self, AuthorityError> {
        let (ca_pem, certifier) = load_certifier(folder, &CLIENTS, clock)?;
        let (server, server_key) = load_identity(folder, "server", &certifier, Subject::Server(names))?;
        let (admin, _) = load_identity(folder, "admin", &certifier, ADMINISTRATOR)?;
        let (signing_key, _) = load_key(folder, "sa.key", REISSUE)?;
        let tokens = Tokens::new(&signing_key, clock.clone()).ok_or_else(|| AuthorityError::Unusable {
            path: folder.path("sa.key"),
            why: "it is not a P-256 key".to_owned(),
            remedy: REISSUE,
        })?;
        let certifier = Arc::new(certifier);
        let server = serving::config(Arc::clone(&certifier), names.clone(), &server, server_key)?;
        let front_proxy = Arc::new(FrontProxy::load(folder, clock, &ca_pem)?);
        let (server, tokens) = (Arc::new(server), Arc::new(tokens));
        Ok(Self { certifier, ca_pem, admin, server, tokens, front_proxy })
    }

    /// The certificate of the authority, for clients to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The one who may do everything.
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// Issues and checks the tokens of service accounts.
    pub fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens)
    }

    /// Who this server is to the servers of other API groups.
    pub fn front_proxy(&self) -> Arc<FrontProxy> {
        Arc::clone(&self.front_proxy)
    }

    /// A new identity of a client, for a year; `group` may be empty.
    pub fn client_identity(&self, user: &str, group: &str) -> Result<Identity, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Key)?;
        let certificate = self.certifier.issue(&key, Subject::Client { user, group })?;
        Ok(Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// How the server presents itself and what it asks of clients: TLS 1.3 or 1.2, HTTP/2 or HTTP/1.1, and a
    /// certificate of this authority or none.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

/// The authority in its files, made if there is none.
fn load_certifier(
    folder: &Folder,
    kept: &Kept,
    clock: &Clock,
) -> Result<(String, Certifier), AuthorityError> {
    let Kept { name, common_name, remedy } = *kept;
    let (key_file, file) = (format!("{name}.key"), format!("{name}.crt"));
    let unusable =
        |file: &str, why: String| AuthorityError::Unusable { path: folder.path(file), why, remedy };
    let known = folder.read(&file)?;
    if known.is_some() && folder.read_secret(&key_file)?.is_none() {
        return Err(unusable(&key_file, "it is missing beside its certificate".to_owned()));
    }
    let (key, _) = load_key(folder, &key_file, remedy)?;
    let pem = match known {
        Some(pem) => pem,
        None => {
            let issued = Certifier::self_signed(&key, common_name, clock.now());
            let issued = issued
                .map_err(|source| AuthorityError::Issue { subject: "the authority".to_owned(), source })?;
            folder.write(&file, &issued.pem())?;
            issued.pem()
        }
    };
    let der =
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable(&file, error.to_string()))?;
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|error| unusable(&file, error.to_string()))?;
    let end = certificate::end_of(&certificate);
    if !belongs(&certificate, &key) {
        return Err(unusable(&file, format!("it is not for the key in {key_file}")));
    } else if !certificate.is_ca() {
        return Err(unusable(&file, "it is not the certificate of an authority".to_owned()));
    } else if clock::until(clock.now(), end).is_none() {
        return Err(unusable(&file, format!("it expired at {end}")));
    }
    let certifier = Certifier::new(der.clone(), key, clock.clone())
        .map_err(|error| unusable(&file, error.to_string()))?;
    Ok((pem, certifier))
}

/// The identity in the files `NAME.key` and `NAME.crt`; its certificate is issued if there is none that will do.
fn load_identity(
    folder: &Folder,
    name: &str,
    certifier: &Certifier,
    subject: Subject<'_>,
) -> Result<(Identity, KeyPair), AuthorityError> {
    let file = format!("{name}.crt");
    let (key, was_there) = load_key(folder, &format!("{name}.key"), REISSUE_BOTH)?;
    let unusable = |why: String| AuthorityError::Unusable { path: folder.path(&file), why, remedy: REISSUE };
    let known = if was_there { folder.read(&file)? } else { None };
    let current = match known {
        None => None,
        Some(pem) => {
            let der = CertificateDer::from_pem_slice(pem.as_bytes());
            let der = der.map_err(|error| unusable(error.to_string()))?;
            let (_, certificate) =
                X509Certificate::from_der(&der).map_err(|error| unusable(error.to_string()))?;
            if let Some(why) = certifier.is_foreign(&certificate, &key) {
                return Err(unusable(why.to_owned()));
            }
            certifier.is_current(&certificate, subject).then_some(pem)
        }
    };
    let certificate_pem = match current {
        Some(pem) => pem,
        None => {
            let pem = certifier.issue(&key, subject)?.pem();
            folder.write(&file, &pem)?;
            pem
        }
    };
    Ok((Identity { certificate_pem, key_pem: key.serialize_pem() }, key))
}

/// The key in a file, made if there is none; and whether it was there.
fn load_key(folder: &Folder, name: &str, remedy: &'static str) -> Result<(KeyPair, bool), AuthorityError> {
    if let Some(pem) = folder.read_secret(name)? {
        let unusable = |error: rcgen::Error| AuthorityError::Unusable {
            path: folder.path(name),
            why: error.to_string(),
            remedy,
        };
        return KeyPair::from_pem(&pem).map(|key| (key, true)).map_err(unusable);
    }
    let key = KeyPair::generate().map_err(AuthorityError::Key)?;
    folder.write(name, &key.serialize_pem())?;
    Ok((key, false))
}

#[cfg(test)]
mod tests;
