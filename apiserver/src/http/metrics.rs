//! Counts requests under the names Kubernetes gives these figures.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::Status;
use arc_swap::ArcSwapOption;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{OTHER, reply};
use crate::aggregation::{Remote, Remotes};
use crate::fairness;
use crate::served::Served;

/// From well under a millisecond, which reads take, to the longest a request may last.
const DURATIONS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// What a request was about. Only names that are served stand here, so there is a bounded number of these. Those of kinds
/// that may go are not borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct About {
    pub verb: &'static str,
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub resource: Cow<'static, str>,
    pub subresource: &'static str,
    /// `resource`, `namespace` or `cluster`; empty if it was no resource.
    pub scope: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Answered {
    verb: &'static str,
    group: Cow<'static, str>,
    version: Cow<'static, str>,
    resource: Cow<'static, str>,
    subresource: &'static str,
    scope: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InFlight {
    request_kind: &'static str,
}

/// The figures of the API over HTTP; a clone counts on the same.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    durations: Family<About, Histogram, fn() -> Histogram>,
    in_flight: Family<InFlight, Gauge>,
    long_running: Family<About, Gauge>,
    passing: Arc<Passing>,
    pub(super) fairness: fairness::Figures,
}

/// What was counted under names that may go.
#[derive(Default)]
struct Passing {
    seen: ArcSwapOption<Seen>,
    counted: Mutex<BTreeSet<Answered>>,
}

/// What is served, as it was seen last.
struct Seen {
    served: Arc<Served>,
    remotes: Arc<Remotes>,
}

impl Seen {
    fn has(&self, group: &str, version: &str, resource: &str) -> bool {
        let is_offered = |remote: &Arc<Remote>| remote.offered.names.iter().any(|name| name == resource);
        self.served.version(group, resource, version).is_some()
            || self.remotes.get(group, version).is_some_and(is_offered)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    /// The figures, shown by `registry` from now on.
    pub fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(DURATIONS);
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            in_flight: Family::default(),
            long_running: Family::default(),
            passing: Arc::default(),
            fairness: fairness::Figures::register(registry),
        };
        let Self { requests, durations, in_flight, long_running, .. } = metrics.clone();
        registry.register("apiserver_request", "Requests answered", requests);
        registry.register("apiserver_request_duration_seconds", "How long answers took", durations);
        registry.register("apiserver_current_inflight_requests", "Requests being answered", in_flight);
        registry.register("apiserver_longrunning_requests", "Watches and followed logs", long_running);
        metrics
    }

    /// Counts a request as running until the result is dropped.
    pub(super) fn running(&self, is_change: bool) -> Running {
        let request_kind = if is_change { "mutating" } else { "readOnly" };
        Running::new(self.in_flight.get_or_create_owned(&InFlight { request_kind }))
    }

    /// Counts a watch or a followed log until the result is dropped.
    pub(super) fn long_running(&self, about: &About) -> Running {
        Running::new(self.long_running.get_or_create_owned(about))
    }

    /// Counts an answer. How long those last that go on is no measure of the server.
    pub(super) fn answered(&self, about: &About, code: u16, took: Option<Duration>) {
        // A kind may have gone while it was asked for.
        let is_gone = matches!(about.group, Cow::Owned(_))
            && self
                .passing
                .seen
                .load()
                .as_ref()
                .is_some_and(|seen| !seen.has(&about.group, &about.version, &about.resource));
        let about = if is_gone { &OTHER } else { about };
        let About { verb, group, version, resource, subresource, scope } = about.clone();
        let answered = Answered { verb, group, version, resource, subresource, scope, code };
        if matches!(about.group, Cow::Owned(_)) {
            let mut counted = self.passing.counted.lock().unwrap_or_else(PoisonError::into_inner);
            if !counted.contains(&answered) {
                counted.insert(answered.clone());
            }
        }
        self.requests.get_or_create(&answered).inc();
        if let Some(took) = took {
            self.durations.get_or_create(about).observe(took.as_secs_f64());
        }
    }
}

impl Metrics {
    /// Forgets what was counted of resources that are gone, after what is served has changed.
    pub(super) fn forget_gone(&self, served: Arc<Served>, remotes: Arc<Remotes>) {
        let is_same =
            |seen: &Arc<Seen>| Arc::ptr_eq(&seen.served, &served) && Arc::ptr_eq(&seen.remotes, &remotes);
        if self.passing.seen.load().as_ref().is_some_and(is_same) {
            return;
        }
        let seen = Arc::new(Seen { served, remotes });
        self.passing.seen.store(Some(seen.clone()));
        let mut counted = self.passing.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.retain(|answered| {
            let is_there = seen.has(&answered.group, &answered.version, &answered.resource);
            if !is_there {
                let about = answered.about();
                self.requests.remove(answered);
                self.durations.remove(&about);
                self.long_running.remove(&about);
            }
            is_there
        });
    }
}

impl Answered {
    fn about(&self) -> About {
        let Self { verb, group, version, resource, subresource, scope, code: _ } = self.clone();
        About { verb, group, version, resource, subresource, scope }
    }
}

/// Something that is going on, counted while this is held.
pub(super) struct Running(Gauge);

impl Running {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Every figure of the process.
pub(super) fn show(registry: &Registry) -> Result<Response, Status> {
    let mut shown = String::new();
    text::encode(&mut shown, registry).map_err(Status::internal)?;
    let mut response = reply::text(StatusCode::OK, shown);
    let open_metrics = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, open_metrics);
    Ok(response)
}
