//! Going over from client-side apply: what kubectl noted in an annotation when it applied by itself.

use serde_json::Value;

use super::{Apply, Conflict};
use crate::managed::compare::compare;
use crate::managed::{Manager, fields, text};
use crate::tree;

/// Where kubectl notes what it applied by itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The manager under which kubectl applies by the server; another name opts out.
const KUBECTL: &str = "kubectl";

/// All annotations together, as for any object.
const LARGEST_ANNOTATIONS: usize = 256 << 10;

/// The conflicts without those about fields that kubectl itself applied before and nobody changed since.
pub(super) fn without_own(conflicts: Vec<Conflict>, request: Apply<'_>, live: &Value) -> Vec<Conflict> {
    if request.manager.name != KUBECTL {
        return conflicts;
    }
    let shape = request.versions.shape(request.versions.current());
    let Some(last) = last_applied(live).filter(|last| last["apiVersion"] == live["apiVersion"]) else {
        return conflicts;
    };
    let differs = compare(shape, &last, live, &[]);
    let mut own = fields::named(shape, &last, &[]);
    for gone in [&differs.modified, &differs.added, &differs.removed] {
        own = own.difference(gone);
    }
    let others = conflicts.into_iter().filter_map(|conflict| {
        let left = conflict.set().map(|set| set.difference(&own)).unwrap_or_default();
        (!left.is_empty()).then(|| text::written(&left)).map(|fields| Conflict { fields, ..conflict })
    });
    others.collect()
}

fn last_applied(live: &Value) -> Option<Value> {
    let noted = tree::text(live.get("metadata")?.get("annotations")?, LAST_APPLIED)?;
    serde_json::from_str(noted).ok()
}

/// Notes what kubectl applied where it noted it before, as older ones look there.
pub(super) fn sync(object: &mut Value, config: &Value, manager: &Manager<'_>) {
    let is_noted = |object: &Value| tree::text(&object["metadata"]["annotations"], LAST_APPLIED).is_some();
    if manager.name != KUBECTL || !is_noted(object) {
        return;
    }
    let mut config = config.clone();
    let metadata = tree::object(&mut config, "metadata");
    tree::set(metadata, "managedFields", None);
    if let Some(annotations) = tree::field(metadata, "annotations") {
        tree::set(annotations, LAST_APPLIED, None);
    }
    let annotations = tree::object(tree::object(object, "metadata"), "annotations");
    tree::set(annotations, LAST_APPLIED, Some(format!("{config}\n").into()));
    let lengths = annotations.as_object().into_iter().flatten();
    let bytes: usize = lengths.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > LARGEST_ANNOTATIONS {
        tree::set(annotations, LAST_APPLIED, None);
    }
}
