//! The API over HTTP: paths, parameters, representations, watches, discovery.
//!
//! A request is answered in this order: what the path leads to (`path`, `catalog`, `route`), whether the user may do that
//! (`permission`), what is asked for (`query`, `options`, `body`), what the client takes (`accept`); then the registry or a node does the work, and the result
//! becomes a response (`reply`, `table`, `list`, `watch`). Who asks was found out before, by the front that serves this
//! router, and stands in the extensions of the request.

mod accept;
mod aggregated;
mod backup;
mod bindings;
mod body;
pub(crate) mod catalog;
mod component_status;
mod compress;
mod connect;
mod discovery;
mod encode;
mod exec;
mod forward;
mod health;
mod impersonation;
mod list;
mod log;
mod metrics;
mod node;
mod options;
mod other;
mod passing;
mod path;
mod permission;
mod proxy;
mod query;
mod reply;
mod resources;
mod reviews;
mod route;
mod schema;
mod table;
mod turn;
mod usage;
mod version;
mod watch;
mod watchers;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api::backend::User;
use api::dialer::Dialer;
use api::status::Reason;
use api::{Clock, Status};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::response::Response;
use futures::future::BoxFuture;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
};
use http::{HeaderMap, Method, Request, Version};
use tokio::sync::watch as signal;
use tracing::{Instrument, debug, debug_span};

pub use compress::Peer;
pub use health::HealthCheck;
pub use metrics::Metrics;

use crate::auth::{Authorizer, Until};
use crate::fairness::{Fairness, Flow};
use crate::openapi::OpenApi;
use crate::registry::Registry;
use crate::stream::upgrade::Upgradable;
use connect::Asked;
use metrics::About;
use path::Target;
use proxy::Passed;
use query::Query;
use route::{Action, Found};
use watchers::Watchers;

/// The longest a request may take that is not a watch or a followed log; clients may ask for less.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// What the API over HTTP is made of.
pub struct Api {
    /// Carries out the requests for stored objects.
    pub registry: Arc<Registry>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// The clock of the process.
    pub clock: Clock,
    /// The way to the nodes; without one there are no logs and no usage.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// The schemas clients can read.
    pub openapi: Arc<OpenApi>,
    /// The figures of this router.
    pub metrics: Metrics,
    /// The figures of the process, shown at `/metrics`; those of this router are among them.
    pub figures: Arc<prometheus_client::registry::Registry>,
    /// What must hold for the server to be well.
    pub health: Vec<HealthCheck>,
    /// Becomes true when the server stops: watches end then, and the server is no longer ready.
    pub stop: signal::Receiver<bool>,
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Api")
    }
}

/// Answers all requests to the API. Requests must carry who asks, as an extension `Arc<User>`.
pub fn router(mut api: Api) -> Router {
    let stop = api.stop.clone();
    let stopping = move || if *stop.borrow() { Err("the server is stopping".to_owned()) } else { Ok(()) };
    api.health.insert(0, HealthCheck::new("ping", || Ok(())));
    api.health.push(HealthCheck::ready("shutdown", stopping));
    let documents = discovery::Current::new(api.dialer.is_some());
    let store = api.registry.store().clone();
    let fairness = Fairness::new(api.clock.clone(), store, api.metrics.fairness.clone());
    let server = Server { api, documents, fairness, watchers: Arc::default() };
    Router::new().fallback(answer).with_state(Arc::new(server))
}

/// The API and what is made of it.
struct Server {
    api: Api,
    documents: discovery::Current,
    fairness: Arc<Fairness>,
    watchers: Arc<Watchers>,
}

impl Server {
    /// The discovery documents of what is served now.
    fn documents(&self) -> Arc<discovery::Documents> {
        self.documents.of(&self.api.registry.served(), &self.api.registry.remotes())
    }

    fn dialer(&self) -> Result<&dyn Dialer, Status> {
        let none = || Status::new(Reason::ServiceUnavailable, "this server has no way to reach nodes");
        self.api.dialer.as_deref().ok_or_else(none)
    }

