//! Decides which requests run, which wait and which are refused. Pure: requests come and go, decisions come out.
//!
//! A level may always use what is kept for it, and more of what others leave: a seat is borrowed at the moment it is
//! needed, where Kubernetes shifts limits every ten seconds. While a request waits to which its level's own part
//! entitles it, nobody borrows, so what was lent comes back as requests end.

use std::collections::BTreeMap;

use super::limits::{self, Limits, Name, Rule};
use super::queues::QueueSet;

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Run,
    Wait,
    Refuse(Why),
}

/// Why a request is refused, as the metrics call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// All seats are taken, and the level does not let requests wait.
    ConcurrencyLimit,
    /// The queues of the flow are full.
    QueueFull,
}

/// A request that was let in: where it counts, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub id: u64,
    pub level: Name,
    /// None for exempt levels.
    pub seats: u32,
}

struct Level {
    rule: Rule,
    limits: Limits,
    used: u32,
    running: u64,
    queues: QueueSet,
    /// Whether the configuration has it no more: it goes when the last of its requests has gone.
    is_leaving: bool,
}

/// The state of all levels.
pub(super) struct Dispatcher {
    levels: BTreeMap<Name, Level>,
    /// The seats of all limited levels together.
    total: u32,
    next_id: u64,
    waiting: usize,
}

/// What a level is doing.
#[cfg(test)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Figures {
    pub nominal: u32,
    pub seats: u32,
    pub running: u64,
    pub waiting: usize,
}

impl Dispatcher {
    pub fn new(rules: BTreeMap<Name, Rule>, seats: u32) -> Self {
        let mut new = Self { levels: BTreeMap::new(), total: seats, next_id: 0, waiting: 0 };
        new.configure(rules, seats);
        new
    }

    /// Takes new rules; returns who need not wait any more by them.
    pub fn configure(&mut self, rules: BTreeMap<Name, Rule>, seats: u32) -> Vec<u64> {
        let (limits, total) = limits::limits(&rules, seats);
        self.total = total;
        for (name, level) in &mut self.levels {
            level.is_leaving = !rules.contains_key(name);
            if level.is_leaving {
                level.limits = Limits { nominal: 0, least: 0, ..level.limits };
            }
        }
        for (name, rule) in rules {
            let limits = limits.get(&name).copied().unwrap_or_default();
            let level = self.levels.entry(name).or_insert_with(|| Level {
                rule: rule.clone(),
                limits,
                used: 0,
                running: 0,
                queues: QueueSet::default(),
                is_leaving: false,
            });
            level.rule = rule;
            level.limits = limits;
        }
        self.levels.retain(|_, level| !level.is_over());
        self.start()
    }

    /// A request of a flow arrives at a level. One at a level that is not there runs: there is no limit for it. It may
    /// be narrower than the one whose turn it was; returns also who may run now by that.
    pub fn arrive(&mut self, level: &Name, flow: u64, seats: u32) -> (Ticket, Decision, Vec<u64>) {
        let (ticket, decision) = self.place(level, flow, seats);
        if decision != Decision::Wait {
            return (ticket, decision, Vec::new());
        }
        let mut started = self.start();
        let before = started.len();
        started.retain(|id| *id != ticket.id);
        let decision = if started.len() < before { Decision::Run } else { Decision::Wait };
        (ticket, decision, started)
    }

    fn place(&mut self, level: &Name, flow: u64, seats: u32) -> (Ticket, Decision) {
        self.next_id += 1;
        let mut ticket = Ticket { id: self.next_id, level: level.clone(), seats: 0 };
        let Some(rule) = self.levels.get(level).map(|level| level.rule.clone()) else {
            return (ticket, Decision::Run);
        };
        let Rule::Limited(share) = rule else {
            self.run(&ticket);
            return (ticket, Decision::Run);
        };
        // The widest request must fit, or it would wait for ever.
        ticket.seats = seats.min(self.widest(level)).max(1);
        let waits = self.levels.get(level).is_some_and(|level| !level.queues.is_empty());
        if !waits && self.can_run(level, ticket.seats) {
            self.run(&ticket);
            return (ticket, Decision::Run);
        }
        let Some(shape) = share.queues else {
            return (ticket, Decision::Refuse(Why::ConcurrencyLimit));
        };
        let joined = self
            .levels
            .get_mut(level)
            .is_some_and(|level| level.queues.join(&shape, flow, ticket.id, ticket.seats));
        if !joined {
            return (ticket, Decision::Refuse(Why::QueueFull));
        }
        self.waiting += 1;
        (ticket, Decision::Wait)
    }

