//! What kinds share that make pods from a template: the template's defaults, and that their selector finds its pods.

use std::collections::BTreeMap;

use api::field::FieldError;
use api::selector::LabelSelector;
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::Value;

use super::pod_spec::{check_pod_spec, set_spec_defaults};
use crate::names::{IMMUTABLE, NOT_NEGATIVE};
use crate::path::Path;
use crate::registry::metadata::check_labels_and_annotations;
use crate::tree;

/// Fills in what the template of a spec leaves out.
pub fn set_defaults(spec: &mut Value) {
    let template = tree::object(spec, "template");
    tree::object(template, "metadata");
    set_spec_defaults(tree::object(template, "spec"));
}

/// Counts and seconds that cannot be negative.
pub fn check_counts(path: &Path<'_>, counts: &[(&str, Option<i32>)], errors: &mut Vec<FieldError>) {
    for (field, count) in counts {
        if let Some(count) = count.filter(|count| *count < 0) {
            errors.push(FieldError::invalid(path.child(field), count, NOT_NEGATIVE));
        }
    }
}

/// A selector and the template whose pods it must find.
pub struct Check<'a> {
    /// The selector.
    pub selector: &'a meta::LabelSelector,
    /// The template.
    pub template: Option<&'a PodTemplateSpec>,
}

impl Check<'_> {
    /// Checks both, for the owner of kind `owner`, whose spec is at `path` and whose pods never end.
    pub fn run(&self, owner: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        if let Some(spec) = self.check_pods(owner, path, errors) {
            check_endless(owner, spec, &path.child("template"), errors);
        }
    }

    /// The same for pods that may end. Returns their specification.
    pub fn check_pods(&self, owner: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Option<&PodSpec> {
        let selector = self.check_selector(owner, &path.child("selector"), errors);
        let path = path.child("template");
        let Some(template) = self.template else {
            errors.push(FieldError::required(path, ""));
            return None;
        };
        if selector.is_some_and(|selector| !selector.matches(labels(template))) {
            errors.push(unselected(template, &path));
        }
        check_template(template, &path, errors)
    }

    fn check_selector(
        &self,
        owner: &str,
        path: &Path<'_>,
        errors: &mut Vec<FieldError>,
    ) -> Option<LabelSelector> {
        let selector = match LabelSelector::try_from(self.selector) {
            Ok(selector) => selector,
            Err(error) => {
                errors.push(FieldError::invalid(*path, to_value(self.selector), error.to_string()));
                return None;
            }
        };
        if selector.is_everything() {
            let words = format!("empty selector is invalid for {}", owner.to_lowercase());
            errors.push(FieldError::invalid(*path, to_value(self.selector), words));
            return None;
        }
        Some(selector)
    }
}

/// The labels that pods made from a template have.
fn labels(template: &PodTemplateSpec) -> Option<&BTreeMap<String, String>> {
    template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref())
}

fn unselected(template: &PodTemplateSpec, path: &Path<'_>) -> FieldError {
    let path = path.child("metadata");
    let labels = serde_json::to_value(labels(template)).unwrap_or_default();
    FieldError::invalid(path.child("labels"), labels, "`selector` does not match template `labels`")
}

/// The same as [`Check::run`] for an owner that selects by labels alone.
pub fn check_labelled(
    owner: &str,
    selected: &BTreeMap<String, String>,
    template: &PodTemplateSpec,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let has = |(key, value)| labels(template).and_then(|labels| labels.get(key)) == Some(value);
    if !selected.is_empty() && !selected.iter().all(has) {
        errors.push(unselected(template, path));
    }
    if let Some(spec) = check_template(template, path, errors) {
        check_endless(owner, spec, path, errors);
    }
}

/// Checks a template at `path`, whoever selects its pods. Returns their specification.
pub fn check_template<'a>(
    template: &'a PodTemplateSpec,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> Option<&'a PodSpec> {
    if let Some(metadata) = &template.metadata {
        check_labels_and_annotations(metadata, &path.child("metadata"), errors);
    }
    let path = path.child("spec");
    let Some(spec) = &template.spec else {
        errors.push(FieldError::required(path.child("containers"), ""));
        return None;
    };
    check_pod_spec(spec, &path, errors);
    Some(spec)
}

/// Pods whose number is kept are never at their end.
fn check_endless(owner: &str, spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("spec");
    // Policies no pod can have were reported before.
    if let Some(policy @ ("OnFailure" | "Never")) = spec.restart_policy.as_deref() {
        errors.push(FieldError::unsupported(path.child("restartPolicy"), policy, &["Always"]));
    }
    if spec.active_deadline_seconds.is_some() {
        let words = format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.push(FieldError::forbidden(path.child("activeDeadlineSeconds"), words));
    }
}

/// Of the replicas there are, no more can be in a certain state.
pub fn check_parts(replicas: i32, parts: &[(&str, Option<i32>)], errors: &mut Vec<FieldError>) {
    let path = Path::new("status");
    for (field, part) in parts {
        if let Some(part) = part.filter(|part| *part > replicas) {
            let words = "cannot be greater than status.replicas";
            errors.push(FieldError::invalid(path.child(field), part, words));
        }
    }
}

/// A selector cannot change: its owner would forget its pods.
pub fn check_selector_stays(
    new: &meta::LabelSelector,
    old: &meta::LabelSelector,
    errors: &mut Vec<FieldError>,
) {
    if new != old {
        errors.push(FieldError::invalid("spec.selector", to_value(new), IMMUTABLE));
    }
}

fn to_value(selector: &meta::LabelSelector) -> Value {
    serde_json::to_value(selector).unwrap_or_default()
}