    /// Comes when the server stops.
    fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.api.stop.clone();
        // If nobody can say it any more, it has come as well.
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }

    /// Comes when the server stops, or when the client is no longer who it said it is.
    fn end(&self, until: Option<Until>) -> BoxFuture<'static, ()> {
        let (clock, stopping) = (self.api.clock.clone(), self.stopping());
        let Some(Until(end)) = until else {
            return Box::pin(stopping);
        };
        Box::pin(async move {
            tokio::select! {
                biased;
                () = stopping => {}
                () = clock.sleep_until(end) => {}
            }
        })
    }

    /// Comes after a while, or when the server stops.
    fn end_after(&self, while_: Duration) -> BoxFuture<'static, ()> {
        let (clock, stopping) = (self.api.clock.clone(), self.stopping());
        Box::pin(async move {
            tokio::select! {
                biased;
                () = stopping => {}
                () = clock.sleep(while_) => {}
            }
        })
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let started = server.api.clock.now();
    let call = Call::new(request);
    let is_head = call.method == Method::HEAD;
    let http1 = call.version < Version::HTTP_2;
    let mut notes = Notes { about: OTHER, is_long: false, flow: None };
    let span = debug_span!("request", method = %call.method, path = call.path);
    let encoding = accept::encoding_of_failures(&call.headers);
    let is_compressed = compress::is_wanted(&call.headers, call.peer);
    let result = call.carry_out(&server, &mut notes).instrument(span.clone()).await;
    let mut response = result.unwrap_or_else(|status| {
        let mut response = reply::failure(&status, encoding);
        // The rest of a body that is not read would be taken for the next request.
        if status.reason == Reason::RequestEntityTooLarge && http1 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status.reason == Reason::MethodNotAllowed {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"));
        }
        response
    });
    let Notes { about, is_long, flow } = notes;
    if let Some(flow) = flow {
        turn::tell(&mut response, &flow);
    }
    let not_kept = HeaderValue::from_static("no-cache, private");
    response.headers_mut().entry(CACHE_CONTROL).or_insert(not_kept);
    debug!(parent: &span, code = response.status().as_u16(), "answered");
    let took = server.api.clock.now().duration_since(started).try_into().unwrap_or_default();
    server.api.metrics.forget_gone(server.api.registry.served(), server.api.registry.remotes());
    server.api.metrics.answered(&about, response.status().as_u16(), (!is_long).then_some(took));
    match (is_head, is_compressed) {
        (true, _) => without_body(response),
        (false, true) => compress::long(response),
        (false, false) => response,
    }
}

/// What the metrics say of a request for something that is no resource, or that is not served.
const OTHER: About = About {
    verb: "GET",
    group: Cow::Borrowed(""),
    version: Cow::Borrowed(""),
    resource: Cow::Borrowed(""),
    subresource: "",
    scope: "",
};

/// What is found out about a request while it is carried out, and told also if it fails.
struct Notes {
    about: About,
    is_long: bool,
    flow: Option<Arc<Flow>>,
}

/// A request, taken apart.
struct Call {
    method: Method,
    version: Version,
    path: String,
    query: Query,
    headers: HeaderMap,
    user: Option<Arc<User>>,
    until: Option<Until>,
    peer: Option<Peer>,
    body: Body,
    raw_query: Option<String>,
    upgrade: Option<Upgradable>,
}

impl Call {
    fn new(request: Request<Body>) -> Self {
        let (mut parts, body) = request.into_parts();
        let upgrade = Upgradable::take(&mut parts.extensions);
        Self {
            method: parts.method,
            version: parts.version,
            path: parts.uri.path().to_owned(),
            query: Query::parse(parts.uri.query()),
            raw_query: parts.uri.query().map(str::to_owned),
            upgrade,
            headers: parts.headers,
            user: parts.extensions.get::<Arc<User>>().cloned(),
            until: parts.extensions.get::<Until>().copied(),
            peer: parts.extensions.get::<Peer>().copied(),
            body,
        }
    }

