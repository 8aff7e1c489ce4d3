//! Logs of containers: which run is meant, where to begin, and the lines as people read them.

use std::convert::Infallible;

use api::Key;
use api::resource::PODS;
use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use tokio::task::coop::consume_budget;

use super::query::Query;
use super::{Body, Refusal, with_body};
use crate::logs::{LogEntry, LogFile, LogFollower, LogStream};
use crate::node::Node;
use crate::node::post::is_on;

/// As much is handed over at once, roughly.
const CHUNK_BYTES: usize = 32 << 10;

/// Whose log is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
}

impl Node {
    /// Answers with the log of a container.
    pub(super) fn container_log(&self, asked: Asked<'_>, query: &Query) -> Result<Response<Body>, Refusal> {
        let now = self.0.config.clock.now();
        let since_seconds: Option<u64> = query.read("sinceSeconds")?;
        let since_time: Option<Timestamp> = query.read("sinceTime")?;
        let ago = |seconds| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
        let lines = Lines {
            since: since_seconds
                .map(|seconds| ago(i64::try_from(seconds).unwrap_or(i64::MAX)))
                .or(since_time),
            left: query.read("limitBytes")?,
            has_times: query.is_on("timestamps"),
            stream: match query.get("stream") {
                Some("Stdout") => Some(LogStream::Stdout),
                Some("Stderr") => Some(LogStream::Stderr),
                _ => None,
            },
            begins_line: true,
        };
        let file = self.log_file(asked, query.is_on("previous"))?;
        let follower = match query.read("tailLines")? {
            Some(count) => file.follow_tail(count),
            None => file.follow(),
        };
        let source = Source { follower, lines, follows: query.is_on("follow") };
        let chunks = stream::unfold(source, |mut source| async {
            let chunk = source.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(chunk)), source))
        });
        Ok(with_body("text/plain; charset=utf-8", StreamBody::new(chunks).boxed_unsync()))
    }

    fn log_file(&self, asked: Asked<'_>, previous: bool) -> Result<LogFile, Refusal> {
        let Asked { namespace, pod: pod_name, container } = asked;
        let config = &self.0.config;
        let object = config.cache.get(&PODS, &Key::new(namespace, pod_name));
        let object = object.filter(|object| is_on(object, &config.name));
        let absent = |words| Refusal::new(StatusCode::NOT_FOUND, words);
        let object = object.ok_or_else(|| absent(format!("pod {pod_name:?} does not exist")))?;
        let pod = object.typed::<Pod>().ok();
        let spec = pod.and_then(|pod| pod.spec.as_ref());
        let first = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let own = first.chain(spec.into_iter().flat_map(|spec| &spec.containers)).map(|own| &own.name);
        let added = spec.into_iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
        if !own.chain(added.map(|added| &added.name)).any(|name| name == container) {
            return Err(absent(format!("container {container:?} not found in pod {pod_name:?}")));
        }
        let status = pod.and_then(|pod| pod.status.as_ref());
        let lists = status.into_iter().flat_map(|status| {
            let plain = [&status.init_container_statuses, &status.container_statuses];
            plain.into_iter().chain([&status.ephemeral_container_statuses]).flatten()
        });
        let status = lists.flatten().find(|status| status.name == container);
        let runs = self.0.output.runs(object.uid(), container);
        let numbers: Vec<u32> = runs.iter().map(|log| log.run).collect();
        let run = choose(status, &numbers, previous).map_err(|why| {
            let words = match why {
                NoLog::NoPrevious => {
                    format!("previous terminated container {container:?} in pod {pod_name:?} not found")
                }
                NoLog::Unavailable => format!("container {container:?} in pod {pod_name:?} is not available"),
                NoLog::Waiting(why) => {
                    format!("container {container:?} in pod {pod_name:?} is waiting to start: {why}")
                }
            };
            Refusal::new(StatusCode::BAD_REQUEST, words)
        })?;
        let found = runs.into_iter().find(|log| log.run == run);
        Ok(found.expect("a run is chosen from those there are").file)
    }
}

/// Why there is no log.
#[derive(Debug, PartialEq, Eq)]
enum NoLog {
    NoPrevious,
    Unavailable,
    Waiting(String),
}

