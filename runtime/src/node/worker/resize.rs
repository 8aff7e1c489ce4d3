//! Gives the containers of a running pod the cpu and memory its object asks for now.

use std::time::Duration;

use api::clock::add;
use jiff::Timestamp;
use tracing::debug;

use super::{Worker, limits};
use crate::node::allocation::{Change, Obstacle};
use crate::node::machine::Event;
use crate::node::room::Shortage;

/// How long to wait before asking again for what there was no room for.
const RETRY: Duration = Duration::from_secs(10);

impl Worker {
    /// Gives what is asked for, if there is room for all of it.
    pub(super) fn resize(&mut self) {
        if !self.machine.is_running() {
            return;
        }
        let changes = self.allocation.changes(self.pod());
        let obstacle = if changes.is_empty() { None } else { self.obstacle(&changes) };
        if obstacle.is_none() {
            changes.iter().for_each(|change| self.give(change));
        }
        self.resize_at = obstacle.as_ref().map(|_| add(self.now(), RETRY));
        if self.allocation.set_obstacle(obstacle) || !changes.is_empty() {
            self.reporter.touch();
        }
    }

    /// When to ask again.
    pub(super) fn resize_at(&self) -> Option<Timestamp> {
        self.resize_at.filter(|_| self.machine.is_running())
    }

    /// Why what is asked for cannot be given; takes the room for it otherwise.
    fn obstacle(&mut self, changes: &[Change]) -> Option<Obstacle> {
        let since = self.now();
        let too_low = changes.iter().find_map(|change| self.is_below_use(change));
        if let Some(message) = too_low {
            return Some(Obstacle { condition: "PodResizeInProgress", reason: "Error", message, since });
        }
        let object = self.object.clone();
        let pod = object.typed().ok()?;
        let shortage = self.node.rooms.resize(self.room.as_mut()?, pod).err()?;
        let (reason, message) = match shortage {
            Shortage::Ever(message) => ("Infeasible", message),
            Shortage::Now(message) => ("Deferred", message),
        };
        Some(Obstacle { condition: "PodResizePending", reason, message, since })
    }

    /// What is in use is not taken away, so a lower limit waits.
    fn is_below_use(&self, change: &Change) -> Option<String> {
        let limit = limits::limit_bytes(Some(&change.wanted))?;
        let limits = self.place_of(&change.container)?.1.limits.as_ref()?;
        let used = limits.memory_used();
        let falls = limits.memory_limit().is_none_or(|before| limit < before);
        (falls && limit < used && !change.needs_restart).then(|| {
            format!("attempting to set container memory limit ({limit}) below current usage ({used})")
        })
    }

    fn give(&mut self, change: &Change) {
        debug!(container = change.container, "resized");
        self.allocation.give(change);
        let Some((index, place)) = self.place_of(&change.container) else {
            return;
        };
        let Some(limits) = &place.limits else {
            return;
        };
        if change.needs_restart {
            return self.tell(Event::Resized(index));
        }
        let wanted = Some(&change.wanted);
        limits.resize(limits::limit_bytes(wanted), limits::limit_millis(wanted));
    }

    fn place_of(&self, container: &str) -> Option<(usize, &super::container::Place)> {
        let index = self.machine.containers().iter().position(|known| known.name() == container)?;
        Some((index, &self.places[index]))
    }
}
