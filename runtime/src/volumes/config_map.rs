//! configMap volumes: a file per key, all replaced at one moment.
//!
//! ```text
//! NAME/key      -> ..data/key       what the guest opens
//! NAME/..data   -> ..r42            replaced by one rename
//! NAME/..r42/key                    the files of one revision of the ConfigMap
//! ```
//!
//! A guest that opens `..data` once and reads several keys below it sees one revision, as in Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use api::{Object, Revision};
use k8s_openapi::api::core::v1::{ConfigMap, ConfigMapVolumeSource};

use super::place::relative;
use super::{Sources, VolumeError, io_error, remove_tree};

const CURRENT: &str = "..data";
const NEXT: &str = "..data_next";
const DEFAULT_MODE: i32 = 0o644;

/// The files of a volume, by their path within it, with mode and content.
type Files<'a> = BTreeMap<PathBuf, (u32, &'a [u8])>;

/// Makes the volume show what the ConfigMap holds now.
pub(super) fn set_up(
    volume: &str,
    folder: &Path,
    source: &ConfigMapVolumeSource,
    sources: &dyn Sources,
) -> Result<(), VolumeError> {
    let object = sources.config_map(&source.name);
    let missing = |what: String| VolumeError::Missing { volume: volume.to_owned(), what };
    if object.is_none() && source.optional != Some(true) {
        return Err(missing(format!("configmap {:?} not found", source.name)));
    }
    let revision = object.as_ref().map_or(Revision(0), Object::revision);
    let current = PathBuf::from(format!("..r{revision}"));
    if fs::read_link(folder.join(CURRENT)).is_ok_and(|shown| shown == current) {
        return Ok(());
    }
    let config_map = object.as_ref().map(Object::typed::<ConfigMap>).transpose();
    let config_map = config_map.map_err(|error| missing(error.to_string()))?;
    let files = match config_map {
        Some(config_map) => files(volume, source, config_map)?,
        None => Files::new(),
    };
    show(folder, &current, &files).map_err(|(path, error)| io_error(volume, &path)(error))
}

fn files<'a>(
    volume: &str,
    source: &ConfigMapVolumeSource,
    config_map: &'a ConfigMap,
) -> Result<Files<'a>, VolumeError> {
    let texts = config_map.data.iter().flatten().map(|(key, text)| (key, text.as_bytes()));
    let binaries = config_map.binary_data.iter().flatten().map(|(key, data)| (key, data.0.as_slice()));
    let data: BTreeMap<&String, &[u8]> = texts.chain(binaries).collect();
    let default_mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    let Some(items) = source.items.as_ref().filter(|items| !items.is_empty()) else {
        let all = data
            .into_iter()
            .map(|(key, content)| Ok((relative(volume, key)?, (permissions(default_mode), content))));
        return all.collect();
    };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(content) => {
                let mode = permissions(item.mode.unwrap_or(default_mode));
                files.insert(relative(volume, &item.path)?, (mode, content));
            }
            None if source.optional == Some(true) => {}
            None => {
                return Err(VolumeError::Missing {
                    volume: volume.to_owned(),
                    what: format!("references non-existent config key: {}", item.key),
                });
            }
        }
    }
    Ok(files)
}

/// The owner, which is Peapod, can always read.
fn permissions(mode: i32) -> u32 {
    (mode as u32 & 0o777) | 0o400
}

/// Writes the files beside those shown, then shows them by one rename, then removes what is no longer shown.
fn show(folder: &Path, current: &Path, files: &Files<'_>) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let target = folder.join(current);
    remove_tree(&target).map_err(at(&target))?;
    fs::create_dir_all(&target).map_err(at(&target))?;
    for (path, (mode, content)) in files {
        let path = target.join(path);
        if let Some(parent) = path.parent().filter(|parent| *parent != target) {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        fs::write(&path, content).map_err(at(&path))?;
        if *mode != 0o644 {
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).map_err(at(&path))?;
        }
    }
    let shown = fs::read_link(folder.join(CURRENT)).ok();
    let next = folder.join(NEXT);
    let _ = fs::remove_file(&next);
    symlink(current, &next).map_err(at(&next))?;
    fs::rename(&next, folder.join(CURRENT)).map_err(at(&next))?;
    link(folder, files).map_err(at(folder))?;
    match shown {
        Some(old) => remove_tree(&folder.join(&old)).map_err(at(&old)),
        None => Ok(()),
    }
}

/// Makes the top-level links agree with the files.
fn link(folder: &Path, files: &Files<'_>) -> io::Result<()> {
    let tops: BTreeSet<PathBuf> =
        files.keys().filter_map(|path| path.iter().next()).map(PathBuf::from).collect();
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        let is_ours = name.to_string_lossy().starts_with("..");
        if !is_ours && !tops.contains(&name) {
            fs::remove_file(folder.join(name))?;
        }
    }
    for name in tops {
        match symlink(Path::new(CURRENT).join(&name), folder.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
