//! Turns names and paths that users wrote into paths that stay where they belong.

use std::path::{Component, Path, PathBuf};

use super::VolumeError;

/// Says that a path leads out of a volume.
pub(super) fn outside(volume: &str, path: &str) -> VolumeError {
    VolumeError::Outside { volume: volume.to_owned(), path: path.to_owned() }
}

/// A name that is one component of a path, and not a special one.
pub(super) fn component<'a>(volume: &str, name: &'a str) -> Result<&'a str, VolumeError> {
    let is_plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != "..";
    is_plain.then_some(name).ok_or_else(|| outside(volume, name))
}

/// A path that leads down only.
pub(super) fn relative(volume: &str, path: &str) -> Result<PathBuf, VolumeError> {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => return Err(outside(volume, path)),
        }
    }
    let is_plain = !plain.as_os_str().is_empty() && !path.contains('\0');
    is_plain.then_some(plain).ok_or_else(|| outside(volume, path))
}
