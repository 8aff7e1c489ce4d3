//! Greets whoever asks, with a text from a ConfigMap volume and the name of the pod that answers.

use std::{env, fs};

use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// A key of the ConfigMap that `hello.yaml` mounts at `/etc/hello`.
const GREETING: &str = "/etc/hello/greeting";

/// As many bytes as WASI lets one blocking write take.
const WRITE_LIMIT: usize = 4096;

struct Hello;

wasi::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let (status, text) = answer(&request);
        let Some((response, body)) = head(status, text.len()) else {
            return ResponseOutparam::set(outparam, Err(ErrorCode::InternalError(None)));
        };
        ResponseOutparam::set(outparam, Ok(response));
        send(body, &text);
    }
}

fn answer(request: &IncomingRequest) -> (u16, String) {
    let target = request.path_with_query().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    match (request.method(), path) {
        (Method::Get, "/" | "") => greet(),
        (Method::Get, "/healthz") => (200, "ok\n".to_owned()),
        (Method::Get, _) => (404, format!("nothing at {path}\n")),
        _ => (405, "only GET is answered\n".to_owned()),
    }
}

/// Reads the file for every request, so that an edited ConfigMap shows without a restart.
fn greet() -> (u16, String) {
    let pod = env::var("POD_NAME").unwrap_or_else(|_| "a pod without POD_NAME".to_owned());
    match fs::read_to_string(GREETING) {
        Ok(text) => {
            let greeting = text.trim_end();
            (200, format!("hello from {pod} (greeting: {greeting})\n"))
        }
        Err(_) => (
            500,
            format!("{pod} cannot read {GREETING}: is the ConfigMap mounted there?\n"),
        ),
    }
}

/// A response whose head is complete and whose body is still to be written.
fn head(status: u16, length: usize) -> Option<(OutgoingResponse, OutgoingBody)> {
    let fields = Fields::new();
    fields
        .append("content-type", b"text/plain; charset=utf-8")
        .ok()?;
    fields
        .append("content-length", length.to_string().as_bytes())
        .ok()?;
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).ok()?;
    let body = response.body().ok()?;
    Some((response, body))
}

/// A body that is dropped unfinished tells the client that the answer was cut off.
fn send(body: OutgoingBody, text: &str) {
    let Ok(stream) = body.write() else { return };
    let mut chunks = text.as_bytes().chunks(WRITE_LIMIT);
    let written = chunks.all(|chunk| stream.blocking_write_and_flush(chunk).is_ok());
    // The stream is the body's child and has to go before the body is finished.
    drop(stream);
    if written {
        // It fails only when the client has left, and then there is nobody to tell.
        let _ = OutgoingBody::finish(body, None);
    }
}
