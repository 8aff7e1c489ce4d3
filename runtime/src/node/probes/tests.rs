//! Tests of probes and hooks against pods of a network under virtual time.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use api::{Clock, Key};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::*;
use crate::engine::{Commands, ExecError, Terminal};
use crate::network::{Interface, Network, NetworkConfig, PodIdentity, Stream};

/// A pod and the node that asks it.
pub(super) struct World {
    pub(super) pod: Interface,
    pub(super) target: Target,
    pub(super) tasks: JoinSet<()>,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let network = Network::new(NetworkConfig::new(clock.clone()));
        let identity = PodIdentity { key: Key::new("default", "web"), uid: "web".into() };
        let pod = network.attach(&identity).unwrap();
        let address = pod.address();
        let target = Target { network, clock, namespace: "default".into(), address, commands: None };
        Self { pod, target, tasks: JoinSet::new() }
    }

    /// Lets `serve` have each connection to a port.
    pub(super) fn listen<W>(&mut self, port: u16, serve: impl Fn(Stream) -> W + Send + 'static)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mut listener = self.pod.listen(port).unwrap();
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Some((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
    }

    pub(super) async fn ask(&self, check: Check) -> Outcome {
        ask(&probe(check), &self.target).await
    }

    /// How long something takes, in milliseconds.
    pub(super) async fn timed<T>(&self, work: impl Future<Output = T>) -> (T, i64) {
        let before = self.target.clock.now();
        let done = work.await;
        (done, self.target.clock.now().as_millisecond() - before.as_millisecond())
    }
}

fn probe(check: Check) -> Probe {
    Probe {
        check,
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 3,
        grace: None,
    }
}

/// The head of a request, as it came.
pub(super) async fn head(stream: &mut Stream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        bytes.push(byte);
    }
    String::from_utf8(bytes).unwrap()
}

fn failure(words: &str) -> Outcome {
    Outcome::Failure(words.to_owned())
}

fn tcp(host: Option<&str>, port: Port) -> Check {
    Check::Tcp { host: host.map(str::to_owned), port }
}

#[tokio::test(start_paused = true)]
async fn a_port_is_open_or_not() {
    let mut world = World::new();
    world.listen(80, |_stream| async {});
    assert_eq!(world.ask(tcp(None, Ok(80))).await, Outcome::Success);
    assert_eq!(world.ask(tcp(Some("10.128.0.2"), Ok(80))).await, Outcome::Success);
    let check = async |check: Check, words: &str| assert_eq!(world.ask(check).await, failure(words));
    check(tcp(None, Ok(81)), "dial tcp 10.128.0.2:81: connect: connection refused").await;
    check(tcp(Some("10.128.0.9"), Ok(80)), "dial tcp 10.128.0.9:80: connect: no route to host").await;
    check(tcp(Some("nobody"), Ok(80)), "dial tcp: lookup nobody: no such host").await;
    let words =
        "dial tcp 192.0.2.1:80: connect: permission denied: probes and hooks do not leave the cluster";
    check(tcp(Some("192.0.2.1"), Ok(80)), words).await;
    let unknown = world.ask(tcp(None, Err("invalid port number: 0".into()))).await;
    assert_eq!(unknown, Outcome::unknown("invalid port number: 0"));
    assert_eq!(world.ask(Check::Missing).await, Outcome::unknown("missing probe handler"));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_takes_nothing_is_not_open() {
    let world = World::new();
    let _listener = world.pod.listen(80).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..crate::network::BACKLOG {
        waiting.push(world.target.dial(None, 80).await.unwrap());
    }
    let (outcome, millis) = world.timed(world.ask(tcp(None, Ok(80)))).await;
    assert_eq!((outcome, millis), (failure("dial tcp 10.128.0.2:80: i/o timeout"), 1000));
}

/// Commands that do what their first word says, and count how often they were run.
struct Scripted {
    clock: Clock,
    runs: std::sync::atomic::AtomicUsize,
}

impl Commands for Scripted {
    fn run(&self, command: Vec<String>, terminal: Terminal) -> BoxFuture<'static, Result<i32, ExecError>> {
        self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let clock = self.clock.clone();
        async move {
            let (mut stdout, mut stderr) = (terminal.stdout.unwrap(), terminal.stderr.unwrap());
            match command[0].as_str() {
                "both" => {
                    stderr.write_all(b"err\n").await.unwrap();
                    stdout.write_all(b"out\n").await.unwrap();
                    Ok(3)
                }
                "flood" => {
                    for _ in 0..100 {
                        stdout.write_all(&[b'x'; 4096]).await.unwrap();
                    }
                    Ok(1)
                }
                "hang" => {
                    clock.sleep(Duration::from_secs(60)).await;
                    Ok(0)
                }
                "true" => Ok(0),
                _ => Err(ExecError { message: "no such command".into() }),
            }
        }
        .boxed()
    }
}

