//! A container: the task that runs a guest, and the handle the node agent holds.
//!
//! ```text
//! Starting ──► Running ──► Ended        terminate: a command ends at its next yield, a server when it has drained
//!     └──► Failed                       kill: both end at their next yield
//! ```

use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::future::{BoxFuture, Either, select};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wasmtime::{InstancePre, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::super::{Container, ContainerConfig, Exit, StartError};
use super::exit::{self, Called};
use super::{Kind, Shared};
use crate::limits::memory::MemoryLimiter;
use crate::network::Listener;
use crate::wasi::fuel::{self, Fueled};
use crate::wasi::http::{Ended, Handler, HttpProgram, serve};
use crate::wasi::{ContextError, Guest, ModuleGuest, Preopens, Surroundings};

#[derive(Clone, Debug)]
enum Phase {
    Starting,
    Running,
    Failed(String),
    Ended(Exit),
}

/// What was asked of a container, the stronger later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Run,
    Terminate,
    Kill,
}

struct WasmContainer {
    phase: watch::Receiver<Phase>,
    asked: watch::Sender<Asked>,
    task: JoinHandle<()>,
    /// Keeps the program known to the engine, so that the next container shares its code.
    _program: Arc<Kind>,
}

/// What the task has to run.
enum Work {
    Module(InstancePre<ModuleGuest>),
    Command(CommandPre<Guest>),
    Serve(HttpProgram, Listener),
}

pub(super) fn start(
    shared: &Arc<Shared>,
    kind: &Arc<Kind>,
    config: ContainerConfig,
) -> Result<Box<dyn Container>, StartError> {
    let work = match &**kind {
        Kind::Module(program) => Work::Module(program.clone()),
        Kind::Command(program) => Work::Command(program.clone()),
        Kind::Proxy(program) => {
            let port = http_port(&config.env, &config.ports);
            let listener = config
                .interface
                .listen(port)
                .map_err(|error| StartError { message: format!("listen on port {port}: {error}") })?;
            Work::Serve(program.clone(), listener)
        }
    };
    let (phase, phase_seen) = watch::channel(Phase::Starting);
    let (asked, asked_seen) = watch::channel(Asked::Run);
    let life = Life {
        surroundings: Arc::new(surroundings(shared, config)?),
        shared: Arc::clone(shared),
        phase,
        asked: asked_seen,
    };
    Ok(Box::new(WasmContainer {
        phase: phase_seen,
        asked,
        task: shared.threads.handle().spawn(life.live(work)),
        _program: Arc::clone(kind),
    }))
}

fn surroundings(shared: &Shared, config: ContainerConfig) -> Result<Surroundings, StartError> {
    let directories = Preopens::new(&config.mounts, &shared.scratch)
        .map_err(|error| StartError { message: error.to_string() })?;
    Ok(Surroundings {
        seed: format!("{}/{}", config.pod, config.name),
        args: config.args,
        env: config.env,
        working_dir: config.working_dir,
        stdin: Mutex::new(config.stdin),
        stdout: config.stdout,
        stderr: config.stderr,
        interface: config.interface,
        limits: config.limits,
        clock: shared.clock.clone(),
        directories,
    })
}

/// Where a `wasi:http` program listens, by the conventions that others have set.
fn http_port(env: &[(String, String)], ports: &[(u16, String)]) -> u16 {
    const ADDRESSES: [&str; 2] = ["WASMTIME_HTTP_PROXY_SOCKET_ADDR", "SPIN_HTTP_LISTEN_ADDR"];
    const DEFAULT: u16 = 8080;
    let told = ADDRESSES.iter().find_map(|wanted| {
        let (_, address) = env.iter().find(|(name, _)| name == wanted)?;
        address.rsplit(':').next()?.parse().ok()
    });
    let declared = match ports {
        [(only, _)] => Some(*only),
        ports => ports.iter().find(|(_, name)| name == "http").map(|(port, _)| *port),
    };
    told.or(declared).unwrap_or(DEFAULT)
}

/// The task of a container.
struct Life {
    shared: Arc<Shared>,
    surroundings: Arc<Surroundings>,
    phase: watch::Sender<Phase>,
    asked: watch::Receiver<Asked>,
}

impl Life {
    async fn live(self, work: Work) {
        let last = {
            let killed = pin!(self.asked_for(Asked::Kill));
            let guest = pin!(self.run(work));
            match select(killed, guest).await {
                Either::Left(((), _)) => Phase::Ended(exit::killed()),
                Either::Right((last, _)) => last,
            }
        };
        // Whoever hears of the end finds the ports free and the log complete.
        let Self { phase, surroundings, .. } = self;
        drop(surroundings);
        phase.send_replace(last);
    }

    async fn asked_for(&self, what: Asked) {
        if self.asked.clone().wait_for(|asked| *asked == what).await.is_err() {
            // The handle is gone, and with it this task.
            std::future::pending::<()>().await;
        }
    }

