//! A container that plays a script.

use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::Clock;
use api::channels::Pipe;
use api::clock::until;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::commands::Programs;
use super::script::{Outage, Outcome, Script, Stop};
use crate::engine::{Commands, Container, ContainerConfig, Exit, ExitReason, Mount, StartError};
use crate::logs::LogWriter;
use crate::network::{Listener, Stream};

/// A scripted container. Its tasks end with it.
pub(super) struct Player {
    order: watch::Sender<Order>,
    programs: Programs,
    progress: watch::Receiver<Progress>,
    _tasks: JoinSet<()>,
}

/// What the container was asked to do; later orders are graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Run,
    Terminate,
    Kill,
}

#[derive(Clone, Debug)]
enum Progress {
    Starting,
    Running,
    Ended(Exit),
    /// It never ran.
    Failed(String),
}

/// Connections answered at once by one scripted container; more wait.
const CONNECTIONS: usize = 64;

impl Player {
    pub(super) fn start(script: Arc<Script>, clock: Clock, image: String, config: ContainerConfig) -> Self {
        let (order, orders) = watch::channel(Order::Run);
        let (report, progress) = watch::channel(Progress::Starting);
        let programs = Programs::new(clock.clone());
        let stage = Stage { script, clock, image, config, orders };
        let mut tasks = JoinSet::new();
        tasks.spawn(stage.play(report));
        Self { order, programs, progress, _tasks: tasks }
    }

    fn order(&self, order: Order) {
        self.order.send_if_modified(|known| {
            let is_graver = order > *known;
            *known = order.max(*known);
            is_graver
        });
    }
}

impl Container for Player {
    fn started(&mut self) -> BoxFuture<'_, Result<(), StartError>> {
        async {
            let progress = self.progress.wait_for(|progress| !matches!(progress, Progress::Starting)).await;
            match progress.as_deref() {
                Ok(Progress::Failed(message)) => Err(StartError { message: message.clone() }),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn exited(&mut self) -> BoxFuture<'_, Exit> {
        async {
            let ended = |progress: &Progress| matches!(progress, Progress::Ended(_) | Progress::Failed(_));
            match self.progress.wait_for(ended).await.as_deref() {
                Ok(Progress::Ended(exit)) => exit.clone(),
                _ => exit(137, ExitReason::Error),
            }
        }
        .boxed()
    }

    fn terminate(&mut self) {
        self.order(Order::Terminate);
    }

    fn kill(&mut self) {
        self.order(Order::Kill);
    }

    fn commands(&self) -> Option<Arc<dyn Commands>> {
        Some(Arc::new(self.programs.clone()))
    }
}

/// Everything a performance needs.
struct Stage {
    script: Arc<Script>,
    clock: Clock,
    image: String,
    config: ContainerConfig,
    orders: watch::Receiver<Order>,
}

impl Stage {
    async fn play(mut self, report: watch::Sender<Progress>) {
        let ports = match self.rise().await {
            Ok(ports) => ports,
            Err(message) => {
                report.send_replace(Progress::Failed(message));
                return;
            }
        };
        report.send_replace(Progress::Running);
        for line in &self.script.print {
            self.config.stdout.write(format!("{line}\n").as_bytes());
        }
        self.write_files();
        let mut servers = JoinSet::new();
        for (listener, port) in ports.into_iter().zip(&self.script.serve) {
            servers.spawn(serve(listener, Arc::new(self.answers(*port)), self.orders.clone()));
        }
        let exit = self.end(&mut servers).await;
        drop(servers);
        report.send_replace(Progress::Ended(exit));
    }

    fn answers(&self, port: u16) -> Answers {
        let outages = self.script.outages.iter().filter(|outage| outage.port == port);
        Answers {
            words: format!("{} {}", self.config.pod, self.image),
            outages: outages.cloned().collect(),
            clock: self.clock.clone(),
            since: self.clock.now(),
        }
    }

    /// Writes its files where it sees them. One that cannot be written is as one that was not.
    fn write_files(&self) {
        for (path, words) in &self.script.write {
            let path = Path::new(path);
            let holds = |mount: &&Mount| path.starts_with(&mount.guest_path);
            let mount = self.config.mounts.iter().filter(holds).max_by_key(|mount| mount.guest_path.len());
            let below = mount.and_then(|mount| path.strip_prefix(&mount.guest_path).ok().zip(Some(mount)));
            let Some((below, mount)) = below else { continue };
            let whole = mount.host_path.components().chain(below.components());
            let _ = fs::write(whole.collect::<PathBuf>(), words);
        }
    }

