//! Asks registries, by the OCI distribution protocol: for manifests and for contents, as whom it takes.
//!
//! Registries are strangers: every answer has a bound, what they send must be what its digest says, and credentials go only to
//! the registry they are for and to the server of tokens it names.

mod challenge;
mod https;

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::Clock;
use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;

use super::credentials::{Credential, Login};
use super::digest::{Digest, Hashing};
use super::manifest::{ACCEPTED, LARGEST};
use super::store::{ImageStore, Writing};
use challenge::Challenge;
pub(super) use https::Https;

/// How often something is asked that fails in a way that may pass.
const ATTEMPTS: u32 = 3;
/// The first wait before asking again; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Of an answer that is an error, so much is read.
const MOST_OF_ERROR: u64 = 64 << 10;
/// Chunks of a content between the network and the disk.
const CHUNKS: usize = 16;

/// A registry cannot be asked, or does not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached.
    #[error("failed to do request: {method} {url:?}: {cause}")]
    Unreachable {
        /// What was asked.
        method: Method,
        /// Where.
        url: String,
        /// Why not.
        cause: String,
    },
    /// It does not know what was asked for.
    #[error("not found")]
    NotFound,
    /// It does not let us have it, or says so of what it does not have.
    #[error("pull access denied, repository does not exist or may require authorization: {0}")]
    Denied(String),
    /// It answers something else.
    #[error("unexpected status from {method} request to {url}: {status}{message}")]
    Status {
        /// What was asked.
        method: Method,
        /// Where.
        url: String,
        /// What it answered.
        status: StatusCode,
        /// In its words; may be empty.
        message: String,
    },
    /// It sends more than it should.
    #[error("{what} is larger than {bytes} bytes")]
    TooLarge {
        /// Of what.
        what: String,
        /// What it should be at most.
        bytes: u64,
    },
    /// It sends something else.
    #[error("failed commit on ref \"{expected}\": unexpected digest: expected {expected}, got {found}")]
    OtherContent {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The disk refused.
    #[error("write the image store: {0}")]
    Disk(#[from] io::Error),
}

/// Where a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Scheme, host and, of a mirror, path.
    pub(super) base: String,
    /// Whether its certificate need not be valid.
    pub(super) is_insecure: bool,
    /// Of a mirror: whose.
    pub(super) mirrors: Option<String>,
}

