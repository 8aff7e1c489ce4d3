//! How wasmtime is set up: what guests may use of WebAssembly, and where instances lie in memory.

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// All linear memories reserve what 32-bit code can address, so that no access needs a check.
const MEMORY_RESERVATION: u64 = 4 << 30;
const STACK_BYTES: usize = 1 << 20;
/// A component brings adapters and shims along: core instances and tables, but mostly one memory.
const CORE_INSTANCES_PER_MEMORY: u32 = 8;
const TABLES_PER_MEMORY: u32 = 4;
const MOST_MEMORIES_PER_MODULE: u32 = 4;
const MOST_TABLES_PER_MODULE: u32 = 8;

/// How guests are made to yield: this changes the code compiled for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yielding {
    /// When the epoch has passed: costs little, follows real time.
    Epochs,
    /// After so many instructions: the same in every run, for virtual time.
    Fuel,
    /// The same in real time. Epochs let a guest's gauge be read after each yield.
    CountedFuel,
}

/// An engine with room for `max_instances` at once; where address space is short, instances are placed on demand.
pub(super) fn engine(yielding: Yielding, max_instances: u32) -> wasmtime::Result<Engine> {
    let mut settings = config(yielding);
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(max_instances)));
    Engine::new(&settings).or_else(|error| {
        tracing::warn!(
            max_instances,
            "no address space for a pool of instances, starting them will be slower: {error:#}"
        );
        on_demand(yielding)
    })
}

/// An engine that can do the same without a pool: to compile with, in a process of its own.
pub(super) fn on_demand(yielding: Yielding) -> wasmtime::Result<Engine> {
    Engine::new(&config(yielding))
}

fn config(yielding: Yielding) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(yielding != Yielding::Fuel)
        .consume_fuel(yielding != Yielding::Epochs)
        // Virtual time keeps all work on its thread.
        .parallel_compilation(yielding != Yielding::Fuel)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_init_cow(true)
        .async_stack_size(STACK_BYTES)
        .wasm_simd(true)
        .wasm_relaxed_simd(true)
        .wasm_tail_call(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true)
        .wasm_multi_memory(true);
    if yielding != Yielding::Epochs {
        config.relaxed_simd_deterministic(true).cranelift_nan_canonicalization(true);
    }
    config
}

fn pool(max_instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(max_instances)
        .total_stacks(max_instances)
        .total_gc_heaps(max_instances)
        .total_component_instances(max_instances)
        .total_core_instances(max_instances.saturating_mul(CORE_INSTANCES_PER_MEMORY))
        .total_tables(max_instances.saturating_mul(TABLES_PER_MEMORY))
        .max_memories_per_module(MOST_MEMORIES_PER_MODULE)
        .max_tables_per_module(MOST_TABLES_PER_MODULE);
    pool
}
