//! Power cuts at every moment, and devices that fail: nothing acknowledged is lost, no group is there by half, and no
//! revision is issued twice.

use super::simulated::{Dice, Fault, Simulated};
use super::*;
use api::resource::EVENTS;

type Contents = BTreeMap<String, String>;

fn open(disk: &Simulated) -> Result<Store, StoreError> {
    Store::open_in(place(disk), true)
}

fn place(disk: &Simulated) -> Place {
    let (name, path) = ("store".to_owned(), "store".into());
    let folder = Arc::new(disk.clone());
    Place { folder, name, path, sizes: SMALL, _lock: None }
}

/// What was done to a store: what it held after each group, and the moment of the disk when that was acknowledged.
struct Story {
    disk: Simulated,
    states: Vec<Contents>,
    acknowledged: Vec<usize>,
    /// Every revision that could be seen, and since when.
    seen: Vec<(usize, Revision)>,
}

impl Story {
    fn begin(disk: &Simulated, store: &Store) -> Self {
        Self {
            disk: disk.clone(),
            states: vec![contents(store)],
            acknowledged: vec![disk.moment()],
            seen: vec![(disk.moment(), store.revision())],
        }
    }

    /// A group of one to four writes, at times with something volatile before it. Returns whether it was carried out.
    async fn group(&mut self, store: &Store, dice: &mut Dice) -> bool {
        if dice.roll(3) == 0 {
            let _ = store.commit_one(event(dice.roll(4))).await;
            self.seen.push((self.disk.moment(), store.revision()));
        }
        let stamp = format!("{}", self.states.len());
        let data = stamp.repeat(1 + usize::try_from(dice.roll(700)).unwrap());
        let mut next = contents(store);
        let mut writes = Vec::new();
        for number in 0..=dice.roll(4) {
            let name = format!("{number}-{}", dice.roll(6));
            let old = expected(store, &name);
            if old != Expected::Absent && dice.roll(4) == 0 {
                next.remove(&name);
                writes.push(remove(&name, old));
            } else {
                next.insert(name.clone(), data.clone());
                writes.push(put(&name, &data, old));
            }
        }
        let carried_out = store.commit(writes).await.iter().all(Result::is_ok);
        if carried_out {
            self.states.push(next);
            self.acknowledged.push(self.disk.moment());
            self.seen.push((self.disk.moment(), store.revision()));
        } else {
            // It may be found later, whole.
            self.states.push(next);
        }
        carried_out
    }

    /// Opens what a cut left, and sees to it that it is what it must be.
    fn check(&self, disk: &Simulated, moment: usize) -> Store {
        let store = open(disk).unwrap_or_else(|error| panic!("after moment {moment}: {error}"));
        let known = self.acknowledged.partition_point(|acknowledged| *acknowledged <= moment);
        let found = contents(&store);
        let possible = &self.states[known - 1..(known + 1).min(self.states.len())];
        assert!(possible.contains(&found), "after moment {moment}, {known} groups: {:?}", found.keys());
        let seen = self.seen.iter().filter(|(since, _)| *since <= moment).map(|(_, revision)| *revision);
        assert!(seen.max() <= Some(store.revision()), "after moment {moment}");
        store
    }
}

fn event(number: u64) -> Write {
    let key = StoreKey { collection: Collection::from(&EVENTS), key: Key::new("n", number.to_string()) };
    Write { key, expected: Expected::Absent, next: Next::Put(draft(&number.to_string(), "")), hold: None }
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let mut dice = Dice(1);
    let disk = Simulated::default();
    let store = open(&disk).unwrap();
    let mut story = Story::begin(&disk, &store);
    for _ in 0..120 {
        assert!(story.group(&store, &mut dice).await);
    }
    assert!(store.figures().checkpoints > 3, "{:?}", store.figures());
    let (first, last) = (story.acknowledged[0], disk.moment());
    for round in 0..600 {
        let moment = first + usize::try_from(dice.roll((last - first) as u64 + 1)).unwrap();
        let left = disk.cut(moment, &mut dice);
        let reopened = story.check(&left, moment);
        let names = left.names();
        assert!(names[0] == "store" && names.len() <= 3, "nothing else is left: {names:?}");
        assert!(names[1..].iter().all(|name| name.starts_with("store.log.")), "{names:?}");
        // The same once more, on what the first cut left and the repair of it.
        let mut sequel = Story::begin(&left, &reopened);
        for _ in 0..round % 4 {
            assert!(sequel.group(&reopened, &mut dice).await);
        }
        let first = sequel.acknowledged[0];
        let moment = first + usize::try_from(dice.roll((left.moment() - first) as u64 + 1)).unwrap();
        sequel.check(&left.cut(moment, &mut dice), moment);
    }
}

