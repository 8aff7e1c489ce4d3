//! What a pod's object asks of the node, reduced to what the machine decides on.

mod ephemeral;
mod former;
mod unsupported;

use std::sync::Arc;
use std::time::Duration;

use api::{Key, Object};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

pub use ephemeral::plain;
pub use former::{Former, FormerContainer};

/// What a pod asks for, as its object says now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodPlan {
    /// Namespace and name.
    pub key: Key,
    /// Tells it from other pods of the same name.
    pub uid: Arc<str>,
    /// Counts the changes of its spec.
    pub generation: Option<i64>,
    /// How long containers may take to end when they are ended for the pod's own sake.
    pub grace: Duration,
    /// How long the pod may take to end, if its deletion was asked for.
    pub deletion: Option<Duration>,
    /// How long the pod may be active.
    pub active_deadline: Option<Duration>,
    /// Its containers, in order. Those that are added while it runs come last, and only they can become more.
    pub containers: Vec<ContainerPlan>,
    /// Conditions of others that the pod waits for to be ready: name and, if there is one, status.
    pub gates: Vec<(String, Option<String>)>,
    /// The first field that asks for something Peapod does not do yet, with the words for it.
    pub unsupported: Option<String>,
    /// What it asks for in vain, in a sentence: the pod runs without.
    pub ignored: Option<String>,
}

/// What a container asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerPlan {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Where the image may come from.
    pub pull_policy: PullPolicy,
    /// Whether it runs again after it ended.
    pub restart_policy: RestartPolicy,
    /// Whether it was added to look at the others. The pod neither waits for it nor lasts or fails because of it.
    pub is_ephemeral: bool,
    /// The first field of an ephemeral container that asks for something Peapod does not do yet, with the words for it.
    pub unsupported: Option<String>,
}

/// When a container runs again after it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Always.
    Always,
    /// If it ended with another code than 0.
    OnFailure,
    /// Never.
    Never,
}

impl RestartPolicy {
    /// Whether a container that ended with this code runs again.
    pub fn runs_again(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

/// Where an image may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PullPolicy {
    /// It is pulled before each start.
    Always,
    /// It is pulled if it is not there.
    IfNotPresent,
    /// It must be there.
    Never,
}

/// As in Kubernetes.
const DEFAULT_GRACE_SECONDS: i64 = 30;

impl PodPlan {
    /// Reads a pod's object.
    pub fn of(object: &Object, pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let deletion_seconds = object.metadata().deletion_grace_period_seconds.unwrap_or(0);
        Self {
            key: object.key(),
            uid: object.uid().into(),
            generation: object.metadata().generation,
            grace: seconds(
                spec.and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(DEFAULT_GRACE_SECONDS),
            ),
            deletion: object.is_terminating().then(|| seconds(deletion_seconds)),
            active_deadline: spec.and_then(|spec| spec.active_deadline_seconds).map(seconds),
            containers: spec.map(containers).unwrap_or_default(),
            gates: gates(pod),
            unsupported: spec.and_then(unsupported::first),
            ignored: spec.and_then(unsupported::ignored),
        }
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn restart_policy(spec: &PodSpec) -> RestartPolicy {
    match spec.restart_policy.as_deref() {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

fn containers(spec: &PodSpec) -> Vec<ContainerPlan> {
    let policy = restart_policy(spec);
    let own = spec.containers.iter().map(|own| container(own, policy));
    let added = spec.ephemeral_containers.iter().flatten().enumerate().map(|(index, added)| {
        let added = plain(added);
        let unsupported = unsupported::of_ephemeral(index, &added);
        ContainerPlan { is_ephemeral: true, unsupported, ..container(&added, RestartPolicy::Never) }
    });
    own.chain(added).collect()
}

fn container(container: &Container, restart_policy: RestartPolicy) -> ContainerPlan {
    ContainerPlan {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        pull_policy: match container.image_pull_policy.as_deref() {
            Some("Never") => PullPolicy::Never,
            Some("Always") => PullPolicy::Always,
            _ => PullPolicy::IfNotPresent,
        },
        restart_policy,
        is_ephemeral: false,
        unsupported: None,
    }
}

fn gates(pod: &Pod) -> Vec<(String, Option<String>)> {
    let wanted = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let status_of = |name: &str| {
        let conditions = pod.status.as_ref()?.conditions.as_ref()?;
        let condition = conditions.iter().find(|condition| condition.type_ == name)?;
        Some(condition.status.clone())
    };
    wanted.map(|gate| (gate.condition_type.clone(), status_of(&gate.condition_type))).collect()
}
