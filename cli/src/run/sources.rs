//! Finds what `peapod run` was pointed at: manifests in files, folders or standard input, and programs beside them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use api::manifest::{self, Document};

/// The largest manifest text that is read.
const LARGEST_MANIFEST: u64 = 32 * 1024 * 1024;

/// What was found.
#[derive(Default)]
pub struct Sources {
    /// The objects, in the order in which they were found.
    pub documents: Vec<Document>,
    /// WebAssembly programs in the given folders.
    pub programs: Vec<PathBuf>,
}

/// Reads everything that `paths` name; `-` is standard input.
pub fn read(paths: &[PathBuf]) -> Result<Sources> {
    let mut sources = Sources::default();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.add_standard_input()?;
        } else if path.is_dir() {
            sources.add_folder(path)?;
        } else {
            sources.add_manifest(path)?;
        }
    }
    if sources.documents.is_empty() {
        let named: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no manifest in {}: a folder is searched for .yaml, .yml and .json files", named.join(", "));
    }
    Ok(sources)
}

impl Sources {
    fn add_standard_input(&mut self) -> Result<()> {
        let mut text = String::new();
        let mut input = std::io::stdin().lock().take(LARGEST_MANIFEST);
        input.read_to_string(&mut text).context("read manifests from standard input")?;
        self.documents.extend(manifest::read("standard input", &text)?);
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("read folder {}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        for file in files.into_iter().filter(|file| file.is_file()) {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("yaml" | "yml" | "json") => self.add_manifest(&file)?,
                Some("wasm") => self.programs.push(file),
                _ => {}
            }
        }
        Ok(())
    }

    fn add_manifest(&mut self, file: &Path) -> Result<()> {
        let name = file.display().to_string();
        if file.extension().is_some_and(|extension| extension == "wasm") {
            bail!(
                "{name} is a program, not a manifest; import it with: peapod image import {name} --as NAME"
            );
        }
        let size = fs::metadata(file).with_context(|| format!("read manifest {name}"))?.len();
        if size > LARGEST_MANIFEST {
            bail!("{name} has {size} bytes; a manifest may have {LARGEST_MANIFEST}");
        }
        let text = fs::read_to_string(file).with_context(|| format!("read manifest {name}"))?;
        self.documents.extend(manifest::read(&name, &text)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_manifests_in_order_and_its_programs() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("b.yaml", "kind: B\n---\nkind: C\n");
        write("a.json", r#"{"kind": "A"}"#);
        write("notes.txt", "not a manifest");
        write("app.wasm", "\0asm");
        let sources = read(&[folder.path().to_owned()]).expect("readable");
        let kinds: Vec<_> = sources.documents.iter().map(|document| document.value["kind"].clone()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
        assert_eq!(sources.programs, [folder.path().join("app.wasm")]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let message = |path: PathBuf| format!("{:#}", read(&[path]).err().expect("an error"));
        assert!(message(folder.path().to_owned()).starts_with("no manifest in "));
        assert!(message("absent.yaml".into()).starts_with("read manifest absent.yaml: No such file"));
        assert!(message("app.wasm".into()).contains("import it with: peapod image import app.wasm"));
    }
}
