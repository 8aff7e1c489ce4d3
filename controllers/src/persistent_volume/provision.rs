//! Makes the volumes of our own class: a folder of one node each. What others make is waited for.

use api::Object;
use api::event::Severity;
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES};
use api::storage::{FOLDER_FINALIZER, HOSTNAME, LOCAL_DRIVER, PROVISIONED_BY, PROVISIONERS, SELECTED_NODE};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};

use super::claim::ClaimState;
use super::hostname;
use crate::framework::{Action, Create};
use crate::storage::{class_of_claim, is_offered_on, reference, requested};
use crate::typed::Typed;

/// The class's volumes are there already, or never.
const IN_TREE: &str = "kubernetes.io/";

/// Decides what is done for a claim that no volume fulfils.
pub fn provision(state: &ClaimState) -> Vec<Action> {
    let object = state.claim.object();
    let failed = |words: String| vec![Action::event(object, Severity::Warning, "ProvisioningFailed", words)];
    let Some(class) = &state.class else {
        let name = class_of_claim(&state.claim);
        return failed(format!("storageclass.storage.k8s.io {name:?} not found"));
    };
    let provisioner = class.provisioner.as_str();
    if provisioner != LOCAL_DRIVER {
        if provisioner.starts_with(IN_TREE) {
            return failed(format!("no volume plugin matched name: {provisioner}"));
        }
        return name_provisioner(object, provisioner)
            .into_iter()
            .chain([wait(object, provisioner)])
            .collect();
    }
    if let Some(why) = refusal(&state.claim, class) {
        let name = class.object().name();
        return failed(format!("Failed to provision volume with StorageClass {name:?}: {why}"));
    }
    let node = match object.annotation(SELECTED_NODE) {
        Some(selected) => match state.nodes.iter().find(|node| node.name() == selected) {
            None => return vec![select_anew(object)],
            node => node,
        },
        None => any_node(class, &state.nodes),
    };
    let Some(node) = node else {
        let name = class.object().name();
        return failed(format!("Failed to provision volume with StorageClass {name:?}: no node can hold it"));
    };
    // The name follows from the claim: a second attempt makes no second volume.
    let name = format!("pvc-{}", object.uid());
    let words = format!("Successfully provisioned volume {name} using {LOCAL_DRIVER}");
    let volume = volume(&name, &state.claim, class, hostname(node));
    let made = Action::Create(Create::one(&PERSISTENT_VOLUMES, "", volume));
    let told = Action::event(object, Severity::Normal, "ProvisioningSucceeded", words);
    // The volume first: with the claim's change both would run together.
    [made, told].into_iter().chain(name_provisioner(object, provisioner)).collect()
}

/// Why we make no volume for a claim.
fn refusal(claim: &PersistentVolumeClaim, class: &StorageClass) -> Option<String> {
    let spec = claim.spec.as_ref()?;
    let options = class.mount_options.iter().flatten();
    let options: Vec<&str> = options.map(String::as_str).collect();
    if !options.is_empty() {
        return Some(format!("mount options are not supported: {}", options.join(",")));
    }
    if spec.volume_mode.as_deref() == Some("Block") {
        return Some("volumes are folders, volumeMode Block cannot be had".to_owned());
    }
    if spec.selector.is_some() {
        return Some("claim.Spec.Selector is not supported for dynamic provisioning".to_owned());
    }
    let has_source = spec.data_source.is_some() || spec.data_source_ref.is_some();
    has_source.then(|| "volumes begin empty, dataSource is not supported".to_owned())
}

/// The first node the class is offered on, for claims that do not wait for a pod.
fn any_node<'a>(class: &StorageClass, nodes: &'a [Object]) -> Option<&'a Object> {
    let none = Default::default();
    let offered = |node: &&Object| is_offered_on(class, node.metadata().labels.as_ref().unwrap_or(&none));
    nodes.iter().find(offered)
}

/// The node that was selected is gone: the scheduler is to select another.
fn select_anew(claim: &Object) -> Action {
    let merge = json!({"metadata": {"annotations": {SELECTED_NODE: null}}});
    Action::patch_unchanged(&PERSISTENT_VOLUME_CLAIMS, claim, "", merge)
}

fn name_provisioner(claim: &Object, provisioner: &str) -> Option<Action> {
    if PROVISIONERS.iter().all(|key| claim.annotation(key) == Some(provisioner)) {
        return None;
    }
    let names: serde_json::Map<String, Value> =
        PROVISIONERS.iter().map(|key| ((*key).to_owned(), provisioner.into())).collect();
    let merge = json!({"metadata": {"annotations": names}});
    Some(Action::patch(&PERSISTENT_VOLUME_CLAIMS, claim, "", merge))
}

fn wait(claim: &Object, provisioner: &str) -> Action {
    let words = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
         system administrator. If volume creation is delayed, please verify that the provisioner is running and \
         correctly registered."
    );
    Action::event(claim, Severity::Normal, "ExternalProvisioning", words)
}

fn volume(
    name: &str,
    claim: &Typed<PersistentVolumeClaim>,
    class: &Typed<StorageClass>,
    host: &str,
) -> Value {
    let object = claim.object();
    let term = json!({"key": HOSTNAME, "operator": "In", "values": [host]});
    json!({
        "apiVersion": PERSISTENT_VOLUMES.api_version(),
        "kind": PERSISTENT_VOLUMES.kind,
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: LOCAL_DRIVER},
            "finalizers": [FOLDER_FINALIZER],
        },
        "spec": {
            "accessModes": object.value()["spec"]["accessModes"],
            "capacity": {"storage": requested(claim).to_string()},
            "claimRef": reference(object),
            "csi": {"driver": LOCAL_DRIVER, "volumeHandle": name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
            "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
            "storageClassName": class.object().name(),
            "volumeMode": "Filesystem",
        },
    })
}
