//! Resizing a Deployment in the middle of a rollout: each ReplicaSet gets its share.

use std::cmp::Reverse;

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::{Resize, Rollout, counts, created, recreates, revision};
use crate::typed::Typed;

/// The sizes for the new number of replicas.
pub(super) fn resizes<'a>(rollout: &Rollout<'a>) -> Vec<Resize<'a>> {
    let desired = rollout.bounds.desired;
    let live: Vec<&'a Typed<ReplicaSet>> = rollout.all().filter(|set| counts(set).replicas > 0).collect();
    if live.len() <= 1 {
        let newest = || rollout.new.or(rollout.old.last().copied());
        let only = live.first().copied().or_else(newest);
        return only.into_iter().map(|set| Resize { set, replicas: desired }).collect();
    }
    if let Some(new) = rollout.new
        && is_saturated(new, desired)
    {
        let old = rollout.old.iter().filter(|set| counts(set).replicas > 0);
        return old.map(|set| Resize { set, replicas: 0 }).collect();
    }
    if recreates(rollout.deployment) {
        // Nothing to share: that the number is known now is all there is to write.
        let same = |set: &'a Typed<ReplicaSet>| Resize { set, replicas: counts(set).replicas };
        return live.into_iter().map(same).collect();
    }
    share(rollout, live)
}

/// Whether the new ReplicaSet has all that is wanted, so that the old ones are not needed.
fn is_saturated(new: &ReplicaSet, desired: i32) -> bool {
    let counts = counts(new);
    counts.replicas == desired
        && counts.available == desired
        && revision::noted(new, revision::DESIRED) == Some(desired)
}

/// Adds or takes what is missing or too much, in proportion to the sizes; what rounding leaves goes to the largest.
fn share<'a>(rollout: &Rollout<'a>, mut live: Vec<&'a Typed<ReplicaSet>>) -> Vec<Resize<'a>> {
    let total: i32 = live.iter().map(|set| counts(set).replicas).sum();
    let allowed = if rollout.bounds.desired > 0 { rollout.bounds.most() } else { 0 };
    let change = allowed - total;
    // Of equals the newest gets more, and the oldest loses more.
    if change > 0 {
        live.sort_by_key(|set| Reverse((counts(set).replicas, created(set), set.object().name().to_owned())));
    } else {
        live.sort_by_key(|set| (Reverse(counts(set).replicas), created(set), set.object().name().to_owned()));
    }
    let mut left = change;
    let mut resizes: Vec<Resize<'a>> = Vec::with_capacity(live.len());
    for set in live {
        let fraction = fraction(rollout, set);
        let part = if change > 0 { fraction.min(left).max(0) } else { fraction.max(left).min(0) };
        left -= part;
        resizes.push(Resize { set, replicas: counts(set).replicas + part });
    }
    if let Some(largest) = resizes.first_mut() {
        largest.replicas = (largest.replicas + left).max(0);
    }
    resizes
}

/// How much the ReplicaSet grows if it keeps its share of the whole.
fn fraction(rollout: &Rollout<'_>, set: &ReplicaSet) -> i32 {
    let replicas = counts(set).replicas;
    if rollout.bounds.desired == 0 {
        return -replicas;
    }
    let status = rollout.deployment.status.as_ref();
    let whole = revision::noted(set, revision::MOST);
    let whole = whole.or_else(|| status.and_then(|status| status.replicas)).filter(|whole| *whole > 0);
    let Some(whole) = whole.map(i64::from) else {
        return 0;
    };
    let size = (2 * i64::from(replicas) * i64::from(rollout.bounds.most()) + whole) / (2 * whole);
    i32::try_from(size).unwrap_or(i32::MAX) - replicas
}
