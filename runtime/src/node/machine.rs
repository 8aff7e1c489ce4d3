//! Decides the life of one pod on its node. Pure: an event and the time go in, actions come out.
//!
//! ```text
//!            Admit            Attach            SetUp                     all ended for good
//!   Seen ───────────▶ Admitting ─────▶ Attaching ─────▶ Mounting ─────▶ Running ─────▶ Ended ──┐ deleted
//!    │ unsupported       │ no room      │▲ retry         │▲ retry                       ▲     │ Remove
//!    ▼                   ▼              └┘               └┘ sources change               │     ▼
//!  Refused ◀─────────────┘ (phase Failed)                                                │  Removing ─▶ Gone
//!    │                                                                                   │
//!    └── stop, from any state: once no container lives ──────────────────────────────────┘
//! ```
//!
//! Each container while the pod is Running (see `container`), once it is its turn (see `order`):
//!
//! ```text
//!            Prepared            Started             Exited, not to run again
//! Preparing ─────────▶ Starting ─────────▶ Running ──────────────────────────▶ Ended
//!     ▲  │ no image       │ bad config        │ Exited, to run again
//!     │  └────▶ Waiting ◀─┴───────────────────┘
//!     └──────────┘ the time has come, or what it waits for changed
//! ```
//!
//! While it runs it is `Hooked`, `Starting`, `Unready` or `Ready` (see `container::health`), and at last being ended (see
//! `container::ending`).
//!
//! A pod that stops never runs again, and its deadline only comes closer.

mod back_off;
mod conditions;
mod container;
#[cfg(test)]
mod exhaustive;
mod message;
mod order;
mod set_up;
mod stop;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use api::clock::add;
use jiff::Timestamp;

pub use conditions::{Condition, Conditions};
pub use container::{Cause, ContainerMachine, Ending, Health, Running, State, Termination};
pub use message::{
    Action, Attempt, Event, Eviction, Finding, Hook, ImageFailure, ImageNews, MountFailure, Note, Pulled,
    Refusal, StartFailure,
};

use super::plan::{Former, FormerContainer, PodPlan, Role};
use back_off::BackOff;
use container::{Context, Terms};
use stop::Stop;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    /// The phase as a pod's status writes it; what is not known counts as the first.
    pub fn named(name: &str) -> Self {
        match name {
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Pending,
        }
    }

    /// Whether it is the last.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Seen,
    Admitting,
    /// Never runs; `problem` says why.
    Refused,
    /// With the time to try again, if the last try failed.
    Attaching(Option<Timestamp>),
    /// With the time to try again, if the last try failed.
    Mounting(Option<Timestamp>),
    Running,
    Ended,
    Removing,
    Gone,
}

/// Why the pod as a whole waits or has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Problem {
    /// One word.
    pub reason: String,
    /// A sentence; may be empty.
    pub message: String,
}

/// The state of one pod on its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodMachine {
    plan: PodPlan,
    stage: Stage,
    stop: Option<Stop>,
    /// Whether the pod's object is gone: there is nobody to report to.
    is_lost: bool,
    /// Whether the node ends: what becomes of the pod now is not how it ends.
    is_left: bool,
    /// Why containers wait as long as the pod is not Running.
    problem: Option<Problem>,
    /// Why the pod failed as a whole.
    verdict: Option<Problem>,
    /// Why it had to make room for others, if it had to.
    disruption: Option<String>,
    /// The phase, once it is final.
    ended: Option<Phase>,
    address: Option<IpAddr>,
    set_up: BackOff,
    start_time: Option<Timestamp>,
    containers: Vec<ContainerMachine>,
    conditions: Conditions,
}

