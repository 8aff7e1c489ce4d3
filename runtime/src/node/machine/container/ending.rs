//! How a running container is ended.
//!
//! ```text
//!            hook done           its turn             too late
//!   Hooked ────────────▶ Queued ──────────▶ Asked ───────────────▶ Killed
//!      └────────────────────┴── the deadline ──▶
//! ```
//!
//! A container that is asked late, because its hook or others took all of the time, still has a moment to end.

use std::time::Duration;

use api::clock::add;
use api::event::Severity;
use jiff::Timestamp;

use super::super::message::{Action, Hook, Note};
use super::{ContainerMachine, Running, State};

/// As in Kubernetes: what was just asked to end is not killed before.
const SHORTEST: Duration = Duration::from_secs(2);

/// A running container that is being ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    cause: Cause,
    step: Step,
    deadline: Timestamp,
    /// How long it may take once it was asked, however late that was.
    shortest: Duration,
}

/// Why a container is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its pod ends.
    Stopped,
    /// It makes room for its successor.
    Replaced,
    /// Its probes say that it is not well; its restart policy says what comes next.
    Unhealthy,
    /// Its postStart hook has failed; its restart policy says what comes next.
    Unhooked,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// Its hook runs.
    Hooked,
    /// It waits for those that are to end before.
    Queued,
    /// It was asked to end, at this time.
    Asked(Timestamp),
    Killed,
}

/// What holds for a container that is to end.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Terms {
    /// When it is to be gone.
    pub(in super::super) deadline: Timestamp,
    /// Whether it is not given a moment more.
    pub(in super::super) is_forced: bool,
    /// Whether those that are to end before it have ended.
    pub(in super::super) has_turn: bool,
}

impl Ending {
    /// Why it is being ended.
    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether its hook runs.
    pub(super) fn is_hooked(&self) -> bool {
        self.step == Step::Hooked
    }

    /// The hook has ended: it need not be waited for.
    pub(super) fn leave_hook(&mut self) {
        self.step = Step::Queued;
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        match self.step {
            Step::Hooked | Step::Queued => Some(self.deadline),
            Step::Asked(at) => Some(self.deadline.max(add(at, self.shortest))),
            Step::Killed => None,
        }
    }

    /// Asks it to end when it is its turn, or late; kills it when time is up.
    pub(super) fn go_on(&mut self, index: usize, has_turn: bool, now: Timestamp, actions: &mut Vec<Action>) {
        let is_late = self.deadline <= now;
        if is_late && self.step == Step::Hooked || self.step == Step::Queued && (has_turn || is_late) {
            actions.push(Action::Terminate(index));
            self.step = Step::Asked(now);
        }
        if matches!(self.step, Step::Asked(_)) && self.wake_at().is_some_and(|time| time <= now) {
            actions.push(Action::Kill(index));
            self.step = Step::Killed;
        }
    }

    /// The pod ends: the earlier deadline holds.
    fn hurry(&mut self, terms: &Terms) {
        self.cause = Cause::Stopped;
        self.deadline = self.deadline.min(terms.deadline);
        if terms.is_forced {
            self.shortest = Duration::ZERO;
        }
    }
}

impl ContainerMachine {
    /// Whether its preStop hook runs.
    pub(in super::super) fn is_in_last_hook(&self) -> bool {
        matches!(&self.state, State::Running(Running { ending: Some(ending), .. }) if ending.is_hooked())
    }

    /// Ends it, whatever it does, and for good.
    pub(in super::super) fn stop(
        &mut self,
        index: usize,
        terms: &Terms,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        match &mut self.state {
            State::New | State::Waiting { .. } | State::Ended => self.state = State::Ended,
            State::Preparing | State::Starting => {
                actions.push(Action::Abandon(index));
                self.state = State::Ended;
            }
            State::Running(_) => {
                let words = format!("Stopping container {}", self.plan.name);
                self.end(index, Cause::Stopped, words, terms, now, actions);
            }
        }
    }

    /// Ends a running container, or has one that is being ended end no later than `terms` say.
    pub(in super::super) fn end(
        &mut self,
        index: usize,
        cause: Cause,
        message: String,
        terms: &Terms,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let has_hook = self.plan.hooks.pre_stop && now < terms.deadline;
        let State::Running(Running { ending, .. }) = &mut self.state else {
            return;
        };
        match ending {
            Some(ending) if cause == Cause::Stopped => ending.hurry(terms),
            Some(_) => return,
            None => {
                let severity = Severity::Normal;
                actions.push(Action::Record(Note {
                    container: Some(index),
                    severity,
                    reason: "Killing",
                    message,
                }));
                if has_hook {
                    let attempt = self.attempt;
                    actions.push(Action::Hook { container: index, attempt, hook: Hook::PreStop });
                }
            }
        }
        let step = if has_hook { Step::Hooked } else { Step::Queued };
        let shortest = if terms.is_forced { Duration::ZERO } else { SHORTEST };
        let ending = ending.get_or_insert(Ending { cause, step, deadline: terms.deadline, shortest });
        ending.go_on(index, terms.has_turn, now, actions);
    }
}