    /// Gets ready: takes the ports after the time it takes to start.
    async fn rise(&self) -> Result<Vec<Listener>, String> {
        if let Outcome::Fails(message) = &self.script.start {
            return Err(message.clone());
        }
        self.clock.sleep(self.script.start.span()).await;
        let listen = |port: &u16| self.config.interface.listen(*port).map_err(|error| error.to_string());
        self.script.serve.iter().map(listen).collect()
    }

    /// Plays until the end, of its own accord or when asked to; then what is being answered is answered first.
    async fn end(&mut self, servers: &mut JoinSet<()>) -> Exit {
        let own = async {
            let Some(planned) = &self.script.exit else {
                return pending().await;
            };
            self.clock.sleep(planned.after).await;
            match planned.code {
                None => exit(137, ExitReason::OomKilled),
                Some(0) => exit(0, ExitReason::Completed),
                Some(code) => exit(code, ExitReason::Error),
            }
        };
        let repeated = repeat(self.config.stdin.take().filter(|_| self.script.repeat), &self.config.stdout);
        let mut orders = self.orders.clone();
        let asked = async {
            let order =
                orders.wait_for(|order| *order > Order::Run).await.map_or(Order::Kill, |order| *order);
            if order == Order::Terminate {
                let stop = async {
                    match self.script.stop {
                        Stop::After(span) => self.clock.sleep(span).await,
                        Stop::Never => pending().await,
                    }
                    while servers.join_next().await.is_some() {}
                };
                tokio::select! { biased;
                    _ = orders.wait_for(|order| *order == Order::Kill) => {}
                    () = stop => return exit(143, ExitReason::Error),
                }
            }
            exit(137, ExitReason::Error)
        };
        tokio::select! { biased;
            exit = own => exit,
            () = repeated => exit(0, ExitReason::Completed),
            exit = asked => exit,
        }
    }
}

/// Writes what is read until there is no more; never ends if there is nothing to read from.
async fn repeat(stdin: Option<Pipe>, stdout: &LogWriter) {
    let Some(mut stdin) = stdin else {
        return pending().await;
    };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
        stdout.write(&buffer[..read]);
    }
}

fn exit(code: i32, reason: ExitReason) -> Exit {
    Exit { code, reason, message: String::new() }
}

/// What is said at one port.
struct Answers {
    words: String,
    outages: Vec<Outage>,
    clock: Clock,
    since: Timestamp,
}

impl Answers {
    fn status(&self) -> &'static str {
        let passed = until(self.since, self.clock.now()).unwrap_or_default();
        let is_out = self.outages.iter().any(|outage| outage.lasts(passed));
        if is_out { "503 Service Unavailable" } else { "200 OK" }
    }
}

/// Answers each connection until the port is closed or the container is asked to end; those it has taken are answered.
async fn serve(mut listener: Listener, answers: Arc<Answers>, mut orders: watch::Receiver<Order>) {
    let mut connections = JoinSet::new();
    let told = orders.clone();
    let mut is_open = true;
    loop {
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! { biased;
            Some(_) = connections.join_next() => {}
            _ = orders.wait_for(|order| *order > Order::Run), if is_open => {
                listener.close();
                is_open = false;
            }
            accepted = listener.accept() => match accepted {
                Some((stream, _)) => drop(connections.spawn(reply(stream, Arc::clone(&answers), told.clone()))),
                None => break,
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Waits for the first bytes, or their end, then says what is to be said: as an HTTP response if it was asked so. One that asks
/// nothing is not waited for when the container is to end.
async fn reply(mut stream: Stream, answers: Arc<Answers>, mut orders: watch::Receiver<Order>) {
    let mut question = [0; 1024];
    let read = tokio::select! { biased;
        read = stream.read(&mut question) => read,
        _ = orders.wait_for(|order| *order > Order::Run) => return,
    };
    let Ok(read) = read else { return };
    let is_http = question[..read].windows(5).any(|bytes| bytes == b"HTTP/");
    let words = &answers.words;
    let head = if is_http {
        let (status, length) = (answers.status(), words.len() + 1);
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
    } else {
        String::new()
    };
    // The other side may have gone; then nobody misses the answer.
    let _ = stream.write_all(format!("{head}{words}\n").as_bytes()).await;
    let _ = stream.shutdown().await;
}
