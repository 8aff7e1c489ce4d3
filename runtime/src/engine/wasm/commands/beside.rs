//! What runs in a container beside its program: how many, and what each of them uses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::limits::ContainerLimits;
use crate::wasi::Process;

/// As many commands may run in a container at once: each takes an instance of the node.
const MOST_COMMANDS: usize = 32;

/// The commands that run in a container.
pub(super) struct Beside {
    began: Timestamp,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// How many there ever were.
    count: u32,
    running: BTreeMap<u32, Command>,
}

struct Command {
    words: String,
    limits: ContainerLimits,
    began: Timestamp,
}

/// Keeps a command among those that run, until it is dropped.
pub(super) struct Listed {
    beside: Arc<Beside>,
    id: u32,
}

impl Beside {
    /// For a container that began then.
    pub(super) fn new(began: Timestamp) -> Self {
        Self { began, known: Mutex::default() }
    }

    /// Adds a command, if there is room.
    pub(super) fn enter(
        self: &Arc<Self>,
        args: &[String],
        limits: &ContainerLimits,
        now: Timestamp,
    ) -> Result<Listed, String> {
        let mut known = self.lock();
        if known.running.len() >= MOST_COMMANDS {
            return Err(format!("{MOST_COMMANDS} commands run in this container already"));
        }
        known.count += 1;
        // The container's own program is the first.
        let id = known.count + 1;
        known.running.insert(id, Command { words: args.join(" "), limits: limits.clone(), began: now });
        Ok(Listed { beside: Arc::clone(self), id })
    }

    /// How many commands there ever were.
    pub(super) fn count(&self) -> u32 {
        self.lock().count
    }

    /// Everything that runs; the container's program uses what the commands do not.
    pub(super) fn list(&self, args: &[String], limits: &ContainerLimits, now: Timestamp) -> Vec<Process> {
        let age = |began: Timestamp| u64::try_from(now.duration_since(began).as_secs()).unwrap_or(0);
        let millis =
            |limits: &ContainerLimits| u64::try_from(limits.cpu_used().as_millis()).unwrap_or(u64::MAX);
        let known = self.lock();
        let commands = known.running.iter().map(|(id, command)| Process {
            id: *id,
            command: command.words.clone(),
            cpu_milliseconds: millis(&command.limits),
            memory_bytes: command.limits.memory_used(),
            age_seconds: age(command.began),
        });
        let commands: Vec<Process> = commands.collect();
        let own = Process {
            id: 1,
            command: args.join(" "),
            cpu_milliseconds: millis(limits)
                .saturating_sub(commands.iter().map(|one| one.cpu_milliseconds).sum()),
            memory_bytes: limits
                .memory_used()
                .saturating_sub(commands.iter().map(|one| one.memory_bytes).sum()),
            age_seconds: age(self.began),
        };
        [own].into_iter().chain(commands).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.beside.lock().running.remove(&self.id);
    }
}
