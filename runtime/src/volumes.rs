//! The volumes of a pod: directories under the node's data directory that its containers mount.
//!
//! ```text
//! PODS/UID/volumes/NAME/               one directory per volume, made when the pod starts, removed with it
//! PODS/UID/files/CONTAINER/INDEX/      single files mounted alone, see `files`
//! MEMORY/UID/NAME/                     emptyDir volumes in memory
//! STORAGE/HANDLE/                      volumes of claims, which outlive pods
//! ```
//!
//! Names come from users: each becomes one component of a path or is refused, so that nothing leaves the pod's directory.
//! Guests write into volumes, perhaps while others are mounted from them: see `beneath`.

mod beneath;
mod claimed;
mod downward;
mod empty_dir;
mod error;
mod files;
mod host_path;
mod kinds;
mod memory;
mod parts;
mod place;
mod show;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::Object;
use api::storage::claims_of;
use k8s_openapi::api::core::v1::{Pod, Volume, VolumeMount};

pub use downward::{Allocatable, metadata_field, resource_field};
pub use empty_dir::EmptyDir;
pub use error::VolumeError;
pub use kinds::unsupported;
pub use memory::memory_folder;
pub use parts::Source;
pub use usage::used_bytes;

use beneath::{Found, Kind, Root, leads_out};
use claimed::{Claim, Claimed, Place};
use error::io_error;
use host_path::HostPath;
use parts::Shown;
use place::{component, outside, relative};

/// Where volumes find what they show. Answers from memory.
pub trait Sources {
    /// The object of this name in the pod's namespace.
    fn find(&self, source: Source, name: &str) -> Option<Object>;

    /// The PersistentVolume of this name.
    fn volume(&self, name: &str) -> Option<Object>;

    /// The files of the image that a volume shows, or why there are none.
    fn image(&self, volume: &str) -> Result<PathBuf, String>;

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

/// The objects that the volumes of a pod come from.
pub fn sources_of(pod: &Pod) -> BTreeSet<(Source, String)> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let shown: Vec<Shown> = volumes.filter_map(Shown::of).collect();
    let shown = shown.iter().flat_map(Shown::sources).map(|(source, name)| (source, name.to_owned()));
    shown.chain(claims_of(pod).map(|claim| (Source::Claim, claim.into_owned()))).collect()
}

/// Where volumes of a node may be.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The folders of volumes that claims are bound to, by handle.
    pub storage: PathBuf,
    /// A folder in memory, if there is one.
    pub memory: Option<PathBuf>,
    /// The directories of the host below which pods may mount.
    pub host_paths: Vec<PathBuf>,
    /// How volumes name this node.
    pub hostname: String,
}

impl Places {
    /// The folder of a volume that claims are bound to; none if its handle is no name.
    pub fn folder_of(&self, handle: &str) -> Option<PathBuf> {
        component("", handle).ok().map(|name| self.storage.join(name))
    }
}

/// The volumes of one pod.
#[derive(Debug)]
pub struct PodVolumes {
    folder: PathBuf,
    places: Arc<Places>,
    volumes: BTreeMap<String, Content>,
    /// What the claims among them were bound to when they were made.
    claimed: BTreeMap<String, Claimed>,
    /// The files of the images among them.
    images: BTreeMap<String, PathBuf>,
}

#[derive(Debug)]
enum Content {
    EmptyDir(EmptyDir),
    Shown(Shown),
    Host(HostPath),
    Claim(Claim),
    Image,
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

impl PodVolumes {
    /// What `pod` asks for, to be made in `folder`, which belongs to this pod alone and is called by its uid.
    pub fn new(folder: PathBuf, places: Arc<Places>, pod: &Pod) -> Result<Self, VolumeError> {
        let declared = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volumes = declared.map(|volume| Ok((volume.name.clone(), content(pod, volume)?)));
        let volumes = volumes.collect::<Result<_, VolumeError>>()?;
        Ok(Self { folder, places, volumes, claimed: BTreeMap::new(), images: BTreeMap::new() })
    }

    /// Makes every volume. May be called again after a failure.
    pub fn set_up(&mut self, pod: &Pod, sources: &dyn Sources) -> Result<(), VolumeError> {
        if let Some(volume) = self.volumes.keys().next() {
            show::make_private(&self.folder).map_err(io_error(volume, &self.folder))?;
        }
        for (name, content) in &self.volumes {
            match content {
                Content::EmptyDir(about) => self.make_empty(name, about)?,
                Content::Shown(shown) => show_files(name, &self.folder_of(name)?, shown, pod, sources)?,
                Content::Host(path) => drop(path.open(name, &self.places.host_paths)?),
                Content::Claim(claim) => {
                    let claimed = claim.find(name, &self.places.hostname, sources)?;
                    self.make_claimed(name, &claimed)?;
                    self.claimed.insert(name.clone(), claimed);
                }
                Content::Image => {
                    let missing = |what| VolumeError::Missing { volume: name.clone(), what };
                    let root = sources.image(name).map_err(missing)?;
                    self.images.insert(name.clone(), root);
                }
            }
        }
        Ok(())
    }

    /// Makes a directory; one that is there already, after a restart of the node, keeps its files.
    fn make_empty(&self, volume: &str, about: &EmptyDir) -> Result<(), VolumeError> {
        let folder = self.folder_of(volume)?;
        match &self.places.memory {
            Some(memory) if about.in_memory => memory::set_up(memory, &folder),
            _ => std::fs::create_dir_all(&folder),
        }
        .map_err(io_error(volume, &folder))
    }

