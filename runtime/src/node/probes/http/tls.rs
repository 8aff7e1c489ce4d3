//! TLS as probes speak it: whoever answers is believed, since all that counts is the answer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::NOT_SECURE;
use crate::network::Stream;

/// A connection over TLS.
pub(super) type Secure = TlsStream<Beginning>;

/// Begins TLS; an error is in the words of Go.
pub(super) async fn secure(host: &str, stream: Stream) -> Result<Secure, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("tls: {error}"))?;
    let connecting = TlsConnector::from(settings()).connect(name, Beginning::new(stream)).into_fallible();
    connecting.await.map_err(|(error, stream)| match stream.seen() {
        b"HTTP/" => NOT_SECURE.to_owned(),
        [] if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        _ if is_no_tls(&error) => "tls: first record does not look like a TLS handshake".to_owned(),
        _ => format!("tls: {error}"),
    })
}

fn is_no_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidMessage(_)))
}

/// Made once: all probes share it.
fn settings() -> Arc<ClientConfig> {
    static SETTINGS: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider can do the usual versions of TLS");
        let believing = versions.dangerous().with_custom_certificate_verifier(Arc::new(Believing(provider)));
        let mut settings = believing.with_no_client_auth();
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(settings)
    };
    Arc::clone(SETTINGS.get_or_init(make))
}

/// Believes every certificate, though not that somebody has one who has not.
#[derive(Debug)]
struct Believing(Arc<CryptoProvider>);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection that remembers the first bytes that came: they tell what was spoken if it was not TLS.
pub(super) struct Beginning {
    stream: Stream,
    first: [u8; 5],
    length: usize,
}

impl Beginning {
    fn new(stream: Stream) -> Self {
        Self { stream, first: [0; 5], length: 0 }
    }

    fn seen(&self) -> &[u8] {
        &self.first[..self.length]
    }
}

impl AsyncRead for Beginning {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
        let came = &buffer.filled()[before..];
        let kept = came.len().min(this.first.len() - this.length);
        this.first[this.length..this.length + kept].copy_from_slice(&came[..kept]);
        this.length += kept;
        Poll::Ready(read)
    }
}

impl AsyncWrite for Beginning {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
