//! An engine with all it needs, and containers given in one line.

use std::fs;
use std::path::PathBuf;

use api::{Clock, Key};
use tempfile::TempDir;

use super::super::*;
use crate::engine::{Exit, Mount};
use crate::images::{ImageStore, Reference};
use crate::limits::cpu::Currency;
use crate::limits::{Amounts, ContainerLimits, PodLimits};
use crate::logs::{LogConfig, LogFile, LogStream};
use crate::network::{Interface, Network, NetworkConfig, PodIdentity};

/// Enough for every test; a larger pool costs address space only.
const INSTANCES: u32 = 64;

pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
    engine: WasmEngine,
    images: ImageStore,
    network: Network,
}

/// What a container is given, and its log.
pub(super) struct Given {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) mounts: Vec<Mount>,
    pub(super) limits: ContainerLimits,
    pub(super) interface: Interface,
    log: LogFile,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::at(Clock::real())
    }

    pub(super) fn at(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = EngineConfig {
            clock: clock.clone(),
            max_instances: INSTANCES,
            cache_dir: folder.path().join("code"),
            compiler: None,
        };
        Self {
            engine: WasmEngine::new(config).unwrap(),
            images: ImageStore::open(folder.path().join("images")).unwrap(),
            network: Network::new(NetworkConfig::new(clock.clone())),
            clock,
            folder,
        }
    }

    /// With another toolbox than the one of this binary.
    pub(super) fn with_toolbox(bytes: Vec<u8>) -> Self {
        let mut bench = Self::new();
        let folder = bench.folder.path().join("code");
        let programs = Arc::get_mut(&mut bench.engine.timed).unwrap();
        programs.toolbox = Toolbox::of(bytes.into(), &folder);
        bench
    }

    pub(super) fn image(&self, name: &str, wasm: &[u8]) -> Image {
        self.images.import_bytes(wasm, &Reference::local(name).unwrap()).unwrap()
    }

    pub(super) async fn program(&self, wasm: &[u8]) -> Arc<dyn Program> {
        self.engine.prepare(&self.image("test", wasm), Currency::Time).await.unwrap()
    }

    pub(super) async fn text(&self, text: &str) -> Arc<dyn Program> {
        self.program(&wat::parse_str(text).unwrap()).await
    }

    pub(super) async fn prepare(&self, image: &Image) -> Arc<dyn Program> {
        self.engine.prepare(image, Currency::Time).await.unwrap()
    }

    /// Code whose fuel is counted.
    pub(super) async fn counted(&self, text: &str) -> Arc<dyn Program> {
        let image = self.image("test", &wat::parse_str(text).unwrap());
        self.engine.prepare(&image, Currency::Fuel).await.unwrap()
    }

    /// What containers of the image share.
    pub(super) async fn linked(&self, image: &Image) -> Arc<Kind> {
        Arc::clone(&self.engine.timed.program(image).await.unwrap().kind)
    }

    /// Why the image cannot run.
    pub(super) async fn refusal(&self, text: &str) -> String {
        let image = self.image("test", &wat::parse_str(text).unwrap());
        self.engine.prepare(&image, Currency::Time).await.err().unwrap().message
    }

    pub(super) fn interface(&self, name: &str) -> Interface {
        let pod = PodIdentity { key: Key::new("default", name), uid: name.into() };
        self.network.attach(&pod).unwrap()
    }

    pub(super) fn given(&self, name: &str) -> Given {
        let config = LogConfig {
            max_bytes: 64 << 10,
            max_files: 2,
            rate_bytes_per_second: 1 << 20,
            burst_bytes: 64 << 10,
        };
        Given {
            args: vec!["test".into()],
            env: Vec::new(),
            mounts: Vec::new(),
            limits: ContainerLimits::unlimited(),
            interface: self.interface(name),
            log: LogFile::open(self.files(&[]).join("0.log"), config, self.clock.clone()),
        }
    }

    /// A folder of the host with these files in it.
    pub(super) fn files(&self, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep().canonicalize().unwrap();
        for (name, content) in files {
            fs::write(folder.join(name), content).unwrap();
        }
        folder
    }

    /// Runs a text to its end.
    pub(super) async fn run(&self, text: &str) -> (Exit, String) {
        let given = self.given("pod");
        let mut container = given.start(&*self.text(text).await);
        let exit = container.exited().await;
        drop(container);
        (exit, given.output().await)
    }
}

impl Given {
    pub(super) fn limited(mut self, memory_bytes: Option<u64>, cpu_millis: Option<u32>) -> Self {
        let amounts = Amounts { memory_bytes, cpu_millis, ..Amounts::default() };
        self.limits = ContainerLimits::new(&PodLimits::none(), amounts);
        self
    }

    /// Charged in fuel.
    pub(super) fn fueled(mut self, cpu_millis: Option<u32>, fuel_budget: Option<u64>) -> Self {
        let amounts = Amounts { cpu_millis, fuel_budget, ..Amounts::default() };
        self.limits = ContainerLimits::new(&PodLimits::new(Currency::Fuel, None, None), amounts);
        self
    }

    /// With a log that takes next to nothing.
    pub(super) fn muted(mut self, bench: &Bench) -> Self {
        let config = LogConfig { rate_bytes_per_second: 1, burst_bytes: 1, ..LogConfig::default() };
        self.log = LogFile::open(bench.files(&[]).join("0.log"), config, bench.clock.clone());
        self
    }

    pub(super) fn mounted(mut self, host_path: PathBuf, guest_path: &str, read_only: bool) -> Self {
        self.mounts.push(Mount { host_path, guest_path: guest_path.into(), read_only });
        self
    }

    pub(super) fn start(&self, program: &dyn Program) -> Box<dyn Container> {
        self.try_start(program).unwrap()
    }

    pub(super) fn try_start(&self, program: &dyn Program) -> Result<Box<dyn Container>, StartError> {
        program.start(ContainerConfig {
            pod: self.interface.pod().key.clone(),
            name: "main".into(),
            args: self.args.clone(),
            env: self.env.clone(),
            mounts: self.mounts.clone(),
            working_dir: String::new(),
            ports: Vec::new(),
            stdin: None,
            tty: false,
            stdout: self.log.writer(LogStream::Stdout),
            stderr: self.log.writer(LogStream::Stderr),
            interface: self.interface.clone(),
            limits: self.limits.clone(),
        })
    }

    /// All it wrote, once its container is gone.
    pub(super) async fn output(&self) -> String {
        let mut lines = String::new();
        let mut log = self.log.follow();
        while let Some(line) = log.next().await {
            lines.push_str(&String::from_utf8_lossy(line.text.as_ref()));
            lines.push('\n');
        }
        lines
    }

    /// Waits until so many lines of output were read.
    pub(super) async fn lines(&self, count: usize) {
        let mut log = self.log.follow();
        for _ in 0..count {
            log.next().await.unwrap();
        }
    }

    /// How much its log holds on disk.
    pub(super) fn log_bytes(&self) -> u64 {
        let folder = self.log.path().parent().unwrap();
        let files = fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }
}
