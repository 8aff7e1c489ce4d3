//! Images on disk: a file per content, named by its digest, and a small file per name. All are put in place by renaming,
//! so several processes may use one store. Nothing is remembered: each look sees what any of them imported.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Reference;

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it is called.
    pub reference: Reference,
    /// `sha256:` and the hash of its content.
    pub digest: String,
    /// The file with its content.
    pub path: PathBuf,
    /// How large that file is.
    pub size_bytes: u64,
    /// What the content is.
    pub kind: ImageKind,
    /// The arguments it starts with where a pod gives no `command`: the program's name.
    pub entrypoint: Vec<String>,
}

/// What a WebAssembly file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageKind {
    /// A core module.
    Module,
    /// A component.
    Component,
}

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

/// The store of images: a folder.
#[derive(Clone, Debug)]
pub struct ImageStore {
    folder: PathBuf,
}

/// The file of one name.
#[derive(Serialize, Deserialize)]
struct Entry {
    reference: String,
    digest: String,
    size_bytes: u64,
    kind: ImageKind,
}

impl ImageStore {
    /// Opens the store in `folder`, making it if need be.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, ImportError> {
        let store = Self { folder: folder.into() };
        for part in [store.contents(), store.names()] {
            fs::create_dir_all(part).map_err(|source| store.unwritable(source))?;
        }
        Ok(store)
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
        let hash = hex(&Sha256::digest(bytes));
        let entry = Entry {
            reference: reference.to_string(),
            digest: format!("sha256:{hash}"),
            size_bytes: bytes.len() as u64,
            kind,
        };
        let content = self.contents().join(&hash);
        if !content.exists() {
            place(&content, bytes).map_err(|source| self.unwritable(source))?;
        }
        let line = serde_json::to_vec(&entry).map_err(|error| self.unwritable(io::Error::from(error)))?;
        place(&self.name_file(reference), &line).map_err(|source| self.unwritable(source))?;
        Ok(self.image(entry, reference.clone()))
    }

    /// The image of that name, or the one of that digest if the name says one.
    pub fn find(&self, reference: &Reference) -> Option<Image> {
        match reference.digest() {
            None => self.read(&self.name_file(reference)),
            Some(digest) => self.list().into_iter().find(|image| {
                image.digest == digest && image.reference.repository() == reference.repository()
            }),
        }
    }

    /// All images, by name.
    pub fn list(&self) -> Vec<Image> {
        let entries = fs::read_dir(self.names()).into_iter().flatten().flatten();
        let mut images: Vec<Image> = entries.filter_map(|entry| self.read(&entry.path())).collect();
        images.sort_by(|left, right| left.reference.cmp(&right.reference));
        images
    }

    /// How many names there are.
    pub fn count(&self) -> usize {
        let entries = fs::read_dir(self.names()).into_iter().flatten().flatten();
        // Those that are being put in place are hidden.
        entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")).count()
    }

    /// A name whose content is gone counts as absent: then the image can be imported again.
    fn read(&self, name_file: &Path) -> Option<Image> {
        let entry: Entry = serde_json::from_slice(&fs::read(name_file).ok()?).ok()?;
        let reference = entry.reference.parse().ok()?;
        let image = self.image(entry, reference);
        image.path.exists().then_some(image)
    }

    fn image(&self, entry: Entry, reference: Reference) -> Image {
        let hash = entry.digest.trim_start_matches("sha256:");
        Image {
            path: self.contents().join(hash),
            entrypoint: vec![reference.short_name().to_owned()],
            reference,
            size_bytes: entry.size_bytes,
            kind: entry.kind,
            digest: entry.digest,
        }
    }

    fn contents(&self) -> PathBuf {
        self.folder.join("sha256")
    }

    fn names(&self) -> PathBuf {
        self.folder.join("names")
    }

    /// By hash, as names are longer than file names may be and hold slashes.
    fn name_file(&self, reference: &Reference) -> PathBuf {
        self.names().join(hex(&Sha256::digest(reference.to_string())))
    }

    fn unwritable(&self, source: io::Error) -> ImportError {
        ImportError::Unwritable { folder: self.folder.clone(), source }
    }
}

/// Puts a file in place whole or not at all, also when the power fails in between.
fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

const WASM_MAGIC: &[u8] = b"\0asm";
/// The versions that follow it: two bytes of version, two of layer.
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// How much of a foreign file is shown.
const SHOWN_BYTES: usize = 16;

