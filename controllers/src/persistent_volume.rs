//! Binds claims to volumes, makes volumes for claims, and decides what becomes of volumes whose claim is gone.
//!
//! Each look takes one step: a volume is first marked as the claim's, and only when the cache shows that, the claim as bound
//! to it. So a step that fails leaves nothing that the next look would not finish.

mod claim;
mod matching;
mod provision;
mod reclaim;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::cache::{Change, Index};
use api::object::DecodeError;
use api::resource::{NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES};
use api::storage::{self, HOSTNAME};
use api::{Cache, Key, Object};
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use serde::de::DeserializeOwned;

use crate::framework::{Action, Controller, Target, View, Watch};
use crate::pod;
use crate::storage::{class_of_claim, class_of_volume, is_bound};
use crate::typed::Typed;
pub use claim::{ClaimState, reconcile_claim};
pub(crate) use matching::best;
pub use reclaim::{VolumeState, reconcile_volume};

/// Unbound claims, by class.
const UNBOUND: Index = Index {
    name: "unbound",
    texts: |object| {
        let claim = object.typed::<PersistentVolumeClaim>().ok();
        let claim = claim.filter(|claim| !is_bound(claim));
        claim.map(|claim| class_of_claim(claim).to_owned()).into_iter().collect()
    },
};

/// Volumes nobody claims, by class.
pub(crate) const FREE: Index = Index {
    name: "free",
    texts: |object| {
        let volume = object.typed::<PersistentVolume>().ok();
        let volume = volume.filter(|volume| claimed_by(volume).is_none());
        volume.map(|volume| class_of_volume(volume).to_owned()).into_iter().collect()
    },
};

/// Volumes by the claim they are for.
pub(crate) const CLAIMED: Index = Index {
    name: "claimed",
    texts: |object| {
        let volume = object.typed::<PersistentVolume>().ok();
        let key = volume.and_then(|volume| claimed_by(volume)).map(|claim| claim_key(claim).to_string());
        key.into_iter().collect()
    },
};

/// Pods by the claims they use.
pub(crate) const USERS: Index = Index { name: "claims", texts: |pod| used_claims(pod).map_or(vec![], texts) };

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "persistentvolume-controller",
    watches: &[
        Watch::Of(PERSISTENT_VOLUME_CLAIMS, of_claim),
        Watch::Of(PERSISTENT_VOLUMES, of_volume),
        Watch::Of(STORAGE_CLASSES, |cache, change, add| of_class(cache, change.object().name(), add)),
        Watch::Of(PODS, of_pod),
        Watch::Of(NODES, of_node),
    ],
    reads: &[
        (PERSISTENT_VOLUME_CLAIMS, Some(UNBOUND)),
        (PERSISTENT_VOLUMES, Some(FREE)),
        (PERSISTENT_VOLUMES, Some(CLAIMED)),
        (PODS, Some(USERS)),
    ],
    decide,
    // Two claims that are looked at at once might choose the same volume: one of them would be refused and try again.
    workers: 4,
    pace: Duration::ZERO,
};

