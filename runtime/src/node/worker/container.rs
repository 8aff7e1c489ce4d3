//! One container of a worker: what is being done for it, and the orders it gets.

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::channels::pipe;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Container as ContainerSpec;
use tokio::sync::{Mutex, watch};
use tracing::debug;

use super::image::{Prepared, Pulling, arguments, of_image, with_image};
use super::mounts::wanted_mounts;
use super::probing::Beside;
use super::words::LastWords;
use super::{Worker, limits};
use crate::engine::{Container, ContainerConfig, Exit, Mount, PrepareError, StartError};
use crate::images::Pin;
use crate::limits::ContainerLimits;
use crate::logs::{LogFile, LogStream};
use crate::node::env::{Surroundings, environment};
use crate::node::hostname::Hostname;
use crate::node::images::PulledImage;
use crate::node::machine::{Attempt, Event, ImageFailure, StartFailure};
use crate::node::output::{ContainerLog, Output};
use crate::node::plan::plain;
use crate::node::presence::{Input, Reachable, Stay};
use crate::node::usage::{Counted, Spender};
use crate::volumes::VolumeError;

/// Where one container runs. At most one thing is done at a time, so there is never a second instance.
#[derive(Default)]
pub(super) struct Place {
    attempt: Attempt,
    doing: Option<BoxFuture<'static, News>>,
    program: Option<Prepared>,
    /// Keeps the image of its program from being removed.
    image: Option<Pin>,
    orders: watch::Sender<Step>,
    pub(super) beside: Beside,
    /// What it uses is counted as long as it lives.
    counted: Option<Counted>,
    /// What it may use and has used, in this run or the last.
    pub(super) limits: Option<ContainerLimits>,
    /// How it is reached once it runs.
    reached: Option<Reached>,
    /// Where it leaves its last words.
    words: Option<LastWords>,
    /// The numbers of the logs kept: of this run and of the one before.
    logs: Vec<u64>,
}

/// How clients come to a container.
enum Reached {
    /// It has not started yet.
    Soon(Box<dyn FnOnce() -> Stay + Send>),
    Now {
        _stay: Stay,
    },
}

/// What a running container is told. Later steps are graver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    #[default]
    Run,
    Terminate,
    Kill,
}

/// What came of what was being done.
pub(super) enum News {
    Pulled(Result<Box<PulledImage>, String>, Box<Pulling>),
    Prepared(Result<Box<Prepared>, PrepareError>),
    Started(Result<Box<dyn Container>, StartError>),
    Exited(Exit),
}

/// Logs kept of a container: the run there is, and the one before, which tells why it ended.
const LOGS_KEPT: usize = 2;

impl Place {
    /// Begins what ends with the image prepared.
    pub(super) fn prepare(&mut self, prepared: BoxFuture<'static, News>, attempt: Attempt) {
        self.attempt = attempt;
        self.doing = Some(prepared);
    }

    fn start(&mut self, mut container: Box<dyn Container>) {
        self.orders = watch::Sender::default();
        self.doing = Some(
            async move {
                let started = container.started().await;
                News::Started(started.map(|()| container))
            }
            .boxed(),
        );
    }

    fn watch(&mut self, container: Box<dyn Container>) {
        self.doing = Some(attend(container, self.orders.subscribe()).boxed());
    }

    /// The fuel burnt in this run or the last.
    pub(super) fn used_fuel(&self) -> u64 {
        self.limits.as_ref().map_or(0, |limits| limits.cpu().used_fuel())
    }

    /// Drops what is being done, and the container with it.
    pub(super) fn abandon(&mut self) {
        self.doing = None;
        self.program = None;
        self.image = None;
        self.counted = None;
        self.reached = None;
        self.beside.end();
    }

