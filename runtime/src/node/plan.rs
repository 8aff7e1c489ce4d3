//! What a pod's object asks of the node, reduced to what the machine decides on.

mod ephemeral;
mod former;
mod restarts;
mod role;
mod unsupported;

use std::sync::Arc;
use std::time::Duration;

use api::{Key, Object};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

pub use ephemeral::plain;
pub use former::{Former, FormerContainer};
pub use restarts::{RestartPolicy, Restarts};
pub use role::Role;

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
    /// Its containers: those that come before the others and those that run beside them, in order, then the pod's own,
    /// then those that are added while it runs. Only these can become more.
    pub containers: Vec<ContainerPlan>,
    /// Conditions of others that the pod waits for to be ready: name and, if there is one, status.
    pub gates: Vec<(String, Option<String>)>,
    /// The first field that asks for something Peapod does not do yet, with the words for it.
    pub unsupported: Option<String>,
    /// What it asks for in vain, in a sentence: the pod runs without.
    pub ignored: Option<String>,
}

/// What a container asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContainerPlan {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Where the image may come from.
    pub pull_policy: PullPolicy,
    /// What it is in its pod.
    pub role: Role,
    /// Whether it runs again after it ended.
    pub restarts: Restarts,
    /// Its hooks.
    pub hooks: Hooks,
    /// Its probes.
    pub probes: Probes,
    /// The first field of an ephemeral container that asks for something Peapod does not do yet, with the words for it.
    pub unsupported: Option<String>,
}

impl ContainerPlan {
    /// Whether it runs again after it ended with this code. What comes before the others has done its part when it succeeded.
    pub fn runs_again(&self, code: i32) -> bool {
        (self.role != Role::Init || code != 0) && self.restarts.runs_again(code)
    }
}

/// Which hooks a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hooks {
    /// One that runs when it has been started.
    pub post_start: bool,
    /// One that runs before it is asked to end.
    pub pre_stop: bool,
}

impl Hooks {
    fn of(container: &Container) -> Self {
        let hooks = container.lifecycle.as_ref();
        Self {
            post_start: hooks.is_some_and(|hooks| hooks.post_start.is_some()),
            pre_stop: hooks.is_some_and(|hooks| hooks.pre_stop.is_some()),
        }
    }
}

/// Which probes say something about how far a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Probes {
    /// One that says that it has started.
    pub startup: bool,
    /// One that says whether it is ready.
    pub readiness: bool,
}

/// Where an image may come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PullPolicy {
    /// It is pulled before each start.
    Always,
    /// It is pulled if it is not there.
    #[default]
    IfNotPresent,
    /// It must be there.
    Never,
}

/// As in Kubernetes.
const DEFAULT_GRACE_SECONDS: i64 = 30;

impl PodPlan {
    /// `name_namespace(uid)`, as Kubernetes' messages have it.
    pub fn full_name(&self) -> String {
        format!("{}_{}({})", self.key.name, self.key.namespace, self.uid)
    }

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

fn containers(spec: &PodSpec) -> Vec<ContainerPlan> {
    let first =
        spec.init_containers.iter().flatten().map(|first| container(first, Role::of_init(first), spec));
    let own = spec.containers.iter().map(|own| container(own, Role::Main, spec));
    let added = spec.ephemeral_containers.iter().flatten().enumerate().map(|(index, added)| {
        let added = plain(added);
        let unsupported = unsupported::of_ephemeral(index, &added);
        ContainerPlan { unsupported, ..container(&added, Role::Ephemeral, spec) }
    });
    first.chain(own).chain(added).collect()
}

fn container(container: &Container, role: Role, spec: &PodSpec) -> ContainerPlan {
    ContainerPlan {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        pull_policy: match container.image_pull_policy.as_deref() {
            Some("Never") => PullPolicy::Never,
            Some("Always") => PullPolicy::Always,
            _ => PullPolicy::IfNotPresent,
        },
        role,
        restarts: Restarts::of(container, role, spec),
        hooks: Hooks::of(container),
        probes: Probes {
            startup: container.startup_probe.is_some(),
            readiness: container.readiness_probe.is_some(),
        },
        ..ContainerPlan::default()
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
