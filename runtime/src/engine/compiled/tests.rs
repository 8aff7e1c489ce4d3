//! The code cache compiles once, survives damage, and belongs to one user.

#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::images::{ImageStore, Reference};

/// Counts what it compiles.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Compiler for Counting {
    fn compile<'a>(
        &'a self,
        engine: &'a Engine,
        image: &'a Image,
    ) -> BoxFuture<'a, Result<Vec<u8>, PrepareError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::future::ready(compile(engine, image)).boxed()
    }
}

struct Bench {
    folder: tempfile::TempDir,
    image: Image,
    compiler: Counting,
}

impl Bench {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path().join("images")).unwrap();
        let wasm = wat::parse_str(text).unwrap();
        let image = store.import_bytes(&wasm, &Reference::local("test").unwrap()).unwrap();
        Self { folder, image, compiler: Counting::default() }
    }

    fn cache(&self, engine: &Engine) -> CodeCache {
        let compiler = Arc::new(self.compiler.clone());
        CodeCache::open(&self.folder.path().join("code"), engine, compiler, true).unwrap()
    }

    /// Loads with a new cache, as another process would, and says how often was compiled until now.
    async fn load(&self, engine: &Engine) -> usize {
        self.cache(engine).load(&self.image).await.unwrap();
        self.compiler.0.load(Ordering::Relaxed)
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("code")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }
}

#[tokio::test]
async fn code_is_compiled_once_for_each_kind_of_engine() {
    for text in ["(module)", "(component)"] {
        let bench = Bench::new(text);
        let engine = Engine::default();
        assert_eq!(bench.load(&engine).await, 1);
        assert_eq!(bench.load(&engine).await, 1);
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert_eq!(bench.load(&other).await, 2);
        assert_eq!(bench.load(&engine).await, 2);
    }
}

#[tokio::test]
async fn code_that_was_tampered_with_is_never_loaded() {
    let tamper: [fn(&Bench); 5] = [
        |bench| {
            let path = &bench.files(".cwasm")[0];
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |bench| fs::write(&bench.files(".cwasm")[0], b"").unwrap(),
        |bench| fs::write(&bench.files(".proof")[0], [0; 64]).unwrap(),
        |bench| fs::write(&bench.files(".proof")[0], b"").unwrap(),
        |bench| fs::remove_file(&bench.files(".proof")[0]).unwrap(),
    ];
    for tamper in tamper {
        let bench = Bench::new("(module)");
        let engine = Engine::default();
        assert_eq!(bench.load(&engine).await, 1);
        tamper(&bench);
        assert_eq!(bench.load(&engine).await, 2);
        assert_eq!(bench.load(&engine).await, 2);
    }
}

#[tokio::test]
async fn the_folder_is_its_owners_alone() {
    let bench = Bench::new("(module)");
    let folder = bench.folder.path().join("code");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    bench.load(&Engine::default()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("key")), 0o600);

    fs::set_permissions(folder.join("key"), Permissions::from_mode(0o644)).unwrap();
    assert!(Vault::open(&folder).is_err());
}

#[tokio::test]
async fn what_does_not_compile_is_told_with_its_name() {
    let bench = Bench::new("(module (func (export \"f\")))");
    let mut image = bench.image.clone();
    let broken = bench.folder.path().join("broken");
    fs::write(&broken, b"\0asm\x01\0\0\0\xff").unwrap();
    image.path = broken;
    let error = bench.cache(&Engine::default()).load(&image).await.err().unwrap();
    assert!(error.message.starts_with("compile image `localhost/test:latest`: "), "{error}");
}
