//! What is measured, and where it is to be.

use api::field::FieldError;
use api::quantity::Quantity;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, MetricIdentifier, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use crate::path::Path;

const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

const NEITHER: &str = "must set either a target raw value or a target utilization";
const BOTH: &str = "may not set both a target raw value and a target utilization";

/// Checks one metric: its type names the one source it has.
pub(super) fn check(metric: &MetricSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if metric.type_.is_empty() {
        errors.push(FieldError::required(path.child("type"), "must specify a metric source type"));
    }
    if !TYPES.contains(&metric.type_.as_str()) {
        errors.push(FieldError::unsupported(path.child("type"), metric.type_.as_str(), &TYPES));
    }
    let sources = [
        ("containerResource", metric.container_resource.is_some()),
        ("external", metric.external.is_some()),
        ("object", metric.object.is_some()),
        ("pods", metric.pods.is_some()),
        ("resource", metric.resource.is_some()),
    ];
    let given = || sources.iter().filter(|(_, given)| *given).map(|(source, _)| *source);
    if let Some(first) = given().next() {
        check_source(metric, &path.child(first), errors);
    }
    let mut expected = metric.type_.clone();
    if let Some(first) = expected.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    if given().all(|source| source != expected) {
        let words = "must populate information for the given metric source";
        errors.push(FieldError::required(path.child(&expected), words));
    }
    for source in given().filter(|source| given().count() > 1 && *source != expected) {
        errors.push(FieldError::forbidden(path.child(source), "must populate the given metric source only"));
    }
}

fn check_source(metric: &MetricSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let at_target = path.child("target");
    if let Some(source) = &metric.container_resource {
        require(&source.name, path.child("name"), "must specify a resource name", errors);
        require(&source.container, path.child("container"), "must specify a container", errors);
        check_of_resource(&source.target, &at_target, errors);
    } else if let Some(source) = &metric.external {
        check_identifier(&source.metric, &path.child("metric"), errors);
        check_target(&source.target, &at_target, errors);
        match (&source.target.value, &source.target.average_value) {
            (None, None) => {
                let words = "must set either a target value for metric or a per-pod target";
                errors.push(FieldError::required(at_target.child("averageValue"), words));
            }
            (Some(_), Some(_)) => {
                let words = "may not set both a target value for metric and a per-pod target";
                errors.push(FieldError::forbidden(at_target.child("value"), words));
            }
            _ => {}
        }
    } else if let Some(source) = &metric.object {
        check_reference(&source.described_object, &path.child("describedObject"), errors);
        check_identifier(&source.metric, &path.child("metric"), errors);
        check_target(&source.target, &at_target, errors);
        if source.target.value.is_none() && source.target.average_value.is_none() {
            let words = "must set either a target value or a target averageValue";
            errors.push(FieldError::required(at_target.child("averageValue"), words));
        }
    } else if let Some(source) = &metric.pods {
        check_identifier(&source.metric, &path.child("metric"), errors);
        check_target(&source.target, &at_target, errors);
        if !source.target.average_value.as_ref().is_some_and(is_positive) {
            let words = "must specify a positive target averageValue";
            errors.push(FieldError::required(at_target.child("averageValue"), words));
        }
    } else if let Some(source) = &metric.resource {
        require(&source.name, path.child("name"), "must specify a resource name", errors);
        check_of_resource(&source.target, &at_target, errors);
    }
}

fn check_of_resource(target: &MetricTarget, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_target(target, path, errors);
    match (target.average_utilization, &target.average_value) {
        (None, None) => errors.push(FieldError::required(path.child("averageUtilization"), NEITHER)),
        (Some(_), Some(_)) => errors.push(FieldError::forbidden(path.child("averageValue"), BOTH)),
        _ => {}
    }
}

fn check_target(target: &MetricTarget, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = target.type_.as_str();
    if kind.is_empty() {
        errors.push(FieldError::required(path.child("type"), "must specify a metric target type"));
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let words = "must be either Utilization, Value, or AverageValue";
        errors.push(FieldError::invalid(path.child("type"), kind, words));
    }
    for (field, value) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(value) = value.as_ref().filter(|value| !is_positive(value)) {
            errors.push(FieldError::invalid(path.child(field), value.0.as_str(), "must be positive"));
        }
    }
    if let Some(share) = target.average_utilization.filter(|share| *share < 1) {
        errors.push(FieldError::invalid(path.child("averageUtilization"), share, "must be greater than 0"));
    }
}

fn is_positive(amount: &Written) -> bool {
    Quantity::try_from(amount).is_ok_and(|amount| !amount.is_zero() && !amount.is_negative())
}

fn check_identifier(metric: &MetricIdentifier, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("name");
    require(&metric.name, path, "must specify a metric name", errors);
    check_segment(&metric.name, path, errors);
}

/// Checks what an autoscaler refers to.
pub(super) fn check_reference(
    reference: &CrossVersionObjectReference,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for (field, text) in [("kind", &reference.kind), ("name", &reference.name)] {
        require(text, path.child(field), "", errors);
        check_segment(text, path.child(field), errors);
    }
}

fn require(text: &str, path: Path<'_>, words: &str, errors: &mut Vec<FieldError>) {
    if text.is_empty() {
        errors.push(FieldError::required(path, words));
    }
}

/// A text that is one step of a path.
fn check_segment(text: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if matches!(text, "." | "..") {
        errors.push(FieldError::invalid(path, text, format!("may not be '{text}'")));
    }
    for letter in ['/', '%'].into_iter().filter(|letter| text.contains(*letter)) {
        errors.push(FieldError::invalid(path, text, format!("may not contain '{letter}'")));
    }
}
