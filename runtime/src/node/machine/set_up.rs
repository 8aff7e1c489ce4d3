//! The part of a pod's machine that decides how it gets room, an address and volumes.

use std::net::IpAddr;

use api::clock::add;
use api::event::Severity;
use jiff::Timestamp;

use super::back_off::BackOff;
use super::message::{Action, MountFailure, Note, Refusal};
use super::{Phase, PodMachine, Problem, Stage};

impl PodMachine {
    pub(super) fn begin(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.start_time.get_or_insert(now);
        if let Some(message) = &self.plan.unsupported {
            actions.push(warning("Unsupported", message));
            self.problem = Some(waiting("CreateContainerConfigError", message.clone()));
            self.stage = Stage::Refused;
        } else {
            if let Some(message) = &self.plan.ignored {
                actions.push(warning("Unsupported", message));
            }
            self.stage = Stage::Admitting;
            actions.push(Action::Admit);
        }
    }

    pub(super) fn admitted(&mut self, answer: Result<(), Refusal>, actions: &mut Vec<Action>) {
        if self.stage != Stage::Admitting {
            return;
        }
        match answer {
            Ok(()) => {
                self.stage = Stage::Attaching(None);
                actions.push(Action::Attach);
            }
            Err(refusal) => {
                actions.push(warning(refusal.reason, &refusal.message));
                let message = format!("Pod was rejected: {}", refusal.message);
                self.verdict = Some(waiting(refusal.reason, message));
                self.ended = Some(Phase::Failed);
                self.stage = Stage::Ended;
            }
        }
    }

    pub(super) fn attached(
        &mut self,
        answer: Result<IpAddr, String>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if self.stage != Stage::Attaching(None) {
            return;
        }
        match answer {
            Ok(address) => {
                self.address = Some(address);
                self.set_up = BackOff::default();
                self.problem = None;
                self.stage = Stage::Mounting(None);
                actions.push(Action::SetUp);
            }
            Err(message) => {
                let message = format!("Failed to create pod sandbox: {message}");
                actions.push(warning("FailedCreatePodSandBox", &message));
                self.problem = Some(waiting(self.creating(), message));
                self.stage = Stage::Attaching(Some(add(now, self.set_up.next_retry())));
            }
        }
    }

    pub(super) fn mounted(
        &mut self,
        answer: Result<(), MountFailure>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if self.stage != Stage::Mounting(None) {
            return;
        }
        match answer {
            Ok(()) => {
                self.problem = None;
                self.stage = Stage::Running;
            }
            Err(failure) => {
                actions.push(warning("FailedMount", &failure.message));
                if failure.is_final {
                    self.problem = Some(waiting("FailedMount", failure.message));
                    self.stage = Stage::Refused;
                } else {
                    self.problem = Some(waiting(self.creating(), failure.message));
                    self.stage = Stage::Mounting(Some(add(now, self.set_up.next_mount())));
                }
            }
        }
    }

    /// What was missing may be there now.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        if matches!(self.stage, Stage::Mounting(Some(_))) {
            self.stage = Stage::Mounting(Some(now));
        }
        self.containers.iter_mut().for_each(|container| container.look_again(now));
    }
}

pub(super) fn waiting(reason: &str, message: String) -> Problem {
    Problem { reason: reason.to_owned(), message }
}

pub(super) fn warning(reason: &'static str, message: &str) -> Action {
    Action::Record(Note { container: None, severity: Severity::Warning, reason, message: message.to_owned() })
}