impl PodMachine {
    /// A pod that has come to this node, with what an earlier process left of it.
    pub fn new(plan: PodPlan, former: Former, now: Timestamp) -> Self {
        let formers = former.containers.into_iter().map(Some).chain(std::iter::repeat(None));
        let containers = plan.containers.iter().zip(formers).map(|(container, former)| {
            let former = former.unwrap_or_default();
            ContainerMachine::new(container.clone(), former, now)
        });
        let mut machine = Self {
            containers: containers.collect(),
            stage: Stage::Seen,
            stop: None,
            is_lost: false,
            is_left: false,
            problem: None,
            verdict: None,
            disruption: None,
            ended: former.ended,
            address: None,
            set_up: BackOff::default(),
            start_time: former.start_time,
            conditions: Conditions::default(),
            plan,
        };
        if machine.own_containers().any(ContainerMachine::has_run) {
            let is_done = |container: &&mut ContainerMachine| container.plan().role == Role::Init;
            machine.containers.iter_mut().filter(is_done).for_each(ContainerMachine::pass);
        }
        if machine.ended.is_some() {
            machine.stage = Stage::Ended;
            machine.close_containers(now);
        }
        machine.conditions = conditions::of(&machine, now);
        machine
    }

    /// Takes in what happened and says what to do about it.
    ///
    /// [`Action::Admit`] and [`Action::Attach`] must be answered before any other event; [`Action::SetUp`] may take its time.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take_in(event, now, &mut actions);
        self.go_on(now, &mut actions);
        self.conditions = conditions::of(self, now);
        actions
    }

    /// When to call [`PodMachine::handle`] with [`Event::Woken`] if nothing happens before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let retry = match &self.stage {
            Stage::Attaching(retry) | Stage::Mounting(retry) => *retry,
            _ => None,
        };
        let containers = self.containers.iter().filter_map(ContainerMachine::wake_at);
        containers.chain(retry).chain(self.active_deadline()).min()
    }

    /// Whether nothing is under way that is expected to end soon: a good moment to report.
    pub fn is_settled(&self) -> bool {
        match self.stage {
            Stage::Seen | Stage::Admitting | Stage::Attaching(None) | Stage::Mounting(None) => false,
            Stage::Running => !self.containers.iter().any(ContainerMachine::is_under_way),
            _ => true,
        }
    }

    /// Whether there is nothing left to do for the pod, ever.
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Whether the node ends, so that it goes on when the node does.
    pub fn is_left(&self) -> bool {
        self.is_left
    }

    /// Whether it waits for its volumes to be made.
    pub fn is_mounting(&self) -> bool {
        self.stage == Stage::Mounting(None)
    }

    /// Whether the containers may have the volumes in use.
    pub fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// The phase of the pod.
    pub fn phase(&self) -> Phase {
        match self.ended {
            Some(phase) => phase,
            None if self.own_containers().any(|container| !container.has_run()) => Phase::Pending,
            None => Phase::Running,
        }
    }

    /// What its object asked for last.
    pub fn plan(&self) -> &PodPlan {
        &self.plan
    }

    /// Its containers, in order.
    pub fn containers(&self) -> &[ContainerMachine] {
        &self.containers
    }

    /// Those that make up the pod: neither those that prepare or accompany it, nor those that were added to look at it.
    pub fn own_containers(&self) -> impl Iterator<Item = &ContainerMachine> {
        self.containers.iter().filter(|container| container.plan().role == Role::Main)
    }

    /// What its containers wait for as long as nothing else is known, in one word.
    pub fn creating(&self) -> &'static str {
        let has_first = self.containers.iter().any(|container| container.plan().role.comes_first());
        if has_first { "PodInitializing" } else { "ContainerCreating" }
    }

    /// Its address, once it has one; kept when the pod has ended.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Since when the node knows it.
    pub fn start_time(&self) -> Option<Timestamp> {
        self.start_time
    }

    /// Its conditions.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Why its containers cannot be started yet, if that concerns all of them.
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Why it failed as a whole.
    pub fn verdict(&self) -> Option<&Problem> {
        self.verdict.as_ref()
    }

    fn take_in(&mut self, event: Event, now: Timestamp, actions: &mut Vec<Action>) {
        match event {
            Event::Changed(plan) => self.change(plan, now, actions),
            Event::Gone => {
                self.is_lost = true;
                self.stop_by(now);
            }
            Event::Leaving(limit) => {
                self.is_left = true;
                self.stop_by(add(now, self.plan.grace).min(limit));
            }
            Event::Admitted(answer) => self.admitted(answer, actions),
            Event::Attached(answer) => self.attached(answer, now, actions),
            Event::Mounted(answer) => self.mounted(answer, now, actions),
            Event::SourcesChanged => self.look_again(now),
            Event::Evicted(eviction) => self.evict(eviction, now, actions),
            Event::Resized(index) => self.replace(index, now, actions),
            Event::Woken => {}
            Event::Image(index, attempt, news) => {
                if let Some((container, context)) = self.of_attempt(index, attempt) {
                    container.image_news(news, &context, actions);
                }
            }
            Event::Prepared(index, attempt, answer) => {
                if let Some((container, context)) = self.of_attempt(index, attempt) {
                    container.prepared(answer, &context, now, actions);
                }
            }
            Event::Started(index, attempt, answer) => {
                if let Some((container, context)) = self.of_attempt(index, attempt) {
                    container.started(answer, &context, now, actions);
                }
            }
            Event::Exited(index, attempt, exit) => {
                if let Some((container, context)) = self.of_attempt(index, attempt) {
                    container.exited(&exit, &context, now, actions);
                }
            }
            Event::Hooked(index, attempt, hook, answer) => {
                if let Some((container, context)) = self.of_attempt(index, attempt) {
                    container.hooked(hook, answer, &context, now, actions);
                }
            }
            Event::Found(index, attempt, finding) => {
                if let Some((container, context)) = self.of_attempt(index, attempt) {
                    container.found(finding, &context, now, actions);
                }
            }
        }
    }

    /// The container an answer is for, unless it has been overtaken.
    fn of_attempt(&mut self, index: usize, attempt: Attempt) -> Option<(&mut ContainerMachine, Context)> {
        let context = Context {
            index,
            pod: self.plan.full_name(),
            is_stopping: self.stop.is_some(),
            grace: self.plan.grace,
        };
        let container = self.containers.get_mut(index)?;
        (container.attempt() == attempt).then_some((container, context))
    }

    fn change(&mut self, plan: PodPlan, now: Timestamp, actions: &mut Vec<Action>) {
        if let Some(grace) = plan.deletion {
            self.stop_by(add(now, grace));
        }
        if self.stop.is_none() {
            let terms = Terms { deadline: add(now, plan.grace), is_forced: false, has_turn: true };
            let containers = self.containers.iter_mut().zip(&plan.containers).enumerate();
            for (index, (container, plan)) in containers {
                container.change(index, plan, &terms, now, actions);
            }
        }
        for added in plan.containers.iter().skip(self.containers.len()) {
            let mut added = ContainerMachine::new(added.clone(), FormerContainer::default(), now);
            if self.ended.is_some() {
                added.close(true, now);
            }
            self.containers.push(added);
        }
        self.plan = plan;
    }

    fn replace(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        let terms = Terms { deadline: add(now, self.plan.grace), is_forced: false, has_turn: true };
        let lasts = |container: &&mut ContainerMachine| container.plan().role != Role::Init;
        let container = self.containers.get_mut(index).filter(lasts);
        if let Some(container) = container.filter(|_| self.stop.is_none()) {
            let words = format!("Container {} resize requires restart", container.name());
            container.end(index, Cause::Replaced, words, &terms, now, actions);
        }
    }

    fn go_on(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.active_deadline().is_some_and(|deadline| deadline <= now) {
            self.exceed(now, actions);
        }
        if self.is_abandoned() {
            self.stop_by(add(now, self.plan.grace));
        }
        match &self.stage {
            _ if self.stop.is_some() => self.stop_containers(now, actions),
            Stage::Seen => self.begin(now, actions),
            Stage::Attaching(Some(retry)) if *retry <= now => {
                self.stage = Stage::Attaching(None);
                actions.push(Action::Attach);
            }
            Stage::Mounting(Some(retry)) if *retry <= now => {
                self.stage = Stage::Mounting(None);
                actions.push(Action::SetUp);
            }
            Stage::Running => self.start_containers(now, actions),
            _ => {}
        }
        if self.is_over() {
            self.end(now, actions);
        }
        let is_let_go = self.is_lost || self.is_left;
        if self.stage == Stage::Ended && is_let_go {
            self.stage = Stage::Gone;
        } else if self.stage == Stage::Ended && self.plan.deletion.is_some() {
            self.stage = Stage::Removing;
            actions.push(Action::Remove);
        } else if self.stage == Stage::Removing && is_let_go {
            self.stage = Stage::Gone;
        }
    }
}
