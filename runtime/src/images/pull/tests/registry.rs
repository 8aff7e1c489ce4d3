//! A small registry on the loopback that can be told to misbehave.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::Digest;

/// Whom the registry lets in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Open,
    Basic,
    Token,
}

/// What it serves and how.
pub struct Registry {
    pub address: SocketAddr,
    pub said: Arc<Said>,
    _tasks: JoinSet<()>,
}

/// Its state, shared with its connections.
pub struct Said {
    address: SocketAddr,
    door: Door,
    contents: Mutex<BTreeMap<String, Vec<u8>>>,
    /// By tag: the digest.
    tags: Mutex<BTreeMap<String, Digest>>,
    /// Each request as `METHOD path`.
    pub asked: Mutex<Vec<String>>,
    /// So many requests fail first.
    pub failures: AtomicU32,
    /// Contents are elsewhere.
    pub redirects: std::sync::atomic::AtomicBool,
}

impl Registry {
    pub async fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Said {
            address,
            door,
            contents: Mutex::default(),
            tags: Mutex::default(),
            asked: Mutex::default(),
            failures: AtomicU32::new(0),
            redirects: false.into(),
        });
        let mut tasks = JoinSet::new();
        let state = Arc::clone(&said);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                let service = service_fn(move |request| {
                    let answer = state.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let served = hyper::server::conn::http1::Builder::new();
                connections.spawn(async move {
                    // Clients that try TLS first do not get far.
                    let _ = served.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, said, _tasks: tasks }
    }

    /// `HOST:PORT/name:tag`.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub fn put(&self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.put_as(&digest, content);
        digest
    }

    /// Also such content as the digest is not of.
    pub fn put_as(&self, digest: &Digest, content: &[u8]) {
        self.said.contents.lock().unwrap().insert(digest.to_string(), content.to_vec());
    }

    pub fn tag(&self, tag: &str, manifest: &Value) -> Digest {
        let digest = self.put(manifest.to_string().as_bytes());
        self.said.tags.lock().unwrap().insert(tag.to_owned(), digest.clone());
        digest
    }

    /// Tags an image of these layers, given as media type and content.
    pub fn image(&self, tag: &str, config: (&str, &Value), layers: &[(&str, &[u8])]) -> Digest {
        let part = |media: &str, content: &[u8]| json!({"mediaType": media, "digest": self.put(content).as_str(), "size": content.len()});
        let layers: Vec<Value> = layers.iter().map(|(media, content)| part(media, content)).collect();
        let config = part(config.0, config.1.to_string().as_bytes());
        self.tag(tag, &json!({"schemaVersion": 2, "config": config, "layers": layers}))
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.said.asked.lock().unwrap())
    }
}

impl Said {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let shown = if query.is_empty() { String::new() } else { format!("?{query}") };
        self.asked.lock().unwrap().push(format!("{} {path}{shown}", request.method()));
        if self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            return answer(StatusCode::SERVICE_UNAVAILABLE, b"later");
        }
        let authorization = request.headers().get("authorization").map(|header| header.to_str().unwrap());
        let basic = format!("Basic {}", STANDARD.encode("me:secret"));
        if path == "/token" {
            let is_known = authorization == Some(&basic);
            return match is_known {
                true => answer(StatusCode::OK, b"{\"access_token\": \"t1\"}"),
                false => answer(StatusCode::UNAUTHORIZED, b"{}"),
            };
        }
        if path.starts_with("/elsewhere/") {
            assert_eq!(authorization, None, "credentials go nowhere else");
        } else if let Some(challenge) = self.challenge(authorization, &basic) {
            let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}).to_string();
            let mut refused = answer(StatusCode::UNAUTHORIZED, body.as_bytes());
            refused.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
            return refused;
        }
        self.content(path)
    }

    fn challenge(&self, authorization: Option<&str>, basic: &str) -> Option<String> {
        match self.door {
            Door::Open => None,
            Door::Basic => (authorization != Some(basic)).then(|| "Basic realm=\"test\"".to_owned()),
            Door::Token => (authorization != Some("Bearer t1"))
                .then(|| format!("Bearer realm=\"http://{}/token\",service=\"test\"", self.address)),
        }
    }

    fn content(&self, path: &str) -> Response<Full<Bytes>> {
        let (kind, name) = match path.rsplit('/').collect::<Vec<_>>()[..] {
            [name, kind, ..] => (kind, name),
            _ => return answer(StatusCode::NOT_FOUND, b"{}"),
        };
        let tagged = self.tags.lock().unwrap().get(name).map(Digest::to_string);
        let digest = tagged.unwrap_or_else(|| name.to_owned());
        if kind == "blobs" && self.redirects.load(Ordering::Relaxed) {
            // By another name, which is another host.
            let place = format!("http://localhost:{}/elsewhere/contents/{digest}", self.address.port());
            let mut moved = answer(StatusCode::TEMPORARY_REDIRECT, b"");
            moved.headers_mut().insert("location", place.parse().unwrap());
            return moved;
        }
        match self.contents.lock().unwrap().get(&digest) {
            Some(content) => {
                let mut found = answer(StatusCode::OK, content);
                found.headers_mut().insert("docker-content-digest", digest.parse().unwrap());
                found
            }
            None => answer(StatusCode::NOT_FOUND, b"{}"),
        }
    }
}

fn answer(status: StatusCode, body: &[u8]) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}
