//! The queues of one priority level: each flow is dealt a few of them, waits in the shortest, and all queues get their turn.
//!
//! A busy flow fills the queues of its own hand; another flow shares all of them only by a rare chance. Among the queues
//! the turn is by virtual time: a request starts when those before it in its queue have had their seats, or now if
//! there are none, and the earliest start is next. So a queue is served in proportion, however much waits in others.

use std::collections::{BTreeMap, VecDeque};

use super::limits::Queues;

/// A request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub id: u64,
    pub seats: u32,
    start: u64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// When the last request that joined will have had its seats.
    finish: u64,
}

/// All queues of a level. Those nobody waits in are not kept longer than they matter.
#[derive(Default)]
pub(super) struct QueueSet {
    queues: BTreeMap<u32, Queue>,
    /// The start of the request that went last.
    now: u64,
    length: usize,
}

impl QueueSet {
    /// How many wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a request of the flow to the shortest queue of its hand; false if even that is full.
    pub fn join(&mut self, shape: &Queues, flow: u64, id: u64, seats: u32) -> bool {
        let waiting = |number: &u32| self.queues.get(number).map_or(0, |queue| queue.waiting.len());
        let Some(number) = deal(flow, shape.count, shape.hand).into_iter().min_by_key(waiting) else {
            return false;
        };
        let queue = self.queues.entry(number).or_default();
        if queue.waiting.len() >= shape.length as usize {
            return false;
        }
        let start = queue.finish.max(self.now);
        queue.finish = start + u64::from(seats);
        queue.waiting.push_back(Waiting { id, seats, start });
        self.length += 1;
        true
    }

    /// The request whose turn it is.
    pub fn first(&self) -> Option<Waiting> {
        self.turn().map(|(_, waiting)| waiting)
    }

    fn turn(&self) -> Option<(u32, Waiting)> {
        let heads = self.queues.iter().filter_map(|(number, queue)| Some((*number, *queue.waiting.front()?)));
        heads.min_by_key(|(number, head)| (head.start, *number))
    }

    /// Takes out the request whose turn it is.
    pub fn take(&mut self) -> Option<Waiting> {
        let (number, waiting) = self.turn()?;
        self.queues.get_mut(&number)?.waiting.pop_front();
        self.length -= 1;
        self.now = waiting.start;
        let now = self.now;
        self.queues.retain(|_, queue| !queue.waiting.is_empty() || queue.finish > now);
        Some(waiting)
    }

    /// Takes out a request that waits no longer; false if it does not wait here.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.length;
        for queue in self.queues.values_mut() {
            let Some(at) = queue.waiting.iter().position(|waiting| waiting.id == id) else {
                continue;
            };
            if let Some(removed) = queue.waiting.remove(at) {
                // Those behind it need not wait for the seats it does not take.
                for waiting in queue.waiting.iter_mut().skip(at) {
                    waiting.start -= u64::from(removed.seats);
                }
                queue.finish -= u64::from(removed.seats);
                self.length -= 1;
            }
        }
        before != self.length
    }
}

/// The hand of a flow: `hand` different numbers below `count`, as the flow says.
fn deal(flow: u64, count: u32, hand: u32) -> Vec<u32> {
    let hand = hand.min(count);
    let mut left = flow;
    let mut dealt: Vec<u32> = Vec::new();
    for taken in 0..hand {
        let remaining = u64::from(count - taken);
        let mut card = u32::try_from(left % remaining).unwrap_or(0);
        left /= remaining;
        // The card among those that are left, counted past the ones taken before.
        let mut lower: Vec<u32> = dealt.clone();
        lower.sort_unstable();
        for before in lower {
            if card >= before {
                card += 1;
            }
        }
        dealt.push(card);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Queues = Queues { count: 64, hand: 8, length: 50 };

    #[test]
    fn a_hand_has_different_cards_of_the_deck() {
        for flow in (0..2_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let mut hand = deal(flow, 64, 8);
            hand.sort_unstable();
            hand.dedup();
            assert!(hand.len() == 8 && hand.iter().all(|card| *card < 64), "{flow}: {hand:?}");
        }
        assert_eq!(deal(7, 1, 8), [0]);
        assert_eq!(deal(u64::MAX, 3, 3).len(), 3);
        assert_eq!(deal(7, 0, 8), [0; 0]);
    }

    #[test]
    fn a_flow_with_much_to_do_does_not_keep_others_waiting() {
        let mut queues = QueueSet::default();
        let (busy, modest) = (1_000_003, 77_000_000_000);
        let mut joined = 0;
        while queues.join(&SHAPE, busy, joined, 1) {
            joined += 1;
        }
        assert_eq!(joined, 8 * 50, "its own queues are full");
        assert!(queues.join(&SHAPE, modest, 1_000, 1));
        let position = (0..).find(|_| queues.take().is_none_or(|waiting| waiting.id == 1_000));
        assert!(position.is_some_and(|position| position <= 9), "{position:?}");
    }

    #[test]
    fn wide_requests_use_up_the_turns_of_their_queue() {
        let shape = Queues { count: 2, hand: 1, length: 50 };
        let mut queues = QueueSet::default();
        for id in 0..4 {
            assert!(queues.join(&shape, 0, id, 10));
            assert!(queues.join(&shape, 1, 100 + id, 5));
        }
        let order: Vec<u64> = std::iter::from_fn(|| queues.take()).map(|waiting| waiting.id).collect();
        assert_eq!(order, [0, 100, 101, 1, 102, 103, 2, 3]);
        assert!(queues.is_empty());
    }

    #[test]
    fn who_gives_up_makes_room() {
        let shape = Queues { count: 1, hand: 1, length: 2 };
        let mut queues = QueueSet::default();
        assert!(
            queues.join(&shape, 0, 1, 1) && queues.join(&shape, 0, 2, 1) && !queues.join(&shape, 0, 3, 1)
        );
        assert!(queues.remove(1) && !queues.remove(1));
        assert!(queues.join(&shape, 0, 3, 1));
        assert_eq!(
            (queues.len(), queues.first().map(|waiting| (waiting.id, waiting.start))),
            (2, Some((2, 0)))
        );
    }
}
