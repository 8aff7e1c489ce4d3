//! `wget`, over the host's HTTP; and what needs sockets.

use std::rc::Rc;

use wasi::http::outgoing_handler::handle;
use wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasi::io::streams::StreamError;

use super::system::span;
use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about, failure};
use crate::stream::Output;
use crate::task;

const MOST_REDIRECTIONS: usize = 10;

pub async fn needs_sockets(_: &mut Process) -> Outcome {
    Err(failure(
        "not supported yet: the toolbox has no sockets; wget reaches HTTP servers, also by the names of services",
    ))
}

struct Url {
    scheme: Scheme,
    authority: String,
    path: String,
}

impl Url {
    fn read(text: &str) -> Result<Self, Failure> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some((other, _)) => return Err(failure(format!("not an http or ftp url: {other}"))),
            None => (Scheme::Http, text),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, authority: authority.to_owned(), path })
    }

    /// Where a redirection leads from here.
    fn join(&self, location: &str) -> Result<Self, Failure> {
        if !location.starts_with('/') {
            return Self::read(location);
        }
        Ok(Self { scheme: self.scheme.clone(), authority: self.authority.clone(), path: location.to_owned() })
    }
}

pub async fn wget(process: &mut Process) -> Outcome {
    let long = [
        ("header", 'H'),
        ("post-data", 'B'),
        ("quiet", 'q'),
        ("output-document", 'O'),
        ("timeout", 'T'),
        ("spider", 's'),
        ("no-check-certificate", 'k'),
        ("server-response", 'S'),
    ];
    let options = Options::read(process, "qscSk", "OTHBUPt", &long)?;
    let text = options.rest.first().ok_or_else(|| failure("missing URL"))?;
    let mut url = Url::read(text)?;
    let mut response = send(&options, &url).await?;
    for _ in 0..MOST_REDIRECTIONS {
        let location = header(&response, "location");
        match location.filter(|_| (300..400).contains(&response.status())) {
            None => break,
            Some(location) => url = url.join(&location)?,
        }
        response = send(&options, &url).await?;
    }
    if options.has('S') {
        process.stderr.write(format!("  HTTP/1.1 {}\n", response.status()).as_bytes()).await?;
    }
    if response.status() >= 400 {
        return Err(failure(format!("server returned error: HTTP/1.1 {}", response.status())));
    }
    if options.has('s') {
        return Ok(0);
    }
    let name = match options.value('O') {
        Some(name) => name.to_owned(),
        None => match files::base(url.path.split('?').next().unwrap_or_default()) {
            "" => "index.html".to_owned(),
            name => name.to_owned(),
        },
    };
    if name == "-" {
        return receive(&process.stdout.clone(), response).await;
    }
    let file = files::create(&process.path(&name), false).map_err(|error| about(&name, &error))?;
    let code = receive(&Output::File(Rc::new(file)), response).await?;
    if !options.has('q') {
        process.stderr.write(format!("'{name}' saved\n").as_bytes()).await?;
    }
    Ok(code)
}

fn header(response: &IncomingResponse, name: &str) -> Option<String> {
    let value = response.headers().get(name).into_iter().next()?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

async fn send(options: &Options, url: &Url) -> Result<IncomingResponse, Failure> {
    let headers = Fields::new();
    let mut given = vec![("user-agent".to_owned(), options.value('U').unwrap_or("Wget").to_owned())];
    for line in options.values('H') {
        let (name, value) =
            line.split_once(':').ok_or_else(|| failure(format!("invalid header '{line}'")))?;
        given.push((name.trim().to_lowercase(), value.trim().to_owned()));
    }
    let body = options.value('B');
    if let Some(body) = body {
        given.push(("content-length".to_owned(), body.len().to_string()));
        if !given.iter().any(|(name, _)| name == "content-type") {
            given.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        }
    }
    for (name, value) in given {
        let added = headers.append(&name, value.as_bytes());
        added.map_err(|_| failure(format!("header {name} is not allowed")))?;
    }
    let request = OutgoingRequest::new(headers);
    let method = if body.is_some() { Method::Post } else { Method::Get };
    let wrong = |()| failure(format!("bad address '{}'", url.authority));
    request.set_method(&method).map_err(wrong)?;
    request.set_scheme(Some(&url.scheme)).map_err(wrong)?;
    request.set_authority(Some(&url.authority)).map_err(wrong)?;
    request.set_path_with_query(Some(&url.path)).map_err(wrong)?;
    let limits = RequestOptions::new();
    if let Some(limit) = options.value('T') {
        let limit = Some(span(limit)?);
        let _ = limits.set_connect_timeout(limit);
        let _ = limits.set_first_byte_timeout(limit);
        let _ = limits.set_between_bytes_timeout(limit);
    }
    let sent = request.body().map_err(wrong)?;
    let failed = |error: ErrorCode| {
        failure(format!("can't connect to remote host ({}): {}", url.authority, words(&error)))
    };
    let answer = handle(request, Some(limits)).map_err(failed)?;
    if let Some(body) = body {
        let stream = sent.write().map_err(wrong)?;
        for chunk in body.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(chunk).map_err(|_| failure("the request was not taken"))?;
        }
    }
    OutgoingBody::finish(sent, None).map_err(failed)?;
    let pollable = answer.subscribe();
    task::until(&pollable).await;
    match answer.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(failed(error)),
        _ => Err(failure("no answer")),
    }
}

async fn receive(output: &Output, response: IncomingResponse) -> Outcome {
    let lost = || failure("the answer broke off");
    let body = response.consume().map_err(|()| lost())?;
    let stream = body.stream().map_err(|()| lost())?;
    loop {
        task::until(&stream.subscribe()).await;
        match stream.read(32 << 10) {
            Ok(bytes) => output.write(&bytes).await?,
            Err(StreamError::Closed) => return Ok(0),
            Err(StreamError::LastOperationFailed(_)) => return Err(lost()),
        }
    }
}

/// An error in the words people know.
fn words(error: &ErrorCode) -> String {
    match error {
        ErrorCode::ConnectionRefused => "Connection refused".to_owned(),
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => "bad address".to_owned(),
        ErrorCode::ConnectionTimeout | ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => {
            "timed out".to_owned()
        }
        ErrorCode::HttpRequestDenied => "denied".to_owned(),
        ErrorCode::InternalError(Some(words)) => words.clone(),
        other => format!("{other:?}"),
    }
}
