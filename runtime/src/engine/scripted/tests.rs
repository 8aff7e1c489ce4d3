//! Scripts are read as documented and played by the clock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use api::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::engine::{Exit, ExitReason};
use crate::limits::ContainerLimits;
use crate::limits::cpu::Currency;
use crate::logs::{LogConfig, LogFile, LogStream, tail};
use crate::network::{Interface, Network, NetworkConfig, PodIdentity};

struct Trial {
    clock: Clock,
    interface: Interface,
    log: LogFile,
    _folder: tempfile::TempDir,
}

impl Trial {
    fn new() -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let network = Network::new(NetworkConfig::new(clock.clone()));
        let identity = PodIdentity { key: Key::new("n", "p"), uid: "u".into() };
        let folder = tempfile::tempdir().unwrap();
        Self {
            interface: network.attach(&identity).unwrap(),
            log: LogFile::open(folder.path().join("0.log"), LogConfig::default(), clock.clone()),
            clock,
            _folder: folder,
        }
    }

    async fn run(&self, script: &str) -> Box<dyn Container> {
        let engine = ScriptedEngine::new(self.clock.clone()).with("localhost/web:v1", script);
        let image = engine.image(&"localhost/web:v1".parse().unwrap()).unwrap();
        let program = engine.prepare(&image, Currency::Time).await.unwrap();
        let config = ContainerConfig {
            pod: Key::new("n", "p"),
            name: "web".into(),
            args: vec![],
            env: vec![],
            mounts: vec![],
            working_dir: String::new(),
            ports: vec![],
            stdin: None,
            tty: false,
            stdout: self.log.writer(LogStream::Stdout),
            stderr: self.log.writer(LogStream::Stderr),
            interface: self.interface.clone(),
            limits: ContainerLimits::unlimited(),
        };
        program.start(config).unwrap()
    }

    /// What is answered at port 8080.
    async fn ask(&self, question: &str) -> String {
        let address = (self.interface.address(), 8080).into();
        let mut stream = self.interface.connect(address).await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn seconds(&self) -> i64 {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        self.clock.now().duration_since(start).as_secs()
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_starts_prints_and_exits_in_its_time() {
    let trial = Trial::new();
    let mut container = trial.run("prepare 2s; start 1s; print hello; exit 3 after 5s").await;
    assert_eq!(trial.seconds(), 2);
    container.started().await.unwrap();
    assert_eq!(trial.seconds(), 3);
    let exit = container.exited().await;
    assert_eq!((trial.seconds(), exit.code, exit.reason), (8, 3, ExitReason::Error));
    assert_eq!(container.exited().await, exit);
    assert_eq!(tail(trial.log.path(), 1)[0].text, "hello");
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_asked_to_or_when_killed() {
    let trial = Trial::new();
    let mut container = trial.run("stop 2s").await;
    container.started().await.unwrap();
    container.terminate();
    assert_eq!((container.exited().await.code, trial.seconds()), (143, 2));
    let mut container = trial.run("stop never").await;
    container.terminate();
    let waited = tokio::time::timeout(Duration::from_secs(60), container.exited()).await;
    assert!(waited.is_err());
    container.kill();
    let killed = Exit { code: 137, reason: ExitReason::Error, message: String::new() };
    assert_eq!(container.exited().await, killed);
    let mut container = trial.run("exit oom").await;
    assert_eq!(container.exited().await.reason, ExitReason::OomKilled);
    let mut container = trial.run("start fails no entry point").await;
    assert_eq!(container.started().await.unwrap_err().message, "no entry point");
}

#[tokio::test(start_paused = true)]
async fn it_answers_badly_during_an_outage() {
    let trial = Trial::new();
    let mut container =
        trial.run("serve 8080; fail 8080 from 10s for 5s; fail 8080 from 1m; fail 81 from 0s").await;
    container.started().await.unwrap();
    let check = async |wait: u64, expected: &str| {
        trial.clock.sleep(Duration::from_secs(wait)).await;
        let answer = trial.ask("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(answer.split(' ').nth(1), Some(expected), "after {} s", trial.seconds());
    };
    check(9, "200").await;
    check(1, "503").await;
    check(4, "503").await;
    check(1, "200").await;
    check(60, "503").await;
}

#[tokio::test(start_paused = true)]
async fn it_answers_with_its_pod() {
    let trial = Trial::new();
    let mut container = trial.run("serve 8080").await;
    container.started().await.unwrap();
    assert_eq!(trial.ask("hi").await, "n/p localhost/web:v1\n");
    let answer = trial.ask("GET / HTTP/1.1\r\nhost: web\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nn/p localhost/web:v1\n"), "{answer}");
    container.terminate();
    assert_eq!(container.exited().await.code, 143);
    let address = (trial.interface.address(), 8080).into();
    trial.interface.connect(address).await.unwrap_err();
}
