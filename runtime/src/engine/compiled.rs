//! Compiled code on disk: made once per image and kind of machine, mapped into memory by all who run it.
//!
//! Loading native code means trusting it, so the folder is its owner's alone and every file carries a keyed proof (see
//! `vault`); a file whose proof does not fit is compiled anew. Code is never taken from an image.
#![allow(unsafe_code)]

mod vault;

use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::PrepareError;
use crate::images::{Image, ImageKind};
use vault::Vault;

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
    image.check().map_err(|message| PrepareError { message })?;
    let bytes = fs::read(&image.path)
        .map_err(|error| failed("read the content of", image, &wasmtime::Error::new(error)))?;
    let compiled = match image.kind {
        ImageKind::Module => engine.precompile_module(&bytes),
        ImageKind::Component => engine.precompile_component(&bytes),
        ImageKind::Files => Err(no_program()),
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
        let name = hex(&Sha256::digest(format!("{} {}", image.code, self.compatibility)));
        let (vault, engine, kind) = (self.vault.clone(), self.engine.clone(), image.kind);
        let found = {
            let name = name.clone();
            off_thread(self.inline, move || stored(&vault, &name, &engine, kind)).await
        };
        if let Some(code) = found {
            return Ok(code);
        }
        let compiled = self.compiler.compile(&self.engine, image).await?;
        let (vault, engine, image) = (self.vault.clone(), self.engine.clone(), image.clone());
        off_thread(self.inline, move || {
            if let Err(error) = vault.put(&name, &compiled) {
                tracing::warn!(image = %image.reference, %error, "compiled code was not kept");
            } else if let Some(code) = stored(&vault, &name, &engine, image.kind) {
                return Ok(code);
            }
            // SAFETY: the bytes come from the compiler just now.
            unsafe { load(&engine, image.kind, &compiled) }.map_err(|error| failed("load", &image, &error))
        })
        .await
    }
}

/// The code kept under that name, if it is there and ours.
fn stored(vault: &Vault, name: &str, engine: &Engine, kind: ImageKind) -> Option<Code> {
    let path = vault.get(name)?;
    // SAFETY: the vault found the file to be what was put there, which is what our compiler made. Only this user may write
    // in the folder, and Peapod only renames such files into it, never changes them.
    let mapped = unsafe {
        match kind {
            ImageKind::Module => Module::deserialize_file(engine, &path).map(Code::Module),
            ImageKind::Component => Component::deserialize_file(engine, &path).map(Code::Component),
            ImageKind::Files => Err(no_program()),
        }
    };
    // SAFETY: the same content; for file systems from which no code may be mapped.
    mapped.or_else(|_| unsafe { load(engine, kind, &fs::read(&path)?) }).ok()
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
            ImageKind::Files => return Err(no_program()),
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

/// Of an image with a root file system, a program is chosen before it is compiled.
fn no_program() -> wasmtime::Error {
    wasmtime::Error::msg("none of its files was chosen as the program")
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
