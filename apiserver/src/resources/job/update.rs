//! What of a job can change: how many pods run at a time, how long it may take, and whether it runs at all.

use api::field::FieldError;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Affinity, PodTemplateSpec};
use serde::Serialize;

use crate::names::IMMUTABLE;
use crate::path::Path;

/// Checks what changes from `old` to `new`.
pub(super) fn check(new: &Job, old: &Job, errors: &mut Vec<FieldError>) {
    let (Some(new), Some(spec)) = (&new.spec, &old.spec) else {
        return;
    };
    let path = Path::new("spec");
    check_completions(new, spec, &path, errors);
    stay(&new.selector, &spec.selector, path.child("selector"), errors);
    let started = old.status.as_ref().is_some_and(|status| status.start_time.is_some());
    let movable = spec.suspend == Some(true) && !started;
    let template = if movable { placed_as(&spec.template, &new.template) } else { spec.template.clone() };
    stay(&new.template, &template, path.child("template"), errors);
    stay(&new.completion_mode, &spec.completion_mode, path.child("completionMode"), errors);
    stay(&new.managed_by, &spec.managed_by, path.child("managedBy"), errors);
}

fn stay<T: PartialEq + Serialize>(new: &T, old: &T, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if new != old {
        let value = serde_json::to_value(new).unwrap_or_default();
        errors.push(FieldError::invalid(path, value, IMMUTABLE));
    }
}

/// A job with indexes can have more or fewer of them, as long as all may run at the same time.
fn check_completions(new: &JobSpec, old: &JobSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if new.completion_mode.as_deref() != Some("Indexed") {
        stay(&new.completions, &old.completions, path.child("completions"), errors);
    } else if let Some(count) = new.completions
        && new.completions != old.completions
        && new.completions != new.parallelism
    {
        let words = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid(path.child("completions"), count, words));
    }
}

/// `old` with everything as in `new` that says where its pods go: whoever queues jobs decides that before they start.
fn placed_as(old: &PodTemplateSpec, new: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = old.clone();
    let metadata = template.metadata.get_or_insert_default();
    let wanted = new.metadata.clone().unwrap_or_default();
    metadata.annotations = wanted.annotations;
    metadata.labels = wanted.labels;
    if let (Some(spec), Some(new)) = (&mut template.spec, &new.spec) {
        let node_affinity = new.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
        let rest = spec.affinity.take().unwrap_or_default();
        let affinity = Affinity { node_affinity, ..rest };
        let nothing = new.affinity.is_none() && affinity == Affinity::default();
        spec.affinity = (!nothing).then_some(affinity);
        spec.node_selector.clone_from(&new.node_selector);
        spec.tolerations.clone_from(&new.tolerations);
        spec.scheduling_gates.clone_from(&new.scheduling_gates);
    }
    template
}
