//! The toolbox: the programs people expect in a container, as one component that is part of this binary.
//!
//! It is compiled when somebody first needs it, and then comes from the cache of compiled code as any image.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::images::{Image, ImageConfig, ImageKind, Reference};

/// The image that pods name to run it.
pub const TOOLBOX_IMAGE: &str = "peapod.dev/toolbox:latest";
/// What it is made of: `runtime/toolbox`.
pub const TOOLBOX: &[u8] = include_bytes!("../../../toolbox/toolbox.wasm");

/// The programs in it, a name a line.
const APPLETS: &str = include_str!("../../../toolbox/applets.txt");

/// The toolbox of an engine.
pub(super) struct Toolbox {
    bytes: Cow<'static, [u8]>,
    digest: String,
    /// Where it is written to be compiled.
    path: PathBuf,
}

impl Toolbox {
    /// The one of this binary, for an engine with this folder.
    pub(super) fn built_in(folder: &Path) -> Self {
        Self::of(Cow::Borrowed(TOOLBOX), folder)
    }

    pub(super) fn of(bytes: Cow<'static, [u8]>, folder: &Path) -> Self {
        let hash = hex(&Sha256::digest(&bytes));
        Self { bytes, path: folder.join(format!("toolbox-{hash}.wasm")), digest: format!("sha256:{hash}") }
    }

    /// Whether an image is the toolbox.
    pub(super) fn is(&self, image: &Image) -> bool {
        image.code == self.digest
    }

    /// Whether it has a program of that name.
    pub(super) fn has(name: &str) -> bool {
        APPLETS.lines().any(|applet| applet == name)
    }

    /// It as an image, which lies on disk from now on.
    pub(super) fn image(&self) -> io::Result<Image> {
        if !self.path.exists() {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
            file.write_all(&self.bytes)?;
            file.persist(&self.path)?;
        }
        image(TOOLBOX_IMAGE, &self.path, &self.digest, ImageKind::Component)
    }
}

/// A program that is no image, made to look like one.
pub(super) fn image(name: &str, path: &Path, digest: &str, kind: ImageKind) -> io::Result<Image> {
    let reference: Reference = name.parse().map_err(io::Error::other)?;
    Ok(Image {
        size_bytes: fs::metadata(path)?.len(),
        digest: digest.to_owned(),
        code: digest.to_owned(),
        path: path.to_owned(),
        function: None,
        root: None,
        config: ImageConfig::default(),
        reference,
        kind,
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
