//! What the running containers of this node use, and how fast.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::clock::until;
use api::{Clock, Key};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use crate::engine::ContainerConfig;
use crate::limits::ContainerLimits;
use crate::logs::LogFile;

/// The span over which use per time is told.
const WINDOW: Duration = Duration::from_secs(10);
/// The span for a container that is new, so that something can be told of it soon.
const FIRST_WINDOW: Duration = Duration::from_secs(1);

/// What one running container has used since it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// The container's name.
    pub name: Arc<str>,
    /// CPU time spent.
    pub cpu_used: Duration,
    /// How long its guest was held back by its CPU limit; counted when a wait is over, for each instance by itself.
    pub throttled: Duration,
    /// Memory in use now.
    pub memory_bytes: u64,
    /// Fuel burnt; 0 where fuel is not counted.
    pub fuel: u64,
    /// How long it was held back because it wrote its output too fast; counted when a wait is over.
    pub log_throttled: Duration,
}

/// What somebody uses at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) time: Timestamp,
    pub(super) cpu_used: Duration,
    /// Billionths of a core, over the last window; none before the first.
    pub(super) nano_cores: Option<u64>,
    pub(super) memory_bytes: u64,
}

/// What a container uses at a moment.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    pub(super) pod: Key,
    pub(super) uid: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) image: Arc<str>,
    pub(super) since: Timestamp,
    pub(super) measured: Measured,
    pub(super) limits: ContainerLimits,
}

/// The running containers, by pod and in the order of their starts.
#[derive(Clone, Debug)]
pub(super) struct Usage(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    spenders: Mutex<Spenders>,
    appeared: Notify,
    /// Under virtual time nothing may depend on the machine: then the node uses what its containers use.
    is_virtual: bool,
}

#[derive(Debug)]
struct Spenders {
    running: BTreeMap<(Key, u64), Spender>,
    next: u64,
    restarts: u64,
    /// What containers spent that have ended.
    spent: Duration,
    node: Meter,
}

/// Where to read what a container uses.
#[derive(Debug)]
pub(super) struct Spender {
    uid: Arc<str>,
    name: Arc<str>,
    image: Arc<str>,
    since: Timestamp,
    limits: ContainerLimits,
    log: LogFile,
    meter: Meter,
}

/// Turns CPU time into CPU time per time.
#[derive(Debug)]
struct Meter {
    time: Timestamp,
    used: Duration,
    nano_cores: Option<u64>,
}

/// Counts a container among the running until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    usage: Usage,
    place: (Key, u64),
}

impl Usage {
    pub(super) fn new(clock: &Clock) -> Self {
        let is_virtual = clock.is_virtual();
        let used = if is_virtual { Duration::ZERO } else { process_time() };
        let spenders = Spenders {
            running: BTreeMap::new(),
            next: 0,
            restarts: 0,
            spent: Duration::ZERO,
            node: Meter { time: clock.now(), used, nano_cores: None },
        };
        Self(Arc::new(Inside { spenders: Mutex::new(spenders), appeared: Notify::new(), is_virtual }))
    }

    pub(super) fn count(&self, pod: Key, spender: Spender, is_restart: bool) -> Counted {
        let mut spenders = self.lock();
        let place = (pod, spenders.next);
        spenders.next += 1;
        spenders.restarts += u64::from(is_restart);
        spenders.running.insert(place.clone(), spender);
        drop(spenders);
        self.0.appeared.notify_one();
        Counted { usage: self.clone(), place }
    }

    pub(super) fn of(&self, pod: &Key) -> Vec<ContainerUsage> {
        let spenders = self.lock();
        let of_pod = spenders.running.range((pod.clone(), 0)..=(pod.clone(), u64::MAX));
        of_pod.map(|(_, spender)| spender.usage()).collect()
    }

    /// How many containers run, how many were started, and how many of these starts were repeated ones.
    pub(super) fn counts(&self) -> (usize, u64, u64) {
        let spenders = self.lock();
        (spenders.running.len(), spenders.next, spenders.restarts)
    }

