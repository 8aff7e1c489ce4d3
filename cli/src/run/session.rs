//! One run from its first line to its last: start, apply, progress, logs, changes, stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use api::resource::{DEPLOYMENTS, PODS, REPLICA_SETS};
use api::{Clock, Object};
use jiff::Timestamp;
use runtime::images::ImageStore;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::apply::Applied;
use super::progress::{self, Row, State};
use super::sources::{self, Sources};
use super::watcher::FileWatcher;
use super::{RunOptions, Until, account, desired, logs, programs, warnings};
use crate::cluster::{Cluster, ClusterConfig};
use crate::image;
use crate::terminal::Terminal;

/// How long pods may take to stop at the end of a run.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How many lines of its log an account of failure shows.
const LOG_LINES_TOLD: usize = 10;

/// A cluster with the manifests of one run applied.
pub struct Session {
    options: RunOptions,
    terminal: Terminal,
    images: ImageStore,
    cluster: Cluster,
    applied: Applied,
    started: Timestamp,
    /// How often everything came up.
    announcements: usize,
    /// Whether that was said of the state there is now.
    is_announced: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody stopped it.
    Stopped,
    /// It reached what `--until` asked for.
    Reached,
    /// It did not, in time or ever.
    NotReached,
}

impl Session {
    /// Checks the manifests as a whole, starts a cluster and applies them.
    pub async fn start(options: RunOptions, terminal: Terminal) -> Result<Self> {
        let clock = Clock::real();
        let started = clock.now();
        let images = ImageStore::open(&options.image_dir)?;
        let found = sources::read(&options.paths)?;
        let config = ClusterConfig::ephemeral(images.clone(), &options.image_dir)?;
        let config = config.pulling(&images, options.registries.clone())?;
        let cluster = Cluster::start(config).await?;
        let applied = Applied::default();
        let mut session = Self {
            options,
            terminal,
            images,
            cluster,
            applied,
            started,
            announcements: 0,
            is_announced: false,
        };
        match session.apply(found).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.cluster.stop(STOP_WITHIN).await;
                Err(error)
            }
        }
    }

    /// Shows progress and logs until `stop` resolves, or as `--until` says, and then stops the cluster.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Ending> {
        let mut tasks = JoinSet::new();
        tasks.spawn(logs::print(self.cluster.node.clone(), self.terminal.clone()));
        tasks.spawn(warnings::print(self.cluster.cache.clone(), self.terminal.clone()));
        let ending = self.follow(stop).await;
        self.terminal.status("");
        if ending.as_ref().is_ok_and(|ending| *ending == Ending::Stopped) {
            self.terminal.line(&self.terminal.dim("stopping"));
        }
        self.cluster.stop(STOP_WITHIN).await;
        ending
    }

    async fn follow(&mut self, stop: impl Future<Output = ()>) -> Result<Ending> {
        tokio::pin!(stop);
        let clock = self.cluster.clock.clone();
        let deadline = api::clock::add(clock.now(), self.options.timeout);
        let watch = self.options.watch.then(|| FileWatcher::start(&self.options.paths));
        let mut files = watch.transpose()?;
        let news = self.subscribe();
        let mut routes = self.cluster.network.route_changes();
        let mut node_ports = self.cluster.network.node_port_addresses();
        loop {
            if let Some(ending) = self.show() {
                return Ok(ending);
            }
            tokio::select! {
                biased;
                () = &mut stop => return Ok(Ending::Stopped),
                () = changed(&mut files, &clock) => self.apply_again().await,
                () = news.notified() => {}
                Ok(()) = routes.changed() => {}
                Ok(()) = node_ports.changed() => {}
                () = clock.sleep_until(deadline), if self.options.until.is_some() => {
                    return Ok(self.give_up(&format!("gave up after {:?}", self.options.timeout)));
                }
            }
        }
    }

    /// Wakes when anything changes that progress depends on.
    fn subscribe(&self) -> Arc<Notify> {
        let news = Arc::new(Notify::new());
        for resource in [PODS, REPLICA_SETS, DEPLOYMENTS] {
            let news = Arc::clone(&news);
            self.cluster.cache.subscribe(&resource, Box::new(move |_| news.notify_one()));
        }
        news
    }

    /// Shows how far things are; tells how the run ends if it does now.
    fn show(&mut self) -> Option<Ending> {
        let rows = progress::rows(&self.cluster, &self.applied.objects());
        let until = self.options.until;
        let reached = !rows.iter().any(|row| row.state.falls_short_of(until));
        let failed = rows.iter().any(|row| row.state == State::Failed);
        match until {
            Some(_) if failed => return Some(self.give_up("something failed for good")),
            Some(_) if reached => {
                self.announce(&rows);
                return Some(Ending::Reached);
            }
            _ if reached && !self.is_announced => self.announce(&rows),
            _ if reached => {}
            _ => {
                self.is_announced = false;
                self.terminal.status(&summary(&rows, until));
            }
        }
        None
    }

    /// Says that everything is up, in what time, and where to reach it.
    fn announce(&mut self, rows: &[Row]) {
        self.terminal.status("");
        let seconds = self.cluster.clock.now().duration_since(self.started).as_secs_f64();
        for row in rows {
            let (word, count) = match row.state {
                State::Complete => ("complete ", String::new()),
                _ => ("ready    ", format!("  {}", row.state)),
            };
            self.terminal.line(&format!("{} {}{count}", self.terminal.good(word), row.name));
        }
        if self.announcements == 0 {
            self.terminal.line(&self.terminal.dim(&format!("up in {seconds:.2} s")));
        }
        for url in self.cluster.urls(&self.applied.objects()) {
            self.terminal.line(&format!("{} {}", self.terminal.good("reach    "), self.terminal.bold(&url)));
        }
        if self.options.until.is_none() && self.announcements == 0 {
            self.terminal.line(&self.terminal.dim("Ctrl-C stops everything"));
        }
        self.announcements += 1;
        self.is_announced = true;
    }

    /// Tells why things did not come up.
    fn give_up(&self, why: &str) -> Ending {
        self.terminal.status("");
        self.terminal.line(&self.terminal.bad(why));
        let node = &self.cluster.node;
        let tail = |pod: &Object, container: &str| logs::tail(node, pod, container, LOG_LINES_TOLD);
        let account = account::tell(&self.cluster, &self.applied.objects(), self.options.until, &tail);
        account.lines().for_each(|line| self.terminal.line(line));
        Ending::NotReached
    }

    /// Brings the cluster to what the files say. Nothing is applied unless everything may be.
    async fn apply(&mut self, found: Sources) -> Result<()> {
        for image in programs::import(&self.images, &found.programs)? {
            self.terminal.line(&image::imported(&image, &self.terminal));
        }
        let mut documents = found.documents;
        for document in &mut documents {
            if let Some(warning) = apiserver::discovery::bring_up_to_date(&mut document.value) {
                self.terminal.line(&format!("warning: {warning}"));
            }
        }
        let find = |api_version: &str, kind: &str| apiserver::discovery::find(api_version, kind);
        let mut desired = desired::plan(documents, &self.options.namespace, find)?;
        programs::stamp(&self.images, &mut desired);
        desired::check(&self.cluster.client, &desired, &self.applied).await?;
        programs::check(&self.images, &desired)?;
        for step in self.applied.apply(&self.cluster.client, &self.cluster.cache, &desired).await? {
            let done = self.terminal.good(&format!("{:9}", step.done));
            self.terminal.line(&format!("{done} {}", step.name));
        }
        Ok(())
    }

    /// Applies files that changed; a mistake in them leaves everything as it was.
    async fn apply_again(&mut self) {
        let applied = match sources::read(&self.options.paths) {
            Ok(found) => self.apply(found).await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => self.is_announced = false,
            Err(error) => {
                let text = format!("{error:#}");
                text.lines().for_each(|line| self.terminal.line(&self.terminal.bad(line)));
                self.terminal
                    .line(&self.terminal.dim("nothing was changed; waiting for the files to change"));
            }
        }
    }
}

fn summary(rows: &[Row], until: Option<Until>) -> String {
    let waiting = rows.iter().filter(|row| row.state.falls_short_of(until));
    let rows: Vec<String> = waiting.map(|row| format!("{} {}", row.name, row.state)).collect();
    format!("waiting   {}", rows.join(", "))
}

/// Waits until the watched files have changed and then been quiet; forever if none are watched.
async fn changed(files: &mut Option<FileWatcher>, clock: &Clock) {
    match files {
        Some(files) => files.settled(clock).await,
        None => std::future::pending().await,
    }
}
