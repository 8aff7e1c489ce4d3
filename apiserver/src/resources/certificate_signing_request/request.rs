//! Reads the request itself (PKCS #10) and whether who made it has the key.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

/// What is wrong with a request; nothing if it is whole and signed by its own key.
pub(super) fn mistake(pem: &[u8]) -> Option<String> {
    const WRONG_TYPE: &str = "PEM block type must be CERTIFICATE REQUEST";
    let Some(Ok(block)) = Pem::iter_from_buffer(pem).next() else {
        return Some(WRONG_TYPE.to_owned());
    };
    if block.label != "CERTIFICATE REQUEST" {
        return Some(WRONG_TYPE.to_owned());
    }
    match X509CertificationRequest::from_der(&block.contents) {
        Err(_) => Some("x509: malformed certificate request".to_owned()),
        Ok((rest, _)) if !rest.is_empty() => Some("asn1: syntax error: trailing data".to_owned()),
        Ok((_, request)) => request
            .verify_signature()
            .err()
            .map(|_| "x509: the signature of the request is not that of its key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn armoured(der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    }

    #[test]
    fn a_request_is_taken_only_as_its_maker_signed_it() {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap();
        let pem = request.pem().unwrap();
        assert_eq!(mistake(pem.as_bytes()), None);
        assert!(mistake(b"").unwrap().contains("CERTIFICATE REQUEST"));
        assert!(mistake(key.serialize_pem().as_bytes()).unwrap().contains("CERTIFICATE REQUEST"));
        let mut der = request.der().to_vec();
        // A byte of the signature, which comes last.
        let last = der.len() - 1;
        der[last] ^= 1;
        let forged = armoured(&der);
        assert!(mistake(forged.as_bytes()).is_some());
        let cut = armoured(&request.der()[..40]);
        assert!(mistake(cut.as_bytes()).unwrap().contains("malformed"));
    }
}
