//! Commands in a container: programs of its files, its own program, and the toolbox, each an instance beside the container's
//! own, with its mounts, its place in the network and its limits.

mod beside;
mod bounded;
mod find;

use std::sync::{Arc, Mutex};

use api::channels::{Pipe, pipe};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::{Commands, ContainerConfig, ExecError, Exit, Terminal};
use super::container::{Phase, signals};
use super::{Kind, Programs, exit, instance};
use crate::limits::ContainerLimits;
use crate::network::Interface;
use crate::wasi::{
    Call, Feed, Interrupted, Neighbours, Outcome, Preopens, Process, Sink, Surroundings, edit,
};
use beside::Beside;
use bounded::Bounded;
use find::Found;

/// As if SIGKILL had ended it: its container has ended.
const KILLED: i32 = 137;

/// Runs commands in one container. A clone runs them in the same.
#[derive(Clone)]
pub(super) struct Inside(Arc<Place>);

/// Where commands run.
struct Place {
    programs: Arc<Programs>,
    /// The container's own program.
    own: Arc<Kind>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    working_dir: String,
    seed: String,
    interface: Interface,
    limits: ContainerLimits,
    directories: Preopens,
    phase: watch::Receiver<Phase>,
    beside: Arc<Beside>,
}

/// What a command has of its own.
struct Streams {
    stdin: Option<Pipe>,
    stdout: Sink,
    stderr: Sink,
    tty: bool,
}

impl Inside {
    pub(super) fn new(
        programs: &Arc<Programs>,
        own: &Arc<Kind>,
        config: &ContainerConfig,
        directories: &Preopens,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self(Arc::new(Place {
            programs: Arc::clone(programs),
            own: Arc::clone(own),
            args: config.args.clone(),
            env: config.env.clone(),
            working_dir: config.working_dir.clone(),
            seed: format!("{}/{}", config.pod, config.name),
            interface: config.interface.clone(),
            limits: config.limits.clone(),
            directories: directories.clone(),
            phase,
            beside: Arc::new(Beside::new(programs.shared.clock.now())),
        }))
    }

    async fn execute(self, command: Vec<String>, terminal: Terminal) -> Result<i32, ExecError> {
        let found = self.find(&command).await?;
        let Terminal { stdin, stdout, stderr, tty, size: _ } = terminal;
        let output = Feed::default();
        let errors = if tty { output.clone() } else { Feed::default() };
        let sink =
            |feed: &Feed, wanted: bool| if wanted { Sink::Client(feed.clone()) } else { Sink::Nowhere };
        let (out, err) = (sink(&output, stdout.is_some()), sink(&errors, tty || stderr.is_some()));
        let (stdin, typing) = match stdin {
            Some(typed) if tty => {
                let (read, carrying) = edit(typed, out.clone(), signals(&found.kind));
                (Some(read), carrying.boxed())
            }
            stdin => (stdin, std::future::pending().boxed()),
        };
        let guest = async {
            let running = self.run(found, None, Streams { stdin, stdout: out, stderr: err, tty });
            let ran = tokio::select! {
                ran = running => ran,
                Interrupted = typing => Ok(exit::interrupted()),
            };
            output.complete();
            errors.complete();
            ran
        };
        let pass = async |feed: &Feed, to: Option<Pipe>| {
            if let Some(to) = to {
                feed.pass_on(to).await;
            }
        };
        let (ran, (), ()) = tokio::join!(guest, pass(&output, stdout), pass(&errors, stderr));
        ran.map(|exit| exit.code).map_err(|message| ExecError { message })
    }

    /// Runs a program on the guest threads. It ends with this future.
    async fn run(
        &self,
        found: Found,
        env: Option<Vec<(String, String)>>,
        streams: Streams,
    ) -> Result<Exit, String> {
        let place = &self.0;
        let shared = Arc::clone(&place.programs.shared);
        let no_room = |_| "this node has no room for another instance".to_owned();
        let leave = Arc::clone(&shared.further).try_acquire_owned().map_err(no_room)?;
        let limits = place.limits.part();
        let listed = place.beside.enter(&found.args, &limits, shared.clock.now())?;
        let around = self.surroundings(&found, env, streams, limits);
        let threads = shared.threads.handle().clone();
        let mut running = JoinSet::new();
        running.spawn_on(
            async move {
                let (_leave, _listed) = (leave, listed);
                match &*found.kind {
                    Kind::Module(program) => instance::run_module(&shared, program, &around, || {}).await,
                    Kind::Command(program) | Kind::Toolbox(program) => {
                        instance::run_command(&shared, program, &around, || {}).await
                    }
                    Kind::Proxy(_) => Err("it serves HTTP and cannot be run as a command".to_owned()),
                }
            },
            &threads,
        );
        match running.join_next().await {
            Some(Ok(ran)) => ran,
            _ => Ok(exit::lost()),
        }
    }

