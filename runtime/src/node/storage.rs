//! Removes the folders of this node's volumes that are deleted, and then lets the volumes go.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::resource::PERSISTENT_VOLUMES;
use api::storage::{FOLDER_FINALIZER, HOSTNAME, LOCAL_DRIVER};
use api::{Key, Object};
use k8s_openapi::api::core::v1::PersistentVolume;
use serde_json::json;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::Shared;
use crate::volumes;

/// How long to wait after a folder could not be removed, or the server not be told.
const RETRY: Duration = Duration::from_secs(1);

/// The volumes that changed since they were looked at; no more than there are.
#[derive(Default)]
struct Inbox {
    changed: Mutex<BTreeSet<Key>>,
    arrived: Notify,
}

impl Inbox {
    fn add(&self, key: Key) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.arrived.notify_one();
    }

    fn take(&self) -> Option<Key> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }
}

/// Removes what is to go, one after the other, for ever.
pub(super) async fn keep_clean(shared: Arc<Shared>) {
    let inbox = Arc::new(Inbox::default());
    let cache = shared.config.cache.clone();
    let noting = Arc::clone(&inbox);
    cache.subscribe(&PERSISTENT_VOLUMES, Box::new(move |change| noting.add(change.object().key())));
    loop {
        let Some(key) = inbox.take() else {
            inbox.arrived.notified().await;
            continue;
        };
        let volume = cache.get(&PERSISTENT_VOLUMES, &key);
        let Some((volume, going)) = volume.and_then(|volume| {
            let going = Going::of(&volume, &shared.config.name)?;
            Some((volume, going))
        }) else {
            continue;
        };
        if let Err(error) = let_go(&shared, &volume, going).await {
            warn!(volume = %key, %error, "volume not removed, tried again");
            shared.config.clock.sleep(RETRY).await;
            inbox.add(key);
        }
    }
}

/// A volume of this node that is to go.
#[derive(Debug, PartialEq, Eq)]
struct Going {
    handle: String,
    keeps_data: bool,
}

impl Going {
    /// Nothing if the volume stays, for now, or is not this node's.
    fn of(object: &Object, hostname: &str) -> Option<Self> {
        let finalizers = object.metadata().finalizers.as_ref()?;
        if !object.is_terminating() || !finalizers.iter().any(|name| name == FOLDER_FINALIZER) {
            return None;
        }
        let volume: &PersistentVolume = object.typed().ok()?;
        let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
        let spec = volume.spec.as_ref()?;
        let source = spec.csi.as_ref().filter(|source| source.driver == LOCAL_DRIVER)?;
        let terms = &spec.node_affinity.as_ref()?.required.as_ref()?.node_selector_terms;
        let mut expressions = terms.iter().flat_map(|term| term.match_expressions.iter().flatten());
        let names_us = |values: &Vec<String>| values.iter().any(|value| value == hostname);
        let is_here = expressions.any(|one| one.key == HOSTNAME && one.values.as_ref().is_some_and(names_us));
        (is_here && phase != Some("Bound")).then(|| Self {
            handle: source.volume_handle.clone(),
            keeps_data: spec.persistent_volume_reclaim_policy.as_deref() != Some("Delete"),
        })
    }
}

async fn let_go(
    shared: &Shared,
    volume: &Object,
    going: Going,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if let Some(folder) = shared.places.folder_of(&going.handle).filter(|_| !going.keeps_data) {
        tokio::task::spawn_blocking(move || remove(&folder)).await??;
        info!(volume = volume.name(), "volume removed");
    }
    let finalizers = volume.metadata().finalizers.iter().flatten();
    let others: Vec<&String> = finalizers.filter(|name| *name != FOLDER_FINALIZER).collect();
    let revision = volume.revision().to_string();
    let merge = json!({"metadata": {"uid": volume.uid(), "resourceVersion": revision, "finalizers": others}});
    match shared.config.client.patch(&PERSISTENT_VOLUMES, &volume.key(), "", merge).await {
        Err(status) if status.is_not_found() => Ok(()),
        patched => Ok(patched.map(drop)?),
    }
}

/// Takes the folder out of the way first, so that a volume that takes its name since begins empty.
fn remove(folder: &Path) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".going-");
    name.push(folder.file_name().unwrap_or_default());
    let aside: PathBuf = folder.with_file_name(name);
    volumes::remove_tree(&aside)?;
    match std::fs::rename(folder, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.and_then(|()| volumes::remove_tree(&aside)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn only_what_is_deleted_here_goes() {
        let check = |more: Value, expected: Option<bool>| {
            let mut value = json!({"apiVersion": "v1", "kind": "PersistentVolume",
                "metadata": {"name": "v", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FOLDER_FINALIZER]},
                "spec": {"csi": {"driver": LOCAL_DRIVER, "volumeHandle": "h"}, "persistentVolumeReclaimPolicy": "Delete",
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                        {"key": HOSTNAME, "operator": "In", "values": ["here"]}]}]}}},
                "status": {"phase": "Released"}});
            for (path, new) in more.as_object().expect("fields") {
                *value.pointer_mut(path).expect(path) = new.clone();
            }
            let going = Going::of(&Object::from_value(value).expect("a volume"), "here");
            assert_eq!(going.map(|going| going.keeps_data), expected, "{more}");
        };
        check(json!({}), Some(false));
        check(json!({"/spec/persistentVolumeReclaimPolicy": "Retain"}), Some(true));
        check(json!({"/metadata/deletionTimestamp": null}), None);
        check(json!({"/metadata/finalizers": ["other"]}), None);
        check(json!({"/status/phase": "Bound"}), None);
        check(json!({"/spec/csi/driver": "other"}), None);
        let other = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
        check(json!({other: "there"}), None);
    }
}
