//! Issues certificates: what is in them, and how long they last.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use api::{Clock, clock};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::AuthorityError;
use super::names::ServerNames;
use crate::auth::certificate;

/// How long an authority is trusted.
const AUTHORITY: Duration = Duration::from_secs(3_650 * 86_400);

/// How long a server or a client is.
const LEAF: Duration = Duration::from_secs(365 * 86_400);

/// So long before its end a certificate is renewed, at the next start at the latest.
pub const RENEWAL: Duration = Duration::from_secs(30 * 86_400);

/// Certificates are valid this much earlier, for clients whose clocks are behind.
const BEHIND: Duration = Duration::from_secs(300);

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// This server.
    Server(&'a ServerNames),
    /// A user in a group; none if it is empty.
    Client { user: &'a str, group: &'a str },
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(_) => formatter.write_str("the server"),
            Self::Client { user, .. } => write!(formatter, "user {user}"),
        }
    }
}

/// The certificate and the key of an authority.
pub struct Certifier {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    clock: Clock,
}

impl Certifier {
    /// An authority whose certificate was checked.
    pub fn new(
        certificate: CertificateDer<'static>,
        key: KeyPair,
        clock: Clock,
    ) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate, issuer, clock })
    }

    /// A certificate of an authority for its own key.
    pub fn self_signed(key: &KeyPair, name: &str, now: Timestamp) -> Result<Certificate, rcgen::Error> {
        let mut params = params(name, now, clock::add(now, AUTHORITY))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.self_signed(key)
    }

    /// The certificate of the authority.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The time of this process.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Certifies a key.
    pub fn issue(&self, key: &KeyPair, subject: Subject<'_>) -> Result<Certificate, AuthorityError> {
        let issued = self.leaf(subject).and_then(|params| params.signed_by(key, &self.issuer));
        issued.map_err(|source| AuthorityError::Issue { subject: subject.to_string(), source })
    }

    fn leaf(&self, subject: Subject<'_>) -> Result<CertificateParams, rcgen::Error> {
        let now = self.clock.now();
        // A certificate that outlives its authority would be trusted by nobody in the end.
        let end = certificate::end(&self.certificate).unwrap_or(Timestamp::MAX);
        let end = clock::add(now, LEAF).min(end);
        let common_name = match subject {
            Subject::Server(_) => "kube-apiserver",
            Subject::Client { user, .. } => user,
        };
        let mut params = params(common_name, now, end)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        match subject {
            Subject::Server(ServerNames { names, addresses }) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                for name in names {
                    params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
                }
                params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
            }
            Subject::Client { group, .. } => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                if !group.is_empty() {
                    params.distinguished_name.push(DnType::OrganizationName, group);
                }
            }
        }
        Ok(params)
    }

    /// Whether a certificate says what it should about its subject and lasts for a while.
    pub fn is_current(&self, certificate: &X509Certificate<'_>, subject: Subject<'_>) -> bool {
        let left = clock::until(self.clock.now(), certificate::end_of(certificate));
        if left.is_none_or(|left| left < RENEWAL) {
            return false;
        }
        match subject {
            Subject::Server(wanted) => {
                let (names, addresses) = alternative_names(certificate);
                wanted.contains_only(&names, &addresses)
            }
            Subject::Client { user, group } => {
                let known = certificate::names(certificate);
                known.is_some_and(|(name, groups)| name == user && groups.concat() == group)
            }
        }
    }

    /// Why a certificate cannot be one of this authority for this key; none if it is.
    pub fn is_foreign(&self, certificate: &X509Certificate<'_>, key: &KeyPair) -> Option<&'static str> {
        if !belongs(certificate, key) {
            return Some("it is not for the key beside it");
        }
        let (_, authority) = X509Certificate::from_der(&self.certificate).ok()?;
        match certificate.verify_signature(Some(authority.public_key())) {
            Ok(()) => None,
            Err(_) => Some("it was issued by another authority"),
        }
    }
}

impl fmt::Debug for Certifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certifier")
    }
}

/// Whether a certificate is about this key.
pub fn belongs(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    certificate.public_key().raw == key.subject_public_key_info()
}

fn params(common_name: &str, now: Timestamp, end: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(now - BEHIND);
    params.not_after = date(end);
    // Of its own for each certificate, also when a key is certified again.
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn date(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_second()).expect("both hold the years up to 9999")
}

fn alternative_names(certificate: &X509Certificate<'_>) -> (BTreeSet<String>, BTreeSet<IpAddr>) {
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    let extension = certificate.subject_alternative_name().ok().flatten();
    for name in extension.into_iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => {
                names.insert((*name).to_owned());
            }
            GeneralName::IPAddress(octets) => {
                let four = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
                let address = four.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
                addresses.extend(address);
            }
            _ => {}
        }
    }
    (names, addresses)
}
