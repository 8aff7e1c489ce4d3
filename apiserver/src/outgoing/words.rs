//! Failures in the words of a Go client, which people look for.

use std::error::Error as _;
use std::io;

use http::StatusCode;
use rustls::CertificateError;

use super::address::Place;

/// No connection came about.
pub fn dial(place: &Place, error: &io::Error) -> String {
    let (shown, words) = (&place.shown, error.to_string());
    if words.starts_with("dial ") {
        return words;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("dial tcp {shown}: connect: connection refused"),
        io::ErrorKind::HostUnreachable => format!("dial tcp {shown}: connect: no route to host"),
        io::ErrorKind::TimedOut => format!("dial tcp {shown}: i/o timeout"),
        _ => format!("dial tcp {shown}: {words}"),
    }
}

/// The other side is not who it should be, or does not speak TLS.
pub fn handshake(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let verify = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                verify("certificate signed by unknown authority")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                verify("certificate has expired or is not yet valid")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                verify(&format!("{why}"))
            }
            other => verify(&other.to_string()),
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        Some(error) => format!("remote error: tls: {error}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        None => error.to_string(),
    }
}

/// The exchange broke off.
pub fn http(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    match error.source() {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

/// The answer is no success.
pub fn code(code: StatusCode) -> String {
    match code.as_u16() {
        404 => "the server could not find the requested resource".to_owned(),
        403 => "forbidden".to_owned(),
        code @ 500.. => {
            format!("an error on the server ({code}) has prevented the request from succeeding")
        }
        code => format!("the server responded with the status code {code}"),
    }
}
