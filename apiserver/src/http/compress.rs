//! Compresses long answers for those who take gzip, a piece at a time while they are sent.
//!
//! Clients on this machine are not sent anything compressed: at the lowest level gzip takes 100 to 130 MB of pods in JSON a
//! second, where the loopback takes gigabytes, so it would only make them wait. kubectl asks for it always.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, VARY};
use http_body::Frame;

/// Shorter answers are sent as they are: Kubernetes' threshold.
const SHORTEST: u64 = 128 << 10;

/// The level Kubernetes uses: most of the effect for little of the time.
const LEVEL: u32 = 1;

/// Where a request comes from, as an extension of it; without one it is from this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Peer {
    /// Whether the bytes to it never leave the machine.
    fn is_near(self) -> bool {
        match self.0.ip() {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => address.to_canonical().is_loopback(),
        }
    }
}

/// Whether the client of a request is to have long answers compressed.
pub(super) fn is_wanted(headers: &HeaderMap, peer: Option<Peer>) -> bool {
    let is_gzip = |encoding: &str| {
        let mut parts = encoding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight != Some(0.0)
    };
    let mut given = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    peer.is_some_and(|peer| !peer.is_near()) && given.any(|value| value.split(',').any(is_gzip))
}

/// The response, compressed if it is long and one of objects or documents. Watches have no length.
pub(super) fn long(response: Response) -> Response {
    let has_length = response.body().size_hint().exact().is_some_and(|length| length >= SHORTEST);
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_document = content_type.is_some_and(|content_type| {
        ["application/json", "application/yaml"].contains(&content_type) || content_type.ends_with("protobuf")
    });
    if !has_length || !is_document || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, Body::new(Gzip::new(body)))
}

/// A body that is compressed while it is read. A piece of a list costs half a millisecond.
struct Gzip {
    body: Body,
    /// None when everything was compressed.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    fn new(body: Body) -> Self {
        Self { body, encoder: Some(GzEncoder::new(Vec::new(), Compression::new(LEVEL))) }
    }

    /// Compresses a piece; returns what is ready to be sent, which may be nothing yet.
    fn add(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(Vec::new());
        };
        encoder.write_all(piece)?;
        Ok(std::mem::take(encoder.get_mut()))
    }
}

impl HttpBody for Gzip {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            if this.encoder.is_none() {
                return Poll::Ready(None);
            }
            let ready = match std::task::ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.data_ref() {
                    Some(piece) => this.add(piece),
                    None => continue,
                },
                None => this.encoder.take().map_or(Ok(Vec::new()), GzEncoder::finish),
            };
            match ready {
                Err(error) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
                Ok(ready) if ready.is_empty() => {}
                Ok(ready) => return Poll::Ready(Some(Ok(Frame::data(ready.into())))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;
    use std::io::Read;

    #[test]
    fn only_those_who_are_far_and_ask_are_sent_gzip() {
        let row = |accept: &str, peer: &str, expected: bool| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, accept.parse().unwrap())]);
            let peer = (!peer.is_empty()).then(|| Peer(peer.parse().unwrap()));
            assert_eq!(is_wanted(&headers, peer), expected, "{accept} {peer:?}");
        };
        row("gzip", "192.0.2.1:1", true);
        row("deflate, GZIP;q=0.5", "[2001:db8::1]:1", true);
        row("gzip;q=0", "192.0.2.1:1", false);
        row("br", "192.0.2.1:1", false);
        row("gzip", "127.0.0.2:1", false);
        row("gzip", "[::1]:1", false);
        row("gzip", "[::ffff:127.0.0.1]:1", false);
        row("gzip", "", false);
    }

    #[tokio::test]
    async fn long_answers_are_compressed_and_others_stay_as_they_are() {
        let row = async |content_type: &str, length: usize, expected: bool| {
            let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut response = Response::new(Body::from(text.clone()));
            response.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
            let response = long(response);
            let is_compressed = response.headers().contains_key(CONTENT_ENCODING);
            assert_eq!(is_compressed, expected, "{content_type} {length}");
            assert_eq!(response.headers().contains_key(VARY), expected);
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let mut read = Vec::new();
            match expected {
                true => drop(flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut read).unwrap()),
                false => read.extend_from_slice(&bytes),
            }
            assert!(read == text, "{content_type} {length}");
        };
        row("application/json", SHORTEST as usize - 1, false).await;
        row("application/json", SHORTEST as usize, true).await;
        row("application/vnd.kubernetes.protobuf", 1 << 20, true).await;
        row("application/com.github.proto-openapi.spec.v2.v1.0+protobuf", 1 << 20, true).await;
        row("text/plain; charset=utf-8", 1 << 20, false).await;
        row("application/octet-stream", 1 << 20, false).await;
    }
}
