//! How far a running container is: its postStart hook first, then what its probes find out.

use std::time::Duration;

use api::clock::add;
use api::event::Severity;
use jiff::Timestamp;

use super::super::super::plan::Role;
use super::super::message::{Action, Finding, Hook};
use super::answers::note;
use super::{Cause, ContainerMachine, Context, Ending, State, Terms};

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Running {
    /// Since when.
    pub since: Timestamp,
    /// How far it is.
    pub health: Health,
    /// How it is being ended, if it is.
    pub ending: Option<Ending>,
}

/// How far a running container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Its postStart hook runs: until that has ended it does not count as running.
    Hooked,
    /// Its startup probe has not succeeded yet.
    Starting,
    /// It has started, and is not ready to be of use.
    Unready,
    /// It is ready to be of use.
    Ready,
}

impl ContainerMachine {
    /// Whether it runs, and has been told of it.
    pub fn is_running(&self) -> bool {
        self.health().is_some_and(|health| health > Health::Hooked)
    }

    /// Whether it runs and has started, as its startup probe says.
    pub fn has_started(&self) -> bool {
        self.health().is_some_and(|health| health > Health::Starting)
    }

    /// Whether it is ready to be of use; what comes before the others is ready when it has done its part.
    pub fn is_ready(&self) -> bool {
        match self.plan.role {
            Role::Init => self.has_ended() && self.has_passed,
            _ => self.health() == Some(Health::Ready),
        }
    }

    /// Whether it has a postStart hook that is about to run: those after it are not started before that has ended.
    pub(in super::super) fn is_before_hook(&self) -> bool {
        self.plan.hooks.post_start && (self.is_under_way() || self.health() == Some(Health::Hooked))
    }

    fn health(&self) -> Option<Health> {
        match &self.state {
            State::Running(running) => Some(running.health),
            _ => None,
        }
    }

    /// It runs: what comes first is its hook.
    pub(super) fn run(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        self.state = State::Running(Running { since: now, health: Health::Hooked, ending: None });
        if self.plan.hooks.post_start {
            let attempt = self.attempt;
            actions.push(Action::Hook { container: index, attempt, hook: Hook::PostStart });
        } else {
            self.unhook();
        }
    }

    fn unhook(&mut self) {
        let probes = self.plan.probes;
        self.turn(match (probes.startup, probes.readiness) {
            (true, _) => Health::Starting,
            (false, true) => Health::Unready,
            (false, false) => Health::Ready,
        });
    }

    fn turn(&mut self, to: Health) {
        if let State::Running(running) = &mut self.state {
            running.health = to;
        }
        self.has_passed |= self.plan.role == Role::Sidecar && self.has_started();
    }

    /// A hook has ended.
    pub(in super::super) fn hooked(
        &mut self,
        hook: Hook,
        answer: Result<(), String>,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let State::Running(running) = &mut self.state else {
            return;
        };
        // What it says may hold secrets of the container: people are told no more.
        let failed = |reason, words: &str| note(context.index, Severity::Warning, reason, words.to_owned());
        match (hook, &mut running.ending) {
            (Hook::PreStop, Some(ending)) if ending.is_hooked() => {
                ending.leave_hook();
                if answer.is_err() {
                    actions.push(failed("FailedPreStopHook", "PreStopHook failed"));
                }
            }
            (Hook::PostStart, None) if running.health == Health::Hooked => match answer {
                Ok(()) => self.unhook(),
                Err(_) => {
                    actions.push(failed("FailedPostStartHook", "PostStartHook failed"));
                    let (words, grace) = ("FailedPostStartHook".to_owned(), context.grace);
                    self.end_unwell(Cause::Unhooked, words, grace, context, now, actions);
                }
            },
            _ => {}
        }
    }

    /// A probe has found something out.
    pub(in super::super) fn found(
        &mut self,
        finding: Finding,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(health) = self.health() else {
            return;
        };
        let (unready, ready) = (Health::Unready, Health::Ready);
        match (finding, health) {
            (_, Health::Hooked) => {}
            (Finding::Started, Health::Starting) => {
                self.turn(if self.plan.probes.readiness { unready } else { ready });
            }
            (Finding::Ready(is_ready), Health::Unready | Health::Ready) => {
                self.turn(if is_ready { ready } else { unready });
            }
            (Finding::Failing { message, grace }, _) if !context.is_stopping => {
                let runs_again = self.plan.runs_again(FAILURE);
                let words = if runs_again { format!("{message}, will be restarted") } else { message };
                let grace = grace.unwrap_or(context.grace);
                self.end_unwell(Cause::Unhealthy, words, grace, context, now, actions);
            }
            _ => {}
        }
    }

    fn end_unwell(
        &mut self,
        cause: Cause,
        words: String,
        grace: Duration,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let terms = Terms { deadline: add(now, grace), is_forced: false, has_turn: true };
        self.end(context.index, cause, words, &terms, now, actions);
    }
}

/// How a container that fails its probes will end, as far as its restart policy is concerned.
const FAILURE: i32 = 137;
