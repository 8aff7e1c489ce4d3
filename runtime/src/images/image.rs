//! An image in the store, and the program in it that a container runs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::{ImageConfig, Reference};

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it is called.
    pub reference: Reference,
    /// `sha256:` and the hash of its manifest, or of the file it was imported from.
    pub digest: String,
    /// The file with its program; of a root file system, its folder, as long as the program is not chosen.
    pub path: PathBuf,
    /// How large it is.
    pub size_bytes: u64,
    /// What that path holds.
    pub kind: ImageKind,
    /// Names the program's content: what is compiled is kept by it.
    pub code: String,
    /// What is called of a module, if it is not `_start`.
    pub function: Option<String>,
    /// The folder with its root file system, if it has one.
    pub root: Option<PathBuf>,
    /// How it wants to be run.
    pub config: ImageConfig,
}

/// What an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageKind {
    /// A core module.
    Module,
    /// A component.
    Component,
    /// A root file system, in which a container's command names the program.
    Files,
}

/// Compiling more than this would take more memory than the rest of the node.
pub const LARGEST_PROGRAM: u64 = 64 << 20;

impl Image {
    /// The image with the program that a container runs: the only one, or in a root file system the one that the container's
    /// command, or else the image's, names. Says in a sentence why there is none.
    pub fn for_command(mut self, command: &[String]) -> Result<Self, String> {
        if self.kind == ImageKind::Files {
            self.choose(command)?;
        }
        Ok(self)
    }

    /// Whether its program can be compiled at all. Says in a sentence why not.
    pub fn check(&self) -> Result<(), String> {
        let unreadable = |error| format!("read image `{}`: {error}", self.reference);
        let file = File::open(&self.path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > LARGEST_PROGRAM {
            return Err(format!(
                "the program of image `{}` has {size} bytes, more than the {LARGEST_PROGRAM} that can be compiled",
                self.reference
            ));
        }
        kind_of_file(file).map_err(unreadable)?.map(drop).map_err(|found| {
            format!("image `{}` is not a WebAssembly module or component: {found}", self.reference)
        })
    }

    fn choose(&mut self, command: &[String]) -> Result<(), String> {
        let own = self.config.entrypoint.iter().chain(&self.config.command);
        let Some(named) = command.first().or_else(|| own.into_iter().next()) else {
            return Err(format!("no command specified: image `{}` names none either", self.reference));
        };
        // `path#function`, as runwasi has it.
        let (path, function) = match named.split_once('#') {
            Some((path, function)) if !function.is_empty() => (path, Some(function.to_owned())),
            _ => (named.as_str(), None),
        };
        let absent = || format!("exec: {path:?}: no such file in the root of image `{}`", self.reference);
        let root = self.root.clone().ok_or_else(absent)?;
        let begins_at = Path::new(&self.config.working_dir);
        let candidates = [begins_at.join(path), Path::new("/").join(path)];
        let found = candidates.iter().find_map(|candidate| open_within(&root, candidate).ok());
        let (file, place) = found.ok_or_else(absent)?;
        self.kind = kind_of_file(file)
            .map_err(|error| format!("read {path:?} of image `{}`: {error}", self.reference))?
            .map_err(|found| {
                format!(
                    "exec {path:?}: exec format error: it is not a WebAssembly module or component: {found}"
                )
            })?;
        // The root never changes, so the place of the file in it names its content.
        let within = place.strip_prefix(&root).unwrap_or(&place);
        let root = root.file_name().unwrap_or_default();
        self.code = Digest::of(
            [root.as_encoded_bytes(), b"/", within.as_os_str().as_encoded_bytes()].concat().as_slice(),
        )
        .to_string();
        (self.path, self.function) = (place, function);
        Ok(())
    }
}

/// Opens a file as if `root` were the root, and says where it is.
fn open_within(root: &Path, path: &Path) -> io::Result<(File, PathBuf)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(rustix::fs::openat2(&folder, path, flags, Mode::empty(), resolve)?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok((file, place))
}

/// What a file holds, or what else it seems to be.
pub(super) fn kind_of_file(mut file: impl Read) -> io::Result<Result<ImageKind, String>> {
    let mut begins = Vec::with_capacity(SHOWN_BYTES);
    file.by_ref().take(SHOWN_BYTES as u64).read_to_end(&mut begins)?;
    Ok(kind_of(&begins))
}

/// How WebAssembly begins.
pub(super) const WASM_MAGIC: &[u8] = b"\0asm";
/// The versions that follow it: two bytes of version, two of layer.
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// How much of a foreign file is shown.
const SHOWN_BYTES: usize = 16;

/// What bytes hold, or what else they seem to be.
pub(super) fn kind_of(bytes: &[u8]) -> Result<ImageKind, String> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn image(root: &Path, config: ImageConfig) -> Image {
        Image {
            reference: "reg.io/app:1".parse().unwrap(),
            digest: Digest::of(b"manifest").to_string(),
            path: root.to_owned(),
            size_bytes: 1,
            kind: ImageKind::Files,
            code: String::new(),
            function: None,
            root: Some(root.to_owned()),
            config,
        }
    }