fn kind_of(bytes: &[u8]) -> Result<ImageKind, String> {
    let Some(version) = bytes.strip_prefix(WASM_MAGIC) else {
        return Err(describe(bytes));
    };
    if version.starts_with(MODULE) {
        Ok(ImageKind::Module)
    } else if version.starts_with(COMPONENT) {
        Ok(ImageKind::Component)
    } else {
        let shown = &version[..version.len().min(4)];
        Err(format!("its version is {shown:02x?}, which is neither a module's nor a component's"))
    }
}

fn describe(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(SHOWN_BYTES)];
    if bytes.is_empty() {
        "it is empty".to_owned()
    } else if bytes.starts_with(b"\x7fELF") {
        "it is a native program (ELF)".to_owned()
    } else if bytes.trim_ascii_start().starts_with(b"(module")
        || bytes.trim_ascii_start().starts_with(b"(component")
    {
        "it is WebAssembly text".to_owned()
    } else {
        format!("it starts with \"{}\"", start.escape_ascii())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE_FILE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT_FILE: &[u8] = b"\0asm\x0d\0\x01\0";

    fn store() -> (tempfile::TempDir, ImageStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ImageStore::open(folder.path().join("images")).expect("a store");
        (folder, store)
    }

    fn named(name: &str) -> Reference {
        Reference::local(name).expect("a name")
    }

    #[test]
    fn an_imported_image_is_found_by_name_and_digest_also_by_another_process() {
        let (folder, store) = store();
        let image = store.import_bytes(MODULE_FILE, &named("hello:1")).expect("imported");
        assert_eq!((image.kind, image.size_bytes), (ImageKind::Module, 8));
        assert_eq!(image.entrypoint, ["hello"]);
        assert_eq!(fs::read(&image.path).expect("its content"), MODULE_FILE);

        let other = ImageStore::open(folder.path().join("images")).expect("a store");
        assert_eq!(other.find(&named("hello:1")), Some(image.clone()));
        assert_eq!((other.find(&named("hello:2")), other.count()), (None, 1));
        let later = store.import_bytes(COMPONENT_FILE, &named("hello:2")).expect("imported");
        assert_eq!((other.find(&named("hello:2")), other.count()), (Some(later), 2));
        let by_digest: Reference = format!("localhost/hello@{}", image.digest).parse().expect("a name");
        assert_eq!(other.find(&by_digest), Some(image.clone()));
        let elsewhere: Reference = format!("localhost/other@{}", image.digest).parse().expect("a name");
        assert_eq!(other.find(&elsewhere), None);
    }

    #[test]
    fn a_name_imported_again_names_the_new_content() {
        let (_folder, store) = store();
        store.import_bytes(MODULE_FILE, &named("b")).expect("imported");
        let second = store.import_bytes(COMPONENT_FILE, &named("b")).expect("imported");
        let first = store.import_bytes(COMPONENT_FILE, &named("a")).expect("imported");
        assert_eq!(second.kind, ImageKind::Component);
        assert_eq!(first.path, second.path);
        assert_eq!(store.list(), [first, second]);
    }

    #[test]
    fn what_is_not_wasm_is_refused_with_what_it_is() {
        let (folder, store) = store();
        let check = |content: &[u8], expected: &str| {
            let path = folder.path().join("app.txt");
            fs::write(&path, content).expect("a file");
            let refused = store.import_file(&path, &named("app")).expect_err("a refusal").to_string();
            let expected = format!(
                "app.txt is not a WebAssembly module or component: {expected}; give the binary .wasm file that a compiler built"
            );
            assert_eq!(refused, expected);
        };
        check(b"hello\nworld, how are you", "it starts with \"hello\\nworld, how\"");
        check(b"", "it is empty");
        check(b"\x7fELF\x02", "it is a native program (ELF)");
        check(b"\n(module)", "it is WebAssembly text");
        check(
            b"\0asm\x02\0\0\0",
            "its version is [02, 00, 00, 00], which is neither a module's nor a component's",
        );
        assert_eq!(store.list(), []);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let (folder, store) = store();
        let path = folder.path().join("none.wasm");
        let refused = store.import_file(&path, &named("app")).expect_err("a refusal");
        assert_eq!(refused.to_string(), format!("read {}", path.display()));
    }
}
