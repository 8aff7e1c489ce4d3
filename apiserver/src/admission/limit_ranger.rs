//! Holds pods and claims to the LimitRanges of their namespace, and gives containers what these have for them.

mod constraints;

use api::resource::{LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, PODS};
use api::{Key, Status};
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Attributes, Operation, Surroundings};
use crate::store::{Collection, Snapshot};
use crate::tree;

/// What was filled in is noted here.
const NOTE: &str = "kubernetes.io/limit-ranger";

/// Gives the containers of a new pod what they do not ask for.
pub(super) fn fill_in(around: &Surroundings<'_>, key: &Key, pod: &mut Value) {
    let (ranges, _) = around.store.snapshot(&Collection::from(&LIMIT_RANGES));
    let mut defaults = Defaults::default();
    items(&ranges, &key.namespace).filter(|(_, item)| item.type_ == "Container").for_each(|(_, item)| {
        defaults.take(item);
    });
    let mut notes = Vec::new();
    let spec = tree::object(pod, "spec");
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        for container in tree::items(spec, list) {
            defaults.give(container, what, &mut notes);
        }
    }
    if !notes.is_empty() {
        let annotations = tree::object(tree::object(pod, "metadata"), "annotations");
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        tree::set(annotations, NOTE, Some(note.into()));
    }
}

/// Refuses pods and claims that are outside of the limits.
pub(super) fn check(around: &Surroundings<'_>, attributes: &Attributes<'_>) -> Result<(), Status> {
    let Some(object) = attributes.object.as_deref() else { return Ok(()) };
    let is_new_pod = attributes.is_of(&PODS) && attributes.operation == Operation::Create;
    let is_resized = attributes.subresource == "resize" && attributes.resource.plural == PODS.plural;
    let is_claim = attributes.is_of(&PERSISTENT_VOLUME_CLAIMS);
    // What ends is left alone: it may be changed so that it can end.
    if !(is_new_pod || is_resized || is_claim) || object["metadata"].get("deletionTimestamp").is_some() {
        return Ok(());
    }
    let (ranges, _) = around.store.snapshot(&Collection::from(&LIMIT_RANGES));
    if ranges.range(&attributes.key.namespace, None).next().is_none() {
        return Ok(());
    }
    let mut mistakes = Vec::new();
    let items = items(&ranges, &attributes.key.namespace);
    if is_claim {
        let claim: PersistentVolumeClaim = typed(object)?;
        items.for_each(|(_, item)| constraints::check_claim(item, &claim, &mut mistakes));
    } else {
        let pod: Pod = typed(object)?;
        items.for_each(|(_, item)| constraints::check_pod(item, &pod, &mut mistakes));
    }
    let words = match mistakes.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Err(Status::forbidden(attributes.resource, &attributes.key.name, &words))
}

/// An object that was checked before as its type.
pub(super) fn typed<T: DeserializeOwned>(object: &Value) -> Result<T, Status> {
    T::deserialize(object).map_err(Status::internal)
}

/// What the LimitRanges of a namespace say, with their names.
fn items<'a>(
    ranges: &'a Snapshot,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a str, &'a LimitRangeItem)> {
    ranges.range(namespace, None).flat_map(|object| {
        let typed = object.typed::<LimitRange>().ok().and_then(|range| range.spec.as_ref());
        typed.into_iter().flat_map(|spec| &spec.limits).map(|item| (object.name(), item))
    })
}

/// What containers get. Where several LimitRanges say something, the last counts.
#[derive(Default)]
struct Defaults {
    limits: std::collections::BTreeMap<String, String>,
    requests: std::collections::BTreeMap<String, String>,
}

impl Defaults {
    fn take(&mut self, item: &LimitRangeItem) {
        for (own, given) in [(&mut self.limits, &item.default), (&mut self.requests, &item.default_request)] {
            own.extend(given.iter().flatten().map(|(resource, amount)| (resource.clone(), amount.0.clone())));
        }
    }

    fn give(&self, container: &mut Value, what: &str, notes: &mut Vec<String>) {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        for (list, one, defaults) in
            [("requests", "request", &self.requests), ("limits", "limit", &self.limits)]
        {
            let mut given = Vec::new();
            for (resource, amount) in defaults {
                let amounts = tree::object(tree::object(container, "resources"), list);
                if amounts.get(resource).is_none() {
                    tree::set(amounts, resource, Some(amount.as_str().into()));
                    given.push(resource.as_str());
                }
            }
            if !given.is_empty() {
                notes.push(format!("{} {one} for {what} {name}", given.join(", ")));
            }
        }
    }
}
