//! Numbers of pods, or shares of them in percent: what rolling updates and disruption budgets are bounded by.

use api::field::FieldError;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::names::NOT_NEGATIVE;
use crate::path::Path;

const NO_PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                          '93%', regex used for validation is '[0-9]+%')";

/// A number that is not negative, or a number of percent.
pub fn check(share: &IntOrString, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match share {
        IntOrString::Int(count) if *count < 0 => {
            errors.push(FieldError::invalid(*path, *count, NOT_NEGATIVE));
        }
        IntOrString::String(text) if percent(share).is_none() => {
            errors.push(FieldError::invalid(*path, text.as_str(), NO_PERCENT));
        }
        _ => {}
    }
}

/// More than everything is too much.
pub fn check_at_most_all(share: &IntOrString, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if percent(share).is_some_and(|percent| percent > 100) {
        errors.push(FieldError::invalid(*path, as_value(share), "must not be greater than 100%"));
    }
}

/// The number of percent, if it is one.
fn percent(share: &IntOrString) -> Option<u32> {
    let IntOrString::String(text) = share else {
        return None;
    };
    let digits = text.strip_suffix('%')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether it is nothing.
pub fn is_zero(share: &IntOrString) -> bool {
    *share == IntOrString::Int(0) || percent(share) == Some(0)
}

/// As it stands in objects.
pub fn as_value(share: &IntOrString) -> Value {
    match share {
        IntOrString::Int(count) => (*count).into(),
        IntOrString::String(text) => text.as_str().into(),
    }
}
