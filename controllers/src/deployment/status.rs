//! What a Deployment's status says.

use api::resource::DEPLOYMENTS;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use serde_json::{Map, Value, json};

use super::{Rollout, conditions, counts};
use crate::framework::Action;
use crate::typed::Typed;

/// The numbers of a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) replicas: i32,
    pub(super) updated: i32,
    pub(super) ready: i32,
    pub(super) available: i32,
    pub(super) unavailable: i32,
    pub(super) observed_generation: i64,
}

impl Numbers {
    /// What the status says.
    pub(super) fn said(deployment: &Deployment) -> Self {
        let default = DeploymentStatus::default();
        let status = deployment.status.as_ref().unwrap_or(&default);
        Self {
            replicas: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            unavailable: status.unavailable_replicas.unwrap_or(0),
            observed_generation: status.observed_generation.unwrap_or(0),
        }
    }

    /// What it is to say.
    pub(super) fn count(rollout: &Rollout<'_>) -> Self {
        let mut numbers = Self {
            observed_generation: rollout.deployment.metadata.generation.unwrap_or(0),
            ..Self::default()
        };
        let mut asked = 0;
        for set in rollout.all() {
            asked += counts(set).replicas;
            let Some(status) = &set.status else { continue };
            numbers.replicas += status.replicas;
            numbers.ready += status.ready_replicas.unwrap_or(0);
            numbers.available += status.available_replicas.unwrap_or(0);
        }
        let new = rollout.new.and_then(|new| new.status.as_ref());
        numbers.updated = new.map_or(0, |status| status.replicas);
        numbers.unavailable = (asked - numbers.available).max(0);
        numbers
    }
}

/// Whether the rollout has come to its end.
pub(super) fn is_complete(rollout: &Rollout<'_>) -> bool {
    let (numbers, desired) = (Numbers::count(rollout), rollout.bounds.desired);
    numbers.updated == desired && numbers.replicas == desired && numbers.available == desired
}

/// The change of the status, if it says something else by now. `creates`: the new ReplicaSet is being made.
pub(super) fn change(rollout: &Rollout<'_>, creates: bool, now: Timestamp) -> Option<Action> {
    let (old, new) = (Numbers::said(rollout.deployment), Numbers::count(rollout));
    let mut status = Map::new();
    let mut put = |name: &str, old: i64, new: i64| {
        if old != new {
            // Absent and nought are the same, and absent is how it is written.
            let value = if new == 0 { Value::Null } else { new.into() };
            status.insert(name.into(), value);
        }
    };
    put("replicas", old.replicas.into(), new.replicas.into());
    put("updatedReplicas", old.updated.into(), new.updated.into());
    put("readyReplicas", old.ready.into(), new.ready.into());
    put("availableReplicas", old.available.into(), new.available.into());
    put("unavailableReplicas", old.unavailable.into(), new.unavailable.into());
    put("observedGeneration", old.observed_generation, new.observed_generation);
    if let Some(conditions) = conditions::change(rollout, &new, creates, now) {
        status.insert("conditions".into(), conditions.into());
    }
    let merge = json!({"status": status});
    (!status.is_empty()).then(|| Action::patch(&DEPLOYMENTS, rollout.deployment.object(), "status", merge))
}

/// The name of the next ReplicaSet is taken by another one: the next try gets another name.
pub(super) fn count_collision(deployment: &Typed<Deployment>) -> Action {
    let status = deployment.status.as_ref();
    let collisions = status.and_then(|status| status.collision_count).unwrap_or(0);
    let merge = json!({"status": {"collisionCount": collisions.wrapping_add(1)}});
    Action::patch(&DEPLOYMENTS, deployment.object(), "status", merge)
}
