//! The claims behind a pod's volumes, and where the volume of a claim is: a folder of ours, or one of the host's.

use api::Object;
use api::storage::{HOSTNAME, LOCAL_DRIVER, claim_of};
use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Pod, Volume,
};

use super::host_path::HostPath;
use super::place::component;
use super::{Source, Sources, VolumeError, kinds};

/// A claim that a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    namespace: String,
    name: String,
    /// The pod whose claim it must be, by name and uid, if it was made for the pod.
    made_for: Option<(String, String)>,
    pub(super) read_only: bool,
}

/// A volume that a claim is bound to, as a pod of this node finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) place: Place,
    pub(super) read_only: bool,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the folder of this name among those of the node's own volumes.
    Folder(String),
    /// Where somebody said.
    Host(HostPath),
}

impl Claim {
    /// The claim behind a volume, if there is one.
    pub(super) fn of(pod: &Pod, volume: &Volume) -> Option<Self> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let pod_name = text(&pod.metadata.name);
        let source = volume.persistent_volume_claim.as_ref();
        Some(Self {
            namespace: text(&pod.metadata.namespace),
            name: claim_of(&pod_name, volume)?.into_owned(),
            read_only: source.is_some_and(|source| source.read_only == Some(true)),
            made_for: volume.ephemeral.is_some().then(|| (pod_name, text(&pod.metadata.uid))),
        })
    }

    /// Finds the volume it is bound to.
    pub(super) fn find(
        &self,
        volume: &str,
        hostname: &str,
        sources: &dyn Sources,
    ) -> Result<Claimed, VolumeError> {
        let Self { namespace, name, .. } = self;
        let unclaimed = |why: String| VolumeError::Unclaimed {
            volume: volume.to_owned(),
            what: format!("{namespace}/{name}: {why}"),
        };
        let claim = sources.find(Source::Claim, name).ok_or_else(|| {
            unclaimed(format!(
                "failed to fetch PVC from API server: persistentvolumeclaims {name:?} not found"
            ))
        })?;
        let bound_to = self.bound_to(&claim).map_err(unclaimed)?;
        let object = sources.volume(&bound_to).ok_or_else(|| {
            unclaimed(format!(
                "failed to fetch PV {bound_to:?} from API server: persistentvolumes {bound_to:?} not found"
            ))
        })?;
        let found: &PersistentVolume = object.typed().map_err(|error| unclaimed(error.to_string()))?;
        let claimed_by = found.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.as_deref());
        if claimed_by != Some(claim.uid()) {
            return Err(unclaimed(format!("PV {bound_to:?} is claimed by another PVC")));
        }
        Claimed::of(volume, found, hostname)
    }

    /// The name of the volume it is bound to, or why it is not ready.
    fn bound_to(&self, claim: &Object) -> Result<String, String> {
        if let Some((pod, uid)) = &self.made_for
            && claim.controller_uid() != Some(uid)
        {
            let Self { namespace, name, .. } = self;
            return Err(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ));
        }
        if claim.is_terminating() {
            return Err("PVC is being deleted".to_owned());
        }
        let typed: &PersistentVolumeClaim = claim.typed().map_err(|error| error.to_string())?;
        let is_bound = typed.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        let name = typed.spec.as_ref().and_then(|spec| spec.volume_name.clone());
        name.filter(|name| is_bound && !name.is_empty()).ok_or_else(|| "PVC is not bound".to_owned())
    }
}

impl Claimed {
    /// Reads a volume. `volume` is what the pod calls it, `hostname` how volumes call this node.
    pub(super) fn of(volume: &str, object: &PersistentVolume, hostname: &str) -> Result<Self, VolumeError> {
        let spec = object.spec.clone().unwrap_or_default();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        if !is_here(&spec, hostname) {
            let what = format!(
                "MountVolume.NodeAffinity check failed for volume {name:?} : no matching NodeSelectorTerms"
            );
            return Err(VolumeError::Missing { volume: volume.to_owned(), what });
        }
        let modes = spec.access_modes.iter().flatten();
        let only_read = spec.access_modes.is_some() && modes.into_iter().all(|mode| mode == "ReadOnlyMany");
        let source_is_read_only = spec.csi.as_ref().is_some_and(|source| source.read_only == Some(true));
        Ok(Self { place: place(volume, &spec)?, read_only: only_read || source_is_read_only })
    }
}

fn place(volume: &str, spec: &PersistentVolumeSpec) -> Result<Place, VolumeError> {
    if let Some(source) = spec.csi.as_ref().filter(|source| source.driver == LOCAL_DRIVER) {
        return Ok(Place::Folder(component(volume, &source.volume_handle)?.to_owned()));
    }
    if let Some(source) = &spec.host_path {
        return Ok(Place::Host(HostPath::of(volume, source)?));
    }
    if let Some(source) = &spec.local {
        return Ok(Place::Host(HostPath::directory(&source.path)));
    }
    let (kind, why) = kinds::unsupported_persistent(spec);
    Err(VolumeError::Unsupported { volume: volume.to_owned(), kind, why })
}

/// Whether a volume that names nodes by their hostnames names this one. By what else nodes can be chosen, the scheduler has
/// looked at.
fn is_here(spec: &PersistentVolumeSpec, hostname: &str) -> bool {
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let Some(required) = required else { return true };
    required.node_selector_terms.iter().any(|term| {
        let mut by_name = term.match_expressions.iter().flatten().filter(|one| one.key == HOSTNAME);
        by_name.all(|one| {
            let listed = one.values.iter().flatten().any(|value| value == hostname);
            match one.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "DoesNotExist" => false,
                _ => true,
            }
        })
    })
}
