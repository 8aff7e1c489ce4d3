//! Who controls an object: finding what is one's own, adopting what is nobody's, and releasing what no longer fits.

use api::cache::{Change, Index, Snapshot};
use api::selector::LabelSelector;
use api::{Key, Object, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::framework::{Action, Target};

/// Objects that nobody controls, by namespace.
pub const ORPHANS: Index = Index {
    name: "orphans",
    texts: |object| match object.controller_uid() {
        Some(_) => vec![],
        None => vec![object.namespace().to_owned()],
    },
};

/// The objects that `owner` controls, and those without a controller that it selects.
///
/// `snapshot` must have the index [`ORPHANS`].
pub fn candidates<'a>(
    snapshot: &'a Snapshot,
    owner: &'a Object,
    selector: &'a LabelSelector,
) -> impl Iterator<Item = &'a Object> {
    let owned = snapshot.owned_by(owner.uid());
    let owned = owned.filter(|object| is_controlled_by(object, owner.uid()));
    let orphans = snapshot.by_index(ORPHANS.name, owner.namespace());
    owned.chain(orphans.filter(|object| selector.matches(object.metadata().labels.as_ref())))
}

/// Whether the owner with this uid controls the object.
pub fn is_controlled_by(object: &Object, uid: &str) -> bool {
    object.controller_uid() == Some(uid)
}

/// What an owner and a candidate have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the owner's.
    Owned,
    /// It is nobody's, and the owner takes it.
    Adopt,
    /// It was the owner's, who no longer selects it.
    Release,
    /// They stay apart.
    None,
}

/// Decides over a candidate. An owner that ends takes and gives nothing.
pub fn claim(owner: &Object, selector: &LabelSelector, object: &Object) -> Claim {
    let selected = selector.matches(object.metadata().labels.as_ref());
    match (is_controlled_by(object, owner.uid()), selected) {
        (true, true) => Claim::Owned,
        (true, false) if !owner.is_terminating() => Claim::Release,
        (false, true) if !owner.is_terminating() && !object.is_terminating() => Claim::Adopt,
        _ => Claim::None,
    }
}

/// Makes the object the owner's.
pub fn adopt(owner_resource: &Resource, owner: &Object, resource: &Resource, object: &Object) -> Action {
    let mut owners = references(object);
    owners.push(controller_reference(owner_resource, owner));
    let merge = json!({"metadata": {"ownerReferences": owners}});
    Action::patch_unchanged(resource, object, "", merge)
}

/// Makes the object no longer the owner's.
pub fn release(owner_uid: &str, resource: &Resource, object: &Object) -> Action {
    let mut owners = references(object);
    owners.retain(|owner| owner["uid"] != owner_uid);
    let merge = json!({"metadata": {"ownerReferences": owners}});
    Action::patch_unchanged(resource, object, "", merge)
}

fn references(object: &Object) -> Vec<Value> {
    let references = object.value()["metadata"]["ownerReferences"].as_array();
    references.cloned().unwrap_or_default()
}

/// The reference by which an object names its controller.
pub fn controller_reference(resource: &Resource, owner: &Object) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The reference to the object's controller.
pub fn controller_of(object: &Object) -> Option<&OwnerReference> {
    let owners = object.metadata().owner_references.as_deref()?;
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// The controllers of a changed object, before and after, as far as they are of `resource`.
pub fn controllers(change: &Change, resource: &Resource, add: &mut dyn FnMut(Target)) {
    let mut last = None;
    for object in change.objects() {
        let Some(owner) = controller_of(object) else {
            continue;
        };
        if is_of(resource, &owner.api_version, &owner.kind) && last != Some(&owner.uid) {
            last = Some(&owner.uid);
            add(Target::new(resource, Key::new(object.namespace(), owner.name.as_str())));
        }
    }
}

/// Whether `apiVersion` and `kind` name this resource.
pub fn is_of(resource: &Resource, api_version: &str, kind: &str) -> bool {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    resource.kind == kind && resource.group == group && resource.version == version
}
