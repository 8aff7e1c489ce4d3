//! The part of a pod's machine that decides the life of one container.

mod answers;
mod image;

use api::event::Severity;
use jiff::Timestamp;

use super::super::plan::{ContainerPlan, FormerContainer};
use super::back_off::BackOff;
use super::message::{Action, Attempt, Note};
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
    Running {
        /// Since when.
        since: Timestamp,
        /// How it is being ended, if it is.
        ending: Option<Ending>,
    },
    /// Nothing, for good.
    Ended,
}

/// A running container that was asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    deadline: Timestamp,
    is_killed: bool,
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
        let has_run = former.restarts > 0 || interrupted.is_some() || former.last.is_some();
        let last = interrupted.or(former.last);
        let runs = last.as_ref().is_none_or(|last| plan.restart_policy.runs_again(last.code));
        Self {
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

    /// Whether it runs and so can be of use.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub(super) fn attempt(&self) -> Attempt {
        self.attempt
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::New | State::Preparing | State::Starting)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.code == 0)
    }

    pub(super) fn wake_at(&self, stop: Option<Timestamp>) -> Option<Timestamp> {
        match &self.state {
            State::Waiting { until, .. } => *until,
            State::Running { ending: Some(ending), .. } if !ending.is_killed => {
                stop.into_iter().chain([ending.deadline]).min()
            }
            _ => None,
        }
    }

    /// Starts it if it is time to.
    pub(super) fn go_on(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::New => self.begin(index, now, actions),
            State::Waiting { until: Some(until), .. } if *until <= now => self.begin(index, now, actions),
            State::Running { ending: Some(ending), .. } => ending.kill_if_due(index, now, actions),
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

    /// Takes another image in place of the one it has. A running container is ended and comes back with it.
    pub(super) fn change(
        &mut self,
        index: usize,
        plan: &ContainerPlan,
        deadline: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let is_same = self.plan.image == plan.image;
        self.plan = plan.clone();
        if is_same {
            return;
        }
        match &mut self.state {
            State::New | State::Ended => {}
            State::Waiting { .. } => self.state = State::New,
            State::Preparing | State::Starting => {
                actions.push(Action::Abandon(index));
                self.state = State::New;
            }
            State::Running { ending, .. } => {
                let words = format!("Container {} definition changed, will be restarted", plan.name);
                terminate(ending, index, deadline, words, actions);
            }
        }
        (self.crashes, self.tries) = (BackOff::default(), BackOff::default());
        self.failed_pull = None;
    }

    /// Ends it, whatever it does, and for good.
    pub(super) fn stop(
        &mut self,
        index: usize,
        deadline: Timestamp,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        match &mut self.state {
            State::New | State::Waiting { .. } | State::Ended => self.state = State::Ended,
            State::Preparing | State::Starting => {
                actions.push(Action::Abandon(index));
                self.state = State::Ended;
            }
            State::Running { ending, .. } => {
                let words = format!("Stopping container {}", self.plan.name);
                let ending = terminate(ending, index, deadline, words, actions);
                ending.deadline = ending.deadline.min(deadline);
                ending.kill_if_due(index, now, actions);
            }
        }
    }

    /// Accounts for a container of a pod that has ended.
    pub(super) fn close(&mut self, now: Timestamp) {
        self.state = State::Ended;
        if self.last.is_none() {
            self.last = Some(Termination {
                code: KILLED,
                reason: "ContainerStatusUnknown".to_owned(),
                message: "The container had not run when the pod was terminated".to_owned(),
                started: now,
                finished: now,
            });
        }
    }
}

/// Asks a running container to end, unless it was asked before.
fn terminate<'a>(
    ending: &'a mut Option<Ending>,
    index: usize,
    deadline: Timestamp,
    message: String,
    actions: &mut Vec<Action>,
) -> &'a mut Ending {
    ending.get_or_insert_with(|| {
        actions.push(Action::Record(Note {
            container: Some(index),
            severity: Severity::Normal,
            reason: "Killing",
            message,
        }));
        actions.push(Action::Terminate(index));
        Ending { deadline, is_killed: false }
    })
}

impl Ending {
    fn kill_if_due(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        if !self.is_killed && self.deadline <= now {
            self.is_killed = true;
            actions.push(Action::Kill(index));
        }
    }
}
