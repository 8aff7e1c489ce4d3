//! Commands in containers, and joining their own input and output: `pods/NAME/exec` and `pods/NAME/attach`.

use std::collections::BTreeMap;
use std::time::Duration;

use api::channels::{Channel, Form, Pipe, Role, Way, carry, pipe};
use api::resource::PODS;
use api::{Clock, Status};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::mpsc;

use super::connect::{self, Asked, attend};
use super::node::{self, Opened, Relay};
use super::query::{Query, encode};
use super::{LONGEST_REQUEST, Server, in_time, reply};
use crate::stream::negotiate::{Command, Version};
use crate::stream::spdy::{self, Arrival, Headers};
use crate::stream::upgrade::{Client, switching};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;

/// The names of the channels, as streams of SPDY are called.
const NAMES: [(&str, u8); 5] =
    [("stdin", STDIN), ("stdout", STDOUT), ("stderr", STDERR), ("error", STATUS), ("resize", RESIZE)];

/// How long a client may take to open its streams.
const PATIENCE: Duration = Duration::from_secs(30);

/// As much of a node's refusal, or of an outcome, is read.
const WORDS_LIMIT: usize = 64 << 10;

/// Answers `exec` or `attach`.
pub(super) async fn answer(
    server: &Server,
    part: &'static str,
    query: &Query,
    mut asked: Asked<'_>,
) -> Result<Response, Status> {
    let mut document = document(part, query);
    let warnings =
        server.api.registry.admit_connection(&asked.user, &PODS, part, &asked.key, &mut document).await?;
    let options = Options::of(&document);
    let (spec, node) = connect::pod(server, &asked.key).await?;
    let container = container(&asked.key.name, &spec, &options.container)?;
    let (offer, upgrade) = asked.offer()?;
    options.check(part)?;
    let agreed = match offer.command() {
        Ok(agreed) => agreed,
        Err(nothing) => return Ok(connect::refuse(&offer, &nothing)),
    };
    let (namespace, name) = (encode(&asked.key.namespace), encode(&asked.key.name));
    let path = format!("/{part}/{namespace}/{name}/{}?{}", encode(&container), options.query());
    let opened = in_time(server, LONGEST_REQUEST, node::open(server.dialer()?, &node, &path)).await?;
    let far = match (opened, agreed.spoken) {
        (Opened::Stream(stream), _) => Far::Stream(stream),
        // These clients are told in the stream.
        (Opened::Refused(refused), Command::WebSocket(_, Version::V5)) => {
            Far::Refusal(refusal(refused).await)
        }
        (Opened::Refused(refused), _) => return Ok(connect::pass_on(refused)),
    };
    let mut response = switching(&offer, agreed.name);
    reply::warn(response.headers_mut(), &warnings);
    let (running, end) = (server.api.metrics.long_running(&asked.about), server.end(asked.until));
    let clock = server.api.clock.clone();
    upgrade.begin(clock.clone(), move |client| async move {
        let _running = running;
        let session = Session { options, clock, far };
        select! {
            biased;
            () = end => {}
            () = session.run(client, agreed.spoken) => {}
        }
    });
    Ok(response)
}

/// The options as admission sees them.
fn document(part: &str, query: &Query) -> Value {
    let kind = if part == "exec" { "PodExecOptions" } else { "PodAttachOptions" };
    let mut document = json!({"kind": kind, "apiVersion": "v1"});
    for switch in ["stdin", "stdout", "stderr", "tty"] {
        if query.is_on(switch) {
            document[switch] = true.into();
        }
    }
    if let Some(container) = query.text("container") {
        document["container"] = container.into();
    }
    if part == "exec" {
        document["command"] = query.all("command").collect();
    }
    document
}

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    container: String,
    command: Vec<String>,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Options {
    fn of(document: &Value) -> Self {
        let is_on = |name: &str| document[name].as_bool().unwrap_or(false);
        let words = document["command"].as_array().into_iter().flatten();
        Self {
            container: document["container"].as_str().unwrap_or_default().to_owned(),
            command: words.filter_map(|word| word.as_str().map(str::to_owned)).collect(),
            stdin: is_on("stdin"),
            stdout: is_on("stdout"),
            // A terminal has one output.
            stderr: is_on("stderr") && !is_on("tty"),
            tty: is_on("tty"),
        }
    }

    fn check(&self, part: &str) -> Result<(), Status> {
        if !self.stdin && !self.stdout && !self.stderr {
            return Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
        }
        if part == "exec" && self.command.is_empty() {
            return Err(Status::bad_request("you must specify at least one command for the container"));
        }
        Ok(())
    }

    /// As kubelets are asked.
    fn query(&self) -> String {
        let switches =
            [("input", self.stdin), ("output", self.stdout), ("error", self.stderr), ("tty", self.tty)];
        let switches = switches.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| format!("{name}=1"));
        let command = self.command.iter().map(|word| format!("command={}", encode(word)));
        switches.chain(command).collect::<Vec<_>>().join("&")
    }

    /// The channels there are, as the server sees them from the client.
    fn channels(&self, version: Version) -> Vec<(u8, Way)> {
        let resizes = self.tty && version >= Version::V3;
        let all = [
            (STDIN, Way::In, self.stdin),
            (STDOUT, Way::Out, self.stdout),
            (STDERR, Way::Out, self.stderr),
            (STATUS, Way::Last, true),
            (RESIZE, Way::In, resizes),
        ];
        all.into_iter().filter(|(.., is_there)| *is_there).map(|(number, way, _)| (number, way)).collect()
    }
}

