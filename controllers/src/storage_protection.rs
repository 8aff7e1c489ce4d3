//! Keeps claims as long as pods use them, and volumes as long as claims are bound to them, by a finalizer on each.

use std::time::Duration;

use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS};
use api::storage::{CLAIM_PROTECTION, VOLUME_PROTECTION};
use api::{Cache, Key, Object, Resource};
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use serde_json::json;

use crate::framework::{Action, Controller, Target, Watch};
use crate::persistent_volume::{USERS, of_claims};
use crate::pod;

/// The row of the controller for claims.
pub const CLAIMS: Controller = Controller {
    name: "pvc-protection-controller",
    watches: &[
        Watch::Of(PERSISTENT_VOLUME_CLAIMS, |_, change, add| {
            add(Target::of(&PERSISTENT_VOLUME_CLAIMS, change.object()));
        }),
        Watch::Of(PODS, |_, change, add| of_claims(change, add)),
    ],
    reads: &[(PODS, Some(USERS))],
    decide: |view, target| {
        let claim = view.cache.get(&PERSISTENT_VOLUME_CLAIMS, &target.key);
        Ok(claim.map_or(vec![], |claim| {
            // Only one that is to go needs to know.
            let is_used = claim.is_terminating() && is_used(view.cache, &target.key);
            protect(&PERSISTENT_VOLUME_CLAIMS, CLAIM_PROTECTION, &claim, is_used)
        }))
    },
    workers: 4,
    pace: Duration::ZERO,
};

/// The row of the controller for volumes.
pub const VOLUMES: Controller = Controller {
    name: "pv-protection-controller",
    watches: &[Watch::Of(PERSISTENT_VOLUMES, |_, change, add| {
        add(Target::of(&PERSISTENT_VOLUMES, change.object()));
    })],
    reads: &[],
    decide: |view, target| {
        let Some(object) = view.cache.get(&PERSISTENT_VOLUMES, &target.key) else { return Ok(vec![]) };
        let volume: &PersistentVolume = object.typed()?;
        let status = volume.status.as_ref();
        let is_used = status.and_then(|status| status.phase.as_deref()) == Some("Bound");
        Ok(protect(&PERSISTENT_VOLUMES, VOLUME_PROTECTION, &object, is_used))
    },
    workers: 4,
    pace: Duration::ZERO,
};

/// Whether a pod that has a node uses a claim. As in Kubernetes a pod that has ended still does, as long as it is there.
fn is_used(cache: &Cache, claim: &Key) -> bool {
    let pods = cache.snapshot(&PODS);
    let claim = claim.to_string();
    let mut users = pods.by_index(USERS.name, &claim);
    users.any(|pod| pod.peek::<Pod>().is_ok_and(|pod| !pod::node_name(&pod).is_empty()))
}

/// Adds the finalizer to what is to stay, and takes it from what is to go and is not used.
pub fn protect(resource: &Resource, finalizer: &str, object: &Object, is_used: bool) -> Vec<Action> {
    let known: Vec<&str> = object.metadata().finalizers.iter().flatten().map(String::as_str).collect();
    let finalizers: Vec<&str> = match (object.is_terminating(), known.contains(&finalizer)) {
        (false, false) => known.into_iter().chain([finalizer]).collect(),
        (true, true) if !is_used => known.into_iter().filter(|name| *name != finalizer).collect(),
        _ => return vec![],
    };
    let merge = json!({"metadata": {"finalizers": finalizers}});
    vec![Action::patch_unchanged(resource, object, "", merge)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::describe;
    use crate::testing::{NOW, object};
    use serde_json::Value;

    #[test]
    fn what_is_used_stays() {
        let check = |metadata: Value, is_used: bool, expected: &[&str]| {
            let mut value = json!({"metadata": metadata});
            value["metadata"]["name"] = "c".into();
            let actions = protect(&PERSISTENT_VOLUME_CLAIMS, "hold", &object(value), is_used);
            assert_eq!(describe(&actions), expected);
        };
        let patch = |list: &str| {
            format!(
                r#"patch PersistentVolumeClaim c {{"metadata":{{"finalizers":{list},"resourceVersion":"0"}}}}"#
            )
        };
        let going = |finalizers: Value| json!({"finalizers": finalizers, "deletionTimestamp": NOW});
        check(json!({}), false, &[&patch(r#"["hold"]"#)]);
        check(json!({"finalizers": ["x"]}), true, &[&patch(r#"["x","hold"]"#)]);
        check(json!({"finalizers": ["hold"]}), false, &[]);
        check(going(json!(["x", "hold"])), true, &[]);
        check(going(json!(["x", "hold"])), false, &[&patch(r#"["x"]"#)]);
        check(going(json!(["x"])), false, &[]);
    }
}
