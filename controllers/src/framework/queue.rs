//! The work of one controller: which objects are to be looked at, each by one worker at a time.
//!
//! ```text
//!   (unknown) ──add──▶ Ready ──take──▶ Running ──done──▶ Waiting ──its time, if due──▶ Ready
//!                                                          └──────its time, if not──▶ (unknown)
//! ```
//! Its size is bounded by the number of objects there are, as no object stands in it twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use api::clock::add;
use jiff::Timestamp;

use super::Target;

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

/// How busy a controller is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Objects to be looked at now.
    pub depth: usize,
    /// Looks that failed, so far.
    pub retries: u64,
}

/// The objects a controller has to look at.
pub(super) struct Queue {
    pace: Duration,
    entries: BTreeMap<Target, Entry>,
    ready: VecDeque<Target>,
    /// When each waiting entry's time comes.
    timers: BTreeSet<(Timestamp, Target)>,
    retries: u64,
}

struct Entry {
    place: Place,
    /// Failures in a row.
    failures: u32,
}

enum Place {
    Ready,
    Running {
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
        Self { pace, entries: BTreeMap::new(), ready: VecDeque::new(), timers: BTreeSet::new(), retries: 0 }
    }

    /// Has the object looked at, once, however often this is called before.
    pub(super) fn add(&mut self, target: Target) {
        let Some(entry) = self.entries.get_mut(&target) else {
            let entry = Entry { place: Place::Ready, failures: 0 };
            self.entries.insert(target.clone(), entry);
            return self.ready.push_back(target);
        };
        match &mut entry.place {
            Place::Ready => {}
            Place::Running { changed } => *changed = true,
            Place::Waiting { rested, due } => {
                let before = (timer(*rested, *due), target);
                self.timers.remove(&before);
                *due = Some(*rested);
                self.timers.insert((*rested, before.1));
            }
        }
    }

    /// The next object to look at, if there is one; [`Queue::done`] gives it back.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Target> {
        while self.next_time().is_some_and(|time| time <= now) {
            if let Some((_, target)) = self.timers.pop_first() {
                self.time_came(target);
            }
        }
        let target = self.ready.pop_front()?;
        if let Some(entry) = self.entries.get_mut(&target) {
            entry.place = Place::Running { changed: false };
        }
        Some(target)
    }

    fn time_came(&mut self, target: Target) {
        let Some(entry) = self.entries.get_mut(&target) else {
            return;
        };
        match entry.place {
            Place::Waiting { due: Some(_), .. } => {
                entry.place = Place::Ready;
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
        let changed = matches!(entry.place, Place::Running { changed: true });
        let (rested, mut due) = match ending {
            Ending::Done(wake) => {
                entry.failures = 0;
                (add(now, self.pace), wake)
            }
            Ending::Failed => {
                let wait = backoff(entry.failures);
                entry.failures = entry.failures.saturating_add(1);
                self.retries += 1;
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
    pub(super) fn load(&self) -> Load {
        Load { depth: self.ready.len(), retries: self.retries }
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
                "+" => queue.add(pod(rest)),
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
        queue.add(pod("a"));
        for _ in 0..40 {
            assert!(queue.take(now).is_some());
            queue.done(pod("a"), Ending::Failed, now);
            now = queue.next_time().expect("a retry");
        }
        assert!(queue.take(now).is_some());
        queue.done(pod("a"), Ending::Failed, now);
        assert_eq!(queue.next_time(), Some(add(now, LONGEST_RETRY)));
        queue.add(pod("a"));
        assert_eq!(queue.next_time(), Some(add(now, LONGEST_RETRY_AFTER_CHANGE)));
        assert_eq!(queue.load().retries, 41);
    }
}
