//! What a pod's machine is told and what it asks for.

use std::net::IpAddr;
use std::time::Duration;

use api::event::Severity;
use jiff::Timestamp;

use super::super::plan::{PodPlan, PullPolicy};
use crate::engine::Exit;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The pod's object has changed.
    Changed(PodPlan),
    /// The pod's object is gone.
    Gone,
    /// The node ends, and is to have ended the pod by this time; it runs again when the node does.
    Leaving(Timestamp),
    /// Whether the node has room for it.
    Admitted(Result<(), Refusal>),
    /// The pod has an address, or why it has none.
    Attached(Result<IpAddr, String>),
    /// The volumes are made, or why not.
    Mounted(Result<(), MountFailure>),
    /// The image was found, or is being pulled.
    Image(usize, Attempt, ImageNews),
    /// The image is ready to run, or why not; holds the image's id.
    Prepared(usize, Attempt, Result<String, ImageFailure>),
    /// The container runs, or why not.
    Started(usize, Attempt, Result<(), StartFailure>),
    /// The container has ended.
    Exited(usize, Attempt, Exit),
    /// A hook of the container has ended, well or with what was wrong.
    Hooked(usize, Attempt, Hook, Result<(), String>),
    /// A probe of the container has found something out.
    Found(usize, Attempt, Finding),
    /// The container is to be given other amounts of what it may use, for which it has to start again.
    Resized(usize),
    /// A ConfigMap or Secret the pod uses has changed.
    SourcesChanged,
    /// The pod has to go: it uses too much, or the node has too little.
    Evicted(Eviction),
    /// Time has passed.
    Woken,
}

/// Counts the attempts to run a container, so that news of an earlier one are known as such.
pub type Attempt = u32;

/// What a container has done at a turn of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// When it has been started.
    PostStart,
    /// Before it is asked to end.
    PreStop,
}

/// What probes have found out about a running container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// It has started: the startup probe has succeeded.
    Started,
    /// It has become ready, or is not any more.
    Ready(bool),
    /// A probe has failed as often as it may: the container is to be ended, and runs again if its policy says so.
    Failing {
        /// What people are told: `Container web failed liveness probe`.
        message: String,
        /// How long it may take to end, if the probe says so.
        grace: Option<Duration>,
    },
}

/// Why a pod may not run on this node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// One word: `OutOfcpu`.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// Why a pod has to go before its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Eviction {
    /// What is too much or too little, in sentences.
    pub message: String,
    /// How long it may take to end.
    pub grace: Duration,
    /// Whether it goes for the node's sake, so that others should not hold its failure against it.
    pub is_for_the_node: bool,
}

/// Why the volumes could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MountFailure {
    /// A sentence.
    pub message: String,
    /// Whether nothing but another pod helps.
    pub is_final: bool,
}

/// What comes of an image before it is ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageNews {
    /// It is there and need not be pulled.
    Present,
    /// It is being pulled.
    Pulling {
        /// Secrets that the pod names for it and that cannot be had.
        missing_secrets: Vec<String>,
    },
    /// It was pulled.
    Pulled(Pulled),
}

/// How an image was pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// How long that took.
    pub took: Duration,
    /// How long it took together with the wait for other pulls.
    pub with_waiting: Duration,
    /// How much an image it is.
    pub size_bytes: u64,
}

/// Why an image is not ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageFailure {
    /// The name is none.
    InvalidName(String),
    /// It is not there and may not be pulled.
    NeverPull,
    /// It is not there and could not be pulled.
    NotPulled(String),
    /// It is there and cannot be run.
    Unfit(String),
}

/// Why a container does not run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StartFailure {
    /// What it is to be given cannot be found; it may appear.
    Config(String),
    /// It could not be made.
    Create(String),
    /// It was made and failed to start.
    Start(String),
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask whether the node has room. Answered by [`Event::Admitted`].
    Admit,
    /// Join the network. Answered by [`Event::Attached`].
    Attach,
    /// Make the volumes. Answered by [`Event::Mounted`], at once or later, unless the pod ends before.
    SetUp,
    /// Make an image ready to run. Answered by [`Event::Image`], then by [`Event::Prepared`].
    Prepare {
        /// Which container.
        container: usize,
        /// The attempt to name in the answer.
        attempt: Attempt,
        /// The image.
        image: String,
        /// Where it may come from.
        policy: PullPolicy,
    },
    /// Run what was prepared. Answered by [`Event::Started`], and after success, in the end, by [`Event::Exited`].
    Start {
        /// Which container.
        container: usize,
        /// The attempt to name in the answers.
        attempt: Attempt,
        /// Which run of the container it is, from 0.
        run: u32,
    },
    /// Run a hook of a running container. Answered by [`Event::Hooked`], unless the container ends or is asked to before.
    Hook {
        /// Which container.
        container: usize,
        /// The attempt to name in the answer.
        attempt: Attempt,
        /// Which hook.
        hook: Hook,
    },
    /// Drop what is being prepared or started; there is no answer.
    Abandon(usize),
    /// Ask a running container to end. A hook that still runs is dropped.
    Terminate(usize),
    /// End a running container now.
    Kill(usize),
    /// Take no new connections.
    Drain,
    /// Tell people.
    Record(Note),
    /// Give back address, volumes and room: no container lives any more.
    Release,
    /// Report the last status, then remove the pod's object.
    Remove,
}

/// Something to tell people about the pod or one of its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The container; none for the pod.
    pub container: Option<usize>,
    /// How serious it is.
    pub severity: Severity,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}