/// The run whose log is meant, of those whose logs are kept. The newest is newer than the status where that is behind.
fn choose(status: Option<&ContainerStatus>, runs: &[u32], previous: bool) -> Result<u32, NoLog> {
    if previous {
        let last = status.and_then(|status| status.last_state.as_ref()?.terminated.as_ref());
        let last = last.and_then(|last| run_of(last.container_id.as_deref()?));
        return last.filter(|run| runs.contains(run)).ok_or(NoLog::NoPrevious);
    }
    if let Some(newest) = runs.iter().max() {
        return Ok(*newest);
    }
    let waiting = status.and_then(|status| status.state.as_ref()?.waiting.as_ref());
    let reason = waiting.ok_or(NoLog::Unavailable)?.reason.as_deref().unwrap_or_default();
    Err(NoLog::Waiting(match reason {
        "ErrImagePull" => "image can't be pulled".to_owned(),
        "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
        reason => reason.to_owned(),
    }))
}

/// The last part of a container's id.
fn run_of(container_id: &str) -> Option<u32> {
    container_id.rsplit('/').next()?.parse().ok()
}

/// Where the lines come from.
struct Source {
    follower: LogFollower,
    lines: Lines,
    follows: bool,
}

impl Source {
    /// What there is, up to some size; waits for it only if there is nothing.
    async fn next(&mut self) -> Option<Bytes> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES && self.lines.left != Some(0) {
            let entry = match self.follower.ready_entry() {
                Some(entry) => entry,
                None if !chunk.is_empty() || !self.follows => break,
                None => match self.follower.next_entry().await {
                    Some(entry) => entry,
                    None => break,
                },
            };
            self.lines.add(&entry, &mut chunk);
            // What is passed over fills no chunk, and so would never make this wait.
            consume_budget().await;
        }
        (!chunk.is_empty()).then(|| chunk.into())
    }
}

/// What is shown of each entry.
struct Lines {
    since: Option<Timestamp>,
    /// How many bytes may still be shown.
    left: Option<u64>,
    has_times: bool,
    stream: Option<LogStream>,
    begins_line: bool,
}

impl Lines {
    fn add(&mut self, entry: &LogEntry, shown: &mut Vec<u8>) {
        let is_early = self.since.is_some_and(|since| entry.time < since);
        if is_early || self.stream.is_some_and(|stream| stream != entry.stream) {
            return;
        }
        let start = shown.len();
        if self.has_times && self.begins_line {
            shown.extend_from_slice(format!("{:.9} ", entry.time).as_bytes());
        }
        shown.extend_from_slice(&entry.bytes);
        if entry.whole {
            shown.push(b'\n');
        }
        self.begins_line = entry.whole;
        if let Some(left) = &mut self.left {
            let room = usize::try_from(*left).unwrap_or(usize::MAX);
            shown.truncate(start.saturating_add(room));
            *left -= (shown.len() - start) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_run_that_is_meant_is_found() {
        let check = |state: Value,
                     last: Value,
                     runs: &[u32],
                     previous: bool,
                     expected: Result<u32, NoLog>| {
            let status = json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": state, "lastState": last});
            let status: ContainerStatus = serde_json::from_value(status).expect("a status");
            assert_eq!(choose(Some(&status), runs, previous), expected);
        };
        let ended =
            |run: u32| json!({"terminated": {"exitCode": 1, "containerID": format!("peapod://u/c/{run}")}});
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let none = || json!({});
        check(json!({"running": {}}), none(), &[0], false, Ok(0));
        check(json!({"running": {}}), none(), &[0], true, Err(NoLog::NoPrevious));
        check(json!({"running": {}}), ended(1), &[1, 2], true, Ok(1));
        check(waiting("CrashLoopBackOff"), ended(2), &[1, 2], false, Ok(2));
        check(waiting("CrashLoopBackOff"), ended(2), &[1, 2], true, Ok(2));
        check(ended(0), none(), &[0], false, Ok(0));
        check(json!({"running": {}}), ended(1), &[2], true, Err(NoLog::NoPrevious));
        let creating = NoLog::Waiting("ContainerCreating".to_owned());
        check(waiting("ContainerCreating"), none(), &[], false, Err(creating));
        let pulling = NoLog::Waiting("trying and failing to pull image".to_owned());
        check(waiting("ImagePullBackOff"), none(), &[], false, Err(pulling));
        assert_eq!(choose(None, &[], false), Err(NoLog::Unavailable));
    }
}
