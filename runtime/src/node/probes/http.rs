//! Probes and hooks that send a request over HTTP.

mod exchange;
mod redirect;
mod tls;

use http::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use jiff::Timestamp;

use super::ask::{Target, VERSION};
use super::outcome::Outcome;
use super::plan::HttpGet;
use exchange::{Answer, Broken};
use redirect::Url;

/// Redirects that are followed, as by Go.
const REDIRECTS: usize = 10;

/// What is said in place of an answer to TLS that is none.
const NOT_SECURE: &str = "http: server gave HTTP response to HTTPS client";

/// Whether a request is answered well.
pub(super) async fn probe(get: &HttpGet, target: &Target, deadline: Timestamp) -> Outcome {
    let url = match Url::of(get, target) {
        Ok(url) => url,
        Err(message) => return Outcome::unknown(message),
    };
    match follow(get, url, "probe", target, deadline).await {
        Ok(Answer { status, body }) if status.is_redirection() => {
            Outcome::Warning(format!("Probe terminated redirects, Response body: {body}"))
        }
        Ok(Answer { status, .. }) if status.is_success() => Outcome::Success,
        Ok(Answer { status, .. }) => {
            Outcome::Failure(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
        }
        Err(Broken::Head(words)) => Outcome::Failure(words),
        Err(Broken::Body(message)) => Outcome::Error { state: "failure", message },
    }
}

/// Sends a request for a hook; any answer will do. Tells if TLS was asked for and not spoken.
pub(super) async fn hook(get: &HttpGet, target: &Target) -> Result<Option<String>, String> {
    let url = Url::of(get, target)?;
    let authority = url.authority();
    let is_plain = match send(get, url.clone(), target).await {
        Err(words) if url.is_secure && words.ends_with(NOT_SECURE) => {
            send(get, Url { is_secure: false, ..url }, target).await.map_err(|_| words)?;
            true
        }
        answered => answered.map(|()| false)?,
    };
    Ok(is_plain.then(|| {
        format!("request to HTTPS lifecycle hook {authority} got HTTP response, retry with HTTP succeeded")
    }))
}

async fn send(get: &HttpGet, url: Url, target: &Target) -> Result<(), String> {
    match follow(get, url, "lifecycle", target, Timestamp::MAX).await {
        Ok(_) | Err(Broken::Body(_)) => Ok(()),
        Err(Broken::Head(words)) => Err(words),
    }
}

/// Sends the request, and again to where it is sent on to, as long as that is the same host.
async fn follow(
    get: &HttpGet,
    first: Url,
    purpose: &str,
    target: &Target,
    deadline: Timestamp,
) -> Result<Answer, Broken> {
    let mut url = first.clone();
    let mut headers = headers(get, purpose).map_err(|words| url.broken(&words))?;
    for sent in 1.. {
        let (answer, location) = request(&url, &headers, target, deadline).await?;
        let Some(location) = location.filter(|_| is_sent_on(answer.status)) else {
            return Ok(answer);
        };
        let next = url.join(&location).map_err(|words| url.broken(&words))?;
        if next.host != first.host {
            return Ok(answer);
        }
        if sent >= REDIRECTS {
            return Err(url.broken(&format!("stopped after {REDIRECTS} redirects")));
        }
        if location.contains("://") {
            headers.remove(HOST);
        }
        url = next;
    }
    unreachable!("the loop ends by itself")
}

fn is_sent_on(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

async fn request(
    url: &Url,
    headers: &HeaderMap,
    target: &Target,
    deadline: Timestamp,
) -> Result<(Answer, Option<String>), Broken> {
    let mut request = Request::new(String::new());
    *request.uri_mut() = url.path.clone().into();
    *request.headers_mut() = headers.clone();
    if !headers.contains_key(HOST) {
        let authority = HeaderValue::try_from(url.authority());
        let authority = authority.map_err(|_| url.broken("http: invalid Host header"))?;
        request.headers_mut().insert(HOST, authority);
    }
    exchange::exchange(url, request, target, deadline).await
}

/// The headers of a request: those of the spec, and what a kubelet adds.
fn headers(get: &HttpGet, purpose: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &get.headers {
        let known = HeaderName::try_from(name)
            .map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| format!("net/http: invalid header field value for {name:?}"))?;
        headers.append(known, value);
    }
    if !headers.contains_key(USER_AGENT) {
        let agent = format!("kube-{purpose}/{VERSION}");
        headers.insert(USER_AGENT, agent.try_into().expect("a name and a version make a header"));
    }
    if !headers.contains_key(ACCEPT) {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    // Who sets one of these to nothing wants none.
    for name in [USER_AGENT, ACCEPT, HOST] {
        if headers.get(&name).is_some_and(HeaderValue::is_empty) {
            headers.remove(name);
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

#[cfg(test)]
mod tests;
