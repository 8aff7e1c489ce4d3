//! Runs one instance of a program to its end.

use wasmtime::{InstancePre, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::super::Exit;
use super::Shared;
use super::exit::{self, Called};
use crate::limits::memory::MemoryLimiter;
use crate::wasi::fuel::{self, Fueled};
use crate::wasi::{ContextError, Guest, ModuleGuest, Surroundings};

/// Runs a core module; `runs` is called when it begins. An error says why it could not.
pub(super) async fn run_module(
    shared: &Shared,
    program: &InstancePre<ModuleGuest>,
    around: &Surroundings,
    runs: impl Fn(),
) -> Result<Exit, String> {
    let call = async |store: &mut Store<ModuleGuest>| {
        let instance = program.instantiate_async(&mut *store).await?;
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        runs();
        start.call_async(&mut *store, ()).await.map(Ok)
    };
    run(shared, around, ModuleGuest::new(around), ModuleGuest::memory, call).await
}

/// Runs a component's `run`; `runs` is called when it begins. An error says why it could not.
pub(super) async fn run_command(
    shared: &Shared,
    program: &CommandPre<Guest>,
    around: &Surroundings,
    runs: impl Fn(),
) -> Result<Exit, String> {
    let call = async |store: &mut Store<Guest>| {
        let instance = program.instantiate_async(&mut *store).await?;
        runs();
        instance.wasi_cli_run().call_run(&mut *store).await
    };
    run(shared, around, Guest::new(around), Guest::memory, call).await
}

async fn run<T: Fueled>(
    shared: &Shared,
    around: &Surroundings,
    guest: Result<T, ContextError>,
    memory: fn(&mut T) -> &mut MemoryLimiter,
    call: impl AsyncFnOnce(&mut Store<T>) -> Called,
) -> Result<Exit, String> {
    let store = guest.map_err(wasmtime::Error::from).and_then(|guest| shared.store(guest, memory));
    let mut store = store.map_err(|error| format!("{error:#}"))?;
    let called = shared.metering.run(around.limits.cpu(), call(&mut store)).await;
    if let Err(error) = &called
        && error.is::<PoolConcurrencyLimitError>()
    {
        return Err(format!("this node has no room for another instance: {error}"));
    }
    fuel::settle(&mut store, shared.clock.now());
    let denied_memory = memory(store.data_mut()).denied();
    Ok(exit::of_command(called, denied_memory, &around.stderr))
}
