//! The work of one controller: which objects are to be looked at, each by one worker at a time.
//!
//! ```text
//!   (unknown) ──add──▶ Ready ──take──▶ Running ──done──▶ Waiting ──its time, if due──▶ Ready
//!                                                          └──────its time, if not──▶ (unknown)
//! ```
//! Its size is bounded by the number of objects there are, as no object stands in it twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use api::clock::{add, until};
use jiff::Timestamp;

use super::{Latencies, Target};

/// The first wait after a failure; each further one is twice as long, as in client-go.
const FIRST_RETRY: Duration = Duration::from_millis(5);

/// The longest wait after a failure.
const LONGEST_RETRY: Duration = Duration::from_secs(1000);

/// The longest wait after a failure if the object changes meanwhile. Not zero, as the failed look may have changed it.
const LONGEST_RETRY_AFTER_CHANGE: Duration = Duration::from_secs(1);

/// How a look at an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was done; maybe it is to be looked at again at a time.
    Done(Option<Timestamp>),
    /// Something failed, and is to be tried again after a while.
    Failed,
}

/// How busy a controller is, in the terms of the `workqueue_*` metrics of Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Objects to be looked at now.
    pub depth: usize,
    /// How often an object was to be looked at, so far.
    pub adds: u64,
    /// Looks that failed, so far.
    pub retries: u64,
    /// How long objects were ready before somebody looked at them.
    pub waited: Latencies,
    /// How long the looks took.
    pub worked: Latencies,
    /// How long the looks under way have taken until now, all together.
    pub unfinished_seconds: f64,
    /// How long the longest of them has taken.
    pub longest_seconds: f64,
}

/// The objects a controller has to look at.
pub(super) struct Queue {
    pace: Duration,
    entries: BTreeMap<Target, Entry>,
    ready: VecDeque<Target>,
    /// When each waiting entry's time comes.
    timers: BTreeSet<(Timestamp, Target)>,
    /// What is counted; its gauges stay nought.
    counted: Load,
}

struct Entry {
    place: Place,
    /// Failures in a row.
    failures: u32,
}

enum Place {
    Ready {
        since: Timestamp,
    },
    Running {
        since: Timestamp,
        /// It changed since the look began.
        changed: bool,
    },
    Waiting {
        /// Not before this time.
        rested: Timestamp,
        /// When it is to be looked at in any case.
        due: Option<Timestamp>,
    },
}

impl Queue {
    /// An empty queue that leaves each object alone for `pace` after a look.
    pub(super) fn new(pace: Duration) -> Self {
        Self {
            pace,
            entries: BTreeMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            counted: Load::default(),
        }
    }

    /// Has the object looked at, once, however often this is called before.
    pub(super) fn add(&mut self, target: Target, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&target) else {
            let entry = Entry { place: Place::Ready { since: now }, failures: 0 };
            self.entries.insert(target.clone(), entry);
            self.counted.adds += 1;
            return self.ready.push_back(target);
        };
        match &mut entry.place {
            Place::Ready { .. } => {}
            Place::Running { changed, .. } => {
                self.counted.adds += u64::from(!*changed);
                *changed = true;
            }
            Place::Waiting { rested, due } => {
                let before = (timer(*rested, *due), target);
                self.timers.remove(&before);
                self.counted.adds += u64::from(*due != Some(*rested));
                *due = Some(*rested);
                self.timers.insert((*rested, before.1));
            }
        }
    }

    /// The next object to look at, if there is one; [`Queue::done`] gives it back.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Target> {
        while self.next_time().is_some_and(|time| time <= now) {
            if let Some((time, target)) = self.timers.pop_first() {
                self.time_came(target, time);
            }
        }
        let target = self.ready.pop_front()?;
        if let Some(entry) = self.entries.get_mut(&target) {
            if let Place::Ready { since } = entry.place {
                self.counted.waited.note(until(since, now).unwrap_or_default());
            }
            entry.place = Place::Running { since: now, changed: false };
        }
        Some(target)
    }

    fn time_came(&mut self, target: Target, time: Timestamp) {
        let Some(entry) = self.entries.get_mut(&target) else {
            return;
        };
        match entry.place {
            Place::Waiting { due: Some(_), .. } => {
                entry.place = Place::Ready { since: time };
                self.ready.push_back(target);
            }
            _ => drop(self.entries.remove(&target)),
        }
    }

    /// Ends a look.
    pub(super) fn done(&mut self, target: Target, ending: Ending, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&target) else {
            return;
        };
        let changed = match entry.place {
            Place::Running { since, changed } => {
                self.counted.worked.note(until(since, now).unwrap_or_default());
                changed
            }
            Place::Ready { .. } | Place::Waiting { .. } => false,
        };
        let (rested, mut due) = match ending {
            Ending::Done(wake) => {
                entry.failures = 0;
                (add(now, self.pace), wake)
            }
            Ending::Failed => {
                let wait = backoff(entry.failures);
                entry.failures = entry.failures.saturating_add(1);
                self.counted.retries += 1;
                let rested = add(now, wait.min(LONGEST_RETRY_AFTER_CHANGE));
                (rested, Some(add(now, wait)))
            }
        };
        if changed {
            due = Some(rested);
        }
        if due.is_none() && self.pace.is_zero() {
            self.entries.remove(&target);
            return;
        }
        entry.place = Place::Waiting { rested, due };
        self.timers.insert((timer(rested, due), target));
    }

    /// When [`Queue::take`] has something next, if nothing is added and nothing is ready.
    pub(super) fn next_time(&self) -> Option<Timestamp> {
        self.timers.first().map(|(time, _)| *time)
    }

    /// How busy it is.
    pub(super) fn load(&self, now: Timestamp) -> Load {
        let running = self.entries.values().filter_map(|entry| match entry.place {
            Place::Running { since, .. } => Some(until(since, now).unwrap_or_default()),
            Place::Ready { .. } | Place::Waiting { .. } => None,
        });
        let mut load = Load { depth: self.ready.len(), ..self.counted };
        for took in running {
            load.unfinished_seconds += took.as_secs_f64();
            load.longest_seconds = load.longest_seconds.max(took.as_secs_f64());
        }
        load
    }
}

