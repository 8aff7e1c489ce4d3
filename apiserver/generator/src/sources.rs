//! Finds where cargo keeps the sources of the two crates; fetches them if they are not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde_json::Value;

/// The version of the Kubernetes API, as `k8s-openapi` names its module.
pub const API: &str = "v1_35";

/// The root directories of the crates that are read.
pub struct Crates {
    /// `k8s-openapi`: JSON names, types, what is required.
    pub openapi: PathBuf,
    /// `k8s-pb`: tags, and the markers in its comments.
    pub protobuf: PathBuf,
    /// Both with their versions, for the first line of the table.
    pub names: String,
}

/// Asks cargo about this package with the feature that names both crates.
pub fn locate() -> Result<Crates, String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--features=sources",
            "--manifest-path",
            manifest,
        ])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata ended with {}", output.status));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("read cargo metadata: {error}"))?;
    let (openapi, openapi_name) = find(&metadata, "k8s-openapi")?;
    let (protobuf, protobuf_name) = find(&metadata, "k8s-pb")?;
    Ok(Crates { openapi, protobuf, names: format!("{openapi_name} ({API}) and {protobuf_name}") })
}

fn find(metadata: &Value, name: &str) -> Result<(PathBuf, String), String> {
    let package =
        metadata["packages"].as_array().into_iter().flatten().find(|package| package["name"] == name);
    package
        .and_then(|package| {
            let root = Path::new(package["manifest_path"].as_str()?).parent()?;
            Some((root.to_owned(), format!("{name} {}", package["version"].as_str()?)))
        })
        .ok_or_else(|| format!("cargo metadata does not name {name}"))
}

/// Every Rust file below `root` with its text, in the order of their paths.
pub fn rust_files(root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).map_err(|error| format!("read {}: {error}", directory.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("read {}: {error}", directory.display()))?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text =
                    fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
                found.push((path, text));
            }
        }
    }
    found.sort();
    Ok(found)
}