/// The claim a volume names.
fn claimed_by(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

fn claim_key(claim: &ObjectReference) -> Key {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Key::new(text(&claim.namespace), text(&claim.name))
}

/// The claims a pod uses. Most pods use none, which their bytes tell without being decoded.
fn used_claims(pod: &Object) -> Option<Vec<Key>> {
    let json = std::str::from_utf8(pod.json()).ok()?;
    if !json.contains("\"persistentVolumeClaim\"") && !json.contains("\"ephemeral\"") {
        return None;
    }
    let decoded = pod.peek::<Pod>().ok()?;
    Some(storage::claims_of(&decoded).map(|name| Key::new(pod.namespace(), &*name)).collect())
}

fn texts(keys: Vec<Key>) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

/// Names the claims that a pod uses.
pub(crate) fn of_claims(change: &Change, add: &mut dyn FnMut(Target)) {
    for key in change.objects().filter_map(used_claims).flatten() {
        add(Target::new(&PERSISTENT_VOLUME_CLAIMS, key));
    }
}

fn of_claim(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    let claim = change.object();
    add(Target::of(&PERSISTENT_VOLUME_CLAIMS, claim));
    let volumes = cache.snapshot(&PERSISTENT_VOLUMES);
    let key = claim.key().to_string();
    volumes.by_index(CLAIMED.name, &key).for_each(|volume| add(Target::of(&PERSISTENT_VOLUMES, volume)));
}

fn of_volume(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    add(Target::of(&PERSISTENT_VOLUMES, change.object()));
    for object in change.objects() {
        let Ok(volume) = object.typed::<PersistentVolume>() else { continue };
        if let Some(claim) = claimed_by(volume) {
            add(Target::new(&PERSISTENT_VOLUME_CLAIMS, claim_key(claim)));
        } else {
            of_class(cache, class_of_volume(volume), add);
        }
    }
}

fn of_class(cache: &Cache, class: &str, add: &mut dyn FnMut(Target)) {
    let claims = cache.snapshot(&PERSISTENT_VOLUME_CLAIMS);
    claims.by_index(UNBOUND.name, class).for_each(|claim| add(Target::of(&PERSISTENT_VOLUME_CLAIMS, claim)));
}

/// Unbound claims say whether a pod waits for them.
fn of_pod(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    let claims = cache.snapshot(&PERSISTENT_VOLUME_CLAIMS);
    of_claims(change, &mut |target| {
        let claim = claims.get(&target.key).and_then(|claim| claim.typed().ok());
        if claim.is_some_and(|claim| !is_bound(claim)) {
            add(target);
        }
    });
}

/// A node that came may hold volumes; with one that went its folders are gone.
fn of_node(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    if change.old.is_some() && change.new.is_some() {
        return;
    }
    let claims = cache.snapshot(&PERSISTENT_VOLUME_CLAIMS);
    let unbound = claims.iter().filter(|claim| claim.typed().is_ok_and(|claim| !is_bound(claim)));
    unbound.for_each(|claim| add(Target::of(&PERSISTENT_VOLUME_CLAIMS, claim)));
    let volumes = cache.snapshot(&PERSISTENT_VOLUMES);
    let going = volumes.iter().filter(|volume| volume.is_terminating());
    going.for_each(|volume| add(Target::of(&PERSISTENT_VOLUMES, volume)));
}

fn decide(view: &View<'_>, target: &Target) -> Result<Vec<Action>, DecodeError> {
    Ok(if target.resource == PERSISTENT_VOLUMES {
        observe_volume(view.cache, &target.key)?.map_or(vec![], |state| reconcile_volume(&state, view.now))
    } else {
        observe_claim(view.cache, &target.key)?.map_or(vec![], |state| reconcile_claim(&state, view.now))
    })
}

fn observe_volume(cache: &Cache, key: &Key) -> Result<Option<VolumeState>, DecodeError> {
    let Some(object) = cache.get(&PERSISTENT_VOLUMES, key) else { return Ok(None) };
    let volume = Typed::<PersistentVolume>::new(object)?;
    let claim = claimed_by(&volume).and_then(|claim| cache.get(&PERSISTENT_VOLUME_CLAIMS, &claim_key(claim)));
    let claim = claim.map(Typed::new).transpose()?;
    let nodes = cache.snapshot(&NODES);
    let hosts: Vec<&str> = nodes.iter().map(hostname).collect();
    let folder_is_gone = reclaim::host_of(&volume).is_some_and(|host| !hosts.contains(&host));
    Ok(Some(VolumeState { volume, claim, folder_is_gone }))
}

fn observe_claim(cache: &Cache, key: &Key) -> Result<Option<ClaimState>, DecodeError> {
    let Some(object) = cache.get(&PERSISTENT_VOLUME_CLAIMS, key) else { return Ok(None) };
    let claim = Typed::<PersistentVolumeClaim>::new(object)?;
    let class = class_of_claim(&claim);
    let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
    let all = cache.snapshot(&PERSISTENT_VOLUMES);
    let volumes = if name.is_empty() {
        let text = key.to_string();
        let kept = all.by_index(CLAIMED.name, &text);
        kept.chain(all.by_index(FREE.name, class)).filter_map(Typed::one_of_many).collect()
    } else {
        all.get(&Key::cluster(&*name)).and_then(Typed::one_of_many).into_iter().collect()
    };
    let waiting_pods = if is_bound(&claim) { vec![] } else { waiting_pods(cache, key) };
    let class = if class.is_empty() { None } else { cache.get(&STORAGE_CLASSES, &Key::cluster(class)) };
    let class: Option<Typed<StorageClass>> = class.map(Typed::new).transpose()?;
    let nodes = if is_bound(&claim) { vec![] } else { cache.snapshot(&NODES).iter().cloned().collect() };
    Ok(Some(ClaimState { claim, class, volumes, waiting_pods, nodes }))
}

/// The pods that use a claim and have no node yet.
fn waiting_pods(cache: &Cache, claim: &Key) -> Vec<String> {
    let pods = cache.snapshot(&PODS);
    let claim = claim.to_string();
    let users = pods.by_index(USERS.name, &claim);
    let waits = |pod: &Pod| pod::node_name(pod).is_empty() && pod::is_active(pod);
    let waiting = users.filter(|object| object.peek::<Pod>().is_ok_and(|pod| waits(&pod)));
    waiting.map(|pod| pod.name().to_owned()).collect()
}

/// The name by which volumes know a node.
fn hostname(node: &Object) -> &str {
    node.label(HOSTNAME).unwrap_or(node.name())
}

/// What objects without a specification are read as having.
fn spec_of<S: Clone + Default + DeserializeOwned>(spec: &Option<S>) -> S {
    spec.clone().unwrap_or_default()
}
