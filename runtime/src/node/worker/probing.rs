//! The probes and hooks of a worker's containers. They take no tasks of their own: they go on when the worker does.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::clock::until;
use api::event::Severity;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tracing::debug;

use super::Worker;
use crate::engine::Commands;
use crate::node::machine::{Attempt, Event, Finding, Hook, Note, State};
use crate::node::probes::{self, Counted, Hooks, Outcome, ProbeKind, Prober, Probes, Target, Turn};

/// What people should know of a hook that went another way than it was meant to, or why it failed.
type HookResult = Result<Option<String>, String>;

/// What goes on beside a container that runs. Boxed, for most containers have neither probes nor hooks.
#[derive(Default)]
pub(super) struct Beside {
    /// Runs commands in it, if anything can.
    pub(super) commands: Option<Arc<dyn Commands>>,
    /// Whether it was looked at for probes.
    has_begun: bool,
    probing: Option<Box<Probing>>,
    hooking: Option<Box<Hooking>>,
    /// The figures of its probes; they go on over its restarts.
    counted: Option<Box<Counted>>,
}

/// A hook that runs.
struct Hooking {
    attempt: Attempt,
    hook: Hook,
    work: BoxFuture<'static, HookResult>,
}

/// The probes of one run of a container.
struct Probing {
    attempt: Attempt,
    prober: Prober,
    target: Target,
    asking: Vec<(ProbeKind, BoxFuture<'static, Answer>)>,
    has_answered: bool,
}

/// What came of a question, and how long that took.
struct Answer {
    outcome: Outcome,
    took: Duration,
}

/// What came of a probe or a hook.
pub(super) enum Aside {
    Probed(Attempt, ProbeKind, Outcome),
    Hooked(Attempt, Hook, HookResult),
}

impl Beside {
    /// The container has ended, or will not run.
    pub(super) fn end(&mut self) {
        (self.commands, self.probing, self.hooking) = (None, None, None);
        self.has_begun = false;
    }

    /// The container is asked to end: nothing is asked of it any more, and its hook has had its time.
    pub(super) fn hush(&mut self) {
        self.hooking = None;
        if let Some(probing) = &mut self.probing {
            probing.prober.end();
            probing.asking.clear();
        }
    }

    /// Whether the first answers are about to come: most containers are ready at once.
    pub(super) fn is_asking_first(&self) -> bool {
        self.probing.as_ref().is_some_and(|probing| !probing.has_answered && !probing.asking.is_empty())
    }

    /// When the next probe asks.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.probing.as_ref()?.prober.wake_at()
    }

    /// What came of a probe or the hook, if something has.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Aside> {
        if let Some(hooking) = &mut self.hooking
            && let Poll::Ready(result) = hooking.work.as_mut().poll(context)
        {
            let aside = Aside::Hooked(hooking.attempt, hooking.hook, result);
            self.hooking = None;
            return Poll::Ready(aside);
        }
        let Some(probing) = &mut self.probing else {
            return Poll::Pending;
        };
        for place in 0..probing.asking.len() {
            let (kind, asking) = &mut probing.asking[place];
            let kind = *kind;
            if let Poll::Ready(Answer { outcome, took }) = asking.as_mut().poll(context) {
                drop(probing.asking.swap_remove(place));
                probing.has_answered = true;
                if let (Some(counted), Some(success)) = (&self.counted, outcome.success()) {
                    counted.answered(kind, success, took);
                }
                return Poll::Ready(Aside::Probed(probing.attempt, kind, outcome));
            }
        }
        Poll::Pending
    }
}

impl Probing {
    fn ask(&mut self, now: Timestamp) {
        for kind in self.prober.due(now) {
            let Some(plan) = self.prober.plan(kind).cloned() else {
                continue;
            };
            let target = self.target.clone();
            let asking = async move {
                let began = target.clock.now();
                let outcome = probes::ask(&plan, &target).await;
                Answer { outcome, took: until(began, target.clock.now()).unwrap_or_default() }
            };
            self.asking.push((kind, asking.boxed()));
        }
    }
}

impl Worker {
    /// Asks what is due of the containers that run; of one that is being ended, only whether it is ready.
    pub(super) fn attend_probes(&mut self) {
        let now = self.now();
        for index in 0..self.places.len() {
            let container = &self.machine.containers()[index];
            let is_ending = match container.state() {
                State::Running(running) if container.is_running() => running.ending.is_some(),
                _ => continue,
            };
            if !self.places[index].beside.has_begun && !is_ending {
                self.begin_probing(index, now);
            }
            if let Some(probing) = &mut self.places[index].beside.probing {
                if is_ending {
                    probing.prober.stop();
                }
                probing.ask(now);
            }
        }
    }

