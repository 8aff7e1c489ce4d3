//! The engine that runs WebAssembly.
//!
//! An image becomes a [`WasmProgram`]: compiled, linked, checked. Started, it becomes a task on the guest threads; what the
//! node agent holds is a handle to that task.

mod commands;
mod container;
mod exit;
mod instance;
mod producers;
mod settings;
mod threads;
mod ticker;
mod toolbox;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use api::Clock;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};
use wasmtime::{InstancePre, Module, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::compiled::{Code, CodeCache, Compiler, InProcess, compile};
use super::{Container, ContainerConfig, Engine, PrepareError, Program, StartError};
use crate::images::Image;
use crate::limits::cpu::{Currency, Metering, Weights};
use crate::limits::memory::MemoryLimiter;
use crate::wasi::fuel::{self, Fueled};
use crate::wasi::http::HttpProgram;
use crate::wasi::{Guest, ModuleGuest, link_component, link_module, link_toolbox};
use settings::Yielding;
use threads::GuestThreads;
use ticker::{EpochPerTurn, Ticker, TickingTime};
use toolbox::Toolbox;
pub use toolbox::{TOOLBOX, TOOLBOX_IMAGE};

/// What an engine is made from.
pub struct EngineConfig {
    /// The time of guests. If it is virtual, all of them run on the runtime that makes the engine, and yield by fuel.
    pub clock: Clock,
    /// How many instances may exist at once in this process: it bounds the memory map. Half of them are kept for the first
    /// instance of each container, so a node should take no more containers than that.
    pub max_instances: u32,
    /// The folder for compiled code and for what mounts need; this user's alone.
    pub cache_dir: PathBuf,
    /// Compiles images; `None` compiles in this process.
    pub compiler: Option<Arc<dyn Compiler>>,
}

/// The engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the machine or the settings.
    #[error("set up wasmtime: {0:#}")]
    Wasmtime(wasmtime::Error),
    /// The folder for compiled code cannot be used.
    #[error("open the compiled-code cache in {folder}")]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The threads for guests cannot be started.
    #[error("start the threads for guests")]
    Threads(#[source] io::Error),
}

/// Runs WebAssembly.
pub struct WasmEngine {
    timed: Arc<Programs>,
    /// Those whose fuel is counted, made when they are first asked for: few nodes ever are.
    counted: OnceLock<Result<Arc<Programs>, PrepareError>>,
    cache_dir: PathBuf,
    compiler: Arc<dyn Compiler>,
}

/// The programs of one kind of code.
struct Programs {
    cache: CodeCache,
    components: Linker<Guest>,
    /// The same with what only the toolbox may import.
    toolboxes: Linker<Guest>,
    modules: wasmtime::Linker<ModuleGuest>,
    shared: Arc<Shared>,
    toolbox: Toolbox,
    /// By what names their code. The lock of an entry is held while its image is compiled, so that all who want it wait for one.
    programs: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// Those prepared last, the newest first.
    recent: Mutex<VecDeque<Arc<Kind>>>,
}

/// Alive while somebody prepared the program or runs it, or it is among the recent ones.
type Slot = tokio::sync::Mutex<Weak<Kind>>;

/// What all programs of one kind of code use.
struct Shared {
    engine: wasmtime::Engine,
    yielding: Yielding,
    metering: Metering,
    clock: Clock,
    threads: Arc<GuestThreads>,
    weights: Arc<Weights>,
    /// Leave for instances beside a container's first.
    further: Arc<Semaphore>,
    /// For files that mounts need.
    scratch: PathBuf,
}

/// Programs kept though nobody runs them: loading one means reading and checking all its code, keeping one little more than
/// address space.
const RECENT_PROGRAMS: usize = 16;
/// Each poll of a guest takes this long under virtual time.
const VIRTUAL_TURN: Duration = Duration::from_millis(1);
/// How much fuel a guest burns in a turn at most: what a core is worth in a millisecond.
const TURN_FUEL: u64 = 1_000_000;
/// How many bytes a guest may hand over to the host in one call.
const LARGEST_CALL: usize = 32 << 20;

impl WasmEngine {
    /// Sets up wasmtime and the threads for guests.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let is_virtual = config.clock.is_virtual();
        let yielding = if is_virtual { Yielding::Fuel } else { Yielding::Epochs };
        let engine = settings::engine(yielding, config.max_instances).map_err(EngineError::Wasmtime)?;
        let compiler = config.compiler.unwrap_or_else(|| Arc::new(InProcess { inline: is_virtual }));
        let threads = if is_virtual {
            GuestThreads::current()
        } else {
            GuestThreads::start().map_err(EngineError::Threads)?
        };
        let weights = Weights::new(threads.count());
        let metering = if is_virtual {
            Metering::by_poll(config.clock.clone(), VIRTUAL_TURN)
        } else {
            let ticker = Ticker::start(&engine).map_err(EngineError::Threads)?;
            let time = Arc::new(TickingTime(ticker));
            Metering::by_thread_time(config.clock.clone(), time, Arc::clone(&weights))
        };
        let shared = Shared {
            engine,
            yielding,
            metering,
            clock: config.clock,
            threads: Arc::new(threads),
            weights,
            further: Arc::new(Semaphore::new((config.max_instances / 2) as usize)),
            scratch: config.cache_dir.join("mounts"),
        };
        Ok(Self {
            timed: Programs::new(shared, &config.cache_dir, &compiler)?,
            counted: OnceLock::new(),
            cache_dir: config.cache_dir,
            compiler,
        })
    }

    fn programs(&self, currency: Currency) -> Result<&Arc<Programs>, PrepareError> {
        let counts = currency == Currency::Fuel && self.timed.shared.yielding == Yielding::Epochs;
        if !counts {
            return Ok(&self.timed);
        }
        let made = self.counted.get_or_init(|| {
            self.count_fuel()
                .map_err(|error| PrepareError { message: format!("set up counting of fuel: {error}") })
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Instances whose fuel is counted are placed on demand: the pool's address space is for the others.
    fn count_fuel(&self) -> Result<Arc<Programs>, EngineError> {
        let timed = &self.timed.shared;
        let engine = settings::on_demand(Yielding::CountedFuel).map_err(EngineError::Wasmtime)?;
        let time = Arc::new(EpochPerTurn(engine.weak()));
        let shared = Shared {
            metering: Metering::by_thread_time(timed.clock.clone(), time, Arc::clone(&timed.weights)),
            engine,
            yielding: Yielding::CountedFuel,
            clock: timed.clock.clone(),
            threads: Arc::clone(&timed.threads),
            weights: Arc::clone(&timed.weights),
            further: Arc::clone(&timed.further),
            scratch: timed.scratch.clone(),
        };
        Programs::new(shared, &self.cache_dir, &self.compiler)
    }
}

impl Programs {
    fn new(shared: Shared, cache_dir: &Path, compiler: &Arc<dyn Compiler>) -> Result<Arc<Self>, EngineError> {
        let (engine, is_virtual) = (&shared.engine, shared.yielding == Yielding::Fuel);
        let cache = CodeCache::open(cache_dir, engine, Arc::clone(compiler), is_virtual)
            .map_err(|source| EngineError::Cache { folder: cache_dir.to_owned(), source })?;
        let mut components = Linker::new(engine);
        link_component(&mut components).map_err(EngineError::Wasmtime)?;
        let mut modules = wasmtime::Linker::new(engine);
        link_module(&mut modules).map_err(EngineError::Wasmtime)?;
        let mut toolboxes = components.clone();
        link_toolbox(&mut toolboxes).map_err(EngineError::Wasmtime)?;
        Ok(Arc::new(Self {
            cache,
            components,
            toolboxes,
            modules,
            toolbox: Toolbox::built_in(cache_dir),
            shared: Arc::new(shared),
            programs: Mutex::default(),
            recent: Mutex::default(),
        }))
    }

    async fn program(self: &Arc<Self>, image: &Image) -> Result<Arc<WasmProgram>, PrepareError> {
        if let Some(function) = image.function.as_deref().filter(|function| *function != "_start") {
            return Err(PrepareError {
                message: format!(
                    "image `{}` cannot run here: calling `{function}` instead of `_start` is not supported yet",
                    image.reference
                ),
            });
        }
        let slot = self.slot(&image.code);
        let mut known = slot.lock().await;
        let program = |kind| Arc::new(WasmProgram { kind, programs: Arc::clone(self) });
        if let Some(kind) = known.upgrade() {
            self.remember(&kind);
            return Ok(program(kind));
        }
        let code = self.cache.load(image).await?;
        let kind = self.link(code, image).map_err(|problem| PrepareError {
            message: format!("image `{}` cannot run here: {problem}", image.reference),
        })?;
        let kind = Arc::new(kind);
        *known = Arc::downgrade(&kind);
        self.remember(&kind);
        Ok(program(kind))
    }

    /// Pods of one image often come one after the other, with none between.
    fn remember(&self, kind: &Arc<Kind>) {
        let mut recent = lock(&self.recent);
        recent.retain(|known| !Arc::ptr_eq(known, kind));
        recent.push_front(Arc::clone(kind));
        recent.truncate(RECENT_PROGRAMS);
    }

    fn slot(&self, digest: &str) -> Arc<Slot> {
        let mut programs = lock(&self.programs);
        // Those that nobody runs or prepares are forgotten.
        programs.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|program| program.strong_count() > 0)
        });
        Arc::clone(programs.entry(digest.to_owned()).or_default())
    }

    fn link(&self, code: Code, image: &Image) -> Result<Kind, String> {
        match code {
            Code::Module(module) => self.link_module(&module),
            Code::Component(component) => self.link_component(&component, image),
        }
    }

    fn link_module(&self, module: &Module) -> Result<Kind, String> {
        if module.get_export("_start").and_then(|start| start.func().cloned()).is_none() {
            return Err("it has no function `_start`; build it as a command, not as a library".into());
        }
        let linked = self.modules.instantiate_pre(module);
        linked.map(Kind::Module).map_err(|error| missing(&error))
    }

    fn link_component(&self, component: &Component, image: &Image) -> Result<Kind, String> {
        let exports = component.component_type();
        let names: Vec<&str> = exports.exports(&self.shared.engine).map(|(name, _)| name).collect();
        let has = |interface: &str| names.iter().any(|name| name.starts_with(interface));
        let (serves, runs) = (has("wasi:http/incoming-handler@0.2."), has("wasi:cli/run@0.2."));
        if !serves && !runs {
            return Err(format!(
                "it exports neither wasi:http/incoming-handler@0.2 nor wasi:cli/run@0.2, but {}",
                if names.is_empty() { "nothing".into() } else { names.join(", ") }
            ));
        }
        let is_toolbox = self.toolbox.is(image);
        let linker = if is_toolbox { &self.toolboxes } else { &self.components };
        let linked = linker.instantiate_pre(component).map_err(|error| missing(&error))?;
        if is_toolbox {
            CommandPre::new(linked).map(Kind::Toolbox).map_err(|error| missing(&error))
        } else if serves {
            let serves_once = producers::serves_once(&image.path);
            ProxyPre::new(linked)
                .map(|proxy| Kind::Proxy(HttpProgram { proxy, serves_once }))
                .map_err(|error| missing(&error))
        } else {
            CommandPre::new(linked).map(Kind::Command).map_err(|error| missing(&error))
        }
    }
}

