//! Requests of CPU as weights: when more guests compute than there are threads, those who asked for more get more turns.
//!
//! Each guest has a virtual time that grows with what it spends, the slower the more it asked for. After a turn a guest
//! whose virtual time has passed that of one who rests changes places with it; as many as there are threads never rest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::Clock;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::CpuMeter;

/// How long a guest computes before others have a turn.
const TURN: Duration = Duration::from_millis(5);
/// A guest that has spent less in a turn waits for something else than a thread.
const COMPUTES: Duration = Duration::from_millis(1);
/// As cgroups have it: a core is 1024 shares, and nobody has less than 2.
const SHARES_PER_CORE: u64 = 1024;
const LEAST_SHARES: u64 = 2;

/// The guests that compute on the same threads.
#[derive(Debug)]
pub struct Weights(Mutex<Contention>);

#[derive(Debug)]
struct Contention {
    threads: usize,
    next: u64,
    contenders: BTreeMap<u64, Contender>,
}

#[derive(Debug)]
struct Contender {
    virtual_nanos: u128,
    seen: Timestamp,
    /// Set while it rests.
    release: Option<Arc<Notify>>,
}

/// The number that a guest was given among the contenders; 0 is none.
#[derive(Debug, Default)]
pub(super) struct Standing(AtomicU64);

/// A guest's rest.
#[derive(Debug)]
pub(super) struct Rest {
    id: u64,
    release: Arc<Notify>,
}

