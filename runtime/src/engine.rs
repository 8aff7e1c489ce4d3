//! What the node agent asks of an engine: make a program of an image, and run it as a container.
//!
//! Two engines implement it: [`wasm`] runs WebAssembly, [`scripted`] plays a script, for tests of whole clusters.

pub mod compiled;
pub mod console;
pub mod scripted;
pub mod wasm;

use std::sync::Arc;

use api::channels::Pipe;
use futures::future::BoxFuture;

use crate::images::Image;
use crate::limits::ContainerLimits;
use crate::limits::cpu::Currency;
use crate::logs::LogWriter;
use crate::network::Interface;

pub use crate::wasi::Mount;
pub use console::{Commands, ExecError, Size, Terminal};

/// Turns images into programs and programs into running containers.
pub trait Engine: Send + Sync + 'static {
    /// Makes the image ready to start: checks it and compiles it, or finds it compiled. Code whose fuel is counted is other
    /// code.
    fn prepare<'a>(
        &'a self,
        image: &'a Image,
        currency: Currency,
    ) -> BoxFuture<'a, Result<Arc<dyn Program>, PrepareError>>;
}

/// An image made ready to start; shared by all containers that run it.
pub trait Program: Send + Sync + 'static {
    /// Starts a container. What can go wrong later shows as the container's exit.
    fn start(&self, config: ContainerConfig) -> Result<Box<dyn Container>, StartError>;
}

/// A started container. Dropping it ends it at once and frees all that it held.
pub trait Container: Send + 'static {
    /// Resolves when the guest serves or runs: from then on the container counts as running.
    fn started(&mut self) -> BoxFuture<'_, Result<(), StartError>>;

    /// Resolves when the container has ended. May be called again and then gives the same answer.
    fn exited(&mut self) -> BoxFuture<'_, Exit>;

    /// Asks it to end: listeners close and requests drain, then what SIGTERM does by default. `exited` tells when it has.
    fn terminate(&mut self);

    /// Ends it now, as SIGKILL does.
    fn kill(&mut self);

    /// Runs commands beside its program; none where nothing but the program can run.
    fn commands(&self) -> Option<Arc<dyn Commands>> {
        None
    }
}

/// Everything a container is given.
pub struct ContainerConfig {
    /// `namespace/pod`, for logs and messages.
    pub pod: api::Key,
    /// The container's name.
    pub name: String,
    /// The arguments, the program's own name first.
    pub args: Vec<String>,
    /// The environment, in order.
    pub env: Vec<(String, String)>,
    /// The directories the guest sees.
    pub mounts: Vec<Mount>,
    /// The working directory inside the guest; empty for the root.
    pub working_dir: String,
    /// The ports the container declares, in order: number and name.
    pub ports: Vec<(u16, String)>,
    /// What it reads, if it reads anything.
    pub stdin: Option<Pipe>,
    /// Whether it is promised a terminal.
    pub tty: bool,
    /// Where its output goes.
    pub stdout: LogWriter,
    /// Where its errors go.
    pub stderr: LogWriter,
    /// The pod's place in the network; containers of a pod share it.
    pub interface: Interface,
    /// What it may use.
    pub limits: ContainerLimits,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code: the guest's own, 1 for a failed `run`, 134 for a trap, 137 for no memory, no fuel or a kill, 143 for a
    /// termination.
    pub code: i32,
    /// Why it ended.
    pub reason: ExitReason,
    /// More about it, such as the trap; may be empty.
    pub message: String,
}

/// Why a container ended, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It returned, or exited with code 0.
    Completed,
    /// It exited with another code, trapped, or was ended.
    Error,
    /// It was refused memory and failed of it.
    OomKilled,
    /// It has spent its budget of fuel.
    FuelExhausted,
}

impl ExitReason {
    /// The word in a container's status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Error => "Error",
            Self::OomKilled => "OOMKilled",
            Self::FuelExhausted => "FuelExhausted",
        }
    }
}

/// The image cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PrepareError {
    /// What is wrong with it, and what would be right.
    pub message: String,
}

/// The container could not start.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// What went wrong.
    pub message: String,
}