fn missing(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}

impl Engine for WasmEngine {
    fn prepare<'a>(
        &'a self,
        image: &'a Image,
        currency: Currency,
    ) -> BoxFuture<'a, Result<Arc<dyn Program>, PrepareError>> {
        Box::pin(async move {
            let program: Arc<dyn Program> = self.programs(currency)?.program(image).await?;
            Ok(program)
        })
    }
}

/// A program ready to start.
struct WasmProgram {
    kind: Arc<Kind>,
    programs: Arc<Programs>,
}

/// What a program is, with all its imports found.
#[derive(Clone)]
enum Kind {
    /// A core module with `_start`.
    Module(InstancePre<ModuleGuest>),
    /// A component with `run`.
    Command(CommandPre<Guest>),
    /// The same, and it is the toolbox.
    Toolbox(CommandPre<Guest>),
    /// A component that answers HTTP requests.
    Proxy(HttpProgram),
}

impl Program for WasmProgram {
    fn start(&self, config: ContainerConfig) -> Result<Box<dyn Container>, StartError> {
        container::start(&self.programs, &self.kind, config)
    }
}

impl Shared {
    /// A store whose guest yields, and whose memory is limited.
    fn store<T: Fueled>(
        &self,
        data: T,
        memory: fn(&mut T) -> &mut MemoryLimiter,
    ) -> wasmtime::Result<Store<T>> {
        let mut store = Store::new(&self.engine, data);
        store.limiter(move |data| memory(data));
        store.set_hostcall_fuel(LARGEST_CALL);
        match self.yielding {
            Yielding::Epochs => {
                store.set_epoch_deadline(1);
                store.epoch_deadline_async_yield_and_update(1);
            }
            Yielding::Fuel => {
                store.set_fuel(u64::MAX)?;
                fuel::fill(&mut store)?;
                store.fuel_async_yield_interval(Some(TURN_FUEL))?;
            }
            Yielding::CountedFuel => {
                fuel::fill(&mut store)?;
                store.fuel_async_yield_interval(Some(TURN_FUEL))?;
                store.set_epoch_deadline(1);
                fuel::charge_at_each_turn(&mut store, &self.metering, &self.clock);
            }
        }
        Ok(store)
    }
}

/// Compiles an image as an engine with real time needs it, without setting one up: for a process that only compiles.
pub fn compile_apart(image: &Image) -> Result<Vec<u8>, PrepareError> {
    let engine = settings::on_demand(Yielding::Epochs)
        .map_err(|error| PrepareError { message: format!("set up wasmtime: {error:#}") })?;
    compile(&engine, image)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
