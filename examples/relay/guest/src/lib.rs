//! Answers each request with what the URL in TARGET answers: its status and its body, streamed.

use std::env;

use wasi::exports::http::incoming_handler::Guest;
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, OutgoingBody,
    OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasi::io::streams::StreamError;

/// As many bytes as WASI lets one blocking write take.
const WRITE_LIMIT: u64 = 4096;

struct Relay;

wasi::http::proxy::export!(Relay);

impl Guest for Relay {
    fn handle(_request: IncomingRequest, outparam: ResponseOutparam) {
        let reply = env::var("TARGET")
            .map_err(|_| "TARGET is not set".to_owned())
            .and_then(|url| fetch(&url));
        match reply {
            Ok(reply) => relay(reply, outparam),
            Err(text) => respond(outparam, 502, &text),
        }
    }
}

fn fetch(url: &str) -> Result<IncomingResponse, String> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err(format!("`{url}` is neither http:// nor https://")),
    };
    let split = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(split);
    let request = OutgoingRequest::new(Fields::new());
    let bad = |()| format!("`{url}` is not a URL");
    request.set_scheme(Some(&scheme)).map_err(bad)?;
    request.set_authority(Some(authority)).map_err(bad)?;
    request
        .set_path_with_query(Some(if path.is_empty() { "/" } else { path }))
        .map_err(bad)?;
    let failed = |error: ErrorCode| format!("GET {url}: {error:?}");
    let future = outgoing_handler::handle(request, None).map_err(failed)?;
    future.subscribe().block();
    let ready = future.get().ok_or("the response is not ready")?;
    ready
        .map_err(|()| "the response was taken before".to_owned())?
        .map_err(failed)
}

fn relay(reply: IncomingResponse, outparam: ResponseOutparam) {
    let Ok(incoming) = reply.consume() else {
        return respond(outparam, 502, "the reply has no body");
    };
    let response = OutgoingResponse::new(Fields::new());
    let (Ok(()), Ok(outgoing)) = (response.set_status_code(reply.status()), response.body()) else {
        return ResponseOutparam::set(outparam, Err(ErrorCode::InternalError(None)));
    };
    ResponseOutparam::set(outparam, Ok(response));
    if copy(&incoming, &outgoing) {
        let _ = OutgoingBody::finish(outgoing, None);
    }
}

/// False where either side failed: the body is then left unfinished, so the client sees that it was cut.
fn copy(from: &IncomingBody, to: &OutgoingBody) -> bool {
    let (Ok(input), Ok(output)) = (from.stream(), to.write()) else {
        return false;
    };
    loop {
        match input.blocking_read(WRITE_LIMIT) {
            Ok(bytes) if output.blocking_write_and_flush(&bytes).is_ok() => {}
            Err(StreamError::Closed) => return true,
            Ok(_) | Err(StreamError::LastOperationFailed(_)) => return false,
        }
    }
}

fn respond(outparam: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let (Ok(()), Ok(body)) = (response.set_status_code(status), response.body()) else {
        return ResponseOutparam::set(outparam, Err(ErrorCode::InternalError(None)));
    };
    ResponseOutparam::set(outparam, Ok(response));
    let Ok(stream) = body.write() else { return };
    let written = text
        .as_bytes()
        .chunks(WRITE_LIMIT as usize)
        .all(|chunk| stream.blocking_write_and_flush(chunk).is_ok());
    drop(stream);
    if written {
        let _ = OutgoingBody::finish(body, None);
    }
}
