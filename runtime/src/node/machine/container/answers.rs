//! What a container does about the answers to what was asked for it, and about its end.

use std::time::Duration;

use api::clock::add;
use api::event::Severity;
use jiff::Timestamp;

use super::super::back_off::{BackOff, words};
use super::super::message::{Action, ImageFailure, Note, StartFailure};
use super::{ContainerMachine, Context, State, Termination};
use crate::engine::Exit;

/// A container that ran this long has proved itself: its next failure counts as the first.
const PROVEN_AFTER: Duration = Duration::from_secs(600);

/// As in Kubernetes.
const LONGEST_MESSAGE: usize = 4096;

/// The exit code of a container that was made and failed to start, as container runtimes have it.
const START_ERROR: i32 = 128;

impl ContainerMachine {
    pub(in super::super) fn prepared(
        &mut self,
        answer: Result<String, ImageFailure>,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if self.state != State::Preparing {
            return;
        }
        match answer {
            Ok(image_id) => {
                let message = format!("Container image {:?} already present on machine", self.plan.image);
                actions.push(note(context, Severity::Normal, "Pulled", message));
                self.image_id = image_id;
                self.state = State::Starting;
                actions.push(Action::Start {
                    container: context.index,
                    attempt: self.attempt,
                    run: self.restarts + u32::from(self.has_run),
                });
            }
            Err(failure) => self.lack_image(failure, context, now, actions),
        }
    }

    fn lack_image(
        &mut self,
        failure: ImageFailure,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let image = &self.plan.image;
        let is_first = self.tries == BackOff::default();
        let retry = Some(add(now, self.tries.next_retry()));
        let mut warn =
            |reason, message: String| actions.push(note(context, Severity::Warning, reason, message));
        let (reason, message, until) = match failure {
            ImageFailure::InvalidName(why) => {
                let message = format!("Failed to apply default image tag {image:?}: {why}");
                warn("InspectFailed", message.clone());
                ("InvalidImageName", message, None)
            }
            ImageFailure::NeverPull => {
                let message = format!("Container image {image:?} is not present with pull policy of Never");
                warn("ErrImageNeverPull", message.clone());
                ("ErrImageNeverPull", message, retry)
            }
            ImageFailure::NotPulled(why) if is_first => {
                let message = format!("failed to pull image {image:?}: {why}");
                warn("Failed", format!("Failed to pull image {image:?}: {why}"));
                warn("Failed", "Error: ErrImagePull".to_owned());
                ("ErrImagePull", message, retry)
            }
            ImageFailure::NotPulled(why) => {
                let words = format!("Back-off pulling image {image:?}");
                let message = format!("{words}: ErrImagePull: {why}");
                actions.push(note(context, Severity::Normal, "BackOff", words));
                ("ImagePullBackOff", message, retry)
            }
            ImageFailure::Unfit(why) => {
                warn("Failed", format!("Error: {why}"));
                ("CreateContainerError", why, retry)
            }
        };
        self.wait(reason, message, until);
    }

    pub(in super::super) fn started(
        &mut self,
        answer: Result<(), StartFailure>,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if self.state != State::Starting {
            return;
        }
        let failed = |why: &str| note(context, Severity::Warning, "Failed", format!("Error: {why}"));
        match answer {
            Ok(()) => {
                self.tries = BackOff::default();
                self.count_run();
                self.state = State::Running { since: now, ending: None };
                let created = "Container created".to_owned();
                actions.push(note(context, Severity::Normal, "Created", created));
                let started = "Container started".to_owned();
                actions.push(note(context, Severity::Normal, "Started", started));
            }
            Err(StartFailure::Config(why)) => {
                actions.push(failed(&why));
                self.wait("CreateContainerConfigError", why, None);
            }
            Err(StartFailure::Create(why)) => {
                actions.push(failed(&why));
                let until = add(now, self.tries.next_retry());
                self.wait("CreateContainerError", why, Some(until));
            }
            Err(StartFailure::Start(why)) => {
                actions.push(failed(&why));
                self.count_run();
                let termination = Termination {
                    code: START_ERROR,
                    reason: "StartError".to_owned(),
                    message: why,
                    started: now,
                    finished: now,
                };
                self.terminated(termination, false, context, now, actions);
            }
        }
    }

    pub(in super::super) fn exited(
        &mut self,
        exit: &Exit,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let State::Running { since, ending } = &self.state else {
            return;
        };
        let (since, is_replaced) = (*since, ending.is_some());
        let termination = Termination {
            code: exit.code,
            reason: exit.reason.as_str().to_owned(),
            message: shortened(&exit.message),
            started: since,
            finished: now,
        };
        self.terminated(termination, is_replaced, context, now, actions);
    }

    /// What was asked to end while the pod goes on was asked to make room for its successor.
    fn terminated(
        &mut self,
        termination: Termination,
        is_replaced: bool,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if add(termination.started, PROVEN_AFTER) <= now {
            self.crashes = BackOff::default();
        }
        let code = termination.code;
        self.before_last = self.last.replace(termination);
        if context.is_stopping {
            self.state = State::Ended;
        } else if is_replaced {
            self.state = State::New;
        } else if self.plan.restart_policy.runs_again(code) {
            self.restart(context, now, actions);
        } else {
            self.state = State::Ended;
        }
    }

    fn restart(&mut self, context: &Context, now: Timestamp, actions: &mut Vec<Action>) {
        let wait = self.crashes.next_restart();
        if wait.is_zero() {
            self.state = State::New;
            return;
        }
        let (name, pod) = (&self.plan.name, &context.pod);
        let event = format!("Back-off restarting failed container {name} in pod {pod}");
        actions.push(note(context, Severity::Warning, "BackOff", event));
        let message = format!("back-off {} restarting failed container={name} pod={pod}", words(wait));
        self.wait("CrashLoopBackOff", message, Some(add(now, wait)));
    }

    fn count_run(&mut self) {
        self.restarts += u32::from(self.has_run);
        self.has_run = true;
    }

    pub(super) fn wait(&mut self, reason: &'static str, message: String, until: Option<Timestamp>) {
        self.state = State::Waiting { reason, message, until };
    }
}

fn note(context: &Context, severity: Severity, reason: &'static str, message: String) -> Action {
    Action::Record(Note { container: Some(context.index), severity, reason, message })
}

fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}
