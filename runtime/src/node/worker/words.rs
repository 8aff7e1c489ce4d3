//! The last words of a container: what it wrote to its termination message file, or else the end of its log.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container as ContainerSpec;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tracing::warn;

use super::Worker;
use crate::engine::{Exit, Mount};
use crate::logs::tail;
use crate::node::machine::StartFailure;
use crate::volumes;
use crate::wasi::open_mounted;

/// As in Kubernetes: the end of a longer file is taken.
const LONGEST: u64 = 4096;

/// What is taken of a log, as in Kubernetes.
const LOG_LINES: usize = 80;
const LOG_BYTES: usize = 2048;

/// Where a container leaves its last words.
#[derive(Debug)]
pub(super) struct LastWords {
    /// A directory on the host that the guest sees.
    folder: PathBuf,
    /// The file below it.
    name: PathBuf,
    /// The file that was there before the container.
    before: Option<Stamp>,
    /// Whether the folder is there for this alone.
    is_own: bool,
    /// The log to read if a container that failed has left nothing.
    fallback: Option<PathBuf>,
}

/// Tells one state of a file from another.
type Stamp = (u64, i64, i64, u64);

impl Worker {
    /// Gives a container a place for its last words: in a volume it sees, if the path is in one, else in a folder for them alone.
    pub(super) fn place_for_words(
        &self,
        spec: &ContainerSpec,
        log: &Path,
        mounts: &mut Vec<Mount>,
    ) -> Result<Option<LastWords>, StartFailure> {
        let path = spec.termination_message_path.as_deref().unwrap_or(DEFAULT_PATH).trim_end_matches('/');
        if path.is_empty() {
            return Ok(None);
        }
        let folder = self.node.folder_of_pod(self.object.uid()).join("containers").join(&spec.name);
        let place = LastWords::new(path, folder, mounts);
        let mut words =
            place.map_err(|why| StartFailure::Create(format!("terminationMessagePath {path}: {why}")))?;
        let falls_back = spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        words.fallback = falls_back.then(|| log.to_owned());
        Ok(Some(words))
    }
}

/// As the API defaults it.
const DEFAULT_PATH: &str = "/dev/termination-log";

impl LastWords {
    fn new(path: &str, own: PathBuf, mounts: &mut Vec<Mount>) -> io::Result<Self> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !path.starts_with('/') || Path::new(path).components().any(|part| part.as_os_str() == "..") {
            return Err(io::Error::other("must be an absolute path without `..`"));
        }
        let parent = if parent.is_empty() { "/" } else { parent };
        // The image's own files need not have a folder for it.
        let holds = |mount: &&Mount| {
            let is_within = Path::new(path).starts_with(&mount.guest_path) && mount.host_path.is_dir();
            is_within && (mount.guest_path != "/" || parent == "/")
        };
        if let Some(mount) = mounts.iter().filter(holds).max_by_key(|mount| mount.guest_path.len()) {
            let below = Path::new(path).strip_prefix(&mount.guest_path).map_err(io::Error::other)?;
            let mut words = Self { folder: mount.host_path.clone(), name: below.to_owned(), ..Self::none() };
            words.before = words.open().ok().and_then(|file| stamp(&file).ok());
            return Ok(words);
        }
        // An earlier process may have left some.
        volumes::remove_tree(&own)?;
        fs::create_dir_all(&own)?;
        let folder = fs::canonicalize(own)?;
        let is_beside = |mount: &Mount| Path::new(&mount.guest_path).parent() == Some(Path::new(parent));
        let (host_path, guest_path) = if mounts.iter().any(is_beside) {
            let file = folder.join(name);
            File::create(&file)?;
            (file, path)
        } else {
            (folder.clone(), parent)
        };
        mounts.push(Mount { host_path, guest_path: guest_path.to_owned(), read_only: false });
        Ok(Self { folder, name: name.into(), is_own: true, ..Self::none() })
    }

    fn none() -> Self {
        Self { folder: PathBuf::new(), name: PathBuf::new(), before: None, is_own: false, fallback: None }
    }

    /// Adds them to what is known of the container's end.
    pub(super) fn add_to(&self, exit: &mut Exit) {
        let words = self.read(exit.code != 0);
        if !words.is_empty() {
            let separator = if exit.message.is_empty() { "" } else { ": " };
            exit.message = format!("{}{separator}{words}", exit.message);
        }
        if self.is_own
            && let Err(error) = volumes::remove_tree(&self.folder)
        {
            warn!(%error, "folder of last words not removed");
        }
    }

    fn read(&self, has_failed: bool) -> String {
        let written = match self.read_file() {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return format!("Error on reading termination log: {error}"),
        };
        match &self.fallback {
            Some(log) if written.is_empty() && has_failed => end_of_log(log),
            _ => written,
        }
    }

    fn read_file(&self) -> io::Result<String> {
        let mut file = self.open()?;
        if self.before.is_some() && self.before == stamp(&file).ok() {
            return Ok(String::new());
        }
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST)))?;
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The file is the guest's: it may be a link to anywhere, or none.
    fn open(&self) -> io::Result<File> {
        let (folder, _path) = open_mounted(&self.folder)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = File::from(rustix::fs::openat2(folder, &self.name, flags, Mode::empty(), within)?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not a file")),
        }
    }
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let metadata = file.metadata()?;
    Ok((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

fn end_of_log(path: &Path) -> String {
    let lines = tail(path, LOG_LINES).into_iter().map(|line| line.text + "\n");
    let text: String = lines.collect();
    text[text.ceil_char_boundary(text.len().saturating_sub(LOG_BYTES))..].to_owned()
}
