//! The part of a pod's machine that decides how it ends.

use api::clock::add;
use jiff::Timestamp;

use super::message::{Action, Eviction};
use super::set_up::{waiting, warning};
use super::{ContainerMachine, Phase, PodMachine, Stage, Terms};

/// A pod that is ending.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stop {
    pub(super) deadline: Timestamp,
    /// Whether the pod was taken out of the way of new connections.
    is_drained: bool,
}

impl PodMachine {
    /// The earliest of all deadlines holds.
    pub(super) fn stop_by(&mut self, deadline: Timestamp) {
        match &mut self.stop {
            Some(stop) => stop.deadline = stop.deadline.min(deadline),
            None => {
                self.stop = Some(Stop { deadline, is_drained: false });
            }
        }
    }

    pub(super) fn active_deadline(&self) -> Option<Timestamp> {
        let is_active = self.stop.is_none() && self.ended.is_none();
        let span = self.plan.active_deadline.filter(|_| is_active)?;
        Some(add(self.start_time?, span))
    }

    pub(super) fn exceed(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let message = "Pod was active on the node longer than the specified deadline";
        actions.push(warning("DeadlineExceeded", message));
        self.verdict = Some(waiting("DeadlineExceeded", message.to_owned()));
        self.stop_by(add(now, self.plan.grace));
    }

    /// Ends the containers. Connections still come in as long as a hook runs: it may be there to wait until they stop coming.
    /// A pod that goes already, or has gone, is left alone.
    pub(super) fn evict(&mut self, eviction: Eviction, now: Timestamp, actions: &mut Vec<Action>) {
        if self.verdict.is_some() || self.ended.is_some() || self.plan.deletion.is_some() {
            return;
        }
        let Eviction { message, grace, is_for_the_node } = eviction;
        actions.push(warning("Evicted", &message));
        self.disruption = is_for_the_node.then(|| message.clone());
        self.verdict = Some(waiting("Evicted", message));
        self.stop_by(add(now, grace));
    }

    pub(super) fn stop_containers(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(stop) = &self.stop else { return };
        let terms = Terms { deadline: stop.deadline, is_forced: self.is_lost, has_turn: true };
        let mut ending = Vec::new();
        self.end_containers(terms, now, &mut ending);
        let is_hooked = self.containers.iter().any(ContainerMachine::is_in_last_hook);
        let stop = self.stop.as_mut().filter(|stop| !stop.is_drained && !is_hooked);
        if let Some(stop) = stop.filter(|_| self.stage == Stage::Running) {
            stop.is_drained = true;
            actions.push(Action::Drain);
        }
        actions.append(&mut ending);
    }

    /// Whether the pod's own containers have ended for good, or never will begin, while others still live.
    pub(super) fn is_abandoned(&self) -> bool {
        let is_left = self.stage == Stage::Running && self.stop.is_none();
        let is_done = self.own_containers().all(ContainerMachine::has_ended) || self.has_failed_early();
        is_left && is_done && !self.is_over()
    }

    /// Whether no container lives and none will, while the pod still holds what it was given.
    pub(super) fn is_over(&self) -> bool {
        let holds = !matches!(self.stage, Stage::Ended | Stage::Removing | Stage::Gone);
        let all_ended = self.containers.iter().all(ContainerMachine::has_ended);
        holds && all_ended && (self.stop.is_some() || self.stage == Stage::Running)
    }

    pub(super) fn end(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.close_containers(now);
        let has_succeeded =
            self.verdict.is_none() && self.own_containers().all(ContainerMachine::has_succeeded);
        self.ended = Some(if has_succeeded { Phase::Succeeded } else { Phase::Failed });
        self.problem = None;
        self.stage = Stage::Ended;
        actions.push(Action::Release);
    }
}
