//! Requests that come and go, row by row and at random.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::limits::{Queues, Share};
use super::*;

const NOBODY: [u64; 0] = [];

fn level(shares: u32, lendable_percent: u32, borrowing_percent: Option<u32>, queues: bool) -> Rule {
    let queues = queues.then_some(Queues { count: 4, hand: 2, length: 3 });
    Rule::Limited(Share { shares, lendable_percent, borrowing_percent, queues })
}

/// Two levels that share ten seats.
fn two(one: Rule, other: Rule) -> Dispatcher {
    Dispatcher::new(BTreeMap::from([("a".into(), one), ("b".into(), other)]), 10)
}

fn arrive(dispatcher: &mut Dispatcher, level: &str, seats: u32) -> (Ticket, Decision) {
    let (ticket, decision, started) = dispatcher.arrive(&level.into(), 5, seats);
    assert_eq!(started, NOBODY);
    (ticket, decision)
}

fn decisions(dispatcher: &mut Dispatcher, level: &str, seats: &[u32]) -> Vec<Decision> {
    seats.iter().map(|seats| arrive(dispatcher, level, *seats).1).collect()
}

#[test]
fn a_level_has_its_part_and_what_others_lend() {
    use Decision::{Refuse, Run, Wait};
    let row = |one: Rule, seats: &[u32], expected: &[Decision]| {
        let mut dispatcher = two(one, level(1, 40, None, true));
        assert_eq!(decisions(&mut dispatcher, "a", seats), expected, "{seats:?}");
    };
    // Five are its own, two of the other five are lent.
    row(level(1, 0, None, true), &[1; 8], &[Run, Run, Run, Run, Run, Run, Run, Wait]);
    row(level(1, 0, Some(20), true), &[5, 1, 1], &[Run, Run, Wait]);
    row(level(1, 0, Some(0), true), &[5, 1], &[Run, Wait]);
    row(level(1, 0, Some(0), false), &[5, 1], &[Run, Refuse(Why::ConcurrencyLimit)]);
    row(level(1, 0, None, true), &[4, 4], &[Run, Wait]);
    // Wider than the level: as wide as the level.
    row(level(1, 0, None, true), &[100, 2, 1], &[Run, Run, Wait]);
    row(Rule::Exempt, &[100; 5], &[Run; 5]);
}

#[test]
fn requests_wait_in_bounded_queues_and_run_in_turn() {
    let mut dispatcher = two(level(1, 0, Some(0), true), level(1, 0, Some(0), true));
    let (running, decision) = arrive(&mut dispatcher, "a", 5);
    assert_eq!(decision, Decision::Run);
    let waiting: Vec<(Ticket, Decision)> = (0..7).map(|_| arrive(&mut dispatcher, "a", 1)).collect();
    let full = waiting.iter().filter(|(_, decision)| *decision == Decision::Refuse(Why::QueueFull)).count();
    assert_eq!(full, 1, "two queues of three");
    assert_eq!(arrive(&mut dispatcher, "b", 5).1, Decision::Run, "another level does not wait");
    assert_eq!(dispatcher.give_up(&waiting[0].0), NOBODY);
    let started = dispatcher.leave(&running);
    assert_eq!(started.len(), 5);
    assert!(!started.contains(&waiting[0].0.id));
    let figures: BTreeMap<_, _> =
        dispatcher.figures().map(|(name, figures)| (name.clone(), figures)).collect();
    assert_eq!(figures["a"], Figures { nominal: 5, seats: 5, running: 5, waiting: 0 });
}

#[test]
fn what_is_lent_comes_back_to_who_needs_it() {
    let mut dispatcher = two(level(1, 100, None, true), level(1, 100, None, true));
    let borrowed: Vec<Ticket> = (0..10).map(|_| arrive(&mut dispatcher, "a", 1).0).collect();
    let (owed, decision) = arrive(&mut dispatcher, "b", 3);
    assert_eq!(decision, Decision::Wait);
    assert_eq!(arrive(&mut dispatcher, "a", 1).1, Decision::Wait);
    assert_eq!(dispatcher.leave(&borrowed[0]), NOBODY);
    assert_eq!(dispatcher.leave(&borrowed[1]), NOBODY, "what is freed is kept for the one it is owed to");
    assert_eq!(dispatcher.leave(&borrowed[2]), [owed.id]);
}

