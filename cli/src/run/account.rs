//! The account of what did not come up, and why: states, events, last log lines.

use std::collections::BTreeSet;
use std::fmt::Write;

use api::cache::Cache;
use api::resource::{EVENTS, PODS};
use api::{Key, Object, Resource};
use serde_json::Value;

use super::Until;
use super::progress::{self, State};
use crate::cluster::Cluster;

/// How many events are told of one object.
const EVENTS_TOLD: usize = 5;

/// How many pods are told of one object; their fellows most likely suffer the same.
const PODS_TOLD: usize = 2;

/// Tells why the objects are not what was asked for; `log_tail` gives the last lines of a pod's container.
pub fn tell(
    cluster: &Cluster,
    applied: &[(Resource, Key)],
    until: Option<Until>,
    log_tail: &dyn Fn(&Object, &str) -> Vec<String>,
) -> String {
    let mut text = String::new();
    let cache = &cluster.cache;
    let rows = progress::rows(cluster, applied);
    for row in rows.iter().filter(|row| row.state.falls_short_of(until)) {
        let Some((resource, key)) = applied.iter().find(|(resource, key)| row.name == shown(resource, key))
        else {
            continue;
        };
        let _ = writeln!(text, "{} {}", row.name, words(&row.state));
        let Some(object) = cache.get(resource, key) else { continue };
        if *resource != PODS {
            tell_events(&mut text, cache, &object, "  ");
        }
        for pod in pods_of(cache, &object).into_iter().filter(|pod| !is_well(pod)).take(PODS_TOLD) {
            tell_pod(&mut text, cache, &pod, log_tail);
        }
    }
    text
}

fn shown(resource: &Resource, key: &Key) -> String {
    format!("{}/{}", resource.kind, key.name)
}

fn words(state: &State) -> String {
    match state {
        State::Waiting(ready, wanted) => format!("is not ready: {ready} of {wanted}"),
        State::Ready(_) => "is ready, but has not run to its end".to_owned(),
        State::Complete => "is complete".to_owned(),
        State::Failed => "failed".to_owned(),
    }
}

fn tell_pod(text: &mut String, cache: &Cache, pod: &Object, log_tail: &dyn Fn(&Object, &str) -> Vec<String>) {
    let phase = pod.value()["status"]["phase"].as_str().unwrap_or("Pending");
    let _ = writeln!(text, "  Pod/{} is {phase}", pod.name());
    for container in pod.value()["status"]["containerStatuses"].as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        for (when, state) in [("", &container["state"]), ("before: ", &container["lastState"])] {
            if let Some(sentence) = container_state(state) {
                let _ = writeln!(text, "    container {name}: {when}{sentence}");
            }
        }
        for line in log_tail(pod, name) {
            let _ = writeln!(text, "    {name} | {line}");
        }
    }
    tell_events(text, cache, pod, "    ");
}

fn container_state(state: &Value) -> Option<String> {
    let (kind, about) = state.as_object()?.iter().next()?;
    let text = |name: &str| about[name].as_str().unwrap_or_default();
    match kind.as_str() {
        "waiting" => Some(join(text("reason"), text("message"))),
        "terminated" => {
            Some(join(&format!("{} with exit code {}", text("reason"), about["exitCode"]), text("message")))
        }
        _ => None,
    }
}

fn join(head: &str, rest: &str) -> String {
    if rest.is_empty() { head.to_owned() } else { format!("{head}: {rest}") }
}

fn tell_events(text: &mut String, cache: &Cache, object: &Object, indent: &str) {
    let events = cache.snapshot(&EVENTS);
    let about = events
        .in_namespace(object.namespace())
        .map(Object::value)
        .filter(|event| event["involvedObject"]["uid"] == object.uid() && event["type"] == "Warning");
    let mut about: Vec<&Value> = about.collect();
    about.sort_by_key(|event| event["lastTimestamp"].as_str().unwrap_or_default().to_owned());
    for event in about.iter().rev().take(EVENTS_TOLD).rev() {
        let part = |name: &str| event[name].as_str().unwrap_or_default();
        let times = event["count"].as_u64().filter(|count| *count > 1);
        let times = times.map_or(String::new(), |count| format!(" ({count} times)"));
        let _ = writeln!(text, "{indent}{}: {}{times}", part("reason"), part("message"));
    }
}

/// The object itself if it is a pod, else the pods that it owns, directly or through what it owns.
fn pods_of(cache: &Cache, object: &Object) -> Vec<Object> {
    if object.kind() == PODS.kind {
        return vec![object.clone()];
    }
    let mut owners = BTreeSet::from([object.uid().to_owned()]);
    cache.each(|_, snapshot| {
        owners.extend(snapshot.owned_by(object.uid()).map(|owned| owned.uid().to_owned()));
    });
    let pods = cache.snapshot(&PODS);
    owners.iter().flat_map(|uid| pods.owned_by(uid)).cloned().collect()
}

fn is_well(pod: &Object) -> bool {
    let conditions = pod.value()["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|condition| condition["type"] == "Ready").any(|ready| ready["status"] == "True")
}
