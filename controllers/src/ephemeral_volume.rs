//! Makes the claims of pods that ask for volumes of their own. They are the pod's, and go with it.

use std::time::Duration;

use api::event::Severity;
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PODS};
use api::storage::claim_of;
use api::{Key, Object, Status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume};
use serde_json::{Value, json};

use crate::framework::{Action, Controller, Create, Refusal, Target, View, Watch};
use crate::persistent_volume::{USERS, of_claims};
use crate::pod;

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "ephemeral-volume-controller",
    watches: &[
        Watch::Of(PODS, |_, change, add| {
            let mut uses_claims = false;
            of_claims(change, &mut |_| uses_claims = true);
            if uses_claims && change.new.is_some() {
                add(Target::of(&PODS, change.object()));
            }
        }),
        Watch::Of(PERSISTENT_VOLUME_CLAIMS, |cache, change, add| {
            let owner = change.object().controller_uid();
            let pods = cache.snapshot(&PODS);
            let claim = change.object().key().to_string();
            let users = pods.by_index(USERS.name, &claim);
            let owners = users.filter(|pod| Some(pod.uid()) == owner);
            owners.for_each(|pod| add(Target::of(&PODS, pod)));
        }),
    ],
    reads: &[],
    decide: |view, target| {
        let Some(object) = view.cache.get(&PODS, &target.key) else { return Ok(vec![]) };
        let pod: &Pod = object.typed()?;
        Ok(reconcile(&object, pod, |claim| exists(view, &object, claim)))
    },
    workers: 8,
    pace: Duration::ZERO,
};

fn exists(view: &View<'_>, pod: &Object, claim: &str) -> bool {
    view.cache.get(&PERSISTENT_VOLUME_CLAIMS, &Key::new(pod.namespace(), claim)).is_some()
}

/// Decides which claims of a pod are to be made.
pub fn reconcile(object: &Object, pod: &Pod, exists: impl Fn(&str) -> bool) -> Vec<Action> {
    if !pod::is_active(pod) {
        return vec![];
    }
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let missing = volumes.filter(|volume| volume.ephemeral.is_some()).filter_map(|volume| {
        let name = claim_of(object.name(), volume)?;
        (!exists(&name)).then(|| claim(object, volume, &name))
    });
    missing.collect()
}

fn claim(pod: &Object, volume: &Volume, name: &str) -> Action {
    let template = volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.as_ref());
    let template = serde_json::to_value(template).unwrap_or(Value::Null);
    let metadata = &template["metadata"];
    let value = json!({
        "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version(),
        "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        "metadata": {
            "name": name,
            "namespace": pod.namespace(),
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Pod", "name": pod.name(), "uid": pod.uid(),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": template["spec"],
    });
    let mut create = Create::one(&PERSISTENT_VOLUME_CLAIMS, pod.namespace(), value);
    create.refusal = Some(Refusal { owner: pod.clone(), answer: tell });
    Action::Create(create)
}

fn tell(pod: &Object, status: &Status, _: Timestamp) -> Option<Action> {
    let words = format!("ephemeral volume: create PVC: {status}");
    Some(Action::event(pod, Severity::Warning, "FailedCreate", words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::describe;
    use crate::testing::{NOW, object};

    #[test]
    fn a_pod_gets_the_claims_it_lacks() {
        let check = |more: Value, known: &[&str], expected: &[&str]| {
            let template =
                json!({"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
            let mut value = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": [],
                "volumes": [{"name": "x", "ephemeral": {"volumeClaimTemplate": template}}, {"name": "y", "emptyDir": {}}]}});
            crate::testing::merge(&mut value, more);
            let object = object(value);
            let actions = reconcile(&object, object.typed().expect("a pod"), |name| known.contains(&name));
            assert_eq!(describe(&actions), expected);
            if let [Action::Create(create)] = actions.as_slice() {
                assert_eq!(create.value["metadata"]["labels"], json!({"a": "b"}));
                assert_eq!(create.value["metadata"]["ownerReferences"][0]["uid"], "u");
            }
        };
        check(json!({}), &[], &["create 1 PersistentVolumeClaim p-x"]);
        check(json!({}), &["p-x"], &[]);
        check(json!({"metadata": {"deletionTimestamp": NOW}}), &[], &[]);
        check(json!({"status": {"phase": "Failed"}}), &[], &[]);
    }
}
