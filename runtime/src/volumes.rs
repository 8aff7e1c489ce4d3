//! The volumes of a pod: directories under the node's data directory that its containers mount.
//!
//! ```text
//! PODS/UID/volumes/NAME/               one directory per volume, made when the pod starts, removed with it
//! PODS/UID/files/CONTAINER/INDEX/      single files mounted by subPath, see `files`
//! ```
//!
//! Names come from users: each becomes one component of a path or is refused, so that nothing leaves the pod's directory.

mod downward;
mod empty_dir;
mod files;
mod kinds;
mod parts;
mod place;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::Object;
use k8s_openapi::api::core::v1::{Pod, Volume, VolumeMount};

pub use downward::{Allocatable, metadata_field, resource_field};
pub use kinds::unsupported;
pub use parts::Source;

use parts::Shown;
use place::{component, relative};

/// Where volumes find what they show. Answers from memory.
pub trait Sources {
    /// The ConfigMap or Secret of this name in the pod's namespace.
    fn find(&self, source: Source, name: &str) -> Option<Object>;

    /// A token of the pod's service account, or why there is none.
    fn token(&self, spec: &TokenSpec) -> Result<Arc<str>, String>;

    /// What a container may use that sets no limit.
    fn allocatable(&self) -> Allocatable;
}

/// A token that a volume shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenSpec {
    /// Whom it is meant for; none for the API server.
    pub audience: Option<String>,
    /// How long it should live.
    pub expiration_seconds: i64,
}

/// The ConfigMaps and Secrets that the volumes of a pod show.
pub fn sources_of(pod: &Pod) -> BTreeSet<(Source, String)> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let shown: Vec<Shown> = volumes.filter_map(Shown::of).collect();
    shown.iter().flat_map(Shown::sources).map(|(source, name)| (source, name.to_owned())).collect()
}

/// The volumes of one pod.
#[derive(Debug)]
pub struct PodVolumes {
    folder: PathBuf,
    volumes: BTreeMap<String, Content>,
}

#[derive(Debug)]
enum Content {
    EmptyDir,
    Shown(Shown),
}

/// A place of a guest's file tree and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The directory on the host, without links on the way.
    pub host_path: PathBuf,
    /// Where the guest sees it.
    pub guest_path: String,
    /// Whether the guest may only read.
    pub read_only: bool,
}

/// A volume cannot be made or mounted.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Peapod does not know this kind of volume.
    #[error(
        "volume {volume:?}: {kind} is not supported yet; supported: configMap, downwardAPI, emptyDir, projected, secret"
    )]
    Unsupported {
        /// The volume's name.
        volume: String,
        /// The field of the volume that is set.
        kind: &'static str,
    },
    /// What the volume shows does not exist.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {what}")]
    Missing {
        /// The volume's name.
        volume: String,
        /// What is missing, in Kubernetes' words.
        what: String,
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
    #[error("volume {volume:?}: write {}: {source}", path.display())]
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
        !matches!(self, Self::Missing { .. } | Self::Io { .. })
    }
}

impl PodVolumes {
    /// What `pod` asks for, to be made in `folder`, which belongs to this pod alone.
    pub fn new(folder: PathBuf, pod: &Pod) -> Result<Self, VolumeError> {
        let declared = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volumes = declared.map(|volume| Ok((volume.name.clone(), content(volume)?)));
        Ok(Self { folder, volumes: volumes.collect::<Result<_, VolumeError>>()? })
    }

    /// Makes every volume. May be called again after a failure.
    pub fn set_up(&self, pod: &Pod, sources: &dyn Sources) -> Result<(), VolumeError> {
        if let Some(volume) = self.volumes.keys().next() {
            show::make_private(&self.folder).map_err(io_error(volume, &self.folder))?;
        }
        for (name, content) in &self.volumes {
            let folder = self.folder_of(name)?;
            match content {
                Content::EmptyDir => empty_dir::set_up(name, &folder)?,
                Content::Shown(shown) => show_files(name, &folder, shown, pod, sources)?,
            }
        }
        Ok(())
    }

