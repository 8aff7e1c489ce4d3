//! What can be wrong with a volume, in Kubernetes' words where it has some.

use std::io;
use std::path::{Path, PathBuf};

/// A volume cannot be made or mounted.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Peapod does not have this kind of volume.
    #[error("volume {volume:?}: {kind} {why}")]
    Unsupported {
        /// The volume's name.
        volume: String,
        /// The field of the volume that is set.
        kind: &'static str,
        /// Why not, and what there is instead.
        why: &'static str,
    },
    /// What the volume shows does not exist.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {what}")]
    Missing {
        /// The volume's name.
        volume: String,
        /// What is missing, in Kubernetes' words.
        what: String,
    },
    /// The claim behind the volume is not there, or not bound.
    #[error(
        "Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[], \
         failed to process volumes=[{volume}]: error processing PVC {what}"
    )]
    Unclaimed {
        /// The volume's name.
        volume: String,
        /// The claim and what is wrong with it.
        what: String,
    },
    /// The volume is where the operator of this node lets no pod go.
    #[error("volume {volume:?}: path {path:?} of the host is not for pods: {allowed}")]
    Forbidden {
        /// The volume's name.
        volume: String,
        /// The path that was asked for.
        path: String,
        /// Which paths are.
        allowed: String,
    },
    /// The pod mounts a volume it does not declare.
    #[error("volume {volume:?} is not declared in spec.volumes")]
    Undeclared {
        /// The volume's name.
        volume: String,
    },
    /// A name or path that would lead out of its place.
    #[error("volume {volume:?}: {path:?} is not a path within the volume")]
    Outside {
        /// The volume's name.
        volume: String,
        /// The path as the user wrote it.
        path: String,
    },
    /// Two mounts that cannot be had together.
    #[error(
        "mount {guest_path:?}: a file mounted by subPath cannot share its directory with another mount there"
    )]
    Shared {
        /// Where both would be.
        guest_path: String,
    },
    /// The disk refused.
    #[error("volume {volume:?}: {}: {source}", path.display())]
    Io {
        /// The volume's name.
        volume: String,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl VolumeError {
    /// Whether only another spec helps.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Missing { .. } | Self::Unclaimed { .. } | Self::Io { .. })
    }
}

/// Says of a failure of the disk which volume it was for.
pub(super) fn io_error(volume: &str, path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let (volume, path) = (volume.to_owned(), path.to_owned());
    move |source| VolumeError::Io { volume, path, source }
}
