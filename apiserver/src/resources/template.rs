//! What kinds share that make pods from a template: the template's defaults, and that their selector finds its pods.

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
        let Some(spec) = self.check_pods(owner, path, errors) else {
            return;
        };
        let path = path.child("template");
        let path = path.child("spec");
        match spec.restart_policy.as_deref() {
            None | Some("Always") => {}
            // Policies no pod can have were reported above.
            Some(policy @ ("OnFailure" | "Never")) => {
                let path = path.child("restartPolicy");
                errors.push(FieldError::unsupported(path, policy, &["Always"]));
            }
            Some(_) => {}
        }
        if spec.active_deadline_seconds.is_some() {
            let words = format!("activeDeadlineSeconds in {owner} is not Supported");
            errors.push(FieldError::forbidden(path.child("activeDeadlineSeconds"), words));
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
        let metadata = path.child("metadata");
        let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        if let Some(selector) = selector
            && !selector.matches(labels)
        {
            let words = "`selector` does not match template `labels`";
            let labels = serde_json::to_value(labels).unwrap_or_default();
            errors.push(FieldError::invalid(metadata.child("labels"), labels, words));
        }
        if let Some(found) = &template.metadata {
            check_labels_and_annotations(found, &metadata, errors);
        }
        let spec_path = path.child("spec");
        let Some(spec) = &template.spec else {
            errors.push(FieldError::required(spec_path.child("containers"), ""));
            return None;
        };
        check_pod_spec(spec, &spec_path, errors);
        Some(spec)
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