    /// Shows what changed since. A volume whose source is gone keeps what it shows, unless it is optional.
    pub fn refresh(&self, pod: &Pod, sources: &dyn Sources) -> Result<(), VolumeError> {
        for (name, shown) in self.shown() {
            match show_files(name, &self.folder_of(name)?, shown, pod, sources) {
                Err(VolumeError::Missing { .. }) => {}
                refreshed => refreshed?,
            }
        }
        Ok(())
    }

    /// The tokens that are shown, each once.
    pub fn tokens(&self) -> BTreeSet<TokenSpec> {
        self.shown().flat_map(|(_, shown)| shown.tokens()).cloned().collect()
    }

    /// Whether anything of the pod's own object is shown.
    pub fn show_pod(&self) -> bool {
        self.shown().any(|(_, shown)| shown.shows_pod())
    }

    fn shown(&self) -> impl Iterator<Item = (&String, &Shown)> {
        self.volumes.iter().filter_map(|(name, content)| match content {
            Content::Shown(shown) => Some((name, shown)),
            Content::EmptyDir => None,
        })
    }

    /// What a container of the pod sees. The volumes must have been made.
    pub fn mounts(&self, container: &str, wanted: &[VolumeMount]) -> Result<Vec<Mounted>, VolumeError> {
        let mut mounts = Vec::with_capacity(wanted.len());
        let mut single_files = files::Files::new(self.folder.join("files").join(container));
        for mount in wanted {
            let (host_path, read_only) = self.resolve(mount)?;
            if host_path.is_file() {
                single_files.add(mount, &host_path)?;
            } else {
                mounts.push(Mounted { host_path, guest_path: mount.mount_path.clone(), read_only });
            }
        }
        single_files.finish(&mut mounts)?;
        Ok(mounts)
    }

    /// The path on the host that a mount means, and whether it may only be read.
    fn resolve(&self, mount: &VolumeMount) -> Result<(PathBuf, bool), VolumeError> {
        let content = self.volumes.get(&mount.name);
        let content = content.ok_or_else(|| VolumeError::Undeclared { volume: mount.name.clone() })?;
        let folder = self.folder_of(&mount.name)?;
        let is_written = matches!(content, Content::EmptyDir);
        let read_only = !is_written || mount.read_only == Some(true);
        let sub_path = mount.sub_path.as_deref().unwrap_or_default();
        if sub_path.is_empty() {
            let folder = folder.canonicalize().map_err(io_error(&mount.name, &folder))?;
            return Ok((folder, read_only));
        }
        let inside = folder.join(relative(&mount.name, sub_path)?);
        if is_written {
            empty_dir::make_sub_path(&mount.name, &folder, &inside)?;
        }
        let resolved = place::resolve_within(&mount.name, &folder, &inside, sub_path)?;
        Ok((resolved, read_only))
    }

    /// Removes everything. What cannot be removed is left for the next start of the node.
    pub fn remove(&self) -> io::Result<()> {
        if self.volumes.is_empty() {
            return Ok(());
        }
        remove_tree(&self.folder)
    }

    fn folder_of(&self, volume: &str) -> Result<PathBuf, VolumeError> {
        Ok(self.folder.join("volumes").join(component(volume, volume)?))
    }
}

/// Removes a directory and all in it; it may be gone already.
pub fn remove_tree(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn content(volume: &Volume) -> Result<Content, VolumeError> {
    if let Some(kind) = unsupported(volume) {
        return Err(VolumeError::Unsupported { volume: volume.name.clone(), kind });
    }
    // A volume without a source is an emptyDir by default.
    Ok(Shown::of(volume).map_or(Content::EmptyDir, Content::Shown))
}

fn show_files(
    volume: &str,
    folder: &Path,
    shown: &Shown,
    pod: &Pod,
    sources: &dyn Sources,
) -> Result<(), VolumeError> {
    let files = shown.files(volume, pod, sources)?;
    show::show(folder, &files).map_err(|(path, error)| io_error(volume, &path)(error))
}

fn io_error(volume: &str, path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let (volume, path) = (volume.to_owned(), path.to_owned());
    move |source| VolumeError::Io { volume, path, source }
}

#[cfg(test)]
mod tests;