/// The container that is meant.
fn container(pod: &str, spec: &PodSpec, asked: &str) -> Result<String, Status> {
    let init = spec.init_containers.iter().flatten().map(|container| container.name.as_str());
    let own = spec.containers.iter().map(|container| container.name.as_str());
    let later = spec.ephemeral_containers.iter().flatten().map(|container| container.name.as_str());
    let names: Vec<&str> = init.chain(own).chain(later).collect();
    match (asked, spec.containers.as_slice()) {
        ("", [only]) => Ok(only.name.clone()),
        ("", _) => Err(Status::bad_request(format!(
            "a container name must be specified for pod {pod}, choose one of: [{}]",
            names.join(" ")
        ))),
        (asked, _) if names.contains(&asked) => Ok(asked.to_owned()),
        (asked, _) => Err(Status::bad_request(format!("container {asked} is not valid for pod {pod}"))),
    }
}

/// Why there is no stream to the node, as clients are told.
async fn refusal(refused: http::Response<Relay>) -> Vec<u8> {
    let words = match Limited::new(refused.into_body(), WORDS_LIMIT).collect().await {
        Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).trim().to_owned(),
        Err(_) => "the node said too much".to_owned(),
    };
    let status = Status::internal(format_args!("unable to upgrade connection: {words}"));
    status.to_value().to_string().into_bytes()
}

/// The node's end of a session.
enum Far {
    Stream(TokioIo<Upgraded>),
    /// There is none, for this reason.
    Refusal(Vec<u8>),
}

struct Session {
    options: Options,
    clock: Clock,
    far: Far,
}

/// The far ends of the channels, by number.
type Pipes = BTreeMap<u8, Pipe>;

impl Session {
    async fn run(self, client: Client, spoken: Command) {
        match spoken {
            Command::WebSocket(form, version) => self.websocket(client, form, version).await,
            Command::Spdy(version) => self.spdy(client, version).await,
        }
    }

    async fn websocket(self, client: Client, form: Form, version: Version) {
        let (mut channels, mut pipes) = (Vec::new(), Pipes::new());
        for (number, way) in self.options.channels(version) {
            let (near, far) = pipe();
            channels.push(Channel { number, way, pipe: near });
            pipes.insert(number, far);
        }
        // An empty message says that the connection stands.
        let outward = channels.iter().find(|channel| channel.way != Way::In);
        let greeting: Vec<(u8, Bytes)> =
            outward.iter().map(|channel| (channel.number, Bytes::new())).collect();
        let clock = self.clock.clone();
        let serving = carry(client, Role::Server, form, channels, &greeting);
        attend(serving, self.work(pipes, version), &clock).await;
    }

    async fn spdy(self, client: Client, version: Version) {
        let wanted: Vec<u8> = self.options.channels(version).iter().map(|(number, _)| *number).collect();
        let (arrivals, arrived) = mpsc::channel(NAMES.len());
        let clock = self.clock.clone();
        let serving = spdy::serve(client, |headers| named(headers).is_some(), arrivals);
        let work = async {
            if let Some(pipes) = gather(arrived, &wanted, &self.clock).await {
                self.work(pipes, version).await;
            }
        };
        attend(serving, work, &clock).await;
    }

    /// Carries the bytes between the client's channels and the node.
    async fn work(self, mut pipes: Pipes, version: Version) {
        let stream = match self.far {
            Far::Stream(stream) => stream,
            Far::Refusal(words) => return tell(pipes.remove(&STATUS), &words).await,
        };
        let mut older = None;
        if version < Version::V4
            && let Some(status) = pipes.remove(&STATUS)
        {
            let (near, far) = pipe();
            pipes.insert(STATUS, far);
            older = Some(tell_in_words(near, status));
        }
        let channels = pipes.into_iter().map(|(number, pipe)| {
            let way = if [STDIN, RESIZE].contains(&number) { Way::Out } else { Way::In };
            Channel { number, way, pipe }
        });
        let carried = carry(stream, Role::Client, Form::ENDING, channels.collect(), &[]);
        match older {
            Some(older) => drop(tokio::join!(carried, older)),
            None => carried.await,
        }
    }
}

async fn tell(status: Option<Pipe>, words: &[u8]) {
    if let Some(mut status) = status {
        // Who has gone need not know.
        let _ = status.write_all(words).await;
    }
}

/// Before the fourth version, success says nothing, and failure says why in words.
async fn tell_in_words(from: Pipe, to: Pipe) {
    let mut bytes = Vec::new();
    // What came before it broke is all there is.
    let _ = from.take(WORDS_LIMIT as u64).read_to_end(&mut bytes).await;
    let status: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status["status"] == "Failure" {
        tell(Some(to), status["message"].as_str().unwrap_or_default().as_bytes()).await;
    }
}

/// Which channel a stream is.
fn named(headers: &Headers) -> Option<u8> {
    let name = headers.get("streamtype")?;
    NAMES.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
}

/// Waits until all streams are there. None if they do not come in time.
async fn gather(mut arrived: mpsc::Receiver<Arrival>, wanted: &[u8], clock: &Clock) -> Option<Pipes> {
    let mut pipes = Pipes::new();
    let all = async {
        while wanted.iter().any(|number| !pipes.contains_key(number)) {
            let Arrival { headers, pipe } = arrived.recv().await?;
            if let Some(number) = named(&headers).filter(|number| wanted.contains(number)) {
                pipes.insert(number, pipe);
            }
        }
        Some(())
    };
    select! {
        biased;
        came = all => came?,
        () = clock.sleep(PATIENCE) => return None,
    }
    Some(pipes)
}

#[cfg(test)]
mod tests;
