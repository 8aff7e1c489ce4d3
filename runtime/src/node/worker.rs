//! Carries out what the machine of one pod decides, and reports its status.

mod artifacts;
mod container;
mod hosts;
mod image;
pub(super) mod limits;
mod mounts;
mod probing;
mod report;
mod resize;
mod sizes;
mod tokens;
mod words;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::event::{Involved, Occurrence, Severity};
use api::resource::SERVICES;
use api::{Key, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tracing::{Instrument, debug, info_span, warn};

use super::Shared;
use super::allocation::Allocation;
use super::hostname::Hostname;
use super::machine::{Action, Event, Note, PodMachine, Refusal};
use super::plan::{Former, PodPlan};
use super::post::Mail;
use super::presence::Stay;
use super::room::Room;
use crate::limits::PodLimits;
use crate::limits::cpu::Currency;
use crate::network::{Interface, PodIdentity};
use crate::volumes::{self, PodVolumes};
use artifacts::Artifacts;
use container::{News, Place, Step};
use probing::Aside;
use report::Reporter;
use sizes::Sizes;
use tokens::Tokens;

/// Runs one pod, from the moment the node sees it until its object is gone.
pub(super) struct Worker {
    node: Arc<Shared>,
    mail: watch::Receiver<Mail>,
    object: Object,
    machine: PodMachine,
    sources_seen: u64,
    reporter: Reporter,
    room: Option<Room>,
    interface: Option<Interface>,
    /// Lets clients forward its ports.
    stay: Option<Stay>,
    volumes: Option<PodVolumes>,
    /// Those its volumes show. Boxed: a pod that shows none has none.
    tokens: Option<Box<Tokens>>,
    /// The images its volumes show.
    artifacts: Option<Box<Artifacts>>,
    /// What its volumes take, if that is bounded.
    sizes: Option<Box<Sizes>>,
    limits: Arc<PodLimits>,
    places: Vec<Place>,
    /// What its containers have been given.
    allocation: Allocation,
    /// When to ask again for what they have not.
    resize_at: Option<Timestamp>,
}

/// What wakes a worker.
enum Wake {
    Mail,
    News(usize, News),
    Aside(usize, Aside),
    Reported(report::Reply),
    Tokens(Vec<tokens::Answer>),
    Artifacts(Vec<artifacts::Answer>),
    Measured(Vec<u64>),
    Time,
}

impl Worker {
    /// A worker for the pod in the mail.
    ///
    /// # Panics
    /// If the object is no pod; the agent has looked.
    pub(super) fn new(node: Arc<Shared>, mut mail: watch::Receiver<Mail>) -> Self {
        let first = mail.borrow_and_update().clone();
        let pod: &Pod = first.object.typed().expect("the agent has decoded the pod");
        let plan = PodPlan::of(&first.object, pod);
        let places = plan.containers.iter().map(|_| Place::default()).collect();
        let limits = limits::of_pod(pod, Currency::Time);
        let reporter = Reporter::new(pod.status.clone().unwrap_or_default());
        let allocation = Allocation::of(pod);
        let mut worker = Self {
            machine: PodMachine::new(plan, Former::of(pod), node.config.clock.now()),
            node,
            mail,
            object: first.object,
            sources_seen: first.sources,
            reporter,
            room: None,
            interface: None,
            stay: None,
            volumes: None,
            tokens: None,
            artifacts: None,
            sizes: None,
            limits,
            places,
            allocation,
            resize_at: None,
        };
        worker.adopt_logs();
        worker
    }

    /// Works until nothing is left to do.
    pub(super) async fn run(self) {
        let span = info_span!("pod", pod = %self.object.key(), uid = self.object.uid());
        self.work().instrument(span).await;
    }

    async fn work(mut self) {
        self.read_mail();
        while !self.machine.is_finished() {
            self.attend_probes();
            self.report();
            match self.wake().await {
                Wake::Mail => self.read_mail(),
                Wake::News(index, news) => {
                    self.tell_of_fuel(index, &news);
                    let event = self.places[index].take_in(index, news);
                    self.tell(event);
                }
                Wake::Aside(index, aside) => {
                    if let Some(event) = self.take_aside(index, aside) {
                        self.tell(event);
                    }
                }
                Wake::Reported(reply) => {
                    let now = self.now();
                    if let Some(event) = self.reporter.answered(reply, now) {
                        self.tell(event);
                    }
                }
                Wake::Tokens(answers) => {
                    if let Some(event) = self.take_tokens(answers) {
                        self.tell(event);
                    }
                }
                Wake::Artifacts(answers) => {
                    if let Some(event) = self.take_artifacts(answers) {
                        self.tell(event);
                    }
                }
                Wake::Measured(used) => {
                    let now = self.now();
                    if let Some(event) = self.sizes.as_mut().and_then(|sizes| sizes.take_in(&used, now)) {
                        self.tell(event);
                    }
                }
                Wake::Time => {
                    if self.machine.wake_at().is_some_and(|time| time <= self.now()) {
                        self.tell(Event::Woken);
                    }
                    self.measure_volumes();
                    self.renew_tokens();
                    if self.resize_at().is_some_and(|time| time <= self.now()) {
                        self.resize();
                    }
                }
            }
        }
        if !self.machine.is_left() {
            self.forget();
        }
    }

    async fn wake(&mut self) -> Wake {
        let clock = self.node.config.clock.clone();
        let renewal = self.tokens.as_ref().filter(|_| self.machine.is_running());
        let renewal = renewal.and_then(|tokens| tokens.wake_at());
        let probes = self.places.iter().filter_map(|place| place.beside.wake_at());
        let measuring = self.sizes.as_ref().and_then(|sizes| sizes.wake_at());
        let deadlines =
            [self.machine.wake_at(), self.reporter.wake_at(), renewal, measuring, self.resize_at()];
        let deadline = deadlines.into_iter().flatten().chain(probes).min();
        let Self { mail, reporter, places, tokens, artifacts, sizes, .. } = self;
        let answers = async {
            match tokens {
                Some(tokens) => tokens.answers().await,
                None => std::future::pending().await,
            }
        };
        let found = async {
            match artifacts {
                Some(artifacts) => artifacts.answers().await,
                None => std::future::pending().await,
            }
        };
        let measured = async {
            match sizes {
                Some(sizes) => sizes.measured().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { biased;
            Ok(()) = mail.changed() => Wake::Mail,
            wake = poll_fn(|context| poll_places(places, context)) => wake,
            reply = reporter.answer() => Wake::Reported(reply),
            answers = answers => Wake::Tokens(answers),
            answers = found => Wake::Artifacts(answers),
            used = measured => Wake::Measured(used),
            () = clock.sleep_until(deadline.unwrap_or(Timestamp::MAX)), if deadline.is_some() => Wake::Time,
            else => std::future::pending().await,
        }
    }

    fn now(&self) -> Timestamp {
        self.node.config.clock.now()
    }

    fn read_mail(&mut self) {
        let mail = self.mail.borrow_and_update().clone();
        if mail.is_gone {
            return self.tell(Event::Gone);
        }
        if let Some(limit) = mail.leave_by.filter(|_| !self.machine.is_left()) {
            return self.tell(Event::Leaving(limit));
        }
        let before = std::mem::replace(&mut self.object, mail.object);
        match self.object.typed::<Pod>() {
            Ok(pod) => {
                let plan = PodPlan::of(&self.object, pod);
                let count = plan.containers.len().max(self.places.len());
                self.places.resize_with(count, Place::default);
                self.tell(Event::Changed(plan));
                self.resize();
            }
            Err(error) => warn!(%error, "pod not understood"),
        }
        self.refresh_if_told(&before);
        if let Some(eviction) = mail.eviction {
            self.tell(Event::Evicted(eviction));
        }
        if mail.sources != self.sources_seen {
            self.sources_seen = mail.sources;
            self.refresh();
            self.tell(Event::SourcesChanged);
        }
    }

    /// Tells the machine what happened, does what it says, and tells it the answers that come at once.
    fn tell(&mut self, event: Event) {
        self.reporter.touch();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now();
            for action in self.machine.handle(event, now) {
                events.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Admit => Some(Event::Admitted(self.admit())),
            Action::Attach => Some(Event::Attached(self.attach())),
            Action::SetUp => self.begin_set_up(),
            Action::Prepare { container, attempt, image, policy } => {
                Some(self.prepare(container, attempt, &image, policy))
            }
            Action::Start { container, attempt, run } => self.start(container, attempt, run),
            Action::Hook { container, attempt, hook } => self.begin_hook(container, attempt, hook),
            Action::Abandon(container) => {
                self.places[container].abandon();
                None
            }
            Action::Terminate(container) => {
                self.places[container].order(Step::Terminate);
                None
            }
            Action::Kill(container) => {
                self.places[container].order(Step::Kill);
                None
            }
            Action::Drain => {
                if let Some(interface) = &self.interface {
                    interface.drain();
                }
                None
            }
            Action::Record(note) => {
                self.record(note);
                None
            }
            Action::Release => {
                self.release();
                None
            }
            Action::Remove => {
                self.reporter.remove();
                None
            }
        }
    }

    fn pod(&self) -> &Pod {
        self.object.typed().expect("the agent has decoded the pod")
    }

    fn admit(&mut self) -> Result<(), Refusal> {
        let os = self.pod().spec.as_ref().and_then(|spec| spec.os.as_ref());
        if os.is_some_and(|os| os.name != "linux") {
            let message = "Failed to admit pod as the OS field doesn't match node OS".to_owned();
            return Err(Refusal { reason: "PodOSNotSupported", message });
        }
        self.node.evictions.admit(self.pod())?;
        self.room = Some(self.node.rooms.take(&self.allocation.applied(self.pod()))?);
        Ok(())
    }

    fn attach(&mut self) -> Result<std::net::IpAddr, String> {
        let currency = limits::currency(self.pod(), &self.node.config.cache)?;
        self.limits = limits::of_pod(self.pod(), currency);
        let identity = PodIdentity { key: self.object.key(), uid: self.object.uid().into() };
        let network = &self.node.config.network;
        let hostname = Hostname::of(self.pod(), network.cluster_domain());
        hostname.told()?;
        let names = hostname.names(self.pod());
        let interface = network.attach_with(&identity, names).map_err(|error| error.to_string())?;
        let address = interface.address();
        self.stay = Some(self.node.presence.show_pod(self.object.uid(), interface.clone()));
        self.interface = Some(interface);
        Ok(address)
    }

    /// The services a container is told of: those of its namespace if the pod wants them, and the API's.
    fn services(&self, pod: &Pod) -> Vec<Object> {
        let services = self.node.config.cache.snapshot(&SERVICES);
        let wants = pod.spec.as_ref().is_none_or(|spec| spec.enable_service_links != Some(false));
        let own = services.in_namespace(self.object.namespace()).filter(|_| wants).cloned();
        let api = services.get(&Key::new("default", "kubernetes"));
        let is_api = |object: &Object| api.is_some_and(|api| api.is_same(object));
        let own: Vec<Object> = own.filter(|object| !is_api(object)).collect();
        api.cloned().into_iter().chain(own).collect()
    }

    /// What a guest needed is the same in every run, so people compare it; its metrics are gone with it.
    fn tell_of_fuel(&self, index: usize, news: &News) {
        let fuel = self.places[index].used_fuel();
        if matches!(news, News::Exited(_)) && fuel > 0 {
            let message = format!("Container burnt {fuel} units of fuel");
            self.record(Note {
                container: Some(index),
                severity: Severity::Normal,
                reason: "FuelBurnt",
                message,
            });
        }
    }

    fn record(&self, note: Note) {
        let mut involved = Involved::object(&self.object);
        if let Some(index) = note.container {
            let container = self.machine.containers()[index].plan();
            involved = involved.container(container.role.list(), &container.name);
        }
        debug!(reason = note.reason, message = note.message, "noted");
        self.node.config.recorder.record(Occurrence {
            involved,
            severity: note.severity,
            reason: note.reason.into(),
            message: note.message.into(),
        });
    }

    /// Gives back everything but the logs, which people still read; and what volumes hold, if the pod goes on later.
    fn release(&mut self) {
        self.places.iter_mut().for_each(Place::abandon);
        self.stay = None;
        self.interface = None;
        self.room = None;
        self.tokens = None;
        self.artifacts = None;
        self.sizes = None;
        if let Some(volumes) = self.volumes.take().filter(|_| !self.machine.is_left())
            && let Err(error) = volumes.remove()
        {
            warn!(%error, "volumes not removed");
        }
        if let Err(error) = volumes::remove_tree(&self.folder_of_roots()) {
            warn!(%error, "root file systems not removed");
        }
        debug!(phase = ?self.machine.phase(), "pod ended");
    }

    /// What becomes of a pod while its node ends is nobody's business: it goes on from what was said of it before.
    fn report(&mut self) {
        if self.machine.is_left() {
            return;
        }
        let host_address = self.node.config.address;
        let Ok(pod) = self.object.typed::<Pod>() else {
            return;
        };
        let now = self.now();
        let is_settled =
            self.machine.is_settled() && !self.places.iter().any(|place| place.beside.is_asking_first());
        let write = self.reporter.next(&self.machine, is_settled, pod, &self.allocation, host_address, now);
        if let Some(write) = write {
            let client = self.node.config.client.clone();
            self.reporter.begin(write, client, self.object.key(), self.object.uid().to_owned());
        }
    }

    /// Removes the logs: the pod's object is gone, and nobody can ask for them by name. An earlier process may have left
    /// some, and volumes too.
    fn forget(&mut self) {
        self.places.iter_mut().for_each(|place| place.forget_logs(&self.node.output));
        let uid = self.object.uid();
        for folder in [self.node.folder_of_logs(&self.object.key(), uid), self.node.folder_of_pod(uid)] {
            if let Err(error) = volumes::remove_tree(&folder) {
                warn!(path = %folder.display(), %error, "folder of a pod not removed");
            }
        }
    }
}

/// The first news of any container, those of the first container first.
fn poll_places(places: &mut [Place], context: &mut Context<'_>) -> Poll<Wake> {
    for (index, place) in places.iter_mut().enumerate() {
        if let Poll::Ready(news) = place.poll(context) {
            return Poll::Ready(Wake::News(index, news));
        }
        if let Poll::Ready(aside) = place.beside.poll(context) {
            return Poll::Ready(Wake::Aside(index, aside));
        }
    }
    Poll::Pending
}