#[tokio::test]
async fn a_power_cut_while_a_thread_makes_checkpoints_loses_nothing_either() {
    let mut dice = Dice(4);
    let disk = Simulated::default();
    let store = Store::open_in(place(&disk), false).unwrap();
    let mut story = Story::begin(&disk, &store);
    while story.states.len() < 200 || store.figures().checkpoints < 4 {
        assert!(story.group(&store, &mut dice).await);
    }
    drop(store);
    let (first, last) = (story.acknowledged[0], disk.moment());
    for _ in 0..200 {
        let moment = first + usize::try_from(dice.roll((last - first) as u64 + 1)).unwrap();
        story.check(&disk.cut(moment, &mut dice), moment);
    }
    story.check(&disk, last);
}

#[tokio::test]
async fn revisions_are_reserved_before_anybody_sees_them() {
    for durable in [true, false] {
        let disk = Simulated::default();
        let store = open(&disk).unwrap();
        let first = store.revision();
        while store.revision() < Revision(first.0 + BLOCK + 100) {
            let of = if durable { put("a", "", Expected::Absent).key } else { event(1).key };
            let mut expected = store.get(&of).map_or(Expected::Absent, |old| Expected::At(old.revision()));
            let mut writes = Vec::new();
            for revision in store.revision().0 + 1..=store.revision().0 + 64 {
                let next = Next::Put(draft(&of.key.name, ""));
                writes.push(Write { key: of.clone(), expected, next, hold: None });
                expected = Expected::At(Revision(revision));
            }
            assert!(store.commit(writes).await.iter().all(Result::is_ok));
        }
        let cut = disk.cut(disk.moment(), &mut Dice(6));
        assert!(open(&cut).unwrap().revision() >= store.revision(), "durable: {durable}");
    }
}

#[tokio::test]
async fn a_store_is_there_or_not_after_a_cut_while_it_is_made() {
    let disk = Simulated::default();
    drop(open(&disk).unwrap());
    let mut dice = Dice(2);
    for moment in 0..=disk.moment() {
        for _ in 0..20 {
            let store = open(&disk.cut(moment, &mut dice)).unwrap();
            assert!(store.commit_one(put("a", "1", Expected::Absent)).await.is_ok());
        }
    }
}

#[tokio::test]
async fn after_a_failed_write_or_sync_nothing_is_written_until_it_is_opened_again() {
    let (mut groups, mut checkpoints, mut absorbed) = (0, 0, 0);
    for round in 0..400 {
        let mut dice = Dice(round);
        let fault = if round % 2 == 0 { Fault::Write } else { Fault::Sync };
        let disk = Simulated::default();
        let store = open(&disk).unwrap();
        let mut story = Story::begin(&disk, &store);
        disk.set_fault_after(fault, dice.roll(80));
        for _ in 0..100 {
            let before = contents(&store);
            if !story.group(&store, &mut dice).await {
                groups += 1;
                assert_eq!(contents(&store), before, "readers go on, and see nothing of it");
                break;
            }
            if store.figures().failed {
                // In a checkpoint: the group was acknowledged before, and must be found again.
                checkpoints += 1;
                break;
            }
        }
        if store.figures().failed {
            for name in ["a", "b"] {
                let later = store.commit_one(put(name, "", Expected::Absent)).await;
                let failed = |error: &Arc<StoreError>| matches!(**error, StoreError::Failed);
                assert!(matches!(later, Err(Refused::Failed(error)) if failed(&error)));
            }
            assert!(store.commit_one(event(9)).await.is_err());
        } else {
            // In what was only prepared, or what redb could write once more.
            absorbed += 1;
        }
        drop(store);
        let moment = disk.moment();
        story.check(&disk.cut(moment, &mut dice), moment);
        let reopened = story.check(&disk, moment);
        assert!(reopened.commit_one(put("a", "", Expected::Absent)).await.is_ok());
    }
    assert!(groups > 100 && checkpoints > 50 && absorbed < 60, "{groups} {checkpoints} {absorbed}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let mut dice = Dice(3);
    let disk = Simulated::default();
    let store = open(&disk).unwrap();
    let mut story = Story::begin(&disk, &store);
    let mut refused = 0;
    for _ in 0..40 {
        disk.set_fault(Fault::Full);
        while story.group(&store, &mut dice).await {}
        refused += 1;
        story.states.pop();
        assert_eq!(Some(&contents(&store)), story.states.last());
        assert!(!store.figures().failed);
        disk.set_fault(Fault::None);
        assert!(story.group(&store, &mut dice).await);
    }
    drop(store);
    let moment = disk.moment();
    story.check(&disk.cut(moment, &mut dice), moment);
    assert_eq!(refused, 40);
}
