//! The kinds of volumes that are not supported yet, by the field that asks for them.

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Volume, VolumeProjection};

/// The field of a volume that asks for a kind Peapod does not have; none if it has it.
pub fn unsupported(volume: &Volume) -> Option<&'static str> {
    let memory = |medium: &str| !medium.is_empty();
    let size = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref());
    // Zero is without limit, as in Kubernetes.
    let limits = |size| Quantity::try_from(size).map_or(true, |size| !size.is_zero());
    let medium = volume.empty_dir.as_ref().and_then(|source| source.medium.as_deref());
    let projects = |is_set: fn(&VolumeProjection) -> bool| {
        let sources = volume.projected.iter().flat_map(|source| source.sources.iter().flatten());
        sources.into_iter().any(is_set)
    };
    let kinds = [
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("cephfs", volume.cephfs.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("csi", volume.csi.is_some()),
        ("emptyDir.medium", medium.is_some_and(memory)),
        ("emptyDir.sizeLimit", size.is_some_and(limits)),
        ("ephemeral", volume.ephemeral.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("hostPath", volume.host_path.is_some()),
        ("image", volume.image.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("projected.sources[].clusterTrustBundle", projects(|source| source.cluster_trust_bundle.is_some())),
        ("projected.sources[].podCertificate", projects(|source| source.pod_certificate.is_some())),
        ("quobyte", volume.quobyte.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
    ];
    kinds.into_iter().find(|(_, is_set)| *is_set).map(|(kind, _)| kind)
}
