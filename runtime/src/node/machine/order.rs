//! The part of a pod's machine that decides in which order containers start and end.
//!
//! Those that come first start one after the other: what is to end has to succeed before the next is started, what runs beside
//! the others has to have started. Then the pod's own are started, and at the end what runs beside them ends after them, the last
//! to have been started first. What has once been passed is not waited for again.

use jiff::Timestamp;

use super::message::Action;
use super::{ContainerMachine, PodMachine, Role, Terms};

impl PodMachine {
    /// Starts what it is time to start.
    pub(super) fn start_containers(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let mut is_open = true;
        for (index, container) in self.containers.iter_mut().enumerate() {
            let role = container.plan().role;
            container.go_on(index, is_open || role == Role::Ephemeral, now, actions);
            is_open &= match role {
                Role::Init | Role::Sidecar => container.has_passed(),
                Role::Main | Role::Ephemeral => !container.is_before_hook(),
            };
        }
    }

    /// Ends those that live, each when it is its turn.
    pub(super) fn end_containers(&mut self, terms: Terms, now: Timestamp, actions: &mut Vec<Action>) {
        let is_sidecar = |container: &ContainerMachine| container.plan().role == Role::Sidecar;
        let (last, first): (Vec<usize>, Vec<usize>) =
            (0..self.containers.len()).partition(|index| is_sidecar(&self.containers[*index]));
        let mut has_turn = true;
        for index in first {
            let container = &mut self.containers[index];
            container.stop(index, &Terms { has_turn: true, ..terms }, now, actions);
            has_turn &= container.has_ended() || container.plan().role == Role::Ephemeral;
        }
        for index in last.into_iter().rev() {
            let container = &mut self.containers[index];
            container.stop(index, &Terms { has_turn, ..terms }, now, actions);
            has_turn &= container.has_ended();
        }
    }

    /// Whether all that comes before the pod's own containers is done or has been started.
    pub(super) fn is_initialized(&self) -> bool {
        let mut first = self.containers.iter().filter(|container| container.plan().role.comes_first());
        first.all(ContainerMachine::has_passed) || self.own_containers().any(ContainerMachine::has_run)
    }

    /// Whether one that had to succeed before the others has failed for good.
    pub(super) fn has_failed_early(&self) -> bool {
        let mut first = self.containers.iter().filter(|container| container.plan().role == Role::Init);
        first.any(|container| container.has_ended() && !container.has_passed())
    }

    /// Accounts for the containers of a pod that has ended. Those whose turn never came go on waiting.
    pub(super) fn close_containers(&mut self, now: Timestamp) {
        let is_initialized = self.is_initialized();
        let has_begun =
            |container: &ContainerMachine| container.plan().role.comes_first() && container.has_run();
        let reached = self.containers.iter().rposition(has_begun).unwrap_or(0);
        for (index, container) in self.containers.iter_mut().enumerate() {
            let is_expected = match container.plan().role {
                Role::Init | Role::Sidecar => index <= reached,
                Role::Main => is_initialized,
                Role::Ephemeral => true,
            };
            container.close(is_expected, now);
        }
    }
}
