//! What a container does about the answers to what was asked for it, and about its end.

use std::time::Duration;

use api::clock::add;
use api::event::Severity;
use jiff::Timestamp;

use super::super::super::plan::Role;
use super::super::back_off::{BackOff, words};
use super::super::message::{Action, ImageFailure, Note, StartFailure};
use super::{Cause, ContainerMachine, Context, Ending, Running, State, Termination};
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
                self.failed_pull = None;
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
        let failed = |why: &str| note(context.index, Severity::Warning, "Failed", format!("Error: {why}"));
        match answer {
            Ok(()) => {
                self.tries = BackOff::default();
                self.count_run();
                let created = "Container created".to_owned();
                actions.push(note(context.index, Severity::Normal, "Created", created));
                let started = "Container started".to_owned();
                actions.push(note(context.index, Severity::Normal, "Started", started));
                self.run(context.index, now, actions);
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
                self.terminated(termination, None, context, now, actions);
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
        let State::Running(Running { since, ending, .. }) = &self.state else {
            return;
        };
        let (since, cause) = (*since, ending.as_ref().map(Ending::cause));
        let termination = Termination {
            code: exit.code,
            reason: exit.reason.as_str().to_owned(),
            message: shortened(&exit.message),
            started: since,
            finished: now,
        };
        self.terminated(termination, cause, context, now, actions);
    }

    fn terminated(
        &mut self,
        termination: Termination,
        cause: Option<Cause>,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if add(termination.started, PROVEN_AFTER) <= now {
            self.crashes = BackOff::default();
        }
        let code = termination.code;
        self.before_last = self.last.replace(termination);
        self.has_passed |= self.plan.role == Role::Init && code == 0;
        if context.is_stopping {
            self.state = State::Ended;
        } else if cause == Some(Cause::Replaced) {
            self.state = State::New;
        } else if self.plan.runs_again(code) {
            // The kubelet looks at what had ended when it decided: that was the run before the one that fails its probes.
            let since = match cause {
                Some(Cause::Unhealthy) => self.before_last.as_ref().map(|before| before.finished),
                _ => Some(now),
            };
            self.restart(since, context, now, actions);
        } else {
            self.state = State::Ended;
        }
    }

    /// Has it run again when it has waited long enough `since`; without that, at once.
    fn restart(
        &mut self,
        since: Option<Timestamp>,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let wait = since.map_or(Duration::ZERO, |_| self.crashes.next_restart());
        let until = add(since.unwrap_or(now), wait);
        if until <= now {
            self.state = State::New;
            return;
        }
        let (name, pod) = (&self.plan.name, &context.pod);
        let event = format!("Back-off restarting failed container {name} in pod {pod}");
        actions.push(note(context.index, Severity::Warning, "BackOff", event));
        let message = format!("back-off {} restarting failed container={name} pod={pod}", words(wait));
        self.wait("CrashLoopBackOff", message, Some(until));
    }

    fn count_run(&mut self) {
        self.restarts += u32::from(self.has_run);
        self.has_run = true;
    }

    pub(super) fn wait(&mut self, reason: &'static str, message: String, until: Option<Timestamp>) {
        self.state = State::Waiting { reason, message, until };
    }
}

pub(super) fn note(index: usize, severity: Severity, reason: &'static str, message: String) -> Action {
    Action::Record(Note { container: Some(index), severity, reason, message })
}

fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}