    #[test]
    fn the_command_chooses_a_program_within_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("root");
        fs::create_dir_all(root.join("srv")).unwrap();
        fs::write(root.join("app.wasm"), b"\0asm\x01\0\0\0").unwrap();
        fs::write(root.join("srv/web.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        fs::write(root.join("sh"), b"\x7fELF").unwrap();
        fs::write(folder.path().join("outside.wasm"), b"\0asm\x01\0\0\0").unwrap();
        symlink("/srv/web.wasm", root.join("link")).unwrap();
        symlink("../outside.wasm", root.join("out")).unwrap();
        let chosen = |entrypoint: &[&str], working_dir: &str, command: &[&str]| {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let config = ImageConfig {
                entrypoint: words(entrypoint),
                working_dir: working_dir.to_owned(),
                ..ImageConfig::default()
            };
            image(&root, config).for_command(&words(command))
        };
        let check = |entrypoint: &[&str], working_dir: &str, command: &[&str], expected: &str| {
            let shown = match chosen(entrypoint, working_dir, command) {
                Ok(image) => format!(
                    "{} {:?} {}",
                    image.path.strip_prefix(&root).unwrap().display(),
                    image.kind,
                    image.function.unwrap_or_default()
                ),
                Err(sentence) => sentence,
            };
            assert_eq!(shown.trim_end(), expected);
        };
        check(&["/app.wasm"], "", &[], "app.wasm Module");
        check(&["/app.wasm#serve"], "", &[], "app.wasm Module serve");
        check(&["/app.wasm"], "/srv", &["web.wasm"], "srv/web.wasm Component");
        check(&["app.wasm"], "/srv", &[], "app.wasm Module");
        check(&[], "", &["/link"], "srv/web.wasm Component");
        check(&[], "", &["../../app.wasm"], "app.wasm Module");
        let absent = "exec: \"/out\": no such file in the root of image `reg.io/app:1`";
        check(&[], "", &["/out"], absent);
        check(&[], "", &["/"], "exec: \"/\": no such file in the root of image `reg.io/app:1`");
        check(&[], "", &[], "no command specified: image `reg.io/app:1` names none either");
        check(
            &["/sh"],
            "",
            &["sh"],
            "exec \"sh\": exec format error: it is not a WebAssembly module or component: it is a native program (ELF)",
        );
        let code = |command| chosen(&[], "", &[command]).unwrap().code;
        assert_eq!(code("/link"), code("/srv/web.wasm"));
        assert_ne!(code("/link"), code("/app.wasm"));
    }

    #[test]
    fn what_cannot_be_compiled_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.wasm");
        let file = File::create(&path).unwrap();
        file.set_len(LARGEST_PROGRAM + 1).unwrap();
        let mut image = image(&path, ImageConfig::default());
        image.kind = ImageKind::Module;
        let refused = image.check().unwrap_err();
        assert_eq!(
            refused,
            "the program of image `reg.io/app:1` has 67108865 bytes, more than the 67108864 that can be compiled"
        );
        file.set_len(LARGEST_PROGRAM).unwrap();
        let refused = image.check().unwrap_err();
        assert!(
            refused
                .starts_with("image `reg.io/app:1` is not a WebAssembly module or component: it starts with")
        );
        fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(image.check(), Ok(()));
    }
}