fn exec(words: &[&str]) -> Check {
    Check::Exec(words.iter().map(|word| (*word).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_command_succeeds_or_not() {
    let mut world = World::new();
    let words = "failed to exec in container: it runs its own program and no other";
    assert_eq!(world.ask(exec(&["true"])).await, Outcome::unknown(words));
    let commands = Arc::new(Scripted { clock: world.target.clock.clone(), runs: 0.into() });
    world.target.commands = Some(Arc::<Scripted>::clone(&commands));
    assert_eq!(world.ask(exec(&["true"])).await, Outcome::Success);
    assert_eq!(world.ask(exec(&["both"])).await, failure("out\nerr\n"));
    assert_eq!(world.ask(exec(&["flood"])).await, failure(&"x".repeat(10 << 10)));
    let (outcome, millis) = world.timed(world.ask(exec(&["hang", "on"]))).await;
    assert_eq!((outcome, millis), (failure("command \"hang on\" timed out"), 1000));
    let runs = || commands.runs.load(std::sync::atomic::Ordering::Relaxed);
    let before = runs();
    assert_eq!(world.ask(exec(&["dance"])).await, Outcome::unknown("no such command"));
    assert_eq!(runs() - before, 3, "what could not be told is asked again");
}

#[tokio::test(start_paused = true)]
async fn hooks_do_what_they_say_or_tell_why_not() {
    let mut world = World::new();
    let commands = Arc::new(Scripted { clock: world.target.clock.clone(), runs: 0.into() });
    world.target.commands = Some(commands);
    world.listen(80, |mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    world.listen(443, |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    });
    let run = async |hook: Hook| run_hook(&hook, &world.target, "main", "web_default(1)").await;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let get = |port, is_secure| {
        let path = "/bye".to_owned();
        Hook::Http(HttpGet { is_secure, host: None, port: Ok(port), path, headers: Vec::new() })
    };
    assert_eq!(run(Hook::Exec(words(&["true"]))).await, Ok(None));
    let failed = "for Container \"main\" in Pod \"web_default(1)\" failed - error:";
    let why = "command 'both now' exited with 3: err\n, message: \"out\\nerr\\n\"";
    let expected = format!("Exec lifecycle hook ([both now]) {failed} {why}");
    assert_eq!(run(Hook::Exec(words(&["both", "now"]))).await, Err(expected));
    let (slept, millis) = world.timed(run(Hook::Sleep(Duration::from_secs(5)))).await;
    assert_eq!((slept, millis), (Ok(None), 5000));
    assert_eq!(run(get(80, false)).await, Ok(None), "any answer will do");
    let why = "Get \"http://10.128.0.2:81/bye\": dial tcp 10.128.0.2:81: connect: connection refused";
    let expected = format!("HTTP lifecycle hook (/bye) {failed} {why}");
    assert_eq!(run(get(81, false)).await, Err(expected));
    let noted = "request to HTTPS lifecycle hook 10.128.0.2:443 got HTTP response, retry with HTTP succeeded";
    assert_eq!(run(get(443, true)).await, Ok(Some(noted.to_owned())));
    assert_eq!(run(Hook::Invalid).await, Err("Cannot run handler: invalid handler".to_owned()));
}