fn timer(rested: Timestamp, due: Option<Timestamp>) -> Timestamp {
    due.map_or(rested, |due| due.max(rested))
}

fn backoff(failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    FIRST_RETRY.saturating_mul(factor).min(LONGEST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Key;
    use api::resource::PODS;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).expect("a time")
    }

    fn pod(name: &str) -> Target {
        Target::new(&PODS, Key::new("n", name))
    }

    /// Plays a script and returns what was taken. Words: `+a` add, `?` take, `-a` done, `!a` failed, `~a:50` done and
    /// to be woken at 50, `@20` the time is 20.
    fn play(pace: u64, script: &str) -> String {
        let mut queue = Queue::new(Duration::from_millis(pace));
        let mut now = at(0);
        let mut taken = Vec::new();
        for word in script.split_whitespace() {
            let (verb, rest) = word.split_at(1);
            match verb {
                "+" => queue.add(pod(rest), now),
                "?" => {
                    taken.push(queue.take(now).map_or("none".into(), |target| target.key.name.to_string()))
                }
                "-" => queue.done(pod(rest), Ending::Done(None), now),
                "!" => queue.done(pod(rest), Ending::Failed, now),
                "~" => {
                    let (name, wake) = rest.split_once(':').expect("name:time");
                    let wake = at(wake.parse().expect("a time"));
                    queue.done(pod(name), Ending::Done(Some(wake)), now);
                }
                "@" => now = at(rest.parse().expect("a time")),
                _ => panic!("{word}"),
            }
        }
        taken.join(" ")
    }

    #[test]
    fn rows() {
        let check = |pace, script, expected: &str| assert_eq!(play(pace, script), expected, "{script}");
        // Each once, in the order they came.
        check(0, "+a +b +a ? ? ?", "a b none");
        // Never twice at once; a change meanwhile is looked at afterwards.
        check(0, "+a ? +a +a ? -a ? -a ?", "a none a none");
        // One look per pace, and the first without a wait.
        check(10, "+a ? +a -a ? @9 ? @10 ? -a @20 ? ", "a none none a none");
        check(10, "+a ? -a @5 +a ? @10 ? -a @50 +a ?", "a none a a");
        // Failures wait 5 ms, 10 ms, 20 ms, and a success forgets them.
        check(0, "+a ? !a @4 ? @5 ? !a @14 ? @15 ? !a @34 ? @35 ?", "a none a none a none a");
        check(0, "+a ? !a @5 ? -a +a ? !a @9 ? @10 ?", "a a a none a");
        // A change does not make a failure forget its wait.
        check(0, "+a ? +a !a ? @5 ? !a +a @6 ? @15 ?", "a none a none a");
        // Woken at its time, or earlier by a change.
        check(0, "+a ? ~a:50 @49 ? @50 ? -a ?", "a none a none");
        check(0, "+a ? ~a:50 @10 +a ? -a @50 ?", "a a none");
    }

    #[test]
    fn a_change_shortens_the_wait_after_many_failures() {
        let mut queue = Queue::new(Duration::ZERO);
        let mut now = at(0);
        queue.add(pod("a"), now);
        for _ in 0..40 {
            assert!(queue.take(now).is_some());
            queue.done(pod("a"), Ending::Failed, now);
            now = queue.next_time().expect("a retry");
        }
        assert!(queue.take(now).is_some());
        queue.done(pod("a"), Ending::Failed, now);
        assert_eq!(queue.next_time(), Some(add(now, LONGEST_RETRY)));
        queue.add(pod("a"), now);
        assert_eq!(queue.next_time(), Some(add(now, LONGEST_RETRY_AFTER_CHANGE)));
        assert_eq!(queue.load(now).retries, 41);
    }

    #[test]
    fn its_load_tells_of_waits_and_work() {
        let mut queue = Queue::new(Duration::ZERO);
        queue.add(pod("a"), at(0));
        queue.add(pod("a"), at(1));
        queue.add(pod("b"), at(0));
        assert!(queue.take(at(20)).is_some());
        queue.add(pod("a"), at(30));
        let load = queue.load(at(50));
        assert_eq!((load.depth, load.adds, load.waited.count, load.worked.count), (1, 3, 1, 0));
        assert!((load.waited.sum_seconds - 0.02).abs() < 1e-9, "{load:?}");
        assert!((load.unfinished_seconds - 0.03).abs() < 1e-9, "{load:?}");
        queue.done(pod("a"), Ending::Done(None), at(70));
        let load = queue.load(at(90));
        assert_eq!((load.worked.count, load.unfinished_seconds), (1, 0.0));
        assert!((load.worked.sum_seconds - 0.05).abs() < 1e-9, "{load:?}");
    }
}
