//! How many replicas each ReplicaSet gets next. Nothing but numbers, so that its promises can be tested at random:
//! never more than `desired + surge` replicas are asked for, and none is taken that leaves fewer than
//! `desired - unavailable` available.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What a rollout must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) desired: i32,
    /// So many more may be there meanwhile.
    pub(super) surge: i32,
    /// So many may be missing meanwhile.
    pub(super) unavailable: i32,
}

/// What a ReplicaSet is asked for, and how many of those are available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) replicas: i32,
    pub(super) available: i32,
}

/// The sizes that change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) new: Option<i32>,
    /// By position among the old.
    pub(super) old: Vec<(usize, i32)>,
}

impl Bounds {
    /// Reads the bounds of a Deployment.
    pub(super) fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let desired = spec.and_then(|spec| spec.replicas).unwrap_or(1).max(0);
        let strategy = spec.and_then(|spec| spec.strategy.as_ref());
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate")) {
            return Self { desired, surge: 0, unavailable: 0 };
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let surge = amount(surge, desired, 99);
        let unavailable = amount(unavailable, desired, 0);
        Self {
            desired,
            surge,
            // With neither, nothing could ever move.
            unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable }.min(desired.max(1)),
        }
    }

    /// The most replicas there may be.
    pub(super) fn most(&self) -> i32 {
        self.desired.saturating_add(self.surge)
    }

    /// The fewest that must be available.
    fn fewest(&self) -> i32 {
        self.desired - self.unavailable.min(self.desired)
    }
}

/// A number, or a percentage of `whole` to which `rounding` hundredths are added; a quarter if it is not given.
fn amount(given: Option<&IntOrString>, whole: i32, rounding: i64) -> i32 {
    let percentage = match given {
        Some(IntOrString::Int(number)) => return (*number).max(0),
        Some(IntOrString::String(text)) => {
            let number = text.strip_suffix('%').and_then(|number| number.parse::<i64>().ok());
            number.unwrap_or(0).max(0)
        }
        None => 25,
    };
    let amount = (i64::from(whole).saturating_mul(percentage).saturating_add(rounding)) / 100;
    i32::try_from(amount).unwrap_or(i32::MAX)
}

fn replicas(counts: &[Counts]) -> i32 {
    counts.iter().map(|counts| counts.replicas).sum()
}

/// To how many the new ReplicaSet may grow from `current`, beside the old.
pub(super) fn grow(bounds: &Bounds, current: i32, old: &[Counts]) -> i32 {
    let room = bounds.most() - current - replicas(old);
    current + room.min(bounds.desired - current).max(0)
}

/// The next step of a rolling update: the new one grows, and if it cannot, the old ones shrink.
pub(super) fn roll(bounds: &Bounds, new: Option<Counts>, old: &[Counts]) -> Step {
    let Some(new) = new else {
        return Step::default();
    };
    let size = match new.replicas > bounds.desired {
        true => bounds.desired,
        false => grow(bounds, new.replicas, old),
    };
    if size != new.replicas {
        return Step { new: Some(size), old: vec![] };
    }
    Step { new: None, old: shrink(bounds, new, old) }
}

/// The old ReplicaSets give up what is not available first, then what the new one has made up for.
fn shrink(bounds: &Bounds, new: Counts, old: &[Counts]) -> Vec<(usize, i32)> {
    let missing = new.replicas - new.available;
    let spare = new.replicas + replicas(old) - bounds.fewest() - missing;
    let mut sizes: Vec<i32> = old.iter().map(|counts| counts.replicas).collect();
    let mut budget = spare;
    for (size, counts) in sizes.iter_mut().zip(old) {
        take(size, counts.replicas - counts.available, &mut budget);
    }
    let available: i32 = old.iter().map(|counts| counts.available).sum::<i32>() + new.available;
    let mut budget = available - bounds.fewest();
    for size in &mut sizes {
        let all = *size;
        take(size, all, &mut budget);
    }
    let sizes = sizes.into_iter().enumerate();
    sizes.filter(|(position, size)| *size != old[*position].replicas).collect()
}

fn take(size: &mut i32, most: i32, budget: &mut i32) {
    let taken = most.min(*size).min(*budget).max(0);
    *size -= taken;
    *budget -= taken;
}

/// The next step of a Deployment that recreates: first nothing old, then everything new.
pub(super) fn recreate(bounds: &Bounds, new: Option<Counts>, old: &[Counts], old_pods_gone: bool) -> Step {
    let shrinking = old.iter().enumerate().filter(|(_, counts)| counts.replicas > 0);
    let shrinking: Vec<(usize, i32)> = shrinking.map(|(position, _)| (position, 0)).collect();
    let wanted = new.filter(|new| new.replicas != bounds.desired).map(|_| bounds.desired);
    let ready = shrinking.is_empty() && old_pods_gone;
    Step { new: wanted.filter(|_| ready), old: shrinking }
}