#[test]
fn levels_come_and_go_without_leaving_anybody_behind() {
    let mut dispatcher = two(level(1, 0, Some(0), true), level(1, 0, Some(0), true));
    let (first, _) = arrive(&mut dispatcher, "a", 5);
    let (second, decision) = arrive(&mut dispatcher, "a", 2);
    assert_eq!(decision, Decision::Wait);
    let only_b = || BTreeMap::from([("b".into(), level(1, 0, None, true))]);
    assert_eq!(dispatcher.configure(only_b(), 10), NOBODY);
    assert_eq!(dispatcher.leave(&first), [second.id]);
    assert_eq!(dispatcher.leave(&second), NOBODY);
    assert_eq!(dispatcher.figures().map(|(name, _)| &**name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(arrive(&mut dispatcher, "a", 1).1, Decision::Run, "no limit is known for it");
    let (wide, _) = arrive(&mut dispatcher, "b", 10);
    let (waiting, decision) = arrive(&mut dispatcher, "b", 10);
    assert_eq!(decision, Decision::Wait);
    assert_eq!(dispatcher.configure(BTreeMap::from([("b".into(), Rule::Exempt)]), 10), [waiting.id]);
    assert_eq!(dispatcher.leave(&wide), NOBODY);
}

#[derive(Clone, Debug)]
enum Step {
    Arrive { level: usize, flow: u64, seats: u32 },
    Leave(usize),
    GiveUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3usize, any::<u64>(), 1..6u32)
            .prop_map(|(level, flow, seats)| Step::Arrive { level, flow: flow % 5 * 0x1234_5678_9abc, seats }),
        4 => any::<usize>().prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::GiveUp),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let one = (1..20u32, 0..=100u32, prop::option::of(0..=100u32), any::<bool>());
    prop::collection::vec(
        one.prop_map(|(shares, lent, borrowed, queues)| level(shares, lent, borrowed, queues)),
        3,
    )
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Who runs and who waits, as the outside sees it.
#[derive(Default)]
struct Crowd {
    running: BTreeMap<u64, Ticket>,
    waiting: BTreeMap<u64, Ticket>,
}

impl Crowd {
    fn arrive(&mut self, dispatcher: &mut Dispatcher, level: usize, flow: u64, seats: u32) {
        let (ticket, decision, started) = dispatcher.arrive(&NAMES[level].into(), flow, seats);
        match decision {
            Decision::Run => drop(self.running.insert(ticket.id, ticket)),
            Decision::Wait => drop(self.waiting.insert(ticket.id, ticket)),
            Decision::Refuse(_) => {}
        }
        self.start(started);
    }

    fn start(&mut self, ids: Vec<u64>) {
        for id in ids {
            let ticket = self.waiting.remove(&id).expect("only who waits is told to run");
            self.running.insert(id, ticket);
        }
    }

    fn check(&self, dispatcher: &Dispatcher) {
        let mut total = 0;
        for (name, level) in &dispatcher.levels {
            let own = || self.running.values().filter(|ticket| ticket.level == *name);
            let used: u32 = own().map(|ticket| ticket.seats).sum();
            assert_eq!((level.used, level.running), (used, own().count() as u64));
            assert!(used <= level.limits.most.max(level.limits.least), "{name} has more than it may");
            let waiting = self.waiting.values().filter(|ticket| ticket.level == *name).count();
            assert_eq!(level.queues.len(), waiting);
            assert!(waiting <= 4 * 3, "{name} queues without a bound");
            if let Some(first) = level.queues.first() {
                assert!(!dispatcher.can_run(name, first.seats), "{name} waits for nothing");
            }
            total += used;
        }
        assert!(total <= dispatcher.total, "{total} of {} seats", dispatcher.total);
        assert_eq!(dispatcher.waiting, self.waiting.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn bounds_hold_and_whoever_waits_gets_a_turn(
        rules in rules(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let rules = NAMES.iter().map(|name| (*name).into()).zip(rules).collect();
        let mut dispatcher = Dispatcher::new(rules, 20);
        let mut crowd = Crowd::default();
        let pick = |from: &BTreeMap<u64, Ticket>, at: usize| from.values().nth(at % from.len().max(1)).cloned();
        for step in steps {
            match step {
                Step::Arrive { level, flow, seats } => {
                    crowd.arrive(&mut dispatcher, level, flow, seats);
                }
                Step::Leave(at) => if let Some(ticket) = pick(&crowd.running, at) {
                    crowd.running.remove(&ticket.id);
                    let started = dispatcher.leave(&ticket);
                    crowd.start(started);
                },
                Step::GiveUp(at) => if let Some(ticket) = pick(&crowd.waiting, at) {
                    crowd.waiting.remove(&ticket.id);
                    let started = dispatcher.give_up(&ticket);
                    crowd.start(started);
                },
            }
            crowd.check(&dispatcher);
        }
        // Others keep coming to the busiest level while those who wait get their turn, oldest runner out first.
        let owed: BTreeSet<u64> = crowd.waiting.keys().copied().collect();
        let patience = 50 * (owed.len() + 1);
        for _ in 0..patience {
            let Some(ticket) = crowd.running.values().next().cloned() else { break };
            crowd.running.remove(&ticket.id);
            let started = dispatcher.leave(&ticket);
            crowd.start(started);
            for level in 0..NAMES.len() {
                crowd.arrive(&mut dispatcher, level, 3, 1);
            }
            crowd.check(&dispatcher);
        }
        prop_assert!(crowd.waiting.keys().all(|id| !owed.contains(id)), "somebody starves");
    }
}
