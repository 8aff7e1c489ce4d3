//! From what a container is given to the WASI context of one instance.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use api::Clock;
use api::channels::Pipe;
use sha2::{Digest, Sha256};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::random::Deterministic;

use super::clocks;
use super::filesystem::Preopens;
use super::stdio::{Input, Output, Sink};
use super::toolbox::Neighbours;
use crate::limits::ContainerLimits;
use crate::network::Interface;

/// All that the instances of one container share.
pub struct Surroundings {
    /// The arguments, the program's own name first.
    pub args: Vec<String>,
    /// The environment, in order.
    pub env: Vec<(String, String)>,
    /// The working directory inside the guest; empty for none.
    pub working_dir: String,
    /// What the first instance reads; others read nothing.
    pub stdin: Mutex<Option<Pipe>>,
    /// Where its output goes.
    pub stdout: Sink,
    /// Where its errors go.
    pub stderr: Sink,
    /// Whether it sits at a terminal.
    pub tty: bool,
    /// What runs beside it, for the toolbox.
    pub neighbours: Option<Arc<dyn Neighbours>>,
    /// Its pod's place in the network.
    pub interface: Interface,
    /// What it may use.
    pub limits: ContainerLimits,
    /// The time it sees.
    pub clock: Clock,
    /// Its name, from which its random numbers come under virtual time.
    pub seed: String,
    /// The directories it sees.
    pub directories: Preopens,
}

/// The container's surroundings cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file mounted alone cannot be shown to the guest.
    #[error("mount files: {0}")]
    Files(io::Error),
    /// A directory cannot be opened.
    #[error("open the mounted directories: {0:#}")]
    Directories(wasmtime::Error),
}

/// How many random bytes a guest may ask for at once.
const MOST_RANDOM_BYTES: u64 = 16 << 20;

impl Surroundings {
    /// The context of a component's instance.
    pub(super) fn context(&self) -> Result<WasiCtxBuilder, ContextError> {
        self.build(self.clock.is_virtual())
    }

    /// The context of a core module's instance.
    ///
    /// File calls go to another thread also under virtual time: inline ones would make WASI 0.1 sleep in real time. Paused
    /// time stands still while such a call is under way, so runs stay the same.
    pub(super) fn module_context(&self) -> Result<WasiCtxBuilder, ContextError> {
        self.build(false)
    }

    fn build(&self, inline: bool) -> Result<WasiCtxBuilder, ContextError> {
        let mut builder = WasiCtxBuilder::new();
        builder
            .args(&self.args)
            .envs(&self.env)
            .stdout(Output::new(self.stdout.clone(), self.tty))
            .stderr(Output::new(self.stderr.clone(), self.tty))
            .allow_blocking_current_thread(inline)
            .max_random_size(MOST_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false);
        let stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stdin) = stdin {
            builder.stdin(Input::new(stdin, self.tty));
        }
        self.enter_working_dir(&mut builder);
        clocks::set(&mut builder, &self.clock);
        if self.clock.is_virtual() {
            self.make_random_numbers_repeat(&mut builder);
        }
        self.directories.open(&mut builder).map_err(ContextError::Directories)?;
        Ok(builder)
    }

    /// WASI 0.1 has no working directory; programs that care read `PWD`.
    fn enter_working_dir(&self, builder: &mut WasiCtxBuilder) {
        if self.working_dir.is_empty() {
            return;
        }
        builder.initial_cwd(&self.working_dir);
        if self.env.iter().all(|(name, _)| name != "PWD") {
            builder.env("PWD", &self.working_dir);
        }
    }

    fn make_random_numbers_repeat(&self, builder: &mut WasiCtxBuilder) {
        let bytes = |purpose: &str| Sha256::digest(format!("{purpose} {}", self.seed)).to_vec();
        let mut seed = [0; 16];
        seed.copy_from_slice(&bytes("seed")[..16]);
        builder
            .secure_random(Deterministic::new(bytes("secure")))
            .insecure_random(Deterministic::new(bytes("insecure")))
            .insecure_random_seed(u128::from_le_bytes(seed));
    }
}
