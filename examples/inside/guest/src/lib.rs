//! Asks the API of the cluster this runs in, as every pod may: for its version, and for the pods of the own namespace.

use std::env;
use std::fs;

use wasi::exports::http::incoming_handler::Guest;
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, OutgoingBody,
    OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasi::io::streams::StreamError;

/// Where Kubernetes puts what a pod needs to ask the API.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// As many bytes as WASI lets one blocking write take.
const WRITE_LIMIT: u64 = 4096;
/// As much of an answer is shown.
const SHOWN_BYTES: usize = 64 << 10;

struct Inside;

wasi::http::proxy::export!(Inside);

impl Guest for Inside {
    fn handle(_request: IncomingRequest, outparam: ResponseOutparam) {
        match report() {
            Ok(text) => respond(outparam, 200, &text),
            Err(text) => respond(outparam, 500, &format!("{text}\n")),
        }
    }
}

/// Who this is, and what the API answers to it.
fn report() -> Result<String, String> {
    let namespace = account_file("namespace")?;
    // Read for each request: tokens are replaced long before they expire.
    let token = account_file("token")?;
    let authority = account_file("ca.crt")?;
    let mut text = format!(
        "namespace {namespace}, token of {} bytes, CA certificate of {} bytes\n",
        token.len(),
        authority.len()
    );
    for path in ["/version".to_owned(), format!("/api/v1/namespaces/{namespace}/pods")] {
        let (status, body) = get(&path, &token)?;
        text.push_str(&format!("GET {path}: {status} {}\n", summary(&body)));
    }
    Ok(text)
}

fn account_file(name: &str) -> Result<String, String> {
    let path = format!("{ACCOUNT}/{name}");
    let text = fs::read_to_string(&path).map_err(|error| format!("read {path}: {error}"))?;
    Ok(text.trim_end().to_owned())
}

/// The field of the answer that tells most: the version, or why there is none.
fn summary(body: &str) -> String {
    ["\"message\":", "\"gitVersion\":", "\"kind\":"]
        .iter()
        .find_map(|field| text_after(body, field))
        .unwrap_or(body)
        .replace("\\\"", "\"")
}

/// The JSON text that follows `field`, as it is written: with its escapes.
fn text_after<'a>(body: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(field)?;
    let rest = rest.trim_start().strip_prefix('"')?;
    let mut is_escaped = false;
    let end = rest.find(|character| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    })?;
    Some(&rest[..end])
}

/// The status and the body of the answer of the API.
fn get(path: &str, token: &str) -> Result<(u16, String), String> {
    let port = env::var("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".to_owned());
    let headers = Fields::new();
    headers
        .append("authorization", format!("Bearer {token}").as_bytes())
        .map_err(|error| format!("the token is no header: {error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let bad = |()| format!("{path} is not a path");
    request.set_scheme(Some(&Scheme::Https)).map_err(bad)?;
    request
        .set_authority(Some(&format!("kubernetes.default.svc:{port}")))
        .map_err(bad)?;
    request.set_path_with_query(Some(path)).map_err(bad)?;
    let failed = |error: ErrorCode| format!("GET {path}: {error:?}");
    let future = outgoing_handler::handle(request, None).map_err(failed)?;
    future.subscribe().block();
    let response = future
        .get()
        .ok_or("the response is not ready")?
        .map_err(|()| "the response was taken before".to_owned())?
        .map_err(failed)?;
    Ok((response.status(), read(&response)?))
}

fn read(response: &IncomingResponse) -> Result<String, String> {
    let taken = |()| "the body was taken before".to_owned();
    let body: IncomingBody = response.consume().map_err(taken)?;
    let stream = body.stream().map_err(taken)?;
    let mut bytes = Vec::new();
    while bytes.len() < SHOWN_BYTES {
        match stream.blocking_read(WRITE_LIMIT) {
            Ok(more) => bytes.extend_from_slice(&more),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(format!("read the answer: {error:?}")),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
