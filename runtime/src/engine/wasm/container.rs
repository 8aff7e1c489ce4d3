//! A container: the task that runs a guest, and the handle the node agent holds.
//!
//! ```text
//! Starting ──► Running ──► Ended        terminate: a command ends at its next yield, a server when it has drained
//!     └──► Failed                       kill: both end at their next yield
//! ```

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wasmtime::InstancePre;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::super::{Commands, Container, ContainerConfig, Exit, StartError};
use super::commands::Inside;
use super::{Kind, Programs, Shared, exit, instance};
use crate::network::Listener;
use crate::wasi::http::{Ended, Handler, HttpProgram, serve};
use crate::wasi::{Guest, Interrupted, ModuleGuest, Preopens, Signals, Sink, Surroundings, edit};

#[derive(Clone, Debug)]
pub(super) enum Phase {
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
    inside: Inside,
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
    programs: &Arc<Programs>,
    kind: &Arc<Kind>,
    mut config: ContainerConfig,
) -> Result<Box<dyn Container>, StartError> {
    let work = match &**kind {
        Kind::Module(program) => Work::Module(program.clone()),
        Kind::Command(program) | Kind::Toolbox(program) => Work::Command(program.clone()),
        Kind::Proxy(program) => {
            let port = http_port(&config.env, &config.ports);
            let listener = config
                .interface
                .listen(port)
                .map_err(|error| StartError { message: format!("listen on port {port}: {error}") })?;
            Work::Serve(program.clone(), listener)
        }
    };
    let shared = &programs.shared;
    let (phase, phase_seen) = watch::channel(Phase::Starting);
    let (asked, asked_seen) = watch::channel(Asked::Run);
    let directories = Preopens::new(&config.mounts, &shared.scratch)
        .map_err(|error| StartError { message: error.to_string() })?;
    let inside = Inside::new(programs, kind, &config, &directories, phase_seen.clone());
    let (typed, signals) = (config.tty.then(|| config.stdin.take()).flatten(), signals(kind));
    let mut surroundings = surroundings(shared, config, directories);
    let mut typing: Option<BoxFuture<'static, Interrupted>> = None;
    if let Some(typed) = typed {
        let (read, carrying) = edit(typed, surroundings.stdout.clone(), signals);
        surroundings.stdin = Mutex::new(Some(read));
        typing = Some(Box::pin(carrying));
    }
    if matches!(**kind, Kind::Toolbox(_)) {
        surroundings.neighbours = Some(Arc::new(inside.clone()));
    }
    let life =
        Life { surroundings: Arc::new(surroundings), shared: Arc::clone(shared), phase, asked: asked_seen };
    Ok(Box::new(WasmContainer {
        phase: phase_seen,
        asked,
        task: shared.threads.handle().spawn(life.live(work, typing)),
        inside,
        _program: Arc::clone(kind),
    }))
}

/// How a program hears of interrupts at its terminal.
pub(super) fn signals(kind: &Kind) -> Signals {
    if matches!(kind, Kind::Toolbox(_)) { Signals::Within } else { Signals::Apart }
}

fn surroundings(shared: &Shared, config: ContainerConfig, directories: Preopens) -> Surroundings {
    Surroundings {
        seed: format!("{}/{}", config.pod, config.name),
        args: config.args,
        env: config.env,
        working_dir: config.working_dir,
        stdin: Mutex::new(config.stdin),
        stdout: Sink::Log(config.stdout),
        stderr: Sink::Log(config.stderr),
        tty: config.tty,
        neighbours: None,
        interface: config.interface,
        limits: config.limits,
        clock: shared.clock.clone(),
        directories,
    }
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
    async fn live(self, work: Work, typing: Option<BoxFuture<'static, Interrupted>>) {
        let last = tokio::select! {
            biased;
            () = self.asked_for(Asked::Kill) => Phase::Ended(exit::killed()),
            Interrupted = async {
                match typing {
                    Some(typing) => typing.await,
                    None => std::future::pending().await,
                }
            } => Phase::Ended(exit::interrupted()),
            last = self.run(work) => last,
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
        let (shared, around) = (&*self.shared, &*self.surroundings);
        let runs = || drop(self.phase.send_replace(Phase::Running));
        let ran = match work {
            Work::Module(program) => {
                self.until_terminated(instance::run_module(shared, &program, around, runs)).await
            }
            Work::Command(program) => {
                self.until_terminated(instance::run_command(shared, &program, around, runs)).await
            }
            Work::Serve(program, listener) => {
                runs();
                Ok(self.serve(program, listener).await)
            }
        };
        ran.map_or_else(Phase::Failed, Phase::Ended)
    }

    async fn until_terminated(
        &self,
        ran: impl Future<Output = Result<Exit, String>>,
    ) -> Result<Exit, String> {
        tokio::select! {
            biased;
            () = self.asked_for(Asked::Terminate) => Ok(exit::terminated()),
            ran = ran => ran,
        }
    }

    async fn serve(&self, program: HttpProgram, listener: Listener) -> Exit {
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
        match serve(handler, listener, self.asked_for(Asked::Terminate)).await {
            Ended::Drained => exit::terminated(),
            Ended::OutOfMemory => exit::out_of_memory(),
            Ended::OutOfFuel => exit::out_of_fuel(),
        }
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

    fn commands(&self) -> Option<Arc<dyn Commands>> {
        Some(Arc::new(self.inside.clone()))
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