    /// A request that ran has ended; returns who may run now.
    pub fn leave(&mut self, ticket: &Ticket) -> Vec<u64> {
        if let Some(level) = self.levels.get_mut(&ticket.level) {
            level.used = level.used.saturating_sub(ticket.seats);
            level.running = level.running.saturating_sub(1);
            if level.is_over() {
                self.levels.remove(&ticket.level);
            }
        }
        self.start()
    }

    /// A request that waited waits no longer; returns who may run now. One that was told to run meanwhile has ended.
    pub fn give_up(&mut self, ticket: &Ticket) -> Vec<u64> {
        let level = self.levels.get_mut(&ticket.level);
        if !level.is_some_and(|level| level.queues.remove(ticket.id)) {
            return self.leave(ticket);
        }
        self.waiting -= 1;
        self.start()
    }

    /// The part of each level.
    pub fn nominal(&self) -> impl Iterator<Item = (&Name, u32)> {
        self.levels.iter().map(|(name, level)| (name, level.limits.nominal))
    }

    /// What each level is doing.
    #[cfg(test)]
    fn figures(&self) -> impl Iterator<Item = (&Name, Figures)> {
        self.levels.iter().map(|(name, level)| {
            let Level { limits, used, running, queues, .. } = level;
            let (nominal, waiting) = (limits.nominal, queues.len());
            (name, Figures { nominal, seats: *used, running: *running, waiting })
        })
    }

    fn run(&mut self, ticket: &Ticket) {
        if let Some(level) = self.levels.get_mut(&ticket.level) {
            level.used += ticket.seats;
            level.running += 1;
        }
    }

    fn widest(&self, level: &Name) -> u32 {
        self.levels.get(level).map_or(1, |level| level.limits.nominal.min(level.limits.most))
    }

    /// Whether a level has as many seats free, its own or borrowed ones.
    fn can_run(&self, name: &Name, seats: u32) -> bool {
        let Some(level) = self.levels.get(name) else {
            return true;
        };
        if level.rule == Rule::Exempt {
            return true;
        }
        let Limits { nominal, least, most } = level.limits;
        let with = level.used.saturating_add(seats);
        // A level that is no more has no part of its own; what waits there goes one after the other.
        let is_last = level.is_leaving && level.used == 0;
        if with <= least || is_last {
            return true;
        }
        let kept = |(other, level): (&Name, &Level)| {
            if other == name { 0 } else { level.used.max(level.limits.least) }
        };
        let others: u32 = self.levels.iter().map(kept).sum();
        with <= most
            && others.saturating_add(with) <= self.total
            && (with <= nominal || !self.is_owed_to_others(name))
    }

    /// Whether a request waits elsewhere to which its level's own part entitles it.
    fn is_owed_to_others(&self, name: &Name) -> bool {
        self.waiting > 0
            && self.levels.iter().any(|(other, level)| {
                let is_owed = |seats: u32| level.used.saturating_add(seats) <= level.limits.nominal;
                other != name && level.queues.first().is_some_and(|first| is_owed(first.seats))
            })
    }

    /// Lets run whoever can, the neediest level first.
    fn start(&mut self) -> Vec<u64> {
        let mut started = Vec::new();
        while self.waiting > 0 {
            let ready = self.levels.iter().filter_map(|(name, level)| {
                let first = level.queues.first()?;
                let filled = u64::from(level.used) * 1_000 / u64::from(level.limits.nominal.max(1));
                self.can_run(name, first.seats).then(|| (filled, name.clone()))
            });
            let Some((_, name)) = ready.min() else {
                break;
            };
            let Some(waiting) = self.levels.get_mut(&name).and_then(|level| level.queues.take()) else {
                break;
            };
            self.waiting -= 1;
            self.run(&Ticket { id: waiting.id, level: name, seats: waiting.seats });
            started.push(waiting.id);
        }
        started
    }
}

impl Level {
    fn is_over(&self) -> bool {
        self.is_leaving && self.running == 0 && self.queues.is_empty()
    }
}

#[cfg(test)]
mod tests;
