//! Compiled code on disk: made once per image and kind of machine, mapped into memory by all who run it.
//!
//! Loading native code means trusting it, so the folder is its owner's alone and every file carries a keyed hash; a file
//! whose hash does not fit is compiled anew. Code is never taken from an image.
#![allow(unsafe_code)]

use std::fs::{self, DirBuilder, File, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::PrepareError;
use crate::images::{Image, ImageKind};

/// Compiles WebAssembly to the machine code of an engine.
pub trait Compiler: Send + Sync + 'static {
    /// Compiles the content of `image` with the settings of `engine`.
    fn compile<'a>(
        &'a self,
        engine: &'a Engine,
        image: &'a Image,
    ) -> BoxFuture<'a, Result<Vec<u8>, PrepareError>>;
}

/// Compiles in this process.
#[derive(Clone, Copy, Debug)]
pub struct InProcess {
    /// On the calling thread, as virtual time needs it, rather than on one that may block.
    pub inline: bool,
}

impl Compiler for InProcess {
    fn compile<'a>(
        &'a self,
        engine: &'a Engine,
        image: &'a Image,
    ) -> BoxFuture<'a, Result<Vec<u8>, PrepareError>> {
        let (engine, image) = (engine.clone(), image.clone());
        off_thread(self.inline, move || compile(&engine, &image)).boxed()
    }
}

/// Compiles an image on this thread.
pub fn compile(engine: &Engine, image: &Image) -> Result<Vec<u8>, PrepareError> {
    let bytes = fs::read(&image.path)
        .map_err(|error| failed("read the content of", image, &wasmtime::Error::new(error)))?;
    let compiled = match image.kind {
        ImageKind::Module => engine.precompile_module(&bytes),
        ImageKind::Component => engine.precompile_component(&bytes),
    };
    compiled.map_err(|error| failed("compile", image, &error))
}

/// Code ready to run.
pub(super) enum Code {
    Module(Module),
    Component(Component),
}

/// The compiled code of one engine, kept on disk.
pub(super) struct CodeCache {
    vault: Vault,
    engine: Engine,
    compiler: Arc<dyn Compiler>,
    inline: bool,
    /// What compiled code must have been made for.
    compatibility: String,
}

impl CodeCache {
    /// Opens the cache in `folder`.
    pub(super) fn open(
        folder: &Path,
        engine: &Engine,
        compiler: Arc<dyn Compiler>,
        inline: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            vault: Vault::open(folder)?,
            engine: engine.clone(),
            compiler,
            inline,
            compatibility: compatibility(engine),
        })
    }

    /// The code of `image`, from the cache or compiled now.
    pub(super) async fn load(&self, image: &Image) -> Result<Code, PrepareError> {
        let name = hex(&Sha256::digest(format!("{} {}", image.digest, self.compatibility)));
        let (vault, engine, kind) = (self.vault.clone(), self.engine.clone(), image.kind);
        let found = {
            let name = name.clone();
            off_thread(self.inline, move || vault.get(&name).and_then(|stored| stored.code(&engine, kind)))
                .await
        };
        if let Some(code) = found {
            return Ok(code);
        }
        let compiled = self.compiler.compile(&self.engine, image).await?;
        let (vault, engine, image) = (self.vault.clone(), self.engine.clone(), image.clone());
        off_thread(self.inline, move || {
            if let Err(error) = vault.put(&name, &compiled) {
                tracing::warn!(image = %image.reference, %error, "compiled code was not kept");
            } else if let Some(code) = vault.get(&name).and_then(|stored| stored.code(&engine, image.kind)) {
                return Ok(code);
            }
            // SAFETY: the bytes come from the compiler just now.
            unsafe { load(&engine, image.kind, &compiled) }.map_err(|error| failed("load", &image, &error))
        })
        .await
    }
}

