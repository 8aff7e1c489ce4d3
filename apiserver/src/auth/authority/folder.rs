//! The folder with the keys and certificates of a cluster: for its owner only, and no file is ever half written.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::AuthorityError;

/// What others may do with a file.
const OTHERS: u32 = 0o077;

/// Where files are kept; nowhere for an authority that ends with its process.
pub struct Folder(Option<PathBuf>);

impl Folder {
    /// Nothing is found in it and nothing is kept.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// The folder at `path`, made if there is none.
    pub fn open(path: &Path) -> Result<Self, AuthorityError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.and_then(|()| close_to_others(path, 0o700)).map_err(failed("make the folder", path))?;
        Ok(Self(Some(path.to_owned())))
    }

    /// Where a file of this name is, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.as_deref().unwrap_or(Path::new("")).join(name)
    }

    /// The content of a file; none if there is no such file.
    pub fn read(&self, name: &str) -> Result<Option<String>, AuthorityError> {
        if self.0.is_none() {
            return Ok(None);
        }
        let path = self.path(name);
        match fs::read(&path) {
            // What is no text is no PEM either, which is said where it is parsed.
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// The same for a file that only its owner may read; others lose what rights they had.
    pub fn read_secret(&self, name: &str) -> Result<Option<String>, AuthorityError> {
        let content = self.read(name)?;
        if content.is_some() {
            let path = self.path(name);
            close_to_others(&path, 0o600).map_err(failed("restrict", &path))?;
        }
        Ok(content)
    }

    /// Puts a file in its place at once: after a power cut there is the old one or the new one.
    pub fn write(&self, name: &str, content: &str) -> Result<(), AuthorityError> {
        let Some(folder) = &self.0 else {
            return Ok(());
        };
        let path = folder.join(name);
        let next = folder.join(format!(".{name}.new"));
        let written = (|| {
            // One left behind by a power cut may be in the way, or have been made by somebody else.
            match fs::remove_file(&next) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(folder)?.sync_all()
        })();
        written.map_err(failed("write", &path))
    }
}

fn close_to_others(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    warn!(path = %path.display(), "was open to other users and is restricted to its owner");
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::File { doing, path, source }
}