/// One repository of a registry, asked as one user.
pub(super) struct Session<'a> {
    pub(super) https: &'a Https,
    pub(super) clock: &'a Clock,
    pub(super) endpoint: &'a Endpoint,
    /// The path of the repository.
    pub(super) repository: &'a str,
    pub(super) credential: Option<&'a Credential>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        https: &'a Https,
        clock: &'a Clock,
        endpoint: &'a Endpoint,
        repository: &'a str,
        credential: Option<&'a Credential>,
    ) -> Self {
        Self { https, clock, endpoint, repository, credential, authorization: Mutex::default() }
    }

    /// What a tag or a digest names now, without its content; none if the registry does not say.
    pub(super) async fn digest_of(&self, name: &str) -> Result<Option<Digest>, RegistryError> {
        let answer = self.ask(Method::HEAD, &format!("manifests/{name}"), Some(ACCEPTED)).await?;
        let digest = answer.headers().get("docker-content-digest").and_then(|digest| digest.to_str().ok());
        Ok(digest.and_then(|digest| digest.parse().ok()))
    }

    /// The manifest that a tag or a digest names.
    pub(super) async fn manifest(&self, name: &str) -> Result<Bytes, RegistryError> {
        let answer = self.ask(Method::GET, &format!("manifests/{name}"), Some(ACCEPTED)).await?;
        let body = bounded(answer, LARGEST, "the manifest").await?;
        match name.parse() {
            Ok(expected) => check(expected, Digest::of(&body)).map(|()| body),
            Err(_) => Ok(body),
        }
    }

    /// Brings a content into the store, unless it is there. `told` hears how many bytes have come.
    pub(super) async fn bring(
        &self,
        store: &ImageStore,
        writing: &Writing,
        digest: &Digest,
        most: u64,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            if store.has(digest) {
                return Ok(());
            }
            match self.download(store, writing, digest, most, told).await {
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    tracing::debug!(%digest, %error, "download tried again");
                    self.clock.sleep(wait).await;
                    wait *= 2;
                }
                brought => return brought,
            }
        }
        Ok(())
    }

    async fn download(
        &self,
        store: &ImageStore,
        writing: &Writing,
        digest: &Digest,
        most: u64,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let mut answer = self.ask(Method::GET, &format!("blobs/{digest}"), None).await?;
        let url = answer.url().to_string();
        // Should this future be dropped, the channel closes, the thread ends, and the file is gone.
        let (chunks, mut written) = mpsc::channel::<Bytes>(CHUNKS);
        let mut file = Hashing::new(store.new_file()?);
        let disk = tokio::task::spawn_blocking(move || {
            while let Some(chunk) = written.blocking_recv() {
                file.write_all(&chunk)?;
            }
            Ok::<_, io::Error>(file)
        });
        let mut come = 0;
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| unreachable(Method::GET, &url, &error))?
        {
            come += chunk.len() as u64;
            if come > most {
                return Err(RegistryError::TooLarge { what: digest.to_string(), bytes: most });
            }
            if chunks.send(chunk).await.is_err() {
                break;
            }
            told(come);
        }
        drop(chunks);
        let (file, found) = disk.await.map_err(io::Error::other)??.finish();
        check(digest.clone(), found.clone())?;
        let (store, writing) = (store.clone(), writing.clone());
        // What is large takes its time to reach the disk.
        let kept = tokio::task::spawn_blocking(move || store.keep(file, &found, &writing));
        Ok(kept.await.map_err(io::Error::other)??)
    }

    /// Asks for something of the repository; as somebody, once the registry wants to know who asks.
    async fn ask(&self, method: Method, what: &str, accept: Option<&str>) -> Result<Response, RegistryError> {
        let url = format!("{}/v2/{}/{what}", self.endpoint.base, self.repository);
        let answer = self.send(&method, &url, accept).await?;
        let answer = match self.challenge(&answer) {
            Some(challenge) => {
                let header = self.authorize(challenge).await?;
                *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
                self.send(&method, &url, accept).await?
            }
            None => answer,
        };
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let status = answer.status();
                let message = message(answer).await;
                Err(RegistryError::Denied(format!("server message: {status}{message}")))
            }
            status => {
                let message = message(answer).await;
                Err(RegistryError::Status { method, url, status, message })
            }
        }
    }

    /// What the registry wants to know, if it did not like what it was told: the first time, or when a token is too old.
    fn challenge(&self, answer: &Response) -> Option<Challenge> {
        if answer.status() != StatusCode::UNAUTHORIZED {
            return None;
        }
        let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        headers.filter_map(|header| header.to_str().ok()).find_map(Challenge::parse)
    }

    /// Sends a request, again if it fails in a way that may pass.
    async fn send(
        &self,
        method: &Method,
        url: &str,
        accept: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let mut request = self.https.of(self.endpoint).request(method.clone(), url);
            if let Some(host) = &self.endpoint.mirrors {
                request = request.query(&[("ns", host)]);
            }
            if let Some(accept) = accept {
                request = request.header(ACCEPT, accept);
            }
            let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let passes =
                |status: StatusCode| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            match request.send().await {
                Ok(answer) if attempt < ATTEMPTS && passes(answer.status()) => {}
                Ok(answer) => return Ok(answer),
                Err(error) if attempt < ATTEMPTS && !error.is_connect() && !error.is_redirect() => {}
                Err(error) => return Err(unreachable(method.clone(), url, &error)),
            }
            self.clock.sleep(wait).await;
            wait *= 2;
        }
        unreachable!("the last attempt returns")
    }

    /// The header that says who asks.
    async fn authorize(&self, challenge: Challenge) -> Result<HeaderValue, RegistryError> {
        let header = match challenge {
            Challenge::Basic => match self.credential.map(|credential| &credential.login) {
                Some(Login::Password { user, password }) => https::basic(user, password),
                _ => return Err(RegistryError::Denied("no basic auth credentials".to_owned())),
            },
            Challenge::Bearer { realm, service, scope } => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.repository));
                let token = self.token(&realm, service.as_deref().unwrap_or_default(), &scope).await?;
                format!("Bearer {token}")
            }
        };
        let mut header = HeaderValue::try_from(header)
            .map_err(|_| RegistryError::Denied("the token is no header".to_owned()))?;
        header.set_sensitive(true);
        Ok(header)
    }

    async fn token(&self, realm: &str, service: &str, scope: &str) -> Result<String, RegistryError> {
        let is_plain = !realm.starts_with("https://");
        if is_plain && !self.endpoint.is_insecure {
            let words =
                format!("the registry wants tokens to be fetched from {realm:?}, which is not secure");
            return Err(RegistryError::Denied(words));
        }
        let client = self.https.of(self.endpoint);
        let request = match self.credential.map(|credential| &credential.login) {
            Some(Login::Refresh(token)) => client.post(realm).form(&[
                ("grant_type", "refresh_token"),
                ("service", service),
                ("scope", scope),
                ("client_id", "peapod"),
                ("refresh_token", token),
            ]),
            login => {
                let request = client.get(realm).query(&[("service", service), ("scope", scope)]);
                match login {
                    Some(Login::Password { user, password }) => {
                        request.header(AUTHORIZATION, https::basic(user, password))
                    }
                    _ => request,
                }
            }
        };
        let answer = request.send().await.map_err(|error| unreachable(Method::GET, realm, &error))?;
        let status = answer.status();
        if !status.is_success() {
            let kind = if self.credential.is_some() { "oauth" } else { "anonymous" };
            let message = message(answer).await;
            return Err(RegistryError::Denied(format!("failed to fetch {kind} token: {status}{message}")));
        }
        let body = bounded(answer, MOST_OF_ERROR, "the token").await?;
        let token: Token = serde_json::from_slice(&body)
            .map_err(|_| RegistryError::Denied("failed to fetch token: it cannot be read".to_owned()))?;
        token
            .token
            .or(token.access_token)
            .ok_or_else(|| RegistryError::Denied("failed to fetch token: there is none".to_owned()))
    }
}