impl Weights {
    /// For guests that share so many threads.
    pub fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Contention { threads, next: 1, contenders: BTreeMap::new() })))
    }

    /// Where nobody waits for a thread.
    pub fn none() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// Counts a turn; gives a rest if others come first now.
    pub(super) fn take_turn(&self, meter: &CpuMeter, spent: Duration, now: Timestamp) -> Option<Rest> {
        if spent < COMPUTES {
            return None;
        }
        let mut contention = self.lock();
        let id = contention.id_of(&meter.standing);
        contention.compute(id, virtual_nanos(spent, meter.request_millis), now);
        let release = contention.yields(id)?;
        Some(Rest { id, release })
    }

    /// Lets the guest rest until it is released, or those who came first have gone.
    pub(super) async fn rest(&self, rest: Rest, clock: &Clock) {
        loop {
            tokio::select! {
                biased;
                () = rest.release.notified() => return,
                () = clock.sleep(TURN) => {}
            }
            if !self.lock().rests_on(rest.id, clock.now()) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contention> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contention {
    fn id_of(&mut self, standing: &Standing) -> u64 {
        match standing.0.load(Ordering::Relaxed) {
            0 => {
                standing.0.store(self.next, Ordering::Relaxed);
                self.next += 1;
                self.next - 1
            }
            id => id,
        }
    }

    /// Who comes anew begins with the least virtual time there is: what was not used before is not saved up.
    fn compute(&mut self, id: u64, virtual_nanos: u128, now: Timestamp) {
        self.forget_gone(now);
        let least = self.contenders.values().map(|contender| contender.virtual_nanos).min();
        let contender = self.contenders.entry(id).or_insert(Contender {
            virtual_nanos: least.unwrap_or(0),
            seen: now,
            release: None,
        });
        contender.virtual_nanos += virtual_nanos;
        contender.seen = now;
    }

    /// Forgets those that were not seen for as long as a round of turns may take: they wait for something else, or are gone.
    fn forget_gone(&mut self, now: Timestamp) {
        let rounds = u32::try_from(self.contenders.len() / self.threads.max(1)).unwrap_or(u32::MAX);
        let round = TURN.saturating_mul(rounds.saturating_add(1).saturating_mul(2));
        self.contenders.retain(|_, contender| api::clock::add(contender.seen, round) >= now);
    }

    /// Lets the guest rest if another comes first: one that rests and has spent less, or as many as there are threads.
    fn yields(&mut self, id: u64) -> Option<Arc<Notify>> {
        let own = self.contenders.get(&id)?.virtual_nanos;
        let resting = self.contenders.iter().filter(|(_, contender)| contender.release.is_some());
        let next = resting.min_by_key(|(_, contender)| contender.virtual_nanos);
        let next = next.filter(|(_, next)| next.virtual_nanos < own).map(|(next, _)| *next);
        if next.is_none() && !self.is_one_too_many(own) {
            return None;
        }
        if let Some(release) = next.and_then(|next| self.contenders.get_mut(&next)?.release.take()) {
            release.notify_one();
        }
        // Those of one container rest together.
        let contender = self.contenders.get_mut(&id)?;
        Some(Arc::clone(contender.release.get_or_insert_default()))
    }

    fn is_one_too_many(&self, own: u128) -> bool {
        let active = self.contenders.values().filter(|contender| contender.release.is_none());
        let mut times: Vec<u128> = active.map(|contender| contender.virtual_nanos).collect();
        if times.len() <= self.threads {
            return false;
        }
        let (_, bar, _) = times.select_nth_unstable(self.threads.saturating_sub(1));
        own > *bar
    }

    /// Whether the guest must rest on; if not, it is counted among the others again.
    fn rests_on(&mut self, id: u64, now: Timestamp) -> bool {
        if let Some(contender) = self.contenders.get_mut(&id) {
            contender.seen = now;
        }
        self.forget_gone(now);
        let active = self.contenders.values().filter(|contender| contender.release.is_none()).count();
        match self.contenders.get_mut(&id) {
            Some(contender) if contender.release.is_some() && active >= self.threads => true,
            Some(contender) => {
                contender.release = None;
                false
            }
            None => false,
        }
    }
}

fn virtual_nanos(spent: Duration, request_millis: u32) -> u128 {
    let shares = (u64::from(request_millis) * SHARES_PER_CORE / 1000).max(LEAST_SHARES);
    spent.as_nanos() * u128::from(SHARES_PER_CORE) / u128::from(shares)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::Currency;
    use super::*;

    fn guests(requests: &[u32]) -> (Arc<CpuMeter>, Vec<Arc<CpuMeter>>) {
        let pod = CpuMeter::new(Currency::Time, None);
        let guests = requests.iter().map(|millis| CpuMeter::within(&pod, None, *millis, None)).collect();
        (pod, guests)
    }

    /// Lets guests that never stop computing share threads for a minute: each asked for so many thousandths, and the CPU
    /// time each got comes back in parts of 1000.
    fn parts(threads: usize, requests: &[u32]) -> Vec<u128> {
        let weights = Weights::new(threads);
        let (pod, guests) = guests(requests);
        let mut now = Timestamp::UNIX_EPOCH;
        let mut queue: VecDeque<usize> = (0..guests.len()).collect();
        let mut resting: Vec<(usize, Rest)> = Vec::new();
        for _ in 0..12_000 {
            resting.retain(|(index, rest)| {
                let rests = weights.lock().rests_on(rest.id, now);
                if !rests {
                    queue.push_back(*index);
                }
                rests
            });
            let running: Vec<usize> = (0..threads).filter_map(|_| queue.pop_front()).collect();
            assert_eq!(
                running.len(),
                threads.min(guests.len()),
                "no thread is idle while somebody could run"
            );
            now = api::clock::add(now, TURN);
            for index in running {
                guests[index].spend(TURN, now);
                match weights.take_turn(&guests[index], TURN, now) {
                    Some(rest) => resting.push((index, rest)),
                    None => queue.push_back(index),
                }
            }
        }
        let all = pod.used().as_nanos();
        guests.iter().map(|guest| (guest.used().as_nanos() * 1000 + all / 2) / all).collect()
    }

    #[test]
    fn guests_that_asked_for_more_get_more_of_the_threads() {
        let check = |threads: usize, requests: &[u32], expected: &[u128]| {
            let got = parts(threads, requests);
            let is_near = got.iter().zip(expected).all(|(got, expected)| got.abs_diff(*expected) <= 10);
            assert!(is_near, "{requests:?} on {threads} threads got {got:?} instead of {expected:?}");
        };
        check(1, &[100, 100], &[500, 500]);
        check(1, &[100, 300], &[250, 750]);
        check(2, &[100, 100, 300, 300], &[125, 125, 375, 375]);
        check(2, &[1000, 1000, 0], &[500, 500, 0]);
        // Nobody gets more than a thread, and what it leaves goes to the others.
        check(2, &[1000, 100, 100], &[500, 250, 250]);
        // With a thread for each nobody waits, whatever was asked for.
        check(4, &[1000, 0, 0], &[333, 333, 333]);
    }

    #[test]
    fn a_guest_that_waits_for_others_does_not_hold_up_those_who_compute() {
        let weights = Weights::new(1);
        let (_, guests) = guests(&[100, 100]);
        let (idle, busy) = (&guests[0], &guests[1]);
        let at = |millis: i64| Timestamp::from_millisecond(millis).expect("a time");
        assert!(weights.take_turn(idle, TURN, at(5)).is_none());
        let rest = weights.take_turn(busy, TURN, at(10)).or_else(|| weights.take_turn(busy, TURN, at(15)));
        let rest = rest.expect("the other has spent less");
        assert!(weights.lock().rests_on(rest.id, at(20)));
        // It has not computed for longer than a round takes.
        assert!(!weights.lock().rests_on(rest.id, at(100)));
        assert!(weights.take_turn(busy, TURN, at(105)).is_none());
        // A short answer is no contention.
        assert!(weights.take_turn(idle, Duration::from_micros(100), at(106)).is_none());
        assert_eq!(weights.lock().contenders.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_rests_is_released_when_another_has_spent_more() {
        let clock = Clock::virtual_from(Timestamp::UNIX_EPOCH);
        let weights = Weights::new(1);
        let (_, guests) = guests(&[100, 300]);
        weights.take_turn(&guests[1], TURN, clock.now());
        let rest =
            weights.take_turn(&guests[0], TURN, clock.now()).expect("it has spent more for what it asked");
        let resting = weights.rest(rest, &clock);
        let computing = async {
            let turns = (1..).find(|_| weights.take_turn(&guests[1], TURN, clock.now()).is_some());
            (turns, clock.now())
        };
        let ((), (turns, released)) = tokio::join!(resting, computing);
        assert_eq!((turns, released), (Some(4), Timestamp::UNIX_EPOCH));
    }
}
