//! Commands in containers, and joining their own input and output.

use std::collections::BTreeMap;
use std::convert::Infallible;

use api::channels::{Channel, Pipe, Way, pipe};
use api::resource::PODS;
use api::{Key, Status};
use bytes::Bytes;
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::{OwnedMutexGuard, watch};

use super::Refusal;
use super::query::Query;
use super::upgrade::Work;
use crate::engine::{ExecError, Size, Terminal};
use crate::logs::LogStream;
use crate::node::Node;
use crate::node::post::is_on;
use crate::node::presence::{Input, Reachable};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;

/// Sizes are some thirty bytes each; more than this without a whole one is none.
const LONGEST_SIZE: usize = 1024;

/// What a client wants of the channels.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, Refusal> {
        let (stdin, stdout, tty) = (query.is_on("input"), query.is_on("output"), query.is_on("tty"));
        let stderr = query.is_on("error") && !tty;
        if !stdin && !stdout && !stderr {
            let words = "you must specify at least 1 of stdin, stdout, stderr";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
        }
        Ok(Self { stdin, stdout, stderr, tty })
    }

    /// The channels, and their other ends by number.
    fn open(self) -> (Vec<Channel>, BTreeMap<u8, Pipe>) {
        let all = [
            (STDIN, Way::In, self.stdin),
            (STDOUT, Way::Out, self.stdout),
            (STDERR, Way::Out, self.stderr),
            (STATUS, Way::Last, true),
            (RESIZE, Way::In, self.tty),
        ];
        let (mut channels, mut ends) = (Vec::new(), BTreeMap::new());
        for (number, way, _) in all.into_iter().filter(|(.., is_wanted)| *is_wanted) {
            let (near, far) = pipe();
            channels.push(Channel { number, way, pipe: near });
            ends.insert(number, far);
        }
        (channels, ends)
    }
}

impl Node {
    /// Runs a command.
    pub(super) fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        query: &Query,
    ) -> Result<Work, Refusal> {
        let wanted = Wanted::read(query)?;
        let reachable = self.reachable(namespace, pod, container)?;
        let command = query.all("command");
        let (channels, mut ends) = wanted.open();
        let work = async move {
            let mut status = ends.remove(&STATUS);
            let outcome = match reachable.commands {
                None => Err(ExecError { message: NO_COMMANDS.to_owned() }),
                Some(commands) => {
                    let (sizes, size) = watch::channel(None);
                    let terminal = Terminal {
                        stdin: ends.remove(&STDIN),
                        stdout: ends.remove(&STDOUT),
                        stderr: ends.remove(&STDERR),
                        tty: wanted.tty,
                        size,
                    };
                    select! {
                        biased;
                        outcome = commands.run(command, terminal) => outcome,
                        never = follow_sizes(ends.remove(&RESIZE), sizes) => match never {},
                    }
                }
            };
            drop(ends);
            tell(&mut status, &outcome_of_exec(outcome)).await;
        };
        Ok(Work { channels, work: Box::pin(work) })
    }

    /// Joins a container's own input and output.
    pub(super) fn attach(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        query: &Query,
    ) -> Result<Work, Refusal> {
        let mut wanted = Wanted::read(query)?;
        let reachable = self.reachable(namespace, pod, container)?;
        wanted.stderr &= !reachable.tty;
        let (channels, mut ends) = wanted.open();
        let mut listener = reachable.log.listen();
        let work = async move {
            let mut status = ends.remove(&STATUS);
            let (mut stdout, mut stderr) = (ends.remove(&STDOUT), ends.remove(&STDERR));
            let hearing = async {
                while let Some((stream, bytes)) = listener.next().await {
                    let end =
                        if stream == LogStream::Stderr && !reachable.tty { &mut stderr } else { &mut stdout };
                    pass(end, &bytes).await;
                }
            };
            let giving = give(ends.remove(&STDIN), reachable.stdin.clone());
            select! {
                biased;
                () = hearing => {}
                never = giving => match never {},
            }
            drop((ends, stdout, stderr));
            tell(&mut status, &success()).await;
        };
        Ok(Work { channels, work: Box::pin(work) })
    }

    /// A container that runs.
    fn reachable(&self, namespace: &str, pod: &str, container: &str) -> Result<Reachable, Refusal> {
        let uid = self.uid_of(namespace, pod)?;
        let missing = || {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("container not found ({container:?})"))
        };
        self.0.presence.container(&uid, container).ok_or_else(missing)
    }

    /// The uid of a pod of this node.
    pub(super) fn uid_of(&self, namespace: &str, pod: &str) -> Result<String, Refusal> {
        let config = &self.0.config;
        let object = config.cache.get(&PODS, &Key::new(namespace, pod));
        let object = object.filter(|object| is_on(object, &config.name));
        let object = object.filter(|object| object.typed::<Pod>().is_ok());
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "pod does not exist");
        object.map(|object| object.uid().to_owned()).ok_or_else(missing)
    }
}

/// What is said where nothing but the container's own program can run.
const NO_COMMANDS: &str = "this container runs its own program and no other";

/// Passes output on. What nobody reads is lost.
async fn pass(end: &mut Option<Pipe>, bytes: &Bytes) {
    if let Some(pipe) = end
        && pipe.write_all(bytes).await.is_err()
    {
        *end = None;
    }
}

/// Gives a container what a client writes. Never ends: what was written may still be answered.
async fn give(from: Option<Pipe>, to: Option<Input>) -> Infallible {
    if let (Some(mut from), Some(Input { pipe, once })) = (from, to) {
        let mut turn = Turn { pipe: pipe.lock_owned().await, once };
        if let Some(to) = &mut *turn.pipe {
            // Either has gone; a container that reads no more still has its output.
            let _ = tokio::io::copy(&mut from, to).await;
        }
    }
    std::future::pending().await
}

/// The time in which one client writes to a container. Afterwards the input may be over, however the client went.
struct Turn {
    pipe: OwnedMutexGuard<Option<Pipe>>,
    once: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.once {
            *self.pipe = None;
        }
    }
}

/// Follows the size of the terminal. Never ends.
async fn follow_sizes(from: Option<Pipe>, sizes: watch::Sender<Option<Size>>) -> Infallible {
    if let Some(mut from) = from {
        let mut text = Vec::new();
        let mut buffer = [0; LONGEST_SIZE];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            text.extend_from_slice(&buffer[..read]);
            if let Some(size) = last_size(&mut text) {
                sizes.send_replace(Some(size));
            }
            if text.len() > LONGEST_SIZE {
                text.clear();
            }
        }
    }
    std::future::pending().await
}

/// Takes the whole sizes off the text, and gives the last.
fn last_size(text: &mut Vec<u8>) -> Option<Size> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    let (mut last, mut read) = (None, 0);
    while let Some(Ok(value)) = values.next() {
        read = values.byte_offset();
        let side = |name: &str| value[name].as_u64().and_then(|side| u16::try_from(side).ok());
        last = side("Width").zip(side("Height")).or(last);
    }
    text.drain(..read);
    last.map(|(width, height)| Size { width, height })
}

async fn tell(status: &mut Option<Pipe>, outcome: &Value) {
    if let Some(status) = status {
        // Who has gone need not know.
        let _ = status.write_all(outcome.to_string().as_bytes()).await;
    }
}

fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

/// The outcome of a command, as clients read it.
fn outcome_of_exec(outcome: Result<i32, ExecError>) -> Value {
    match outcome {
        Ok(0) => success(),
        Ok(code) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => {
            let words = format!("error executing command in container: {error}");
            Status::internal(words).to_value()
        }
    }
}