    fn begin_probing(&mut self, index: usize, now: Timestamp) {
        let probes = self.spec_of(index).map(|spec| Probes::of(&spec)).unwrap_or_default();
        let target = self.target(index).filter(|_| probes != Probes::default());
        let container = &self.machine.containers()[index];
        let beside = &mut self.places[index].beside;
        beside.has_begun = true;
        let (Some(target), State::Running(running)) = (target, container.state()) else {
            return;
        };
        let prober = Prober::begin(&probes, seed(self.object.uid(), container.name()), running.since, now);
        let attempt = container.attempt();
        beside.probing =
            Some(Box::new(Probing { attempt, prober, target, asking: Vec::new(), has_answered: false }));
        if beside.counted.is_none() {
            let (pod, uid) = (self.object.key(), self.object.uid());
            beside.counted = Some(Box::new(self.node.probed.count(pod, uid, container.name())));
        }
    }

    fn target(&self, index: usize) -> Option<Target> {
        let config = &self.node.config;
        Some(Target {
            network: config.network.clone(),
            clock: config.clock.clone(),
            namespace: self.object.key().namespace,
            address: self.machine.address()?,
            commands: self.places[index].beside.commands.clone(),
        })
    }

    /// Begins what a hook has to do. An answer comes at once if that is nothing.
    pub(super) fn begin_hook(&mut self, index: usize, attempt: Attempt, hook: Hook) -> Option<Event> {
        let hooks = self.spec_of(index).map(|spec| Hooks::of(&spec)).unwrap_or_default();
        let wanted = match hook {
            Hook::PostStart => hooks.post_start,
            Hook::PreStop => hooks.pre_stop,
        };
        let (Some(wanted), Some(target)) = (wanted, self.target(index)) else {
            return Some(Event::Hooked(index, attempt, hook, Ok(())));
        };
        let container = self.machine.containers()[index].name().to_owned();
        let pod = self.machine.plan().full_name();
        let work = async move { probes::run_hook(&wanted, &target, &container, &pod).await };
        self.places[index].beside.hooking = Some(Box::new(Hooking { attempt, hook, work: work.boxed() }));
        None
    }

    /// Tells people what came of a probe or a hook, and says what the machine must know of it.
    pub(super) fn take_aside(&mut self, index: usize, aside: Aside) -> Option<Event> {
        match aside {
            Aside::Probed(attempt, kind, outcome) => {
                if let Some((reason, message)) = outcome.note(kind) {
                    self.warn(Some(index), reason, message);
                }
                let finding = self.found(index, kind, &outcome)?;
                Some(Event::Found(index, attempt, finding))
            }
            Aside::Hooked(attempt, hook, result) => {
                if let Ok(Some(message)) = &result {
                    self.warn(None, "LifecycleHTTPFallback", message.clone());
                }
                if let Err(error) = &result {
                    debug!(container = self.machine.containers()[index].name(), ?hook, error, "hook failed");
                }
                Some(Event::Hooked(index, attempt, hook, result.map(drop)))
            }
        }
    }

    /// What follows from the outcome of a probe.
    fn found(&mut self, index: usize, kind: ProbeKind, outcome: &Outcome) -> Option<Finding> {
        let now = self.now();
        let prober = &mut self.places[index].beside.probing.as_mut()?.prober;
        match prober.answered(kind, outcome.success(), now)? {
            Turn::Started => Some(Finding::Started),
            Turn::Ready(is_ready) => Some(Finding::Ready(is_ready)),
            Turn::Failed => {
                let grace = prober.plan(kind).and_then(|plan| plan.grace);
                let name = self.machine.containers()[index].name();
                let message = format!("Container {name} failed {} probe", kind.word().to_lowercase());
                Some(Finding::Failing { message, grace })
            }
        }
    }

    fn warn(&self, container: Option<usize>, reason: &'static str, message: String) {
        self.record(Note { container, severity: Severity::Warning, reason, message });
    }
}

/// Sets containers apart whose probes would otherwise ask at the same moment; the same in each replay.
fn seed(uid: &str, container: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (uid, container).hash(&mut hash);
    hash.finish()
}
