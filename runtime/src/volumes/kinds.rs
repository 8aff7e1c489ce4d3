//! The kinds of volumes that Peapod does not have, by the field that asks for them, and why.

use k8s_openapi::api::core::v1::{PersistentVolumeSpec, Volume, VolumeProjection};

const DISK: &str = "is a block device of a cloud or a storage network, which only an operating system's kernel can attach; \
                    use a claim of class standard, or mount it on the host and use a hostPath that the node allows";
const NETWORK: &str = "is a network file system, which Peapod does not mount: that needs root; mount it on the host and use a \
                       hostPath that the node allows";
const DRIVER: &str = "needs a driver of its own on the node; use a claim of class standard";
const GONE: &str = "was removed from Kubernetes";
const NOT_YET: &str = "is not supported yet";

/// The field of a volume that asks for a kind Peapod does not have, and why not; none if it has it.
pub fn unsupported(volume: &Volume) -> Option<(&'static str, &'static str)> {
    let projects = |is_set: fn(&VolumeProjection) -> bool| {
        let sources = volume.projected.iter().flat_map(|source| source.sources.iter().flatten());
        sources.into_iter().any(is_set)
    };
    let huge_pages = volume.empty_dir.as_ref().and_then(|source| source.medium.as_deref());
    let kinds = [
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some(), DISK),
        ("azureDisk", volume.azure_disk.is_some(), DISK),
        ("azureFile", volume.azure_file.is_some(), NETWORK),
        ("cephfs", volume.cephfs.is_some(), NETWORK),
        ("cinder", volume.cinder.is_some(), DISK),
        ("csi", volume.csi.is_some(), DRIVER),
        (
            "emptyDir.medium",
            huge_pages.is_some_and(|medium| !medium.is_empty() && medium != "Memory"),
            "HugePages has no meaning for WebAssembly; use Memory",
        ),
        ("fc", volume.fc.is_some(), DISK),
        ("flexVolume", volume.flex_volume.is_some(), DRIVER),
        ("flocker", volume.flocker.is_some(), GONE),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some(), DISK),
        ("gitRepo", volume.git_repo.is_some(), GONE),
        ("glusterfs", volume.glusterfs.is_some(), GONE),
        ("iscsi", volume.iscsi.is_some(), DISK),
        ("nfs", volume.nfs.is_some(), NETWORK),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some(), DISK),
        ("portworxVolume", volume.portworx_volume.is_some(), DISK),
        (
            "projected.sources[].clusterTrustBundle",
            projects(|source| source.cluster_trust_bundle.is_some()),
            NOT_YET,
        ),
        ("projected.sources[].podCertificate", projects(|source| source.pod_certificate.is_some()), NOT_YET),
        ("quobyte", volume.quobyte.is_some(), GONE),
        ("rbd", volume.rbd.is_some(), DISK),
        ("scaleIO", volume.scale_io.is_some(), GONE),
        ("storageos", volume.storageos.is_some(), GONE),
        ("vsphereVolume", volume.vsphere_volume.is_some(), DISK),
    ];
    kinds.into_iter().find(|(_, is_set, _)| *is_set).map(|(kind, _, why)| (kind, why))
}

/// The source of a PersistentVolume that is neither ours nor of the host, and why it cannot be mounted.
pub(super) fn unsupported_persistent(spec: &PersistentVolumeSpec) -> (&'static str, &'static str) {
    let kinds = [
        ("persistentVolume.azureFile", spec.azure_file.is_some(), NETWORK),
        ("persistentVolume.cephfs", spec.cephfs.is_some(), NETWORK),
        ("persistentVolume.csi", spec.csi.is_some(), DRIVER),
        ("persistentVolume.flexVolume", spec.flex_volume.is_some(), DRIVER),
        ("persistentVolume.nfs", spec.nfs.is_some(), NETWORK),
    ];
    let known = kinds.into_iter().find(|(_, is_set, _)| *is_set);
    known.map_or(("persistentVolume", DISK), |(kind, _, why)| (kind, why))
}
