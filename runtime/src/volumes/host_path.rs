//! Folders and files of the host, as far as its operator allows them: all that is below certain directories.

use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::VolumeError;
use super::beneath::{Found, Kind, Root, leads_out};
use super::error::io_error;

/// A path of the host and what is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPath {
    path: String,
    wanted: Wanted,
}

/// What a volume says is at its path, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Nothing is said: a folder is made if there is nothing.
    Anything,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
}

impl HostPath {
    /// Reads the source of a volume.
    pub(super) fn of(volume: &str, source: &HostPathVolumeSource) -> Result<Self, VolumeError> {
        let refuse = |kind| {
            let why = "is not for WebAssembly: a guest can open files and folders, but no sockets or devices";
            Err(VolumeError::Unsupported { volume: volume.to_owned(), kind, why })
        };
        let wanted = match source.type_.as_deref().unwrap_or_default() {
            "DirectoryOrCreate" => Wanted::DirectoryOrCreate,
            "Directory" => Wanted::Directory,
            "FileOrCreate" => Wanted::FileOrCreate,
            "File" => Wanted::File,
            "Socket" => return refuse("hostPath.type Socket"),
            "CharDevice" => return refuse("hostPath.type CharDevice"),
            "BlockDevice" => return refuse("hostPath.type BlockDevice"),
            // The server refuses others.
            _ => Wanted::Anything,
        };
        Ok(Self { path: source.path.clone(), wanted })
    }

    /// A folder that must be there, as local volumes have it.
    pub(super) fn directory(path: &str) -> Self {
        Self { path: path.to_owned(), wanted: Wanted::Directory }
    }

    /// Opens what is there, made if that is wanted.
    pub(super) fn open(&self, volume: &str, allowed: &[PathBuf]) -> Result<Found, VolumeError> {
        let path = Path::new(&self.path);
        let (root, rest) = self.allowed(volume, allowed)?;
        let found = self.find(&root, rest).map_err(|error| match leads_out(&error) {
            true => self.forbidden(volume, allowed),
            false => io_error(volume, path)(error),
        })?;
        let missing = |what: &str| {
            let what = format!("hostPath type check failed: {} is not a {what}", self.path);
            VolumeError::Missing { volume: volume.to_owned(), what }
        };
        let is_file = matches!(self.wanted, Wanted::File | Wanted::FileOrCreate);
        match (found, self.wanted) {
            (Some(found), Wanted::Anything) if found.kind != Kind::Other => Ok(found),
            (Some(found), _) if is_file && found.kind == Kind::File => Ok(found),
            (Some(found), _) if !is_file && found.kind == Kind::Directory => Ok(found),
            _ => Err(missing(if is_file { "file" } else { "directory" })),
        }
    }

    fn find(&self, root: &Root, rest: &Path) -> io::Result<Option<Found>> {
        match root.find(rest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.wanted {
                Wanted::Directory | Wanted::File => Ok(None),
                Wanted::FileOrCreate => root.make_file(rest).map(Some),
                Wanted::Anything | Wanted::DirectoryOrCreate => root.make_directories(rest).map(Some),
            },
            found => found.map(Some),
        }
    }

    /// The allowed directory above the path, and the way from there.
    fn allowed<'a>(&'a self, volume: &str, allowed: &[PathBuf]) -> Result<(Root, &'a Path), VolumeError> {
        let path = Path::new(&self.path);
        let above = |directory: &&PathBuf| path.starts_with(directory);
        let directory = allowed.iter().filter(above).max_by_key(|directory| directory.as_os_str().len());
        let directory = directory.ok_or_else(|| self.forbidden(volume, allowed))?;
        let root = Root::open(directory).map_err(io_error(volume, directory))?;
        let rest = path.strip_prefix(directory).unwrap_or(path);
        Ok((root, if rest.as_os_str().is_empty() { Path::new(".") } else { rest }))
    }

    fn forbidden(&self, volume: &str, allowed: &[PathBuf]) -> VolumeError {
        let listed: Vec<String> = allowed.iter().map(|path| path.display().to_string()).collect();
        VolumeError::Forbidden {
            volume: volume.to_owned(),
            path: self.path.clone(),
            allowed: match listed.is_empty() {
                true => {
                    "this node allows none; its operator allows one with --allow-host-path DIR".to_owned()
                }
                false => format!("this node allows what is below {}", listed.join(", ")),
            },
        }
    }
}
