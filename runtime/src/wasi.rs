//! What guests see of the world: WASI 0.1 and 0.2, with our clocks, logs and network behind them.

mod clocks;
mod context;
mod discipline;
mod feed;
mod filesystem;
pub mod fuel;
pub mod http;
mod stdio;
mod terminal;
mod toolbox;

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

pub use context::{ContextError, Surroundings};
pub use discipline::Signals;
pub use feed::Feed;
pub use filesystem::{Mount, Preopens, open_mounted};
pub use stdio::Sink;
pub use terminal::{Interrupted, edit};
pub use toolbox::{Call, Neighbours, Outcome, Process, link_toolbox};

use crate::limits::cpu::FuelGauge;
use crate::limits::memory::MemoryLimiter;
use fuel::Fueled;
use http::outgoing::Outgoing;

/// How many handles a component may hold: streams, requests, pollables, files.
const MOST_HANDLES: usize = 4096;
/// How many a core module may hold, which are files: as many as a process may have open by default.
const MOST_FILES: usize = 1024;
/// How large a header section may be, as the host keeps it.
const LARGEST_HEADERS: usize = 64 << 10;

/// The state of a store that runs a component.
pub struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    table: ResourceTable,
    memory: MemoryLimiter,
    neighbours: Option<Arc<dyn Neighbours>>,
    fuel: FuelGauge,
}

impl Fueled for Guest {
    fn fuel(&mut self) -> &mut FuelGauge {
        &mut self.fuel
    }
}

impl Fueled for ModuleGuest {
    fn fuel(&mut self) -> &mut FuelGauge {
        &mut self.fuel
    }
}

impl Guest {
    /// A component's view of `surroundings`.
    pub fn new(surroundings: &Surroundings) -> Result<Self, ContextError> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(LARGEST_HEADERS);
        Ok(Self {
            wasi: surroundings.context()?.build(),
            http,
            outgoing: Outgoing::new(
                surroundings.interface.clone(),
                surroundings.clock.clone(),
                surroundings.limits.memory(),
            ),
            table,
            memory: MemoryLimiter::new(surroundings.limits.memory()),
            fuel: FuelGauge::new(surroundings.limits.cpu()),
            neighbours: surroundings.neighbours.clone(),
        })
    }

    /// What its memory is charged by.
    pub fn memory(&mut self) -> &mut MemoryLimiter {
        &mut self.memory
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}

/// The state of a store that runs a core module.
pub struct ModuleGuest {
    wasi: WasiP1Ctx,
    memory: MemoryLimiter,
    fuel: FuelGauge,
}

impl ModuleGuest {
    /// A module's view of `surroundings`.
    pub fn new(surroundings: &Surroundings) -> Result<Self, ContextError> {
        let mut wasi = surroundings.module_context()?.build_p1();
        wasi.ctx().table.set_max_capacity(MOST_FILES);
        let limits = &surroundings.limits;
        let (memory, fuel) = (MemoryLimiter::new(limits.memory()), FuelGauge::new(limits.cpu()));
        Ok(Self { wasi, memory, fuel })
    }

    /// What its memory is charged by.
    pub fn memory(&mut self) -> &mut MemoryLimiter {
        &mut self.memory
    }
}

/// Links what components may import.
pub fn link_component(linker: &mut wasmtime::component::Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// Links what core modules may import: WASI 0.1 and the preview before it.
pub fn link_module(linker: &mut wasmtime::Linker<ModuleGuest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p1::add_to_linker_async(linker, |guest: &mut ModuleGuest| &mut guest.wasi)?;
    wasmtime_wasi::p0::add_to_linker_async(linker, |guest: &mut ModuleGuest| &mut guest.wasi)
}
