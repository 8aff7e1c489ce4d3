//! Gives claims the default class, and lets them grow only where their class allows it.

use api::quantity::Quantity;
use api::resource::PERSISTENT_VOLUME_CLAIMS;
use api::{Key, Object, Resource, Status};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use super::{Attributes, Surroundings};
use crate::builtin::Builtin;
use crate::resources::storage_class::{DEFAULT_ANNOTATIONS, StorageClasses};
use crate::store::{Collection, StoreKey};
use crate::tree;

const CLASSES: Resource = StorageClasses::RESOURCE;

/// The annotation that named the class before there was a field.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Names the default class in a new claim that names none.
pub(super) fn set_default(around: &Surroundings<'_>, attributes: &mut Attributes<'_>) {
    if !attributes.is_of(&PERSISTENT_VOLUME_CLAIMS) {
        return;
    }
    let Some(claim) = attributes.object.as_deref_mut() else { return };
    let is_given = claim["spec"]["storageClassName"].is_string();
    if is_given || claim["metadata"]["annotations"].get(CLASS).is_some() {
        return;
    }
    let (classes, _) = around.store.snapshot(&Collection::from(&CLASSES));
    let defaults = classes.iter().filter(|class| is_default(class));
    // The newest; of those that are as new, the first by name.
    let born = |class: &&Object| class.metadata().creation_timestamp.as_ref().map(|time| time.0);
    let chosen = defaults.min_by(|one, other| born(other).cmp(&born(one)).then(one.name().cmp(other.name())));
    if let Some(class) = chosen {
        tree::set(tree::object(claim, "spec"), "storageClassName", Some(class.name().into()));
    }
}

fn is_default(class: &Object) -> bool {
    DEFAULT_ANNOTATIONS.iter().any(|key| class.annotation(key) == Some("true"))
}

/// Refuses a claim that grows where that cannot be.
pub(super) fn check_growth(around: &Surroundings<'_>, attributes: &Attributes<'_>) -> Result<(), Status> {
    let (Some(new), Some(old)) = (attributes.object.as_deref(), attributes.old) else { return Ok(()) };
    if !attributes.is_of(&PERSISTENT_VOLUME_CLAIMS) || size(new) <= size(old) {
        return Ok(());
    }
    let refuse = |words: &str| Err(Status::forbidden(attributes.resource, &attributes.key.name, words));
    if old["status"]["phase"] != "Bound" {
        return refuse("Only bound persistent volume claims can be expanded");
    }
    let class = class_of(new).filter(|class| class_of(old) == Some(class));
    if class.is_none_or(|class| !can_grow(around, class)) {
        return refuse(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
             support resize",
        );
    }
    Ok(())
}

fn size(claim: &Value) -> Option<Quantity> {
    claim["spec"]["resources"]["requests"]["storage"].as_str()?.parse().ok()
}

fn class_of(claim: &Value) -> Option<&str> {
    tree::text(&claim["metadata"]["annotations"], CLASS)
        .or_else(|| tree::text(&claim["spec"], "storageClassName"))
}

fn can_grow(around: &Surroundings<'_>, class: &str) -> bool {
    let place = StoreKey { collection: Collection::from(&CLASSES), key: Key::cluster(class) };
    let class = around.store.get(&place);
    let class = class.as_ref().and_then(|class| class.typed::<StorageClass>().ok());
    class.is_some_and(|class| class.allow_volume_expansion == Some(true))
}