    async fn carry_out(self, server: &Server, notes: &mut Notes) -> Result<Response, Status> {
        let user = self.user.clone().ok_or_else(|| Status::new(Reason::Unauthorized, "Unauthorized"))?;
        let user = impersonation::user_of(&*server.api.authorizer, &user, &self.headers)?;
        // What is wrong with it is told to those who may ask at all.
        let asked = self.query.timeout();
        let limit = *asked.as_ref().unwrap_or(&None);
        let limit = limit.filter(|limit| !limit.is_zero()).unwrap_or(LONGEST_REQUEST).min(LONGEST_REQUEST);
        let remote = aggregated::find(server, &self.path);
        let target = if remote.is_some() { path::parse_short(&self.path) } else { path::parse(&self.path) };
        let (method, query) = (&self.method, &self.query);
        let request = turn::Request { user: &user, method, target: &target, query, limit };
        // Held until the answer is there; what is sent then depends on the client.
        let _permit = turn::wait(server, &request, &mut notes.flow).await?;
        if let Some(remote) = remote {
            return aggregated::answer(server, &remote, &user, &target, self, notes).await;
        }
        let address = match target {
            Target::Other(segments) => {
                let _running = server.api.metrics.running(false);
                let Self { method, query, headers, .. } = self;
                return other::answer(server, &user, &method, &segments, &query, &headers).await;
            }
            Target::Resource(address) => address,
        };
        let served = server.api.registry.served();
        let found = route::find(&served, &self.method, &address, &self.query);
        if let Ok(found) = &found {
            notes.about = found.about();
            notes.is_long = found.is_long(&self.query);
        }
        let action = Action::of(&self.method, &address, &self.query);
        // Nothing more is done for those who may not: they could send much that is costly to read.
        if let Ok(action) = action {
            let question = permission::question(&address);
            question.ask(&*server.api.authorizer, &served, &user, action.name())?;
        }
        asked?;
        if address.group == catalog::NODE_METRICS.group {
            let _running = server.api.metrics.running(false);
            return in_time(server, limit, usage::answer(server, user, &address, action?, &self.query)).await;
        }
        if component_status::is_at(&address) {
            let _running = server.api.metrics.running(false);
            return component_status::answer(server, &address, action?, &self.query, &self.headers);
        }
        if bindings::is_at(&address) {
            let _running = server.api.metrics.running(true);
            let Self { query, headers, body, .. } = self;
            let answer = bindings::answer(server, user, &address, action?, &query, &headers, body);
            return in_time(server, limit, answer).await;
        }
        if reviews::is_at(&address) {
            let _running = server.api.metrics.running(true);
            let Self { query, headers, body, .. } = self;
            let (address, action) = (&address, action?);
            let asked = reviews::Asked { user, address, action, query: &query, headers: &headers, body };
            let answer = reviews::answer(server, asked);
            return in_time(server, limit, answer).await;
        }
        let found = found?;
        let is_pretty = self.query.is_on("pretty");
        let _running = (!notes.is_long).then(|| server.api.metrics.running(found.is_change()));
        if found.is_connection() {
            return self.connect(server, user, found).await;
        }
        let Self { query, headers, body, until, .. } = self;
        let answer = found.answer(server, user, until, &query, &headers, body);
        if notes.is_long {
            return answer.await;
        }
        let response = in_time(server, limit, answer).await?;
        if is_pretty { reply::laid_out(response).await } else { Ok(response) }
    }
}

impl Call {
    /// Joins the client with something in the cluster.
    async fn connect(self, server: &Server, user: Arc<User>, found: Found) -> Result<Response, Status> {
        let Self { method, path, query, raw_query, headers, body, upgrade, until, .. } = self;
        let (part, about) = (found.part(), found.about());
        let asked = Asked { user, key: found.key.clone(), about, headers: &headers, upgrade, until };
        match part {
            "log" => log::answer(server, &query, asked).await,
            "portforward" => forward::answer(server, &query, asked).await,
            "proxy" => {
                let resource = found.version.resource();
                let passed = Passed { resource, method, path: &path, query: raw_query.as_deref(), body };
                proxy::answer(server, passed, asked).await
            }
            part => exec::answer(server, part, &query, asked).await,
        }
    }
}

/// The answer, unless it takes longer than it may.
async fn in_time<T>(
    server: &Server,
    limit: Duration,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::select! {
        biased;
        answer = answer => answer,
        () = server.api.clock.sleep(limit) => {
            Err(Status::new(Reason::Timeout, "Timeout: request did not complete within the requested timeout"))
        }
    }
}

/// Reads a text as everything a request has besides its body, and forgets what it says.
pub(crate) fn read_anything(text: &str) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    drop(path::parse(path));
    let query = Query::parse(Some(query));
    let _ = (
        options::list(&query),
        options::watch(&query),
        options::write(&query, &HeaderMap::new(), "CreateOptions"),
    );
    let _ = (options::delete_query(&query).and_then(options::delete), query.timeout());
    if let Ok(value) = HeaderValue::from_str(text) {
        let headers = HeaderMap::from_iter([
            (ACCEPT, value.clone()),
            (ACCEPT_ENCODING, value.clone()),
            (CONTENT_TYPE, value),
        ]);
        let offer = accept::Offer { has_protobuf: true, is_watch: false };
        let _ = (accept::wanted(&headers, &query, offer), accept::discovery(&headers));
        let _ = (accept::legacy_schema(&headers), compress::is_wanted(&headers, None));
        let _ = (body::format(&headers), body::patch_format(&headers));
    }
}

fn verb_of(method: &Method) -> String {
    if *method == Method::HEAD { "head".to_owned() } else { method.as_str().to_ascii_lowercase() }
}

/// The response to a HEAD: all but the body.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

#[cfg(test)]
mod tests;
