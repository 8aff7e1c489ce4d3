//! Decides when the probes of a running container ask, and what their answers mean. Pure.
//!
//! ```text
//!             the time has come           answered, and it asks on
//!  Waiting ───────────────────▶ UnderWay ──────────────────────────▶ Waiting
//!     ▲                            │ startup: counted; liveness: failed
//!     │ the container has started  ▼
//!     └────────────────────────── Held ◀─── from any state: it is not to ask any more
//! ```
//!
//! All is forgotten when the container ends: its next run begins anew.

use std::sync::Arc;
use std::time::Duration;

use api::clock::{add, until};
use jiff::Timestamp;

use super::plan::{Probe, Probes};

/// Which probe of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    /// Its name in events and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The container has started.
    Started,
    /// It takes requests, or does not any more.
    Ready(bool),
    /// It is to be ended.
    Failed,
}

/// What is known by probes of one run of a container. The default is that of one without probes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prober {
    /// When the container was started.
    since: Timestamp,
    seed: u64,
    startup: Option<Asking>,
    liveness: Option<Asking>,
    readiness: Option<Asking>,
}

/// One probe at work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asking {
    plan: Arc<Probe>,
    /// What it says of the container.
    holds: bool,
    /// Whether it asks before it has to: then a failure does not count.
    is_early: bool,
    last: Option<bool>,
    /// How often in a row the last answer came.
    run: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Waiting(Timestamp),
    /// Holds the time at which it was to ask.
    UnderWay(Timestamp),
    Held,
}

impl Prober {
    /// That of a container that was started at `since` and may be asked from `now` on. The seed spreads what would
    /// otherwise happen at the same moment in all of many containers.
    pub fn begin(probes: &Probes, seed: u64, since: Timestamp, now: Timestamp) -> Self {
        let held = |plan: &Option<Arc<Probe>>, holds| plan.clone().map(|plan| Asking::held(plan, holds));
        let mut prober = Self {
            since,
            seed,
            startup: held(&probes.startup, false),
            liveness: held(&probes.liveness, true),
            readiness: held(&probes.readiness, false),
        };
        match &mut prober.startup {
            // Asked at once, so that what starts soon need not wait; but who fails has as long as the spec says:
            // `failureThreshold` times `periodSeconds`.
            Some(startup) => {
                startup.is_early = true;
                startup.wait_until(since, now, Duration::ZERO);
            }
            None => prober.open(now),
        }
        prober
    }

    /// Lets those ask that wait for the container to have started. Whether it takes requests is asked at once, so that it
    /// gets them soon; whether it lives, after some share of a period, as a worker of the kubelet's has its own rhythm.
    fn open(&mut self, now: Timestamp) {
        if let Some(readiness) = &mut self.readiness {
            readiness.wait_until(self.since, now, Duration::ZERO);
        }
        if let Some(liveness) = &mut self.liveness {
            let share = liveness.plan.period * u32::from(self.seed as u16) / (1 << 16);
            liveness.wait_until(self.since, now, share);
        }
    }

    /// Whether the container counts as started.
    pub fn is_started(&self) -> bool {
        self.startup.as_ref().is_none_or(|startup| startup.holds)
    }

    /// Whether it takes requests.
    pub fn is_ready(&self) -> bool {
        self.is_started() && self.readiness.as_ref().is_none_or(|readiness| readiness.holds)
    }

    /// When the next one asks.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let times = self.all().map(|(_, asking)| match asking.stage {
            Stage::Waiting(time) => Some(time),
            Stage::UnderWay(_) | Stage::Held => None,
        });
        times.flatten().min()
    }

    /// Those that ask now; each is to be answered by [`Prober::answered`].
    pub fn due(&mut self, now: Timestamp) -> Vec<ProbeKind> {
        let all = self.all_mut();
        all.filter_map(|(kind, asking)| match asking.stage {
            Stage::Waiting(time) if time <= now => {
                asking.stage = Stage::UnderWay(time);
                Some(kind)
            }
            _ => None,
        })
        .collect()
    }

    /// Takes in whether a probe succeeded; none if it could not be told.
    pub fn answered(&mut self, kind: ProbeKind, success: Option<bool>, now: Timestamp) -> Option<Turn> {
        let (_, asking) = self.all_mut().find(|(known, _)| *known == kind)?;
        let Stage::UnderWay(time) = asking.stage else {
            return None;
        };
        asking.stage = Stage::Waiting(next(time, asking.plan.period, now));
        let is_early = std::mem::take(&mut asking.is_early);
        let success = success.filter(|success| *success || !is_early);
        let success = success.filter(|success| asking.counts(*success))?;
        let turned = std::mem::replace(&mut asking.holds, success) != success;
        match (kind, success) {
            (ProbeKind::Startup, true) => {
                asking.stage = Stage::Held;
                self.open(now);
                Some(Turn::Started)
            }
            (ProbeKind::Startup | ProbeKind::Liveness, false) => {
                asking.stage = Stage::Held;
                Some(Turn::Failed)
            }
            (ProbeKind::Liveness, true) => None,
            (ProbeKind::Readiness, _) => turned.then_some(Turn::Ready(success)),
        }
    }

    /// The plan of a probe.
    pub fn plan(&self, kind: ProbeKind) -> Option<&Arc<Probe>> {
        self.all().find(|(known, _)| *known == kind).map(|(_, asking)| &asking.plan)
    }

    /// The pod is stopping: nobody asks any more whether the container lives or has started.
    pub fn stop(&mut self) {
        for asking in [&mut self.startup, &mut self.liveness].into_iter().flatten() {
            asking.stage = Stage::Held;
        }
    }

    /// The container is being ended: nobody asks anything any more. What is known of it stays.
    pub fn end(&mut self) {
        self.all_mut().for_each(|(_, asking)| asking.stage = Stage::Held);
    }

    fn all(&self) -> impl Iterator<Item = (ProbeKind, &Asking)> {
        let all = [
            (ProbeKind::Startup, &self.startup),
            (ProbeKind::Liveness, &self.liveness),
            (ProbeKind::Readiness, &self.readiness),
        ];
        all.into_iter().filter_map(|(kind, asking)| Some((kind, asking.as_ref()?)))
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (ProbeKind, &mut Asking)> {
        let all = [
            (ProbeKind::Startup, &mut self.startup),
            (ProbeKind::Liveness, &mut self.liveness),
            (ProbeKind::Readiness, &mut self.readiness),
        ];
        all.into_iter().filter_map(|(kind, asking)| Some((kind, asking.as_mut()?)))
    }
}

impl Asking {
    fn held(plan: Arc<Probe>, holds: bool) -> Self {
        Self { plan, holds, is_early: false, last: None, run: 0, stage: Stage::Held }
    }

    fn wait_until(&mut self, since: Timestamp, now: Timestamp, share: Duration) {
        let first = add(since, self.plan.initial_delay).max(now);
        self.stage = Stage::Waiting(add(first, share));
    }

    /// Whether an answer came often enough in a row to count.
    fn counts(&mut self, success: bool) -> bool {
        self.run = if self.last == Some(success) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(success);
        let threshold = if success { self.plan.success_threshold } else { self.plan.failure_threshold };
        self.run >= threshold
    }
}

/// When to ask again: a period after the last time, or at once if the answer took longer; then in the old rhythm.
fn next(time: Timestamp, period: Duration, now: Timestamp) -> Timestamp {
    let passed = until(time, now).unwrap_or_default();
    let periods = (passed.as_nanos() / period.as_nanos().max(1)).max(1);
    add(time, period.saturating_mul(u32::try_from(periods).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests;
