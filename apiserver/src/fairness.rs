//! Priority and fairness: how many requests run at once, whose turn it is, and who is told to come back later.
//!
//! ```text
//! request ─ classify ─ arrive ─┬─ run ──────────────▶ ended ─▶ others begin
//!           (flow schema)      ├─ wait ─┬─ turn ─▶ run
//!                              │        └─ too long, or the client left
//!                              └─ refuse: 429
//! ```
//!
//! What decides is pure (`dispatch`, `queues`, `limits`, `classify`); this file holds the lock around it and the ones
//! who wait. The configuration is made anew when one of its objects changed.

mod classify;
mod configuration;
mod dispatch;
mod figures;
mod limits;
mod queues;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::{Clock, Resource, Revision};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::oneshot;

pub use classify::{Asked, What};
pub use figures::Figures;

use crate::store::{Collection, Store};
use configuration::Configuration;
use dispatch::{Decision, Dispatcher, Ticket, Why};
use figures::OfFlow;

const FLOW_SCHEMAS: Resource =
    Resource::new("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", false);
const LEVELS: Resource = Resource::new(
    "flowcontrol.apiserver.k8s.io",
    "v1",
    "prioritylevelconfigurations",
    "PriorityLevelConfiguration",
    false,
);

/// Requests that run at once beside the exempt ones: as many as Kubernetes lets run by default, 400 that read and 200
/// that change.
const SEATS: u32 = 600;

/// Lets requests in, in turn.
pub struct Fairness {
    clock: Clock,
    store: Store,
    figures: Figures,
    plan: ArcSwap<Plan>,
    state: Mutex<State>,
}

/// What follows from the configuration.
struct Plan {
    /// The revisions of the two collections it was made of.
    made_of: [Revision; 2],
    configuration: Configuration,
    flows: Vec<Arc<Flow>>,
}

/// A flow schema and its level, as answers and figures name them.
pub struct Flow {
    /// The uid of the flow schema; empty if it is not stored.
    pub schema_uid: String,
    /// The uid of the priority level; empty if it is not stored.
    pub level_uid: String,
    figures: Arc<OfFlow>,
}

struct State {
    dispatcher: Dispatcher,
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A request that was let in; its seats are free again when this is dropped.
pub struct Permit {
    fairness: Arc<Fairness>,
    flow: Arc<Flow>,
    ticket: Ticket,
    runs: bool,
}

/// Why a request may not run, as the metrics call it.
pub type Refusal = &'static str;

impl Fairness {
    /// Flow control by the objects in `store`.
    pub fn new(clock: Clock, store: Store, figures: Figures) -> Arc<Self> {
        let plan = Plan::new(&store, &figures);
        let dispatcher = Dispatcher::new(plan.configuration.levels.clone(), SEATS);
        let state = Mutex::new(State { dispatcher, waiting: BTreeMap::new() });
        let new = Self { clock, store, figures, plan: ArcSwap::from_pointee(plan), state };
        new.tell_limits(&new.lock());
        Arc::new(new)
    }

    /// The flow a request belongs to, and its permit: at once, after a wait of `patience` at most, or not at all.
    pub async fn begin(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        seats: u32,
        patience: Duration,
    ) -> (Arc<Flow>, Result<Permit, Refusal>) {
        let (flow, ticket, decision, turn) = self.arrive(asked, seats);
        let permit = || Permit { fairness: Arc::clone(self), flow: Arc::clone(&flow), ticket, runs: false };
        let permit = match decision {
            Decision::Run => Ok(permit().running(0.0)),
            Decision::Refuse(why) => {
                flow.figures.refused(why.name(), 0.0);
                Err(why.name())
            }
            Decision::Wait => self.wait(permit(), turn, patience).await,
        };
        (flow, permit)
    }

