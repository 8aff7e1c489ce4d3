//! A rolling update keeps its promises whatever pods do and however late it learns of it.

use proptest::prelude::*;

use super::super::rolling::{Bounds, Counts, roll};

/// A ReplicaSet with its pods: what it is asked for, how many there are and are available, and what its status says.
#[derive(Clone, Copy, Debug, Default)]
struct Set {
    replicas: i32,
    pods: i32,
    available: i32,
    said: i32,
}

impl Set {
    fn counts(self) -> Counts {
        Counts { replicas: self.replicas, available: self.said.min(self.replicas) }
    }

    /// What its controller does: pods that are not available go first.
    fn sync(&mut self) {
        self.pods = self.replicas;
        self.available = self.available.min(self.pods);
    }
}

/// What happens next, to one of the sets.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// The Deployment is looked at.
    Look,
    /// A ReplicaSet creates and deletes pods.
    Sync(usize),
    /// A pod becomes available.
    Available(usize),
    /// A ReplicaSet's status catches up.
    Said(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        Just(Happens::Look),
        (0..4_usize).prop_map(Happens::Sync),
        (0..4_usize).prop_map(Happens::Available),
        (0..4_usize).prop_map(Happens::Said),
    ]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (0..20_i32, 0..6_i32, 0..6_i32).prop_map(|(desired, surge, unavailable)| Bounds {
        desired,
        surge,
        unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }.min(desired.max(1)),
    })
}

/// The new set first, then the old ones, which have all there is.
fn sets(desired: i32, parts: &[i32]) -> Vec<Set> {
    let mut left = desired;
    let mut sets = vec![Set::default()];
    for (position, part) in parts.iter().enumerate() {
        let size = if position + 1 == parts.len() { left } else { (*part).min(left) };
        left -= size;
        sets.push(Set { replicas: size, pods: size, available: size, said: size });
    }
    sets
}

fn play(bounds: &Bounds, sets: &mut [Set], what: Happens) {
    match what {
        Happens::Look => {
            let old: Vec<Counts> = sets[1..].iter().map(|set| set.counts()).collect();
            let step = roll(bounds, Some(sets[0].counts()), &old);
            if let Some(size) = step.new {
                sets[0].replicas = size;
            }
            for (position, size) in step.old {
                assert!(size < sets[position + 1].replicas, "an old set grows");
                sets[position + 1].replicas = size;
            }
        }
        Happens::Sync(which) => {
            let which = which % sets.len();
            sets[which].sync();
        }
        Happens::Available(which) => {
            let set = &mut sets[which % 4 % sets.len()];
            set.available = (set.available + 1).min(set.pods);
        }
        Happens::Said(which) => {
            let set = &mut sets[which % 4 % sets.len()];
            set.said = set.available;
        }
    }
}

proptest! {
    #[test]
    fn promises_are_kept_and_it_ends(
        bounds in bounds(),
        parts in prop::collection::vec(0..10_i32, 1..4),
        story in prop::collection::vec(happens(), 0..200),
    ) {
        let mut sets = sets(bounds.desired, &parts);
        let fewest = bounds.desired - bounds.unavailable.min(bounds.desired);
        let check = |sets: &[Set]| {
            let asked: i32 = sets.iter().map(|set| set.replicas).sum();
            // What would be left once all pods that are not asked for are gone.
            let available: i32 = sets.iter().map(|set| set.available.min(set.replicas)).sum();
            prop_assert!(asked <= bounds.most(), "{asked} asked for: {sets:?}");
            prop_assert!(available >= fewest, "{available} available: {sets:?}");
            Ok(())
        };
        for what in story {
            play(&bounds, &mut sets, what);
            check(&sets)?;
        }
        for _ in 0..200 {
            for which in 0..4 {
                play(&bounds, &mut sets, Happens::Sync(which));
                play(&bounds, &mut sets, Happens::Available(which));
                play(&bounds, &mut sets, Happens::Said(which));
            }
            play(&bounds, &mut sets, Happens::Look);
            check(&sets)?;
        }
        prop_assert_eq!(sets[0].replicas, bounds.desired);
        prop_assert!(sets[1..].iter().all(|set| set.replicas == 0), "{:?}", sets);
    }
}
