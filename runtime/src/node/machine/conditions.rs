//! The conditions of a pod, each with the time at which it last turned.

use jiff::Timestamp;

use super::{ContainerMachine, Phase, PodMachine, Role};

/// The conditions the node answers for, in the order of its reports.
pub type Conditions = Vec<Condition>;

/// One condition of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why not, in one word; empty if it holds and that is as it should be.
    pub reason: &'static str,
    /// Why not, in a sentence; may be empty.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// The conditions of the pod at `now`. One that has not turned keeps its time.
pub(super) fn of(machine: &PodMachine, now: Timestamp) -> Conditions {
    let has_sandbox = machine.address.is_some() && machine.ended.is_none();
    let containers = containers_ready(machine);
    let ready = if containers.0 { gates_open(machine) } else { containers.clone() };
    let initialized = initialized(machine);
    let scheduled = (true, "", String::new());
    let conditions = [
        ("PodReadyToStartContainers", (has_sandbox, "", String::new())),
        ("Initialized", initialized),
        ("Ready", ready),
        ("ContainersReady", containers),
        ("PodScheduled", scheduled),
    ];
    let disrupted = |message: &String| ("DisruptionTarget", (true, "TerminationByKubelet", message.clone()));
    let conditions = conditions.into_iter().chain(machine.disruption.iter().map(disrupted));
    let known = |name, holds| {
        let mut known = machine.conditions.iter();
        known.find(|known| known.name == name && known.holds == holds)
    };
    let conditions = conditions.map(|(name, (holds, reason, message))| Condition {
        name,
        holds,
        reason,
        message,
        since: known(name, holds).map_or(now, |known| known.since),
    });
    conditions.collect()
}

type Verdict = (bool, &'static str, String);

fn initialized(machine: &PodMachine) -> Verdict {
    if machine.ended == Some(Phase::Succeeded) {
        return (true, "PodCompleted", String::new());
    }
    if machine.is_initialized() {
        return (machine.start_time.is_some(), "", String::new());
    }
    let first = machine.containers.iter().filter(|container| container.plan().role.comes_first());
    let incomplete = first.filter(|container| match container.plan().role {
        Role::Sidecar => !container.has_started(),
        _ => !container.is_ready(),
    });
    (false, "ContainersNotInitialized", format!("containers with incomplete status: {}", names(incomplete)))
}

fn containers_ready(machine: &PodMachine) -> Verdict {
    match machine.ended {
        Some(Phase::Succeeded) => return (false, "PodCompleted", String::new()),
        Some(_) => return (false, "PodFailed", String::new()),
        None => {}
    }
    let lasting = |role| matches!(role, Role::Sidecar | Role::Main);
    let lasting = machine.containers.iter().filter(|container| lasting(container.plan().role));
    let mut unready = lasting.filter(|container| !container.is_ready()).peekable();
    if unready.peek().is_none() {
        return (true, "", String::new());
    }
    (false, "ContainersNotReady", format!("containers with unready status: {}", names(unready)))
}

fn names<'a>(containers: impl Iterator<Item = &'a ContainerMachine>) -> String {
    let names: Vec<&str> = containers.map(ContainerMachine::name).collect();
    format!("[{}]", names.join(" "))
}

fn gates_open(machine: &PodMachine) -> Verdict {
    let closed = machine.plan.gates.iter().filter(|(_, status)| status.as_deref() != Some("True"));
    let sentences = closed.map(|(name, status)| match status {
        None => format!("corresponding condition of pod readiness gate {name:?} does not exist."),
        Some(status) => {
            format!("the status of pod readiness gate {name:?} is not \"True\", but {status}")
        }
    });
    let sentences: Vec<String> = sentences.collect();
    if sentences.is_empty() {
        (true, "", String::new())
    } else {
        (false, "ReadinessGatesNotReady", sentences.join(", "))
    }
}
