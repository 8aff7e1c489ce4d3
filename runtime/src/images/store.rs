//! Images on disk, for several processes at once. Nothing is remembered: each look sees what any of them brought.
//!
//! ```text
//! sha256/HASH      contents, by their hash: programs, manifests, layers; shared by all images that have them
//! roots/HASH/      root file systems, by the layers they were unpacked from
//! names/HASH       a small file for each name, with what it names
//! processes/ID/    of each process that runs, see `claim`
//! lock             held shared by who puts in place what no name refers to yet, alone by who removes what none does
//! ```
//!
//! Everything is put in place by one rename, whole or not at all, and belongs to this user alone.

mod claim;
mod sweep;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tempfile::{NamedTempFile, TempDir};

use super::digest::Digest;
use super::image::kind_of;
use super::{Image, ImageConfig, ImageKind, Reference};
use claim::Claim;
pub use claim::Pin;
pub use sweep::{Removal, Swept};

/// The file cannot be taken into the store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is something else than WebAssembly.
    #[error(
        "{file} is not a WebAssembly module or component: {found}; give the binary .wasm file that a compiler built"
    )]
    NotWasm {
        /// What was to be imported.
        file: String,
        /// What it seems to be.
        found: String,
    },
    /// It cannot be read.
    #[error("read {file}")]
    Unreadable {
        /// What was to be imported.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store cannot be written.
    #[error("write the image store in {folder}; give a folder that this user may write with --image-dir")]
    Unwritable {
        /// Where the store is.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The store of images: a folder. A clone is a reference.
#[derive(Clone, Debug)]
pub struct ImageStore {
    folder: PathBuf,
    claim: Arc<OnceLock<Arc<Claim>>>,
}

/// The file of one name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) reference: String,
    pub(super) digest: String,
    pub(super) size_bytes: u64,
    pub(super) kind: ImageKind,
    /// The content that is the program, if it is not what the digest names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) program: Option<Digest>,
    /// The root file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<String>,
    #[serde(default)]
    pub(super) config: ImageConfig,
    /// All contents it consists of.
    #[serde(default)]
    pub(super) contents: Vec<Digest>,
}

/// Held while contents are put in place that no name refers to yet: nobody removes them meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    _lock: Arc<File>,
}

const PARTS: [&str; 4] = ["sha256", "roots", "names", "processes"];

impl ImageStore {
    /// Opens the store in `folder`, making it if need be, and removes what processes left in the middle that have ended.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, ImportError> {
        let store = Self { folder: folder.into(), claim: Arc::default() };
        for part in PARTS {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(store.folder.join(part));
            made.map_err(|source| store.unwritable(source))?;
        }
        store.tidy_up().map_err(|source| store.unwritable(source))?;
        Ok(store)
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes a file into the store and calls it `reference`, which may have named another until now.
    pub fn import_file(&self, path: &Path, reference: &Reference) -> Result<Image, ImportError> {
        let bytes = fs::read(path)
            .map_err(|source| ImportError::Unreadable { file: path.display().to_string(), source })?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        self.import(&bytes, reference, &name.to_string_lossy())
    }

    /// Takes bytes into the store and calls them `reference`.
    pub fn import_bytes(&self, bytes: &[u8], reference: &Reference) -> Result<Image, ImportError> {
        self.import(bytes, reference, &reference.to_string())
    }

    fn import(&self, bytes: &[u8], reference: &Reference, file: &str) -> Result<Image, ImportError> {
        let kind = kind_of(bytes).map_err(|found| ImportError::NotWasm { file: file.to_owned(), found })?;
        let digest = Digest::of(bytes);
        let entry = Entry {
            reference: reference.to_string(),
            digest: digest.to_string(),
            size_bytes: bytes.len() as u64,
            kind,
            program: None,
            root: None,
            config: ImageConfig::default(),
            contents: vec![digest.clone()],
        };
        self.place(bytes, &digest, &entry).map_err(|source| self.unwritable(source))?;
        Ok(self.image(entry, reference.clone()))
    }

    fn place(&self, bytes: &[u8], digest: &Digest, entry: &Entry) -> io::Result<()> {
        let writing = self.writing()?;
        self.put_content(bytes, digest, &writing)?;
        self.name(entry, &writing)
    }

    /// Puts bytes in place that have that digest, unless they are there.
    pub(super) fn put_content(&self, bytes: &[u8], digest: &Digest, writing: &Writing) -> io::Result<()> {
        if self.has(digest) {
            return Ok(());
        }
        let mut file = self.new_file()?;
        file.write_all(bytes)?;
        self.keep(file, digest, writing)
    }

    /// The image of that name, or the one of that digest if the name says one.
    pub fn find(&self, reference: &Reference) -> Option<Image> {
        match reference.digest() {
            None => self.read(&self.name_file(reference)),
            Some(digest) => self.read(&self.name_file(reference)).or_else(|| {
                self.list().into_iter().find(|image| {
                    image.digest == digest && image.reference.repository() == reference.repository()
                })
            }),
        }
    }

    /// All images, by name.
    pub fn list(&self) -> Vec<Image> {
        let entries = fs::read_dir(self.folder.join("names")).into_iter().flatten().flatten();
        let mut images: Vec<Image> = entries.filter_map(|entry| self.read(&entry.path())).collect();
        images.sort_by(|left, right| left.reference.cmp(&right.reference));
        images
    }

