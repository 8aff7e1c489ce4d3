//! Lists of resources and their amounts, as claims, quotas and limits have them.

use std::collections::BTreeMap;

use api::field::FieldError;
use api::quantity::Quantity;
use api::selector::check_label_key;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use serde_json::Value;

use crate::names::NOT_NEGATIVE;
use crate::path::Path;

/// A list as it is written.
pub type List = BTreeMap<String, Written>;

/// The amounts that can be read, by the names of their resources; reports the others.
pub fn read<'a>(
    list: Option<&'a List>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'a str, Quantity> {
    let mut amounts = BTreeMap::new();
    for (resource, written) in list.into_iter().flatten() {
        match Quantity::try_from(written) {
            Ok(amount) => {
                amounts.insert(resource.as_str(), amount);
            }
            Err(error) => {
                errors.push(FieldError::invalid(path.key(resource), written.0.as_str(), error.to_string()));
            }
        }
    }
    amounts
}

/// The amounts of a list in JSON that can be read.
pub fn of_value(list: &Value) -> BTreeMap<String, Quantity> {
    let entries = list.as_object().into_iter().flatten();
    let amounts = entries.filter_map(|(resource, amount)| {
        let amount = serde_json::from_value(amount.clone()).ok()?;
        Some((resource.clone(), amount))
    });
    amounts.collect()
}

/// Amounts that cannot be less than nothing.
pub fn check_not_negative(amounts: &BTreeMap<&str, Quantity>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (resource, amount) in amounts.iter().filter(|(_, amount)| amount.is_negative()) {
        errors.push(FieldError::invalid(path.key(resource), amount.to_string(), NOT_NEGATIVE));
    }
}

/// An amount of storage, which is more than nothing.
pub fn check_positive(amount: Quantity, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if amount.is_zero() || amount.is_negative() {
        errors.push(FieldError::invalid(path, amount.to_string(), "must be greater than zero"));
    }
}

/// A name of a resource: one with a domain, or one that is known.
pub fn check_name(
    resource: &str,
    is_known: impl Fn(&str) -> bool,
    words: &str,
    path: Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mistakes = check_label_key(resource).into_iter();
    errors.extend(mistakes.map(|words| FieldError::invalid(path, resource, words)));
    if !resource.contains('/') && !is_known(resource) {
        errors.push(FieldError::invalid(path, resource, words));
    }
}