    fn surroundings(
        &self,
        found: &Found,
        env: Option<Vec<(String, String)>>,
        streams: Streams,
        limits: ContainerLimits,
    ) -> Surroundings {
        let place = &self.0;
        let is_toolbox = matches!(*found.kind, Kind::Toolbox(_));
        Surroundings {
            args: found.args.clone(),
            env: env.unwrap_or_else(|| self.environment(streams.tty)),
            working_dir: found.folder.clone(),
            stdin: Mutex::new(streams.stdin),
            stdout: streams.stdout,
            stderr: streams.stderr,
            tty: streams.tty,
            neighbours: is_toolbox.then(|| Arc::new(self.clone()) as Arc<dyn Neighbours>),
            interface: place.interface.clone(),
            limits,
            clock: place.programs.shared.clock.clone(),
            seed: format!("{} {}", place.seed, place.beside.count()),
            directories: place.directories.clone(),
        }
    }

    /// The container's environment, with what every process of a Linux container has.
    fn environment(&self, tty: bool) -> Vec<(String, String)> {
        const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let mut env = self.0.env.clone();
        let defaults = [("PATH", PATH), ("HOME", "/")].into_iter().chain(tty.then_some(("TERM", "xterm")));
        for (name, value) in defaults {
            if env.iter().all(|(known, _)| known != name) {
                env.push((name.to_owned(), value.to_owned()));
            }
        }
        env
    }

    /// Resolves when the container has ended.
    async fn over(&self) {
        let is_over = |phase: &Phase| matches!(phase, Phase::Ended(_) | Phase::Failed(_));
        // It is over too if nobody is left to tell.
        let _ = self.0.phase.clone().wait_for(is_over).await;
    }

    async fn call_program(self, call: Call) -> Result<Outcome, String> {
        let path = call.arguments.first().cloned().unwrap_or_default();
        let kind = self.program_at(&path).await.map_err(|error| error.message)?;
        let found = Found { kind, args: call.arguments, folder: call.folder };
        let (mut stdin, read) = pipe();
        let (output, errors) = (Feed::default(), Feed::default());
        let (stdout, stderr) = (Sink::Client(output.clone()), Sink::Client(errors.clone()));
        let guest = async {
            let streams = Streams { stdin: Some(read), stdout, stderr, tty: false };
            let ran = self.run(found, Some(call.environment), streams).await;
            output.complete();
            errors.complete();
            ran
        };
        let giving = async {
            // It need not read all of it.
            let _ = stdin.write_all(&call.input).await;
            drop(stdin);
        };
        let (mut written, mut complained) = (Bounded::default(), Bounded::default());
        let (ran, (), (), ()) =
            tokio::join!(guest, giving, output.pass_on(&mut written), errors.pass_on(&mut complained));
        Ok(Outcome { code: ran?.code, output: written.bytes, errors: complained.bytes })
    }
}

impl Commands for Inside {
    fn run(&self, command: Vec<String>, terminal: Terminal) -> BoxFuture<'static, Result<i32, ExecError>> {
        let inside = self.clone();
        async move {
            if inside.over().now_or_never().is_some() {
                return Err(ExecError { message: "cannot exec in a stopped container".to_owned() });
            }
            let watching = inside.clone();
            tokio::select! {
                biased;
                ran = inside.execute(command, terminal) => ran,
                () = watching.over() => Ok(KILLED),
            }
        }
        .boxed()
    }
}

impl Neighbours for Inside {
    fn processes(&self) -> Vec<Process> {
        let place = &self.0;
        place.beside.list(&place.args, &place.limits, place.programs.shared.clock.now())
    }

    fn call(&self, call: Call) -> BoxFuture<'static, Result<Outcome, String>> {
        self.clone().call_program(call).boxed()
    }
}