    fn arrive(
        &self,
        asked: &Asked<'_>,
        seats: u32,
    ) -> (Arc<Flow>, Ticket, Decision, Option<oneshot::Receiver<()>>) {
        self.refresh();
        let plan = self.plan.load();
        let number = plan.configuration.classify(asked);
        let (schema, flow) = (&plan.configuration.schemas[number], &plan.flows[number]);
        let mut state = self.lock();
        let (ticket, decision, started) = state.dispatcher.arrive(&schema.level, schema.flow(asked), seats);
        state.tell(&started);
        let turn = (decision == Decision::Wait).then(|| {
            let (sender, turn) = oneshot::channel();
            state.waiting.insert(ticket.id, sender);
            turn
        });
        (Arc::clone(flow), ticket, decision, turn)
    }

    async fn wait(
        &self,
        permit: Permit,
        turn: Option<oneshot::Receiver<()>>,
        patience: Duration,
    ) -> Result<Permit, Refusal> {
        let begun = self.clock.now();
        let figures = Arc::clone(&permit.flow.figures);
        let waits = Waits::new(&figures);
        let turn = async {
            match turn {
                Some(turn) => turn.await.is_ok(),
                None => false,
            }
        };
        let is_turn = tokio::select! {
            biased;
            is_turn = turn => is_turn,
            () = self.clock.sleep(patience) => false,
        };
        drop(waits);
        let waited = seconds(begun, self.clock.now());
        if is_turn {
            return Ok(permit.running(waited));
        }
        figures.refused("time-out", waited);
        Err("time-out")
    }

    /// Follows the configuration.
    fn refresh(&self) {
        if self.plan.load().made_of == revisions(&self.store) {
            return;
        }
        let mut state = self.lock();
        // Somebody else may have done it meanwhile.
        if self.plan.load().made_of == revisions(&self.store) {
            return;
        }
        let plan = Plan::new(&self.store, &self.figures);
        let started = state.dispatcher.configure(plan.configuration.levels.clone(), SEATS);
        state.tell(&started);
        self.plan.store(Arc::new(plan));
        self.tell_limits(&state);
    }

    fn tell_limits(&self, state: &State) {
        for (level, nominal) in state.dispatcher.nominal() {
            self.figures.limit(level, nominal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Fairness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fairness")
    }
}

fn revisions(store: &Store) -> [Revision; 2] {
    [FLOW_SCHEMAS, LEVELS].map(|resource| store.snapshot(&Collection::from(&resource)).0.revision())
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

impl Plan {
    fn new(store: &Store, figures: &Figures) -> Self {
        let [schemas, levels] =
            [FLOW_SCHEMAS, LEVELS].map(|resource| store.snapshot(&Collection::from(&resource)).0);
        let configuration = Configuration::new(schemas.iter(), levels.iter());
        let flow = |schema: &classify::Schema| {
            Arc::new(Flow {
                schema_uid: schema.uid.clone(),
                level_uid: configuration.uids.get(&schema.level).cloned().unwrap_or_default(),
                figures: figures.of(&schema.name, &schema.level),
            })
        };
        let flows = configuration.schemas.iter().map(flow).collect();
        Self { made_of: [schemas.revision(), levels.revision()], configuration, flows }
    }
}

impl State {
    /// Tells those whose turn has come. One that is gone gives its seats back when its permit is dropped.
    fn tell(&mut self, started: &[u64]) {
        for id in started {
            if let Some(turn) = self.waiting.remove(id) {
                let _ = turn.send(());
            }
        }
    }
}

impl Permit {
    fn running(mut self, waited: f64) -> Self {
        self.runs = true;
        self.flow.figures.began(self.ticket.seats, waited);
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.runs {
            self.flow.figures.ended(self.ticket.seats);
        }
        let mut state = self.fairness.lock();
        state.waiting.remove(&self.ticket.id);
        let started = match self.runs {
            true => state.dispatcher.leave(&self.ticket),
            false => state.dispatcher.give_up(&self.ticket),
        };
        state.tell(&started);
    }
}

/// A request that waits, counted while this is held.
struct Waits<'a>(&'a OfFlow);

impl<'a> Waits<'a> {
    fn new(figures: &'a OfFlow) -> Self {
        figures.waits();
        Self(figures)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waits_no_more();
    }
}

impl Why {
    fn name(self) -> Refusal {
        match self {
            Self::ConcurrencyLimit => "concurrency-limit",
            Self::QueueFull => "queue-full",
        }
    }
}

#[cfg(test)]
mod tests;
