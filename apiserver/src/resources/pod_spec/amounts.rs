//! Amounts of resources that containers request and are limited to.

use std::collections::BTreeMap;

use api::field::FieldError;
use api::quantity::Quantity;
use api::selector::check_label_key;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use crate::names::NOT_NEGATIVE;
use crate::path::Path;

const STANDARD: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

/// Checks the amounts of a container.
pub fn check(resources: &ResourceRequirements, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let limits_path = path.child("limits");
    let requests_path = path.child("requests");
    let limits = read(resources.limits.iter().flatten(), &limits_path, errors);
    // What is limited is requested too unless the user says otherwise; a mistake is reported once.
    let copied = |(resource, amount): &(&String, &Written)| {
        resources.limits.as_ref().and_then(|limits| limits.get(*resource)) == Some(*amount)
    };
    let (same, own): (Vec<_>, Vec<_>) = resources.requests.iter().flatten().partition(copied);
    let mut requests = read(own, &requests_path, errors);
    requests.extend(same.into_iter().filter_map(|(resource, _)| limits.get_key_value(resource.as_str())));
    for (resource, request) in &requests {
        match limits.get(resource) {
            Some(limit) if request > limit => {
                let words = format!("must be less than or equal to {resource} limit of {limit}");
                errors.push(FieldError::invalid(requests_path, request.to_string(), words));
            }
            Some(limit) if request != limit && !may_overcommit(resource) => {
                let words = format!("must be equal to {resource} limit of {limit}");
                errors.push(FieldError::invalid(requests_path, request.to_string(), words));
            }
            None if !may_overcommit(resource) => {
                let words = "Limit must be set for non overcommitable resources";
                errors.push(FieldError::required(limits_path.key(resource), words));
            }
            _ => {}
        }
    }
}

fn may_overcommit(resource: &str) -> bool {
    STANDARD.contains(&resource)
}

fn read<'a>(
    amounts: impl IntoIterator<Item = (&'a String, &'a Written)>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'a str, Quantity> {
    let mut read = BTreeMap::new();
    for (resource, amount) in amounts {
        let path = path.key(resource);
        let mistakes = check_label_key(resource).into_iter();
        errors.extend(mistakes.map(|words| FieldError::invalid(path, resource.as_str(), words)));
        let standard = STANDARD.contains(&resource.as_str()) || resource.starts_with("hugepages-");
        if !resource.contains('/') && !standard {
            let words = "must be a standard resource for containers";
            errors.push(FieldError::invalid(path, resource.as_str(), words));
        }
        match Quantity::try_from(amount) {
            Err(error) => errors.push(FieldError::invalid(path, amount.0.as_str(), error.to_string())),
            Ok(quantity) if quantity.is_negative() => {
                errors.push(FieldError::invalid(path, amount.0.as_str(), NOT_NEGATIVE));
            }
            Ok(quantity) if resource.contains('/') && quantity.millis() % 1000 != 0 => {
                errors.push(FieldError::invalid(path, amount.0.as_str(), "must be an integer"));
            }
            Ok(quantity) => {
                read.insert(resource.as_str(), quantity);
            }
        }
    }
    read
}