    pub(super) fn order(&mut self, step: Step) {
        self.beside.hush();
        self.orders.send_modify(|known| *known = step.max(*known));
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<News> {
        let Some(doing) = &mut self.doing else {
            return Poll::Pending;
        };
        let news = std::task::ready!(doing.as_mut().poll(context));
        self.doing = None;
        if matches!(news, News::Started(Err(_)) | News::Exited(_)) {
            self.counted = None;
            self.reached = None;
            self.beside.end();
        }
        Poll::Ready(news)
    }

    /// Goes on with what came, and says what the machine must know of it.
    pub(super) fn take_in(&mut self, index: usize, news: News) -> Event {
        match news {
            News::Pulled(Ok(pulled), pulling) => {
                let (news, prepared) = pulling.go_on(*pulled);
                self.prepare(prepared, self.attempt);
                Event::Image(index, self.attempt, news)
            }
            News::Pulled(Err(why), _) => {
                Event::Prepared(index, self.attempt, Err(ImageFailure::NotPulled(why)))
            }
            News::Prepared(Ok(prepared)) => {
                let id = prepared.image_id();
                self.program = Some(*prepared);
                Event::Prepared(index, self.attempt, Ok(id))
            }
            News::Prepared(Err(error)) => {
                let failure = ImageFailure::Unfit(error.to_string());
                Event::Prepared(index, self.attempt, Err(failure))
            }
            News::Started(Ok(container)) => {
                self.reached = match self.reached.take() {
                    Some(Reached::Soon(show)) => Some(Reached::Now { _stay: show() }),
                    reached => reached,
                };
                self.watch(container);
                Event::Started(index, self.attempt, Ok(()))
            }
            News::Started(Err(error)) => {
                let failure = StartFailure::Start(error.to_string());
                Event::Started(index, self.attempt, Err(failure))
            }
            News::Exited(mut exit) => {
                if let Some(words) = self.words.take() {
                    words.add_to(&mut exit);
                }
                Event::Exited(index, self.attempt, exit)
            }
        }
    }

    fn keep_log(&mut self, number: u64, output: &Output) {
        self.logs.push(number);
        if self.logs.len() > LOGS_KEPT {
            let oldest = output.remove(self.logs.remove(0));
            let path = oldest.map(|log| log.file.path().to_owned());
            // It may never have been written.
            if let Some(error) = path.and_then(|path| LogFile::remove(&path).err()) {
                debug!(%error, "old log not removed");
            }
        }
    }

    /// Forgets all logs.
    pub(super) fn forget_logs(&mut self, output: &Output) {
        for number in self.logs.drain(..) {
            output.remove(number);
        }
    }
}

/// Passes orders on to the container until it has ended.
async fn attend(mut container: Box<dyn Container>, mut orders: watch::Receiver<Step>) -> News {
    loop {
        let step = *orders.borrow_and_update();
        match step {
            Step::Run => {}
            Step::Terminate => container.terminate(),
            Step::Kill => container.kill(),
        }
        tokio::select! { biased;
            Ok(()) = orders.changed() => {}
            exit = container.exited() => return News::Exited(exit),
        }
    }
}

impl Worker {
    /// Starts what was prepared. An answer comes at once if that fails.
    pub(super) fn start(&mut self, index: usize, attempt: Attempt, run: u32) -> Option<Event> {
        let failed = |failure| Some(Event::Started(index, attempt, Err(failure)));
        let Some(mut prepared) = self.places[index].program.take() else {
            return failed(StartFailure::Create("the image is not ready".to_owned()));
        };
        self.places[index].image = prepared.pin.take();
        let (mut config, log, words) = match self.configure(index, run, &prepared) {
            Ok(configured) => configured,
            Err(failure) => return failed(failure),
        };
        let name = config.name.clone();
        let (stdin, tty) = self.input(index);
        config.tty = tty;
        let stdin = stdin.map(|once| {
            let (near, far) = pipe();
            config.stdin = Some(far);
            Input { pipe: Arc::new(Mutex::new(Some(near))), once }
        });
        self.places[index].limits = Some(config.limits.clone());
        let image = prepared.image.reference.to_string();
        let spender = Spender::new(&config, self.object.uid(), &image, &log.file, self.now());
        match prepared.program.start(config) {
            Ok(container) => {
                self.places[index].counted = Some(self.node.usage.count(self.object.key(), spender, run > 0));
                let commands = container.commands();
                self.places[index].beside.commands.clone_from(&commands);
                let reachable = Reachable { commands, log: log.file.clone(), stdin, tty };
                let (presence, uid) = (self.node.presence.clone(), self.object.uid().to_owned());
                let show = move || presence.show(&uid, &name, reachable);
                self.places[index].reached = Some(Reached::Soon(Box::new(show)));
                let number = self.node.output.add(log);
                let place = &mut self.places[index];
                place.keep_log(number, &self.node.output);
                place.words = words;
                place.start(container);
                None
            }
            Err(error) => failed(StartFailure::Create(error.to_string())),
        }
    }

    /// Whether a container has an input, and if so, whether it ends with the first who writes to it; and whether it is
    /// promised a terminal.
    fn input(&self, index: usize) -> (Option<bool>, bool) {
        let spec = self.spec_of(index);
        let is_on =
            |field: fn(&ContainerSpec) -> Option<bool>| spec.as_deref().and_then(field).unwrap_or(false);
        let has_input = is_on(|spec| spec.stdin);
        (has_input.then(|| is_on(|spec| spec.stdin_once)), is_on(|spec| spec.tty))
    }

