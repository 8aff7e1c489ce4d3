//! TLS for requests over HTTPS: the server must be whom the request names.

use std::io;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use crate::network::{Interface, Stream};

/// Secures a connection to `host`, a name or an address.
pub(super) async fn secure(
    interface: &Interface,
    host: &str,
    stream: Stream,
) -> Result<TlsStream<Stream>, Error> {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?;
    TlsConnector::from(interface.tls()).connect(name, stream).await.map_err(|error| why(&error))
}

/// What to tell the guest.
fn why(error: &io::Error) -> Error {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Error::ConnectionTerminated,
            _ => Error::TlsProtocolError,
        };
    };
    match cause {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}