#[derive(serde::Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl RegistryError {
    /// Of two answers to the same question, the one to tell: who was asked first was most likely to be let in, and who cannot be
    /// reached says nothing.
    pub(super) fn more_telling(first: Self, second: Self) -> Self {
        match (&first, &second) {
            (Self::Denied(_), Self::Denied(_) | Self::Unreachable { .. }) => first,
            _ => second,
        }
    }

    fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::OtherContent { .. })
    }
}

fn check(expected: Digest, found: Digest) -> Result<(), RegistryError> {
    if expected == found { Ok(()) } else { Err(RegistryError::OtherContent { expected, found }) }
}

async fn bounded(mut answer: Response, most: u64, what: &str) -> Result<Bytes, RegistryError> {
    let url = answer.url().to_string();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(Method::GET, &url, &error))? {
        if (body.len() + chunk.len()) as u64 > most {
            return Err(RegistryError::TooLarge { what: what.to_owned(), bytes: most });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// What a registry says of an error: its first message.
async fn message(answer: Response) -> String {
    let Ok(body) = bounded(answer, MOST_OF_ERROR, "the error").await else {
        return String::new();
    };
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return String::new();
    };
    let first = &body["errors"][0];
    let words = first["message"].as_str().filter(|words| !words.is_empty()).or(first["code"].as_str());
    words.map_or_else(String::new, |words| format!(": {}", words.chars().take(200).collect::<String>()))
}

fn unreachable(method: Method, url: &str, error: &reqwest::Error) -> RegistryError {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let cause = causes.pop().unwrap_or_else(|| error.to_string());
    RegistryError::Unreachable { method, url: url.to_owned(), cause }
}
