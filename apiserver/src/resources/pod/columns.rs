//! How kubectl shows pods: above all one word that says what a pod is up to.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStatus, Pod, PodSpec, PodStatus};
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, NONE, text};

/// The columns.
pub const COLUMNS: &[Column] = &[
    cells::NAME,
    text("Ready", "How many of the containers are ready."),
    text("Status", "What the pod is doing, or why it cannot."),
    text("Restarts", "How often its containers were restarted, and when last."),
    cells::AGE,
    text("IP", "Address of the pod.").wide(),
    text("Node", "Node the pod runs on.").wide(),
    text("Nominated Node", "Node on which room is being made for the pod.").wide(),
    text("Readiness Gates", "How many of the pod's own conditions for readiness are met.").wide(),
];

/// The cells.
pub fn row(pod: &Pod, now: Timestamp) -> Vec<Value> {
    let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    let summary = Summary::of(pod, spec, status);
    let address = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).next();
    vec![
        cells::name(&pod.metadata),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.word.into(),
        match summary.last_restart.filter(|_| summary.restarts != 0) {
            Some(last) => format!("{} ({} ago)", summary.restarts, cells::since(Some(last), now)).into(),
            None => summary.restarts.to_string().into(),
        },
        cells::age(&pod.metadata, now),
        cells::or(address.or(status.pod_ip.as_deref()), NONE),
        cells::or(spec.node_name.as_deref(), NONE),
        cells::or(status.nominated_node_name.as_deref(), NONE),
        gates(spec, status).into(),
    ]
}

/// Conditions of others that must hold before the pod is ready.
fn gates(spec: &PodSpec, status: &PodStatus) -> String {
    let gates = spec.readiness_gates.as_deref().unwrap_or_default();
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let met = gates.iter().filter(|gate| holds(status, &gate.condition_type)).count();
    format!("{met}/{}", gates.len())
}

fn holds(status: &PodStatus, condition: &str) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|known| known.type_ == condition && known.status == "True")
}

/// What the containers are up to, taken together.
struct Summary {
    word: String,
    ready: usize,
    total: usize,
    restarts: i32,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Pod, spec: &PodSpec, status: &PodStatus) -> Self {
        let mut summary = Self {
            word: opening_word(status),
            ready: 0,
            total: spec.containers.len() + spec.init_containers.iter().flatten().filter(sidecar).count(),
            restarts: 0,
            last_restart: None,
        };
        let initialized = summary.initialize(spec, status);
        if initialized || holds(status, "Initialized") {
            summary.run(spec, status);
        }
        if pod.metadata.deletion_timestamp.is_some() {
            if status.reason.as_deref() == Some("NodeLost") {
                summary.word = "Unknown".to_owned();
            } else if !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
                summary.word = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Goes through the init containers up to the first that has not done its part; false if there is one.
    fn initialize(&mut self, spec: &PodSpec, status: &PodStatus) -> bool {
        let init_containers = spec.init_containers.as_deref().unwrap_or_default();
        for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
            self.count(container);
            let state = container.state.as_ref();
            if state.and_then(|state| state.terminated.as_ref()).is_some_and(|ended| ended.exit_code == 0) {
                continue;
            }
            if container.started == Some(true) && is_sidecar(spec, &container.name) {
                self.ready += usize::from(container.ready);
                continue;
            }
            let why = match (ended(state), waiting(state)) {
                (Some(why), _) => why,
                (None, Some(why)) if why != "PodInitializing" => why.to_owned(),
                _ => format!("{index}/{}", init_containers.len()),
            };
            self.word = format!("Init:{why}");
            return false;
        }
        true
    }

    /// Goes through the containers. Restarts of init containers that have done their part count no more.
    fn run(&mut self, spec: &PodSpec, status: &PodStatus) {
        (self.restarts, self.last_restart) = (0, None);
        let init_containers = status.init_container_statuses.iter().flatten();
        init_containers.filter(|known| is_sidecar(spec, &known.name)).for_each(|known| self.count(known));
        let mut is_running = false;
        for container in status.container_statuses.iter().flatten().rev() {
            self.count(container);
            let state = container.state.as_ref();
            if let Some(why) = waiting(state).map(str::to_owned).or_else(|| ended(state)) {
                self.word = why;
            } else if container.ready && state.is_some_and(|state| state.running.is_some()) {
                is_running = true;
                self.ready += 1;
            }
        }
        if self.word == "Completed" && is_running {
            let word = if holds(status, "Ready") { "Running" } else { "NotReady" };
            self.word = word.to_owned();
        }
    }

    fn count(&mut self, container: &ContainerStatus) {
        self.restarts += container.restart_count;
        let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let ended = last.and_then(|ended| ended.finished_at.as_ref()).map(|time| time.0);
        self.last_restart = self.last_restart.max(ended);
    }
}

/// What the pod itself says, before its containers are asked.
fn opening_word(status: &PodStatus) -> String {
    let mut conditions = status.conditions.iter().flatten();
    let gated = |reason: &Option<String>| reason.as_deref() == Some("SchedulingGated");
    if conditions.any(|known| known.type_ == "PodScheduled" && gated(&known.reason)) {
        return "SchedulingGated".to_owned();
    }
    let said = [&status.reason, &status.phase].into_iter().flatten().find(|word| !word.is_empty());
    said.cloned().unwrap_or_default()
}

/// Why a container waits, if it says so.
fn waiting(state: Option<&ContainerState>) -> Option<&str> {
    state?.waiting.as_ref()?.reason.as_deref().filter(|reason| !reason.is_empty())
}

/// How a container ended, if it did.
fn ended(state: Option<&ContainerState>) -> Option<String> {
    let ended = state?.terminated.as_ref()?;
    Some(match (ended.reason.as_deref(), ended.signal) {
        (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
        (_, Some(signal)) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", ended.exit_code),
    })
}

/// An init container that goes on running beside the others.
fn sidecar(container: &&Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn is_sidecar(spec: &PodSpec, name: &str) -> bool {
    spec.init_containers.iter().flatten().filter(sidecar).any(|container| container.name == name)
}

#[cfg(test)]
mod tests;
