//! What the toolbox asks of the engine beyond WASI, as `runtime/toolbox/wit/host.wit` says. No other program is given it.

use std::sync::Arc;

use futures::future::BoxFuture;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};
use wasmtime_wasi::I32Exit;

use super::Guest;

/// Something that runs in a container.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Process {
    /// Its number; the container's own program has 1.
    pub id: u32,
    /// What it was called with.
    pub command: String,
    /// The CPU time it spent.
    #[component(name = "cpu-milliseconds")]
    pub cpu_milliseconds: u64,
    /// The memory it has.
    #[component(name = "memory-bytes")]
    pub memory_bytes: u64,
    /// For how long it has run.
    #[component(name = "age-seconds")]
    pub age_seconds: u64,
}

/// How a program ended that the toolbox called, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// What it wrote.
    pub output: Vec<u8>,
    /// Its errors.
    pub errors: Vec<u8>,
}

/// A program of the container's files, called by the toolbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its arguments; the first is its path.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory.
    pub folder: String,
    /// What it reads.
    pub input: Vec<u8>,
}

/// What runs beside a program in its container.
pub trait Neighbours: Send + Sync {
    /// Everything that runs, the container's own program first.
    fn processes(&self) -> Vec<Process>;

    /// Runs a program to its end; an error says why it cannot run.
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Outcome, String>>;
}

type Arguments = (Vec<String>, Vec<(String, String)>, String, Vec<u8>);

/// Links what the toolbox may import besides what all components may.
pub fn link_toolbox(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut host = linker.instance("peapod:toolbox/host@0.1.0")?;
    host.func_wrap("processes", |store: StoreContextMut<'_, Guest>, (): ()| {
        Ok((neighbours(&store)?.processes(),))
    })?;
    host.func_wrap_async("run", |store: StoreContextMut<'_, Guest>, arguments: Arguments| {
        let neighbours = neighbours(&store);
        Box::new(async move {
            let (arguments, environment, folder, input) = arguments;
            let call = Call { arguments, environment, folder, input };
            Ok((neighbours?.call(call).await,))
        })
    })?;
    host.func_wrap("exit", |_: StoreContextMut<'_, Guest>, (code,): (i32,)| -> wasmtime::Result<()> {
        Err(I32Exit(code & 0xff).into())
    })
}

fn neighbours(store: &StoreContextMut<'_, Guest>) -> wasmtime::Result<Arc<dyn Neighbours>> {
    let neighbours = store.data().neighbours.clone();
    neighbours.ok_or_else(|| wasmtime::Error::msg("the toolbox runs outside of a container"))
}
