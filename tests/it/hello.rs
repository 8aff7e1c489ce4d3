//! The example as a user runs it: it answers, follows edits, and loses no request while it is rolled.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cli::run::{Ending, RunOptions, Session};
use tempfile::TempDir;
use tests::require;
use tests::transcript::Transcript;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The example in a folder of its own, run with `--watch`.
struct Running {
    folder: TempDir,
    transcript: Transcript,
    address: String,
    stop: oneshot::Sender<()>,
    session: JoinHandle<Result<Ending>>,
}

impl Running {
    async fn start(guest: &[u8]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello/hello.yaml");
        // Without a fixed port, so that nothing else on this machine can have it.
        let manifest = fs::read_to_string(example)?.replace("      nodePort: 30080\n", "");
        fs::create_dir(folder.path().join("app"))?;
        fs::write(folder.path().join("app/hello.yaml"), manifest)?;
        fs::write(folder.path().join("app/hello.wasm"), guest)?;
        let options = RunOptions {
            paths: vec![folder.path().join("app")],
            until: None,
            timeout: Duration::from_secs(60),
            watch: true,
            namespace: "default".to_owned(),
            registries: Default::default(),
            image_dir: folder.path().join("images"),
        };
        let transcript = Transcript::default();
        let session = Session::start(options, transcript.terminal()).await?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let session = tokio::spawn(session.run(stopped));
        let (_, line) = transcript.line(0, "http://").await?;
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        let address = address.context("an address")?.to_owned();
        Ok(Self { folder, transcript, address, stop, session })
    }

    fn edit(&self, from: &str, to: &str) -> Result<()> {
        let file = self.folder.path().join("app/hello.yaml");
        let text = fs::read_to_string(&file)?;
        ensure!(text.contains(from), "the manifest has no {from:?}");
        Ok(fs::write(&file, text.replace(from, to))?)
    }

    async fn get(&self) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "the answer is {answer:?}");
        Ok(answer)
    }

    /// The pods that answer `times` requests, none of which may fail.
    async fn pods(&self, times: usize) -> Result<BTreeSet<String>> {
        let mut pods = BTreeSet::new();
        for _ in 0..times {
            let answer = self.get().await?;
            pods.extend(answer.split_whitespace().find(|word| word.starts_with("hello-")).map(str::to_owned));
        }
        Ok(pods)
    }

    /// Asks without a pause until everything is announced as ready; no request may fail.
    async fn ask_until_ready(&self, from: usize) -> Result<()> {
        let ready = self.transcript.line(from, "ready ");
        tokio::pin!(ready);
        loop {
            tokio::select! {
                biased;
                line = &mut ready => return line.map(drop),
                pods = self.pods(1) => drop(pods.context("a request failed while the pods were rolled")?),
            }
        }
    }

    async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        ensure!(self.session.await?? == Ending::Stopped);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_answers_follows_edits_and_rolls_without_a_failed_request() -> Result<()> {
    let running = Running::start(crate::HELLO).await?;
    let before = running.pods(6).await?;
    assert_eq!(before.len(), 3, "pods answer in turn: {before:?}");

    let from = running.transcript.text().lines().count();
    running.edit("greeting: Good day", "greeting: Good night")?;
    while !running.get().await?.contains("Good night") {}
    assert_eq!(running.pods(6).await?, before, "a ConfigMap reaches the same pods through their volume");

    let (from, _) = running.transcript.line(from, "reach ").await?;
    running.edit("env:\n", "env:\n            - {name: ROUND, value: \"2\"}\n")?;
    running.transcript.line(from, "configured").await?;
    running.ask_until_ready(from).await?;
    let after = running.pods(6).await?;
    assert!(after.len() == 3 && after.is_disjoint(&before), "{before:?} became {after:?}");

    // A custom section at the end makes another program that does the same.
    let from = running.transcript.text().lines().count();
    let rebuilt = [crate::HELLO, &[0, 2, 1, b'x']].concat();
    fs::write(running.folder.path().join("app/hello.wasm"), rebuilt)?;
    running.ask_until_ready(from).await?;
    let before = after;
    let after = running.pods(6).await?;
    assert!(after.len() == 3 && after.is_disjoint(&before), "{before:?} became {after:?}");

    let from = running.transcript.text().lines().count();
    running.edit("containerPort: 8080", "containerPort: none")?;
    let (_, line) = running.transcript.line(from, "hello.yaml:").await?;
    assert!(line.contains("spec.template.spec.containers[0].ports[0].containerPort"), "{line}");
    assert_eq!(running.pods(6).await?, after, "a mistake changes nothing");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_answered() -> Result<()> {
    let Some(curl) = require::program("curl") else { return Ok(()) };
    let running = Running::start(crate::HELLO).await?;
    let url = format!("http://{}/", running.address);
    let output =
        tokio::task::spawn_blocking(move || Command::new(curl).args(["-sf", &url]).output()).await??;
    let answer = String::from_utf8(output.stdout)?;
    assert!(answer.starts_with("hello from hello-") && answer.contains("(greeting: Good day)"), "{answer}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guest_built_from_source_behaves_the_same() -> Result<()> {
    let Some(built) = require::guest("hello") else { return Ok(()) };
    let running = Running::start(&built).await?;
    assert_eq!(running.pods(6).await?.len(), 3);
    assert!(running.get().await?.contains("(greeting: Good day)"));
    running.stop().await
}