    /// The memory of all containers that run.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.lock().memory_bytes()
    }

    /// What the node and each of its containers use now, those of a pod together.
    pub(super) fn measure(&self, now: Timestamp) -> (Measured, Vec<Measurement>) {
        self.sample(now);
        let (cpu_used, memory_bytes) = self.of_node(&self.lock());
        let spenders = self.lock();
        let nano_cores = spenders.node.nano_cores;
        let node = Measured { time: now, cpu_used, nano_cores, memory_bytes };
        let mut containers: Vec<Measurement> = spenders
            .running
            .iter()
            .map(|((pod, _), spender)| Measurement {
                pod: pod.clone(),
                uid: Arc::clone(&spender.uid),
                name: Arc::clone(&spender.name),
                image: Arc::clone(&spender.image),
                since: spender.since,
                limits: spender.limits.clone(),
                measured: Measured {
                    time: now,
                    cpu_used: spender.limits.cpu_used(),
                    nano_cores: spender.meter.nano_cores.or_else(|| spender.average(now)),
                    memory_bytes: spender.limits.memory_used(),
                },
            })
            .collect();
        // Two pods of one name may run at once while the first is stopping.
        containers.sort_by(|one, other| (&one.pod, &one.uid).cmp(&(&other.pod, &other.uid)));
        (node, containers)
    }

    /// Takes samples for as long as containers run, so that what they use per time is known whenever it is asked for.
    pub(super) async fn keep_sampling(&self, clock: &Clock) {
        loop {
            let Some(wait) = self.next_window() else {
                self.0.appeared.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = self.0.appeared.notified(), if wait == WINDOW => continue,
                () = clock.sleep(wait) => {}
            }
            self.sample(clock.now());
        }
    }

    /// None if nothing runs.
    fn next_window(&self) -> Option<Duration> {
        let spenders = self.lock();
        let has_new = spenders.running.values().any(|spender| spender.meter.nano_cores.is_none());
        (!spenders.running.is_empty()).then_some(if has_new { FIRST_WINDOW } else { WINDOW })
    }

    fn sample(&self, now: Timestamp) {
        let mut spenders = self.lock();
        let (cpu_used, _) = self.of_node(&spenders);
        spenders.node.take(cpu_used, now);
        for spender in spenders.running.values_mut() {
            spender.meter.take(spender.limits.cpu_used(), now);
        }
    }

    /// CPU time and memory of the process, or, under virtual time, of its containers.
    fn of_node(&self, spenders: &Spenders) -> (Duration, u64) {
        if !self.0.is_virtual {
            return (process_time(), process_memory().unwrap_or_else(|| spenders.memory_bytes()));
        }
        let running = spenders.running.values();
        let used = running.fold(spenders.spent, |sum, spender| sum.saturating_add(spender.limits.cpu_used()));
        (used, spenders.memory_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, Spenders> {
        self.0.spenders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spenders {
    fn memory_bytes(&self) -> u64 {
        self.running.values().map(|spender| spender.limits.memory_used()).sum()
    }
}

impl Spender {
    pub(super) fn new(
        config: &ContainerConfig,
        uid: &str,
        image: &str,
        log: &LogFile,
        now: Timestamp,
    ) -> Self {
        Self {
            uid: uid.into(),
            name: config.name.as_str().into(),
            image: image.into(),
            since: now,
            limits: config.limits.clone(),
            log: log.clone(),
            meter: Meter { time: now, used: Duration::ZERO, nano_cores: None },
        }
    }

    /// What it used so far, on average: all there is to say before the first window has passed.
    fn average(&self, now: Timestamp) -> Option<u64> {
        let lived =
            u128::try_from(now.duration_since(self.since).as_nanos()).ok().filter(|lived| *lived > 0)?;
        u64::try_from(self.limits.cpu_used().as_nanos() * 1_000_000_000 / lived).ok()
    }

    fn usage(&self) -> ContainerUsage {
        ContainerUsage {
            name: Arc::clone(&self.name),
            cpu_used: self.limits.cpu_used(),
            throttled: self.limits.cpu_held(),
            memory_bytes: self.limits.memory_used(),
            fuel: self.limits.cpu().used_fuel(),
            log_throttled: self.log.held(),
        }
    }
}

impl Meter {
    /// Takes a sample, if enough time has passed since the last.
    fn take(&mut self, used: Duration, now: Timestamp) {
        if now < self.time {
            // The wall clock was set back: begin a window here.
            (self.time, self.used) = (now, used);
            return;
        }
        let span = until(self.time, now).unwrap_or_default();
        let window = if self.nano_cores.is_some() { WINDOW } else { FIRST_WINDOW };
        if span < window {
            return;
        }
        let nanos = used.saturating_sub(self.used).as_nanos() * 1_000_000_000 / span.as_nanos();
        self.nano_cores = Some(u64::try_from(nanos).unwrap_or(u64::MAX));
        (self.time, self.used) = (now, used);
    }
}

fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The memory of this process that is in RAM.
fn process_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut spenders = self.usage.lock();
        if let Some(spender) = spenders.running.remove(&self.place) {
            spenders.spent = spenders.spent.saturating_add(spender.limits.cpu_used());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::clock::add;

    #[test]
    fn use_per_time_is_told_soon_and_then_over_whole_windows() {
        let start = Timestamp::UNIX_EPOCH;
        let mut meter = Meter { time: start, used: Duration::ZERO, nano_cores: None };
        let mut check = |millis: u64, used_millis: u64, expected: Option<u64>| {
            meter.take(Duration::from_millis(used_millis), add(start, Duration::from_millis(millis)));
            assert_eq!(meter.nano_cores, expected, "after {millis} ms");
        };
        check(500, 400, None);
        check(1000, 500, Some(500_000_000));
        check(6000, 900, Some(500_000_000));
        check(11_000, 1500, Some(100_000_000));
        check(10_000, 1500, Some(100_000_000));
        check(30_000, 1500, Some(0));
    }
}
