//! Files as commands name them. WASI shows mounts and no folders above them: those are made up here, so that one can walk.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::sync::OnceLock;
use std::time::SystemTime;

use wasi::filesystem::preopens::get_directories;
use wasi::filesystem::types::{Descriptor, ErrorCode};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a socket or a pipe.
    Other,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// How large it is.
    pub bytes: u64,
    /// When it was written last.
    pub modified: SystemTime,
}

impl Facts {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    /// The letter `ls -l` shows for its kind.
    pub fn letter(&self) -> char {
        match self.kind {
            Kind::File => '-',
            Kind::Folder => 'd',
            Kind::Link => 'l',
            Kind::Other => 'c',
        }
    }

    fn made_up(kind: Kind) -> Self {
        Self { kind, bytes: 0, modified: SystemTime::UNIX_EPOCH }
    }
}

impl From<Metadata> for Facts {
    fn from(metadata: Metadata) -> Self {
        let file_type = metadata.file_type();
        let kind = match file_type {
            _ if file_type.is_dir() => Kind::Folder,
            _ if file_type.is_symlink() => Kind::Link,
            _ if file_type.is_file() => Kind::File,
            _ => Kind::Other,
        };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self { kind, bytes: metadata.len(), modified }
    }
}

/// The devices scripts name. None of them is a file here.
pub const DEVICES: [&str; 5] = ["/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty"];

/// Where folders of the host are mounted.
pub fn mounts() -> &'static [String] {
    static MOUNTS: OnceLock<Vec<String>> = OnceLock::new();
    MOUNTS.get_or_init(|| {
        let mut mounts: Vec<String> =
            get_directories().into_iter().map(|(_, path)| absolute("/", &path)).collect();
        mounts.sort();
        mounts.dedup();
        mounts
    })
}

/// The mount that a whole path leads into, and the way from there.
pub fn preopen_of(path: &str) -> Option<(Descriptor, String)> {
    let way = |mount: &str| {
        let rest = path.strip_prefix(mount.trim_end_matches('/'))?.strip_prefix('/')?;
        Some(rest.to_owned())
    };
    let ways = get_directories().into_iter().filter_map(|(descriptor, mount)| {
        let mount = absolute("/", &mount);
        Some((mount.len(), (descriptor, way(&mount)?)))
    });
    ways.max_by_key(|(length, _)| *length).map(|(_, found)| found)
}

/// An error of WASI as one of the standard library.
pub fn error_of(code: ErrorCode) -> io::Error {
    match code {
        ErrorCode::NoEntry => ErrorKind::NotFound.into(),
        ErrorCode::Exist => ErrorKind::AlreadyExists.into(),
        ErrorCode::NotDirectory => ErrorKind::NotADirectory.into(),
        ErrorCode::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
        ErrorCode::Access | ErrorCode::NotPermitted => ErrorKind::PermissionDenied.into(),
        other => io::Error::other(other.message()),
    }
}

/// The whole path of what somebody in `folder` calls `name`, without `.` and `..`.
pub fn absolute(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let start = if name.starts_with('/') { "" } else { folder };
    for part in start.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A path within a folder.
pub fn within(folder: &str, name: &str) -> String {
    if folder.ends_with('/') { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// The folder a path lies in.
pub fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// The names within `path` that lead to mounts.
fn towards_mounts(path: &str) -> Vec<&'static str> {
    let prefix = within(path, "");
    let rest = mounts().iter().filter_map(|mount| mount.strip_prefix(&prefix));
    rest.filter_map(|rest| rest.split('/').next()).filter(|name| !name.is_empty()).collect()
}

/// What a whole path leads to, following links.
pub fn facts(path: &str) -> io::Result<Facts> {
    known(path, fs::metadata(path))
}

/// What a whole path leads to, a link itself included.
pub fn own_facts(path: &str) -> io::Result<Facts> {
    known(path, fs::symlink_metadata(path))
}

fn known(path: &str, found: io::Result<Metadata>) -> io::Result<Facts> {
    match found {
        Ok(metadata) => Ok(metadata.into()),
        Err(_) if DEVICES.contains(&path) => Ok(Facts::made_up(Kind::Other)),
        Err(_) if path == "/" || !towards_mounts(path).is_empty() => Ok(Facts::made_up(Kind::Folder)),
        Err(error) => Err(error),
    }
}

/// Whether a whole path leads to a folder.
pub fn is_folder(path: &str) -> bool {
    facts(path).is_ok_and(|facts| facts.is_folder())
}

/// The names in a folder, in order.
pub fn list(path: &str) -> io::Result<Vec<String>> {
    let mut names: BTreeMap<String, ()> = BTreeMap::new();
    match fs::read_dir(path) {
        Ok(entries) => {
            for entry in entries {
                names.insert(entry?.file_name().to_string_lossy().into_owned(), ());
            }
        }
        Err(error) if !is_folder(path) => return Err(error),
        // A folder that is made up holds nothing but ways to mounts.
        Err(_) => {}
    }
    names.extend(towards_mounts(path).into_iter().map(|name| (name.to_owned(), ())));
    Ok(names.into_keys().collect())
}

/// Opens a file to read it.
pub fn open(path: &str) -> io::Result<File> {
    if is_folder(path) {
        return Err(ErrorKind::IsADirectory.into());
    }
    File::open(path)
}

/// Opens a file to write it, at its end or anew.
pub fn create(path: &str, appends: bool) -> io::Result<File> {
    if is_folder(path) {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    if appends { options.append(true) } else { options.truncate(true) }.open(path)
}

/// An error in the words people know.
pub fn words(error: &io::Error) -> String {
    const NOT_CAPABLE: i32 = 76;
    let known = match error.kind() {
        ErrorKind::NotFound => "No such file or directory",
        ErrorKind::PermissionDenied if error.raw_os_error() == Some(NOT_CAPABLE) => {
            "No such file or directory"
        }
        ErrorKind::PermissionDenied => "Operation not permitted",
        ErrorKind::ReadOnlyFilesystem => "Read-only file system",
        ErrorKind::AlreadyExists => "File exists",
        ErrorKind::NotADirectory => "Not a directory",
        ErrorKind::IsADirectory => "Is a directory",
        ErrorKind::DirectoryNotEmpty => "Directory not empty",
        ErrorKind::StorageFull => "No space left on device",
        ErrorKind::QuotaExceeded => "Disk quota exceeded",
        ErrorKind::CrossesDevices => "Invalid cross-device link",
        ErrorKind::InvalidInput if error.raw_os_error().is_some() => "Invalid argument",
        _ if error.raw_os_error() == Some(NOT_CAPABLE) => "No such file or directory",
        _ => {
            let words = error.to_string();
            return words.split(" (os error").next().unwrap_or_default().to_owned();
        }
    };
    known.to_owned()
}
