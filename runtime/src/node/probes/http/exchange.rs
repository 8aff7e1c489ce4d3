//! One request and its answer, over a connection of its own.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};

use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio_util::either::Either;

use super::redirect::Url;
use super::tls;
use crate::node::probes::ask::Target;

/// As much of an answer's body as is read.
const BODY_BYTES: usize = 10 << 10;
/// As much as all headers of an answer may take.
const HEAD_BYTES: usize = 64 << 10;

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Its beginning.
    pub(super) body: String,
}

/// There is no whole answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// None at all.
    Head(String),
    /// It broke off.
    Body(String),
}

/// Sends a request; the answer comes with where it sends the request on to.
pub(super) async fn exchange(
    url: &Url,
    request: Request<String>,
    target: &Target,
    deadline: Timestamp,
) -> Result<(Answer, Option<String>), Broken> {
    let late = || url.broken("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    let connected = target.within(deadline, connect(url, target)).await.ok_or_else(late)?;
    let (stream, way) = connected.map_err(|words| url.broken(&words))?;
    // Go writes names with capitals, and some small servers know no others.
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES).title_case_headers(true);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| url.broken(&words(&error, way)))?;
    let mut driving = pin!(async {
        // How it ends shows in the answer.
        let _ = connection.await;
        pending::<Infallible>().await
    });
    let answering = driven(driving.as_mut(), sender.send_request(request));
    let answered = target.within(deadline, answering).await.ok_or_else(late)?;
    let response = answered.map_err(|error| url.broken(&words(&error, way)))?;
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.filter(|location| !location.is_empty()).map(str::to_owned);
    let late = "context deadline exceeded (Client.Timeout or context cancellation while reading body)";
    let reading = driven(driving.as_mut(), read(response));
    let read = target.within(deadline, reading).await.ok_or_else(|| Broken::Body(late.to_owned()))?;
    let body = read.map_err(|error| Broken::Body(words(&error, way)))?;
    Ok((Answer { status, body }, location))
}

/// Work that goes on only while the connection is driven.
async fn driven<T>(driving: Pin<&mut impl Future<Output = Infallible>>, work: impl Future<Output = T>) -> T {
    tokio::select! { biased;
        done = work => done,
        never = driving => match never {},
    }
}

type Line = Either<crate::network::Stream, tls::Secure>;
/// From where to where.
type Way = (SocketAddr, SocketAddr);

async fn connect(url: &Url, target: &Target) -> Result<(Line, Way), String> {
    let stream = target.dial(Some(&url.host), url.port()).await?;
    let way = (stream.local_addr(), stream.peer_addr());
    if url.is_secure {
        return Ok((Either::Right(tls::secure(&url.host, stream).await?), way));
    }
    Ok((Either::Left(stream), way))
}

/// The beginning of the body.
async fn read(response: Response<Incoming>) -> Result<String, hyper::Error> {
    let mut body = response.into_body();
    let mut kept = Vec::new();
    while kept.len() < BODY_BYTES
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            kept.extend_from_slice(&data[..data.len().min(BODY_BYTES - kept.len())]);
        }
    }
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

/// What went wrong, as Go says it.
fn words(error: &hyper::Error, (near, far): Way) -> String {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(ErrorKind::ConnectionReset) => {
            format!("read tcp {near}->{far}: read: connection reset by peer")
        }
        Some(ErrorKind::BrokenPipe) => format!("write tcp {near}->{far}: write: broken pipe"),
        Some(ErrorKind::UnexpectedEof) => "unexpected EOF".to_owned(),
        _ if error.is_incomplete_message() => "EOF".to_owned(),
        _ if error.is_parse_too_large() => {
            format!("net/http: server response headers exceeded {HEAD_BYTES} bytes; aborted")
        }
        _ if error.is_parse() => {
            "net/http: HTTP/1.x transport connection broken: malformed HTTP response".to_owned()
        }
        _ => error.to_string(),
    }
}
