//! Reads from a client's certificate who the client is: the common name is the user, the organizations are the groups.

use std::sync::Arc;

use api::backend::User;
use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::AUTHENTICATED;

/// A client whose certificate was verified in the handshake.
#[derive(Clone, Debug)]
pub struct Certified {
    pub(super) user: Arc<User>,
    /// A connection may outlive the certificate it began with.
    pub(super) end: Timestamp,
}

impl Certified {
    /// The client with this certificate; none if the certificate names no user.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let (name, mut groups) = names(&certificate)?;
        groups.push(AUTHENTICATED.to_owned());
        Some(Self { user: Arc::new(User { name, groups, ..User::default() }), end: end_of(&certificate) })
    }
}

/// The user and the groups that a certificate names.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Option<(String, Vec<String>)> {
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups: Result<Vec<String>, _> =
        subject.iter_organization().map(|group| group.as_str().map(str::to_owned)).collect();
    (!name.is_empty()).then(|| Some((name.to_owned(), groups.ok()?)))?
}

/// When a certificate ends.
pub(super) fn end_of(certificate: &X509Certificate<'_>) -> Timestamp {
    let seconds = certificate.validity().not_after.timestamp();
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// The same for a certificate in DER.
pub(super) fn end(der: &[u8]) -> Option<Timestamp> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| end_of(&certificate))
}