    async fn run(&self, work: Work) -> Phase {
        match work {
            Work::Module(program) => {
                let call = async |store: &mut Store<ModuleGuest>| {
                    let instance = program.instantiate_async(&mut *store).await?;
                    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
                    self.runs();
                    start.call_async(&mut *store, ()).await.map(Ok)
                };
                self.run_command(ModuleGuest::new(&self.surroundings), ModuleGuest::memory, call).await
            }
            Work::Command(program) => {
                let call = async |store: &mut Store<Guest>| {
                    let instance = program.instantiate_async(&mut *store).await?;
                    self.runs();
                    instance.wasi_cli_run().call_run(&mut *store).await
                };
                self.run_command(Guest::new(&self.surroundings), Guest::memory, call).await
            }
            Work::Serve(program, listener) => self.serve(program, listener).await,
        }
    }

    fn runs(&self) {
        self.phase.send_replace(Phase::Running);
    }

    async fn run_command<T: Fueled>(
        &self,
        guest: Result<T, ContextError>,
        memory: fn(&mut T) -> &mut MemoryLimiter,
        call: impl AsyncFnOnce(&mut Store<T>) -> Called,
    ) -> Phase {
        let store = guest.map_err(wasmtime::Error::from).and_then(|guest| self.shared.store(guest, memory));
        let mut store = match store {
            Ok(store) => store,
            Err(error) => return Phase::Failed(format!("{error:#}")),
        };
        let called = {
            let terminated = pin!(self.asked_for(Asked::Terminate));
            let meter = self.surroundings.limits.cpu();
            let called = pin!(self.shared.metering.run(meter, call(&mut store)));
            match select(terminated, called).await {
                Either::Left(((), _)) => return Phase::Ended(exit::terminated()),
                Either::Right((called, _)) => called,
            }
        };
        if let Err(error) = &called
            && error.is::<PoolConcurrencyLimitError>()
        {
            return Phase::Failed(format!("this node has no room for another instance: {error}"));
        }
        fuel::settle(&mut store, self.shared.clock.now());
        let denied_memory = memory(store.data_mut()).denied();
        Phase::Ended(exit::of_command(called, denied_memory, &self.surroundings.stderr))
    }

    async fn serve(&self, program: HttpProgram, listener: Listener) -> Phase {
        let (shared, surroundings) = (Arc::clone(&self.shared), Arc::clone(&self.surroundings));
        let handler = Handler {
            program,
            new_store: Box::new(move || shared.store(Guest::new(&surroundings)?, Guest::memory)),
            further: Arc::clone(&self.shared.further),
            metering: self.shared.metering.clone(),
            limits: self.surroundings.limits.clone(),
            clock: self.shared.clock.clone(),
            stderr: self.surroundings.stderr.clone(),
        };
        self.runs();
        Phase::Ended(match serve(handler, listener, self.asked_for(Asked::Terminate)).await {
            Ended::Drained => exit::terminated(),
            Ended::OutOfMemory => exit::out_of_memory(),
            Ended::OutOfFuel => exit::out_of_fuel(),
        })
    }
}

impl WasmContainer {
    fn ask(&self, what: Asked) {
        self.asked.send_if_modified(|asked| {
            let is_stronger = what > *asked;
            *asked = what.max(*asked);
            is_stronger
        });
    }
}

impl Container for WasmContainer {
    fn started(&mut self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async {
            let phase = self.phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await;
            match phase.as_deref() {
                Ok(Phase::Failed(message)) => Err(StartError { message: message.clone() }),
                Ok(_) => Ok(()),
                Err(_) => Err(StartError { message: exit::lost().message }),
            }
        })
    }

    fn exited(&mut self) -> BoxFuture<'_, Exit> {
        Box::pin(async {
            let is_over = |phase: &Phase| matches!(phase, Phase::Ended(_) | Phase::Failed(_));
            match self.phase.wait_for(is_over).await.as_deref() {
                Ok(Phase::Ended(exit)) => exit.clone(),
                Ok(Phase::Failed(message)) => exit::not_started(message.clone()),
                Ok(_) | Err(_) => exit::lost(),
            }
        })
    }

    fn terminate(&mut self) {
        self.ask(Asked::Terminate);
    }

    fn kill(&mut self) {
        self.ask(Asked::Kill);
    }
}

impl Drop for WasmContainer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_listens_where_others_would_have_it() {
        let check = |env: &[(&str, &str)], ports: &[(u16, &str)], expected: u16| {
            let env: Vec<_> = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let ports: Vec<_> = ports.iter().map(|(port, name)| (*port, name.to_string())).collect();
            assert_eq!(http_port(&env, &ports), expected, "{env:?} {ports:?}");
        };
        check(&[], &[], 8080);
        check(&[], &[(3000, "")], 3000);
        check(&[], &[(3000, "metrics"), (3001, "http")], 3001);
        check(&[], &[(3000, "a"), (3001, "b")], 8080);
        check(&[("SPIN_HTTP_LISTEN_ADDR", "0.0.0.0:80")], &[(3000, "")], 80);
        check(&[("WASMTIME_HTTP_PROXY_SOCKET_ADDR", "[::]:81")], &[], 81);
        check(&[("WASMTIME_HTTP_PROXY_SOCKET_ADDR", "nonsense")], &[(3000, "")], 3000);
    }
}
