//! What a container may use, and what it has used: memory and CPU time, counted per container and per pod.

pub mod cpu;
pub mod memory;

use std::sync::Arc;
use std::time::Duration;

use cpu::{CpuMeter, Currency};
use memory::Account;

/// What all containers of a pod share.
#[derive(Debug)]
pub struct PodLimits {
    memory: Arc<Account>,
    cpu: Arc<CpuMeter>,
}

impl PodLimits {
    /// Limits of a pod as a whole; `None` is without limit.
    pub fn new(currency: Currency, memory_bytes: Option<u64>, cpu_millis: Option<u32>) -> Arc<Self> {
        Arc::new(Self { memory: Account::new(memory_bytes), cpu: CpuMeter::new(currency, cpu_millis) })
    }

    /// No limits at all.
    pub fn none() -> Arc<Self> {
        Self::new(Currency::Time, None, None)
    }

    /// Other limits from now on.
    pub fn resize(&self, memory_bytes: Option<u64>, cpu_millis: Option<u32>) {
        self.memory.set_limit(memory_bytes);
        self.cpu.set_limit(cpu_millis);
    }

    /// What limits of CPU are counted in.
    pub fn currency(&self) -> Currency {
        self.cpu.currency()
    }

    /// The account that the memory of the whole pod is charged to.
    pub fn memory(&self) -> &Arc<Account> {
        &self.memory
    }

    /// The memory in use by all containers of the pod.
    pub fn memory_used(&self) -> u64 {
        self.memory.used()
    }

    /// The CPU time spent by all containers of the pod.
    pub fn cpu_used(&self) -> Duration {
        self.cpu.used()
    }
}

/// What a container asks for and may use; `None` is without limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// The limit of memory.
    pub memory_bytes: Option<u64>,
    /// The limit of CPU, in thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// The CPU it asked for, in thousandths of a core.
    pub cpu_request_millis: u32,
    /// All the fuel there is for it.
    pub fuel_budget: Option<u64>,
}

/// What one container may use. Clones count together.
#[derive(Clone, Debug)]
pub struct ContainerLimits(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    memory: Arc<Account>,
    cpu: Arc<CpuMeter>,
}

impl ContainerLimits {
    /// Limits of one container of `pod`.
    pub fn new(pod: &PodLimits, amounts: Amounts) -> Self {
        let Amounts { memory_bytes, cpu_millis, cpu_request_millis, fuel_budget } = amounts;
        Self(Arc::new(Limits {
            memory: Account::within(&pod.memory, memory_bytes),
            cpu: CpuMeter::within(&pod.cpu, cpu_millis, cpu_request_millis, fuel_budget),
        }))
    }

    /// A container that may use what the machine has.
    pub fn unlimited() -> Self {
        Self::new(&PodLimits::none(), Amounts::default())
    }

    /// Other limits from now on. What is in use already is not taken away: only what comes on top is refused.
    pub fn resize(&self, memory_bytes: Option<u64>, cpu_millis: Option<u32>) {
        self.0.memory.set_limit(memory_bytes);
        self.0.cpu.set_limit(cpu_millis);
    }

    /// For a part of the container, such as a command that runs beside its program: it counts for itself and within these.
    pub fn part(&self) -> Self {
        Self(Arc::new(Limits {
            memory: Account::within(&self.0.memory, None),
            cpu: CpuMeter::within(&self.0.cpu, None, self.cpu_request_millis(), None),
        }))
    }

    /// The memory in use: linear memories, tables and what the host buffers for the guest.
    pub fn memory_used(&self) -> u64 {
        self.0.memory.used()
    }

    /// The memory limit of the container itself.
    pub fn memory_limit(&self) -> Option<u64> {
        self.0.memory.limit()
    }

    /// The CPU time spent so far.
    pub fn cpu_used(&self) -> Duration {
        self.0.cpu.used()
    }

    /// How long its guest was held back by its CPU limit.
    pub fn cpu_held(&self) -> Duration {
        self.0.cpu.held()
    }

    /// The CPU share it asked for, in thousandths of a core.
    pub fn cpu_request_millis(&self) -> u32 {
        self.0.cpu.request_millis()
    }

    /// The account its memory is charged to.
    pub fn memory(&self) -> &Arc<Account> {
        &self.0.memory
    }

    /// The meter its CPU time is charged to.
    pub fn cpu(&self) -> &Arc<CpuMeter> {
        &self.0.cpu
    }
}
