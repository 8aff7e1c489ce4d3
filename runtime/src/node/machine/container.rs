//! The part of a pod's machine that decides the life of one container.

mod answers;
mod ending;
mod health;
mod image;

use std::time::Duration;

use api::event::Severity;
use jiff::Timestamp;

use super::super::plan::{ContainerPlan, FormerContainer, Role};
use super::back_off::BackOff;
use super::message::{Action, Attempt, Note};
pub(super) use ending::Terms;
pub use ending::{Cause, Ending};
pub use health::{Health, Running};
use image::FailedPull;

/// The exit code of a container that was killed.
const KILLED: i32 = 137;

/// The state of one container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerMachine {
    plan: ContainerPlan,
    state: State,
    attempt: Attempt,
    restarts: u32,
    has_run: bool,
    /// Whether those that come after it need not wait for it any more.
    has_passed: bool,
    image_id: String,
    last: Option<Termination>,
    before_last: Option<Termination>,
    crashes: BackOff,
    tries: BackOff,
    /// A pull that is not to be tried again yet.
    failed_pull: Option<FailedPull>,
}

/// What a container does now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing: it is to be started.
    New,
    /// Nothing: it waits for a time, or, without one, for a change of the world.
    Waiting {
        /// One word, as in its status.
        reason: &'static str,
        /// A sentence.
        message: String,
        /// When to go on.
        until: Option<Timestamp>,
    },
    /// Its image is being made ready.
    Preparing,
    /// It is being started.
    Starting,
    /// It runs.
    Running(Running),
    /// Nothing, for good.
    Ended,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Termination {
    /// The exit code.
    pub code: i32,
    /// One word, as in its status.
    pub reason: String,
    /// More about it; may be empty.
    pub message: String,
    /// When it had started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

/// What a container has to know of its pod.
pub(super) struct Context {
    pub(super) index: usize,
    /// `name_namespace(uid)`, as Kubernetes' messages have it.
    pub(super) pod: String,
    pub(super) is_stopping: bool,
    /// How long it may take to end if it is ended for its own sake.
    pub(super) grace: Duration,
}

impl ContainerMachine {
    pub(super) fn new(plan: ContainerPlan, former: FormerContainer, now: Timestamp) -> Self {
        let interrupted = former.running_since.map(|since| Termination {
            code: KILLED,
            reason: "ContainerStatusUnknown".to_owned(),
            message: "The container was running when its node restarted".to_owned(),
            started: since,
            finished: now,
        });
        let has_run = former.has_run();
        let last = interrupted.or(former.last);
        let runs = last.as_ref().is_none_or(|last| plan.runs_again(last.code));
        Self {
            has_passed: plan.role == Role::Init && last.as_ref().is_some_and(|last| last.code == 0),
            plan,
            state: if runs { State::New } else { State::Ended },
            attempt: 0,
            restarts: former.restarts,
            has_run,
            image_id: former.image_id,
            last,
            before_last: None,
            crashes: BackOff::default(),
            tries: BackOff::default(),
            failed_pull: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// What it runs.
    pub fn plan(&self) -> &ContainerPlan {
        &self.plan
    }

    /// What it does now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Whether it ran at least once.
    pub fn has_run(&self) -> bool {
        self.has_run
    }

    /// The id of the image it runs, or ran; empty if there is none yet.
    pub fn image_id(&self) -> &str {
        &self.image_id
    }

    /// How it ended last.
    pub fn last(&self) -> Option<&Termination> {
        self.last.as_ref()
    }

    /// How it ended the time before.
    pub fn before_last(&self) -> Option<&Termination> {
        self.before_last.as_ref()
    }

    /// Whether those that come after it need not wait for it any more: it has succeeded, or has started once, as its role asks.
    pub fn has_passed(&self) -> bool {
        self.has_passed
    }

    /// Which attempt to run it this is.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Whether it is on its way to run. What is new waits for others.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::Preparing | State::Starting)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.code == 0)
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Waiting { until, .. } => *until,
            State::Running(running) => running.ending.as_ref()?.wake_at(),
            _ => None,
        }
    }

    /// Starts it if it is time to. What is new waits until it may be started.
    pub(super) fn go_on(&mut self, index: usize, may_begin: bool, now: Timestamp, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::New if may_begin => self.begin(index, now, actions),
            State::Waiting { until: Some(until), .. } if *until <= now => self.begin(index, now, actions),
            State::Running(Running { ending: Some(ending), .. }) => ending.go_on(index, true, now, actions),
            _ => {}
        }
    }

    fn begin(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        if let Some(message) = self.plan.unsupported.clone() {
            actions.push(Action::Record(Note {
                container: Some(index),
                severity: Severity::Warning,
                reason: "Unsupported",
                message: message.clone(),
            }));
            return self.wait("CreateContainerError", message, None);
        }
        if self.backs_off_pulling(index, now, actions) {
            return;
        }
        self.attempt += 1;
        self.state = State::Preparing;
        actions.push(Action::Prepare {
            container: index,
            attempt: self.attempt,
            image: self.plan.image.clone(),
            policy: self.plan.pull_policy,
        });
    }

    /// A ConfigMap has changed: what was missing may be there.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        if let State::Waiting { until: until @ None, reason: "CreateContainerConfigError", .. } =
            &mut self.state
        {
            *until = Some(now);
        }
    }

    /// Takes another image in place of the one it has. A running container is ended and comes back with it, unless it is to
    /// end anyway before the others begin.
    pub(super) fn change(
        &mut self,
        index: usize,
        plan: &ContainerPlan,
        terms: &Terms,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let is_same = self.plan.image == plan.image;
        self.plan = plan.clone();
        if is_same {
            return;
        }
        match &mut self.state {
            State::New | State::Ended => {}
            State::Running(_) if plan.role == Role::Init => {}
            State::Waiting { .. } => self.state = State::New,
            State::Preparing | State::Starting => {
                actions.push(Action::Abandon(index));
                self.state = State::New;
            }
            State::Running(_) => {
                let words = format!("Container {} definition changed, will be restarted", plan.name);
                self.end(index, Cause::Replaced, words, terms, now, actions);
            }
        }
        (self.crashes, self.tries) = (BackOff::default(), BackOff::default());
        self.failed_pull = None;
    }

    /// Counts as having run before: its part is done.
    pub(super) fn pass(&mut self) {
        self.has_passed = true;
        self.state = State::Ended;
    }

    /// Nothing will become of it any more. If its pod should know how it ended, and nobody saw it, that is said.
    pub(super) fn close(&mut self, is_expected: bool, now: Timestamp) {
        self.state = State::Ended;
        if self.last.is_none() && is_expected {
            self.last = Some(Termination {
                code: KILLED,
                reason: "ContainerStatusUnknown".to_owned(),
                message: "The container could not be located when the pod was terminated".to_owned(),
                started: now,
                finished: now,
            });
        }
    }
}
