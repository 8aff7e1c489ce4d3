//! `peapod image`: brings WebAssembly into the image store, shows what is there, and removes it.

mod pull;
mod remove;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use runtime::images::{Image, ImageStore, Reference};
use serde_json::{Value, json};

pub use pull::pull;
pub use remove::{prune, remove};

use crate::data_dir;
use crate::terminal::Terminal;

/// How a listing is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Columns for people.
    Table,
    /// JSON for machines.
    Json,
}

/// The folder of the image store: the given one, or the one in the user's data directory.
pub fn folder(given: Option<PathBuf>) -> Result<PathBuf> {
    given.map_or_else(|| data_dir::of_user().map(|folder| folder.join("images")), Ok)
}

/// Imports a file under a name of the host `localhost`.
pub fn import(folder: &Path, file: &Path, name: &str, terminal: &Terminal) -> Result<()> {
    let reference = Reference::local(name)?;
    let image = ImageStore::open(folder)?.import_file(file, &reference)?;
    terminal.line(&imported(&image, terminal));
    Ok(())
}

/// The line that tells of an imported image.
pub fn imported(image: &Image, terminal: &Terminal) -> String {
    let size = size(image.size_bytes);
    format!("{} {}  {}", terminal.good("imported "), image.reference, terminal.dim(&size))
}

/// Prints the images in the store.
pub fn list(folder: &Path, output: Output, terminal: &Terminal) -> Result<()> {
    let images = ImageStore::open(folder)?.list();
    match output {
        Output::Json => terminal.line(&as_json(&images)?),
        Output::Table if images.is_empty() => {
            terminal.line(
                "no images; bring one with: peapod image import FILE.wasm --as NAME, or: peapod image pull NAME",
            );
        }
        Output::Table => as_table(&images).iter().for_each(|line| terminal.line(line)),
    }
    Ok(())
}

/// Prints all that is known of an image, as JSON.
pub fn inspect(folder: &Path, name: &str, terminal: &Terminal) -> Result<()> {
    let store = ImageStore::open(folder)?;
    let Some(image) = store.find(&remove::known(&store, name)?) else {
        bail!("no image {name:?}; peapod image list shows those there are");
    };
    let mut shown = row(&image);
    shown["path"] = image.path.display().to_string().into();
    shown["config"] = json!({
        "entrypoint": image.config.entrypoint,
        "cmd": image.config.command,
        "env": image.config.env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        "workingDir": image.config.working_dir,
        "exposedPorts": image.config.ports,
    });
    terminal.line(&serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn as_json(images: &[Image]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&images.iter().map(row).collect::<Vec<_>>())?)
}

fn row(image: &Image) -> Value {
    json!({
        "reference": image.reference.to_string(),
        "digest": image.digest,
        "sizeBytes": image.size_bytes,
        "kind": image.kind,
    })
}

fn as_table(images: &[Image]) -> Vec<String> {
    let width = images.iter().map(|image| image.reference.to_string().len()).max().unwrap_or(0).max(5);
    let head = format!("{:width$}  {:19}  {:>9}  KIND", "IMAGE", "DIGEST", "SIZE");
    let row = |image: &Image| {
        let digest: String = image.digest.chars().take(19).collect();
        let (reference, size) = (image.reference.to_string(), size(image.size_bytes));
        format!("{reference:width$}  {digest:19}  {size:>9}  {}", format!("{:?}", image.kind).to_lowercase())
    };
    std::iter::once(head).chain(images.iter().map(row)).collect()
}

/// A number of bytes as people read it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_imported_is_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("app.wasm");
        std::fs::write(&file, b"\0asm\x01\0\0\0").expect("written");
        let store = folder.path().join("images");
        import(&store, &file, "app:v1", &Terminal::standard()).expect("imported");
        let images = ImageStore::open(&store).expect("a store").list();
        let table = as_table(&images);
        assert_eq!(table[0], "IMAGE             DIGEST                    SIZE  KIND");
        assert!(table[1].starts_with("localhost/app:v1  sha256:"), "{}", table[1]);
        assert!(table[1].ends_with("  8 B  module"), "{}", table[1]);
        assert!(as_json(&images).expect("JSON").contains("\"sizeBytes\": 8"));
    }

    #[test]
    fn an_image_is_removed_by_the_name_it_was_imported_as() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ImageStore::open(folder.path()).expect("a store");
        let local = Reference::local("app").expect("a name");
        store.import_bytes(b"\0asm\x01\0\0\0", &local).expect("imported");
        let terminal = Terminal::plain(Box::new(std::io::sink()));
        inspect(folder.path(), "app", &terminal).expect("shown");
        remove(folder.path(), &["app".to_owned()], &terminal).expect("removed");
        assert_eq!(store.list(), []);
        let refused = remove(folder.path(), &["app".to_owned()], &terminal).expect_err("a refusal");
        assert_eq!(refused.to_string(), "no image \"app\"; peapod image list shows those there are");
    }
}