/// # Safety
///
/// `compiled` must come from our compiler.
unsafe fn load(engine: &Engine, kind: ImageKind, compiled: &[u8]) -> wasmtime::Result<Code> {
    // SAFETY: as this function's.
    unsafe {
        Ok(match kind {
            ImageKind::Module => Code::Module(Module::deserialize(engine, compiled)?),
            ImageKind::Component => Code::Component(Component::deserialize(engine, compiled)?),
        })
    }
}

/// Runs `work` where it may block.
async fn off_thread<T: Send + 'static>(inline: bool, work: impl FnOnce() -> T + Send + 'static) -> T {
    if inline {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down and drops the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn failed(what: &str, image: &Image, error: &wasmtime::Error) -> PrepareError {
    PrepareError { message: format!("{what} image `{}`: {error:#}", image.reference) }
}

fn compatibility(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        /// The whole hash is taken instead.
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex(&hasher.0.finalize())
}

/// A folder whose files nobody but its owner wrote. Cheap to clone.
#[derive(Clone)]
struct Vault {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

/// A file of the vault that was found to be ours.
struct Stored {
    path: PathBuf,
    bytes: Vec<u8>,
}

const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "key";

impl Vault {
    fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        refuse_foreign(folder)?;
        let key = match read_key(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(folder)?,
            read => read?,
        };
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The file of that name, if it is there and ours.
    fn get(&self, name: &str) -> Option<Stored> {
        let path = self.code_file(name);
        let bytes = fs::read(&path).ok()?;
        let proof = fs::read(self.proof_file(name)).ok()?;
        let is_ours = same(&proof, &self.prove(name, &bytes));
        is_ours.then_some(Stored { path, bytes })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.place(&self.proof_file(name), &self.prove(name, bytes))?;
        self.place(&self.code_file(name), bytes)
    }

    /// By renaming, as another process may have the old one mapped. Not synced: what a power cut tears fails its proof.
    fn place(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    fn code_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.cwasm"))
    }

    fn proof_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.proof"))
    }

    /// Of the name and the content, so that files cannot be exchanged either.
    fn prove(&self, name: &str, bytes: &[u8]) -> [u8; 32] {
        hmac(&self.key, &[name.as_bytes(), &[0], bytes])
    }
}

/// HMAC-SHA-256 (RFC 2104), for keys no longer than a block.
fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    const BLOCK_BYTES: usize = 64;
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        Sha256::new().chain_update(block)
    };
    let inner = message.iter().fold(padded(0x36), Digest::chain_update);
    padded(0x5c).chain_update(inner.finalize()).finalize().into()
}

impl Stored {
    fn code(self, engine: &Engine, kind: ImageKind) -> Option<Code> {
        let Self { path, bytes } = self;
        // SAFETY: `Vault::get` found the content to be what `Vault::put` wrote, which is what our compiler made. Only this
        // user may write in the folder, and Peapod only renames such files into it, never changes them.
        let mapped = unsafe {
            match kind {
                ImageKind::Module => Module::deserialize_file(engine, path).map(Code::Module),
                ImageKind::Component => Component::deserialize_file(engine, path).map(Code::Component),
            }
        };
        // SAFETY: the same content; for file systems from which no code may be mapped.
        mapped.or_else(|_| unsafe { load(engine, kind, &bytes) }).ok()
    }
}

/// In time that does not tell how much was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (left, right)| all | (left ^ right));
    left.len() == right.len() && differences == 0
}

/// A folder that someone else made and still owns is not ours, even where this user may write it.
fn refuse_foreign(folder: &Path) -> io::Result<()> {
    let own = tempfile::tempfile_in(folder)?.metadata()?.uid();
    if fs::metadata(folder)?.uid() == own {
        return Ok(());
    }
    Err(io::Error::other("the folder belongs to another user"))
}

fn read_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut file = File::open(folder.join(KEY_FILE))?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::other("the cache's key can be read by others; remove the folder"));
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(key)
}

/// The first of several processes to make it wins; the others read it.
fn make_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(folder.join(KEY_FILE)) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => read_key(folder),
        Err(error) => Err(error.error),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
