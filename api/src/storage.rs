//! The words that the server, the controllers, the scheduler and the nodes share about storage.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Pod, Volume};

/// Who makes the volumes of the class `standard`, and the driver they name: each is a folder of one node.
pub const LOCAL_DRIVER: &str = "local.peapod.dev";
/// Keeps a volume of [`LOCAL_DRIVER`] until its node has removed the folder.
pub const FOLDER_FINALIZER: &str = "local.peapod.dev/folder";
/// The class every cluster begins with.
pub const STANDARD_CLASS: &str = "standard";
/// Keeps a claim as long as pods use it.
pub const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume as long as a claim is bound to it.
pub const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
/// On a claim: the node on which its first pod is to run.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// On a claim: it was bound before.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim or a volume: a controller chose the other, not its author.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: who is to make its volume, under the name of today and under an older one.
pub const PROVISIONERS: [&str; 2] =
    ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// Named the class of a claim or a volume before there was a field.
pub const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// The label of a node by which volumes name it.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// The claim behind a volume of a pod of this name, if it has one: named, or made for this pod alone.
pub fn claim_of<'a>(pod_name: &str, volume: &'a Volume) -> Option<Cow<'a, str>> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(Cow::Borrowed(&source.claim_name)),
        (None, Some(_)) => Some(Cow::Owned(format!("{pod_name}-{}", volume.name))),
        (None, None) => None,
    }
}

/// The claims a pod uses.
pub fn claims_of(pod: &Pod) -> impl Iterator<Item = Cow<'_, str>> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(move |volume| claim_of(name, volume))
}
