//! Events: what happened to an object, said once to people who look at it.

mod recorder;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use recorder::Recorder;

use crate::object::Object;
use crate::resource::EVENTS;

/// Whether an event needs somebody's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Part of an object's ordinary life.
    Normal,
    /// Something went wrong.
    Warning,
}

/// The object an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Involved {
    /// `v1`, `apps/v1`.
    pub api_version: Arc<str>,
    /// `Pod`.
    pub kind: Arc<str>,
    /// The object's namespace; empty for objects of the cluster.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
    /// The object's uid.
    pub uid: Arc<str>,
    /// A part of the object, such as `spec.containers{web}`; empty for the whole.
    pub field_path: Arc<str>,
}

impl Involved {
    /// An object as a whole.
    pub fn object(object: &Object) -> Self {
        Self {
            api_version: object.api_version().into(),
            kind: object.kind().into(),
            namespace: object.namespace().into(),
            name: object.name().into(),
            uid: object.uid().into(),
            field_path: "".into(),
        }
    }

    /// One container of a pod, of those in a list of its specification such as `containers`.
    #[must_use]
    pub fn container(mut self, list: &str, name: &str) -> Self {
        self.field_path = format!("spec.{list}{{{name}}}").into();
        self
    }
}

/// What happened, in the words of Kubernetes' events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// To what.
    pub involved: Involved,
    /// How serious it is.
    pub severity: Severity,
    /// One word that machines check, such as `Scheduled`.
    pub reason: Arc<str>,
    /// A sentence for people.
    pub message: Arc<str>,
}

/// The series of an occurrence that repeats: where its Event object lives and how often it came.
#[derive(Clone, Debug)]
pub struct Series {
    /// The name of the Event object.
    pub name: String,
    /// How often it was seen.
    pub count: u32,
    /// When it was seen first.
    pub first: Timestamp,
}

/// The namespace in which the events of an object are kept.
pub fn namespace_of(involved: &Involved) -> &str {
    if involved.namespace.is_empty() { "default" } else { &involved.namespace }
}

/// The Event object that says it: `component` saw it last at `now`.
pub fn to_value(occurrence: &Occurrence, series: &Series, component: &str, now: Timestamp) -> Value {
    let involved = &occurrence.involved;
    json!({
        "apiVersion": EVENTS.api_version(),
        "kind": EVENTS.kind,
        "metadata": {"name": series.name, "namespace": namespace_of(involved)},
        "involvedObject": {
            "apiVersion": involved.api_version,
            "kind": involved.kind,
            "namespace": involved.namespace,
            "name": involved.name,
            "uid": involved.uid,
            "fieldPath": involved.field_path,
        },
        "type": format!("{:?}", occurrence.severity),
        "reason": occurrence.reason,
        "message": occurrence.message,
        "source": {"component": component},
        "reportingComponent": component,
        "count": series.count,
        "firstTimestamp": seconds(series.first),
        "lastTimestamp": seconds(now),
    })
}

/// A time as Kubernetes writes it: RFC 3339 in whole seconds.
pub fn seconds(time: Timestamp) -> String {
    format!("{:.0}", Timestamp::from_second(time.as_second()).unwrap_or(time))
}
