//! What a node answers when it is asked over HTTP, with the paths of the kubelet: logs, usage, metrics, pods, health.

mod cadvisor;
mod dialer;
mod exec;
mod forward;
mod logs;
mod metrics;
mod query;
mod summary;
mod upgrade;

use std::convert::Infallible;

use api::resource::PODS;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

pub use dialer::NodeDialer;

use super::Node;
use super::post::is_on;
use query::Query;
use upgrade::Aftermath;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request that is not answered, in words for the one who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    code: StatusCode,
    words: String,
}

impl Refusal {
    fn new(code: StatusCode, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }
}

impl Node {
    /// Answers the requests of one connection until its other end is closed.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let aftermath = Aftermath::default();
        let service =
            service_fn(async |mut request| Ok::<_, Infallible>(self.reply(&mut request, &aftermath)));
        let served = http1::Builder::new()
            .auto_date_header(!self.0.config.clock.is_virtual())
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades();
        if let Err(error) = served.await {
            debug!(%error, "connection to the node ended");
        }
        if let Some(stream) = aftermath.take() {
            stream.await;
        }
    }

    fn reply(&self, request: &mut Request<Incoming>, aftermath: &Aftermath) -> Response<Body> {
        self.answer(request, aftermath).unwrap_or_else(|Refusal { code, words }| {
            let mut response = text("text/plain; charset=utf-8", words + "\n");
            *response.status_mut() = code;
            response
        })
    }

    fn answer(
        &self,
        request: &mut Request<Incoming>,
        aftermath: &Aftermath,
    ) -> Result<Response<Body>, Refusal> {
        if request.method() != Method::GET {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed"));
        }
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let path = request.uri().path().to_owned();
        let path: Vec<&str> = path.split('/').skip(1).collect();
        match path[..] {
            ["exec", namespace, pod, container] => {
                let work = self.exec(namespace, pod, container, &query)?;
                upgrade::accept(request, aftermath, work)
            }
            ["attach", namespace, pod, container] => {
                let work = self.attach(namespace, pod, container, &query)?;
                upgrade::accept(request, aftermath, work)
            }
            ["portForward", namespace, pod] => {
                let work = self.forward(namespace, pod, &query)?;
                upgrade::accept(request, aftermath, work)
            }
            ["healthz"] => Ok(text("text/plain; charset=utf-8", "ok".to_owned())),
            ["pods"] => Ok(self.pods()),
            ["stats", "summary"] => Ok(json(self.summary().to_string().into())),
            ["metrics", "resource"] => {
                Ok(text("text/plain; version=0.0.4; charset=utf-8", self.resource_metrics()))
            }
            ["metrics", "cadvisor"] => {
                Ok(text("text/plain; version=0.0.4; charset=utf-8", self.cadvisor_metrics()))
            }
            ["metrics", "probes"] => {
                Ok(text("text/plain; version=0.0.4; charset=utf-8", self.0.probed.page()))
            }
            ["containerLogs", namespace, pod, container] => {
                let asked = logs::Asked { namespace, pod, container };
                self.container_log(asked, &query)
            }
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "404 page not found")),
        }
    }

    /// The pods bound to this node, as the API has them.
    fn pods(&self) -> Response<Body> {
        let config = &self.0.config;
        let mut list = Vec::from(&br#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":["#[..]);
        let pods = config.cache.snapshot(&PODS);
        for pod in pods.iter().filter(|pod| is_on(pod, &config.name)) {
            if list.last() == Some(&b'}') {
                list.push(b',');
            }
            list.extend_from_slice(pod.json());
        }
        list.extend_from_slice(b"]}");
        json(list.into())
    }
}

fn text(kind: &'static str, words: String) -> Response<Body> {
    with_body(kind, Full::new(Bytes::from(words)).boxed_unsync())
}

fn json(bytes: Bytes) -> Response<Body> {
    with_body("application/json", Full::new(bytes).boxed_unsync())
}

fn with_body(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