    fn make_claimed(&self, volume: &str, claimed: &Claimed) -> Result<(), VolumeError> {
        match &claimed.place {
            Place::Folder(handle) => {
                let folder = self.places.storage.join(handle);
                show::make_private(&folder).map_err(io_error(volume, &folder))
            }
            Place::Host(path) => path.open(volume, &self.places.host_paths).map(drop),
        }
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
            _ => None,
        })
    }

    /// The emptyDir volumes, where each is and what it may take.
    pub fn empty_dirs(&self) -> impl Iterator<Item = (&str, PathBuf, &EmptyDir)> {
        self.volumes.iter().filter_map(|(name, content)| match content {
            Content::EmptyDir(about) => Some((name.as_str(), self.folder_of(name).ok()?, about)),
            _ => None,
        })
    }

    /// What a container of the pod sees. The volumes must have been made.
    pub fn mounts(&self, container: &str, wanted: &[VolumeMount]) -> Result<Vec<Mounted>, VolumeError> {
        let mut mounts = Vec::with_capacity(wanted.len());
        let mut single_files = files::Files::new(self.folder.join("files").join(container));
        for mount in wanted {
            let (found, read_only) = self.resolve(mount)?;
            match found.kind {
                Kind::File => single_files.add(mount, found, read_only)?,
                Kind::Directory => {
                    let host_path = found.path().map_err(io_error(&mount.name, &self.folder))?;
                    mounts.push(Mounted { host_path, guest_path: mount.mount_path.clone(), read_only });
                }
                Kind::Other => {
                    return Err(outside(&mount.name, mount.sub_path.as_deref().unwrap_or_default()));
                }
            }
        }
        single_files.finish(&mut mounts)?;
        Ok(mounts)
    }

    /// What a mount means, and whether it may only be read.
    fn resolve(&self, mount: &VolumeMount) -> Result<(Found, bool), VolumeError> {
        let volume = mount.name.as_str();
        let (found, is_writable) = self.open(volume)?;
        let read_only = !is_writable || mount.read_only == Some(true);
        let sub_path = mount.sub_path.as_deref().unwrap_or_default();
        if sub_path.is_empty() {
            return Ok((found, read_only));
        }
        let path = relative(volume, sub_path)?;
        let root = found.into_root();
        let inside = match root.find(&path) {
            // As the kubelet does: a folder is made of what is not there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_writable => {
                root.make_directories(&path)
            }
            found => found,
        };
        let inside = inside.map_err(|error| match leads_out(&error) {
            true => outside(volume, sub_path),
            false => io_error(volume, &path)(error),
        })?;
        Ok((inside, read_only))
    }

    /// A whole volume, and whether it may be written.
    fn open(&self, volume: &str) -> Result<(Found, bool), VolumeError> {
        let undeclared = || VolumeError::Undeclared { volume: volume.to_owned() };
        let folder = |folder: &Path| {
            let opened = Root::open(folder).and_then(|root| root.find(Path::new(".")));
            opened.map_err(io_error(volume, folder))
        };
        let host = |path: &HostPath| path.open(volume, &self.places.host_paths);
        match self.volumes.get(volume).ok_or_else(undeclared)? {
            Content::EmptyDir(_) => Ok((folder(&self.folder_of(volume)?)?, true)),
            Content::Shown(_) => Ok((folder(&self.folder_of(volume)?)?, false)),
            Content::Host(path) => Ok((host(path)?, true)),
            Content::Image => {
                let root = self.images.get(volume).ok_or_else(undeclared)?;
                Ok((folder(root)?, false))
            }
            Content::Claim(claim) => {
                let claimed = self.claimed.get(volume).ok_or_else(undeclared)?;
                let found = match &claimed.place {
                    Place::Folder(handle) => folder(&self.places.storage.join(handle))?,
                    Place::Host(path) => host(path)?,
                };
                Ok((found, !claim.read_only && !claimed.read_only))
            }
        }
    }

    /// Removes everything. What cannot be removed is left for the next start of the node.
    pub fn remove(&self) -> io::Result<()> {
        if self.volumes.is_empty() {
            return Ok(());
        }
        if let (Some(memory), Some(folder)) = (&self.places.memory, self.folder_in_memory()) {
            memory::remove(memory, &folder)?;
        }
        remove_tree(&self.folder)
    }

    /// Where the volumes of this pod are that are in memory.
    fn folder_in_memory(&self) -> Option<PathBuf> {
        Some(self.places.memory.as_ref()?.join(self.folder.file_name()?))
    }

    fn folder_of(&self, volume: &str) -> Result<PathBuf, VolumeError> {
        let name = component(volume, volume)?;
        match self.volumes.get(volume) {
            Some(Content::EmptyDir(about)) if about.in_memory => {
                let folder = self.folder_in_memory().ok_or_else(|| memory::missing(volume))?;
                Ok(folder.join(name))
            }
            _ => Ok(self.folder.join("volumes").join(name)),
        }
    }
}

/// Removes a directory and all in it; it may be gone already.
pub fn remove_tree(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn content(pod: &Pod, volume: &Volume) -> Result<Content, VolumeError> {
    if let Some((kind, why)) = unsupported(volume) {
        return Err(VolumeError::Unsupported { volume: volume.name.clone(), kind, why });
    }
    if let Some(shown) = Shown::of(volume) {
        return Ok(Content::Shown(shown));
    }
    if let Some(source) = &volume.host_path {
        return Ok(Content::Host(HostPath::of(&volume.name, source)?));
    }
    if volume.image.is_some() {
        return Ok(Content::Image);
    }
    if let Some(claim) = Claim::of(pod, volume) {
        return Ok(Content::Claim(claim));
    }
    // A volume without a source is an emptyDir by default.
    Ok(Content::EmptyDir(EmptyDir::of(volume)))
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

#[cfg(test)]
mod tests;