    /// How many names there are.
    pub fn count(&self) -> usize {
        fs::read_dir(self.folder.join("names")).into_iter().flatten().count()
    }

    /// Keeps an image from being removed for want of space, as long as the pin is held.
    pub fn pin(&self, image: &Image) -> io::Result<Pin> {
        let hash = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
        let program = (image.kind != ImageKind::Files && image.root.is_none()).then(|| hash(&image.code));
        let root = image.root.as_ref().and_then(|root| root.file_name());
        let root = root.map(|root| root.to_string_lossy().into_owned());
        let things = [Some(hash(&image.digest)), program, root];
        self.claim()?.pin(things.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// A name whose content is gone counts as absent: then the image can be imported again.
    fn read(&self, name_file: &Path) -> Option<Image> {
        let entry: Entry = serde_json::from_slice(&fs::read(name_file).ok()?).ok()?;
        let reference = entry.reference.parse().ok()?;
        let image = self.image(entry, reference);
        let is_whole = image.path.exists() && image.root.as_ref().is_none_or(|root| root.exists());
        is_whole.then_some(image)
    }

    pub(super) fn image(&self, entry: Entry, reference: Reference) -> Image {
        let root = entry.root.as_ref().map(|root| self.folder.join("roots").join(root));
        let program = entry.program.as_ref().map_or(entry.digest.as_str(), Digest::as_str);
        let path = match (&root, entry.kind) {
            (Some(root), ImageKind::Files) => root.clone(),
            _ => self.folder.join("sha256").join(program.trim_start_matches("sha256:")),
        };
        let mut config = entry.config;
        if config.entrypoint.is_empty() && entry.kind != ImageKind::Files {
            config.entrypoint = vec![reference.short_name().to_owned()];
        }
        Image {
            code: program.to_owned(),
            path,
            reference,
            size_bytes: entry.size_bytes,
            kind: entry.kind,
            digest: entry.digest,
            function: None,
            root,
            config,
        }
    }

    /// Keeps others from removing what no name refers to.
    pub(super) fn writing(&self) -> io::Result<Writing> {
        let lock = self.lock_file()?;
        flock(&lock, FlockOperation::LockShared)?;
        Ok(Writing { _lock: Arc::new(lock) })
    }

    fn lock_file(&self) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).open(self.folder.join("lock"))
    }

    /// Whether a content is there.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.content(digest).exists()
    }

    /// The file of a content.
    pub(super) fn content(&self, digest: &Digest) -> PathBuf {
        self.folder.join("sha256").join(digest.hex())
    }

    /// A file that is gone with this process, unless it is kept.
    pub(super) fn new_file(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix("content-").tempfile_in(self.claim()?.folder())
    }

    /// Puts a file in place whose content has that digest.
    pub(super) fn keep(&self, file: NamedTempFile, digest: &Digest, _writing: &Writing) -> io::Result<()> {
        file.as_file().sync_all()?;
        put(file, &self.content(digest))
    }

    /// Whether a root file system is there.
    pub(super) fn has_root(&self, name: &str) -> bool {
        self.folder.join("roots").join(name).exists()
    }

    /// A folder that is gone with this process, unless it is kept.
    pub(super) fn new_root(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix("root-").tempdir_in(self.claim()?.folder())
    }

    /// Puts a root file system in place; if another process was faster, its own is taken.
    pub(super) fn keep_root(&self, root: TempDir, name: &str, _writing: &Writing) -> io::Result<()> {
        rustix::fs::syncfs(File::open(root.path())?)?;
        let place = self.folder.join("roots").join(name);
        match fs::rename(root.path(), &place) {
            Ok(()) => {
                // Its old path is not there any more, and need not be removed.
                let _ = root.keep();
                sync(&self.folder.join("roots"))
            }
            Err(_) if place.exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets a name mean what `entry` says.
    pub(super) fn name(&self, entry: &Entry, _writing: &Writing) -> io::Result<()> {
        let reference: Reference = entry.reference.parse().map_err(io::Error::other)?;
        let mut file = self.new_file()?;
        file.write_all(&serde_json::to_vec(entry)?)?;
        file.as_file().sync_all()?;
        put(file, &self.name_file(&reference))
    }

    /// By hash, as names are longer than file names may be and hold slashes.
    fn name_file(&self, reference: &Reference) -> PathBuf {
        self.folder.join("names").join(Digest::of(reference.to_string().as_bytes()).hex())
    }

    fn claim(&self) -> io::Result<&Arc<Claim>> {
        if let Some(claim) = self.claim.get() {
            return Ok(claim);
        }
        let _writing = self.writing()?;
        let claim = Claim::new(&self.folder.join("processes"))?;
        Ok(self.claim.get_or_init(|| Arc::new(claim)))
    }

    fn used(&self) -> io::Result<BTreeSet<String>> {
        claim::used(&self.folder.join("processes"))
    }

    fn unwritable(&self, source: io::Error) -> ImportError {
        ImportError::Unwritable { folder: self.folder.clone(), source }
    }
}

/// Puts a file in place so that it is there also when the power fails.
fn put(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path)?;
    sync(path.parent().unwrap_or(Path::new(".")))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