    /// What the pod's object says of a container.
    pub(super) fn spec_of(&self, index: usize) -> Option<Cow<'_, ContainerSpec>> {
        let spec = self.pod().spec.as_ref()?;
        let first = spec.init_containers.iter().flatten().map(Cow::Borrowed);
        let own = spec.containers.iter().map(Cow::Borrowed);
        let added = spec.ephemeral_containers.iter().flatten().map(|added| Cow::Owned(plain(added)));
        first.chain(own).chain(added).nth(index)
    }

    fn configure(
        &self,
        index: usize,
        run: u32,
        prepared: &Prepared,
    ) -> Result<(ContainerConfig, ContainerLog, Option<LastWords>), StartFailure> {
        let pod = self.pod();
        let spec = self.spec_of(index);
        let (Some(spec), Some(interface), Some(volumes)) = (spec.as_deref(), &self.interface, &self.volumes)
        else {
            return Err(StartFailure::Create("the pod has no place to run".to_owned()));
        };
        let key = self.object.key();
        let hostname = Hostname::of(pod, self.node.config.network.cluster_domain());
        let around = Surroundings {
            hostname: hostname.told().map_err(StartFailure::Config)?,
            node_name: &self.node.config.name,
            host_address: self.node.config.address,
            pod_address: interface.address(),
            sources: &self.sources(&key),
            services: &self.services(pod),
        };
        let env = environment(pod, spec, &around).map_err(|error| StartFailure::Config(error.to_string()))?;
        let wanted = wanted_mounts(spec, &env)?;
        let mounts = volumes.mounts(&spec.name, &wanted).map_err(mount_failure)?;
        let mounts = mounts.into_iter().map(|mounted| Mount {
            host_path: mounted.host_path,
            guest_path: mounted.guest_path,
            read_only: mounted.read_only,
        });
        let resources = self.allocation.of_container(&spec.name).or(spec.resources.as_ref());
        let limits =
            limits::of_container(&self.limits, pod, spec, resources).map_err(StartFailure::Config)?;
        let mut mounts: Vec<Mount> = prepared.root.clone().into_iter().chain(mounts).collect();
        let image = &prepared.image.config;
        let log = self.log_of(&spec.name, run);
        mounts.extend(self.hosts_file(pod, interface)?);
        let words = self.place_for_words(spec, log.file.path(), &mut mounts)?;
        let ports = spec.ports.iter().flatten().filter_map(|port| {
            let number = u16::try_from(port.container_port).ok()?;
            Some((number, port.name.clone().unwrap_or_default()))
        });
        let config = ContainerConfig {
            pod: key,
            name: spec.name.clone(),
            args: arguments(spec, image, &env),
            env: with_image(env, image),
            mounts,
            working_dir: spec
                .working_dir
                .clone()
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| image.working_dir.clone()),
            ports: if spec.ports.as_ref().is_none_or(Vec::is_empty) {
                of_image(image)
            } else {
                ports.collect()
            },
            stdin: None,
            tty: false,
            stdout: log.file.writer(LogStream::Stdout),
            stderr: log.file.writer(LogStream::Stderr),
            interface: interface.clone(),
            limits,
        };
        Ok((config, log, words))
    }

    /// Keeps the logs that an earlier process wrote: people ask why a container ended.
    pub(super) fn adopt_logs(&mut self) {
        for index in 0..self.places.len() {
            let container = &self.machine.containers()[index];
            if !container.has_run() {
                continue;
            }
            let newest = container.restarts();
            for run in newest.saturating_sub(LOGS_KEPT as u32 - 1)..=newest {
                let log = self.log_of(self.machine.containers()[index].name(), run);
                let number = self.node.output.add(log);
                self.places[index].keep_log(number, &self.node.output);
            }
        }
    }

    fn log_of(&self, container: &str, run: u32) -> ContainerLog {
        let (pod, uid) = (self.object.key(), self.object.uid());
        let folder = self.node.folder_of_logs(&pod, uid).join(container);
        let path = folder.join(format!("{run}.log"));
        ContainerLog {
            file: LogFile::open(path, self.node.config.logs, self.node.config.clock.clone()),
            uid: uid.into(),
            container: container.into(),
            pod,
            run,
        }
    }
}

fn mount_failure(error: VolumeError) -> StartFailure {
    match error {
        VolumeError::Io { .. } => StartFailure::Create(error.to_string()),
        _ => StartFailure::Config(error.to_string()),
    }
}
