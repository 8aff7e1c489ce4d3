//! The figures of flow control, under the names Kubernetes gives them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// How long requests wait: not at all, or up to a quarter of the longest request.
const WAITS: [f64; 12] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Flow {
    flow_schema: String,
    priority_level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    flow_schema: String,
    priority_level: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waited {
    execute: &'static str,
    flow_schema: String,
    priority_level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Level {
    priority_level: String,
}

/// The figures of flow control; a clone counts on the same. What is counted is bounded by the flow schemas and the
/// levels there ever were.
#[derive(Clone)]
pub struct Figures {
    dispatched: Family<Flow, Counter>,
    rejected: Family<Rejected, Counter>,
    running: Family<Flow, Gauge>,
    seats: Family<Flow, Gauge>,
    waiting: Family<Flow, Gauge>,
    waited: Family<Waited, Histogram, fn() -> Histogram>,
    nominal: Family<Level, Gauge>,
}

/// The figures of one flow schema, looked up once.
#[derive(Clone)]
pub(super) struct OfFlow {
    labels: Flow,
    all: Figures,
    dispatched: Counter,
    running: Gauge,
    seats: Gauge,
    waiting: Gauge,
    waited: Histogram,
}

impl fmt::Debug for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Figures")
    }
}

impl Figures {
    /// The figures, shown by `registry` from now on.
    pub fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(WAITS);
        let figures = Self {
            dispatched: Family::default(),
            rejected: Family::default(),
            running: Family::default(),
            seats: Family::default(),
            waiting: Family::default(),
            waited: Family::new_with_constructor(histogram),
            nominal: Family::default(),
        };
        let Self { dispatched, rejected, running, seats, waiting, waited, nominal } = figures.clone();
        let name = |name: &str| format!("apiserver_flowcontrol_{name}");
        registry.register(name("dispatched_requests"), "Requests that were let run", dispatched);
        registry.register(name("rejected_requests"), "Requests refused for lack of seats", rejected);
        registry.register(name("current_executing_requests"), "Requests that run", running);
        registry.register(name("current_executing_seats"), "Seats of the requests that run", seats);
        registry.register(name("current_inqueue_requests"), "Requests that wait", waiting);
        registry.register(name("request_wait_duration_seconds"), "How long requests waited", waited);
        registry.register(name("nominal_limit_seats"), "The part of a priority level", nominal);
        figures
    }

    pub(super) fn of(&self, schema: &str, level: &str) -> Arc<OfFlow> {
        let labels = Flow { flow_schema: schema.to_owned(), priority_level: level.to_owned() };
        let waited = self.waited.get_or_create_owned(&labels.waited("true"));
        Arc::new(OfFlow {
            dispatched: self.dispatched.get_or_create_owned(&labels),
            running: self.running.get_or_create_owned(&labels),
            seats: self.seats.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
            waited,
            labels,
            all: self.clone(),
        })
    }

    pub(super) fn limit(&self, level: &str, seats: u32) {
        let level = Level { priority_level: level.to_owned() };
        self.nominal.get_or_create(&level).set(seats.into());
    }
}

impl Flow {
    fn waited(&self, execute: &'static str) -> Waited {
        let Self { flow_schema, priority_level } = self.clone();
        Waited { execute, flow_schema, priority_level }
    }
}

impl OfFlow {
    pub fn began(&self, seats: u32, waited: f64) {
        self.dispatched.inc();
        self.running.inc();
        self.seats.inc_by(seats.into());
        self.waited.observe(waited);
    }

    pub fn ended(&self, seats: u32) {
        self.running.dec();
        self.seats.dec_by(seats.into());
    }

    pub fn waits(&self) {
        self.waiting.inc();
    }

    pub fn waits_no_more(&self) {
        self.waiting.dec();
    }

    pub fn refused(&self, reason: &'static str, waited: f64) {
        let Flow { flow_schema, priority_level } = self.labels.clone();
        self.all.rejected.get_or_create(&Rejected { flow_schema, priority_level, reason }).inc();
        self.all.waited.get_or_create(&self.labels.waited("false")).observe(waited);
    }
}
