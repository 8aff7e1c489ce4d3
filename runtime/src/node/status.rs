//! What a pod's machine means in the words of a pod's status. Pure.

mod quality;

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(super) use quality::class;

use super::allocation::{self, Allocation};
use super::machine::{Condition, ContainerMachine, Health, Phase, PodMachine, State, Termination};
use super::plan::Role;

/// The status of the pod: what the machine says, and what others have said in `pod`.
pub fn status(machine: &PodMachine, pod: &Pod, allocation: &Allocation, host_address: IpAddr) -> PodStatus {
    let known = pod.status.as_ref();
    let address = machine.address().map(|address| address.to_string());
    let verdict = machine.verdict();
    let list = |is_in: fn(Role) -> bool| -> Vec<ContainerStatus> {
        let listed = machine.containers().iter().filter(|container| is_in(container.plan().role));
        let listed = listed.map(|container| {
            let status = shortened(container_status(machine, container), machine);
            with_resources(status, pod, allocation)
        });
        listed.collect()
    };
    let first = list(Role::comes_first);
    let added = list(|role| role == Role::Ephemeral);
    PodStatus {
        phase: Some(phase(machine.phase()).to_owned()),
        reason: verdict.map(|verdict| verdict.reason.clone()),
        message: verdict.map(|verdict| verdict.message.clone()),
        conditions: Some(conditions(machine, allocation, known)),
        init_container_statuses: (!first.is_empty()).then_some(first),
        container_statuses: Some(list(|role| role == Role::Main)),
        ephemeral_container_statuses: (!added.is_empty()).then_some(added),
        host_ip: Some(host_address.to_string()),
        host_ips: Some(vec![HostIP { ip: host_address.to_string() }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        start_time: machine.start_time().map(whole_seconds),
        qos_class: match known.and_then(|known| known.qos_class.clone()) {
            Some(class) => Some(class),
            None => Some(class(pod).to_owned()),
        },
        observed_generation: machine.plan().generation,
        ..PodStatus::default()
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    }
}

/// Ours, but for one that another has set first, and those of others.
fn conditions(machine: &PodMachine, allocation: &Allocation, known: Option<&PodStatus>) -> Vec<PodCondition> {
    let known = known.and_then(|known| known.conditions.as_deref()).unwrap_or_default();
    let find = |name: &str| known.iter().find(|condition| condition.type_ == name);
    let ours = machine.conditions();
    let is_ours = |name: &str| {
        ours.iter().any(|condition| condition.name == name) || allocation::CONDITIONS.contains(&name)
    };
    let is_foreign = |known: &&PodCondition| !is_ours(&known.type_);
    let foreign = known.iter().filter(is_foreign);
    let all = ours.iter().map(|condition| match find(condition.name) {
        // The scheduler says when it has placed the pod.
        Some(scheduled) if condition.name == "PodScheduled" => scheduled.clone(),
        _ => pod_condition(condition, machine.plan().generation),
    });
    let obstacle = allocation.obstacle().filter(|_| !machine.phase().is_final());
    let resize = obstacle.map(|obstacle| PodCondition {
        type_: obstacle.condition.to_owned(),
        status: "True".to_owned(),
        reason: filled(obstacle.reason),
        message: filled(&obstacle.message),
        last_transition_time: Some(whole_seconds(obstacle.since)),
        observed_generation: machine.plan().generation,
        last_probe_time: None,
    });
    all.chain(resize).chain(foreign.cloned()).collect()
}

fn pod_condition(condition: &Condition, generation: Option<i64>) -> PodCondition {
    PodCondition {
        type_: condition.name.to_owned(),
        status: if condition.holds { "True" } else { "False" }.to_owned(),
        reason: filled(condition.reason),
        message: filled(&condition.message),
        last_transition_time: Some(whole_seconds(condition.since)),
        observed_generation: generation,
        last_probe_time: None,
    }
}

fn container_status(machine: &PodMachine, container: &ContainerMachine) -> ContainerStatus {
    let plan = machine.plan();
    let runs = container.restarts() + u32::from(container.has_run());
    let id_of_run = |run: u32| format!("peapod://{}/{}/{run}", plan.uid, container.name());
    let id = (runs > 0).then(|| id_of_run(runs - 1));
    // While it waits, its last run is also its last state.
    let is_between = !container.is_running() && *container.state() != State::Ended;
    let last_id = if is_between { id.clone() } else { runs.checked_sub(2).map(id_of_run) };
    let (state, last) = match (container.state(), container.last()) {
        (State::Ended, Some(last)) => (terminated(last, id.clone()), container.before_last()),
        (state, last) => (present(machine, state), last),
    };
    // Those that are added are not waited for, so nothing calls them ready.
    let is_added = container.plan().role == Role::Ephemeral;
    ContainerStatus {
        name: container.name().to_owned(),
        image: container.plan().image.clone(),
        image_id: container.image_id().to_owned(),
        container_id: id,
        ready: container.is_ready() && !is_added,
        started: (!is_added).then(|| container.has_started()),
        restart_count: i32::try_from(container.restarts()).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: last.map(|last| terminated(last, last_id)),
        ..ContainerStatus::default()
    }
}

/// What it has been given, once it has run.
fn with_resources(status: ContainerStatus, pod: &Pod, allocation: &Allocation) -> ContainerStatus {
    if status.container_id.is_none() {
        return status;
    }
    let spec = pod.spec.as_ref();
    let mut first = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let asked = || first.find(|container| container.name == status.name)?.resources.clone();
    let given = allocation.of_container(&status.name).cloned().or_else(asked).unwrap_or_default();
    ContainerStatus { allocated_resources: given.requests.clone(), resources: Some(given), ..status }
}

/// The containers of a pod share the bytes there are for their last words.
fn shortened(mut status: ContainerStatus, machine: &PodMachine) -> ContainerStatus {
    let share = LAST_WORDS_BYTES / machine.containers().len().max(1);
    for state in [&mut status.state, &mut status.last_state].into_iter().flatten() {
        let message = state.terminated.as_mut().and_then(|terminated| terminated.message.as_mut());
        if let Some(message) = message {
            message.truncate(message.floor_char_boundary(share));
        }
    }
    status
}

/// As in Kubernetes.
const LAST_WORDS_BYTES: usize = 12 << 10;

fn present(machine: &PodMachine, state: &State) -> ContainerState {
    match (state, machine.problem()) {
        (State::Running(running), _) if running.health > Health::Hooked => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(whole_seconds(running.since)) }),
            ..ContainerState::default()
        },
        (State::Waiting { reason, message, .. }, _) => waiting(reason, message),
        (_, Some(problem)) => waiting(&problem.reason, &problem.message),
        _ => waiting(machine.creating(), ""),
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message: filled(message) }),
        ..ContainerState::default()
    }
}

fn terminated(termination: &Termination, container_id: Option<String>) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: termination.code,
            reason: filled(&termination.reason),
            message: filled(&termination.message),
            started_at: Some(whole_seconds(termination.started)),
            finished_at: Some(whole_seconds(termination.finished)),
            container_id,
            signal: None,
        }),
        ..ContainerState::default()
    }
}

/// As the API keeps times: a status that was written and read again is equal to itself.
fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
