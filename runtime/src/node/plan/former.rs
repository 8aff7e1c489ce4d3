//! What an earlier run of the node process left in a pod's status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::machine::{Phase, Termination};

/// The life a pod had before this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Former {
    /// Its phase, if that was its last.
    pub ended: Option<Phase>,
    /// Since when a node knew it.
    pub start_time: Option<Timestamp>,
    /// Its containers, in the order of its plan; those without a status are new.
    pub containers: Vec<FormerContainer>,
}

/// The life a container had before this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FormerContainer {
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it ran, if it ran.
    pub running_since: Option<Timestamp>,
    /// How it ended, if it has.
    pub last: Option<Termination>,
    /// What it ran.
    pub image_id: String,
}

impl FormerContainer {
    /// Whether it ran at least once.
    pub fn has_run(&self) -> bool {
        self.restarts > 0 || self.running_since.is_some() || self.last.is_some()
    }
}

impl Former {
    /// Reads a pod's status.
    pub fn of(pod: &Pod) -> Self {
        let Some(status) = &pod.status else {
            return Self::default();
        };
        let first = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let own = pod.spec.iter().flat_map(|spec| &spec.containers);
        let added = pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
        let first = first.map(|container| of_container(&status.init_container_statuses, &container.name));
        let own = own.map(|container| of_container(&status.container_statuses, &container.name));
        let added = added.map(|added| of_container(&status.ephemeral_container_statuses, &added.name));
        Self {
            ended: match status.phase.as_deref() {
                Some("Succeeded") => Some(Phase::Succeeded),
                Some("Failed") => Some(Phase::Failed),
                _ => None,
            },
            start_time: status.start_time.as_ref().map(|time| time.0),
            containers: first.chain(own).chain(added).collect(),
        }
    }
}

fn of_container(statuses: &Option<Vec<ContainerStatus>>, name: &str) -> FormerContainer {
    let Some(status) = statuses.iter().flatten().find(|status| status.name == name) else {
        return FormerContainer::default();
    };
    let running = status.state.as_ref().and_then(|state| state.running.as_ref());
    FormerContainer {
        restarts: u32::try_from(status.restart_count).unwrap_or(0),
        running_since: running.map(|running| time(running.started_at.as_ref())),
        last: last_termination(status).map(termination),
        image_id: status.image_id.clone(),
    }
}

fn last_termination(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let states = [&status.state, &status.last_state];
    states.into_iter().flatten().find_map(|state| state.terminated.as_ref())
}

fn termination(terminated: &ContainerStateTerminated) -> Termination {
    Termination {
        code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
        started: time(terminated.started_at.as_ref()),
        finished: time(terminated.finished_at.as_ref()),
    }
}

fn time(time: Option<&Time>) -> Timestamp {
    time.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}
