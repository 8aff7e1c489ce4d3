//! What must hold of several schemas together: all, any, one or none of them.

use api::field::FieldError;

use serde_json::Value;

use super::super::schema::{Node, Values};
use super::At;
use super::restricted;

/// Checks `allOf`, `anyOf`, `oneOf` and `not`.
pub fn check(values: &Values, value: &Value, at: &At<'_>, errors: &mut Vec<FieldError>) {
    if !values.any_of.is_empty() {
        let failures = failures(&values.any_of, value, at);
        if failures.iter().all(|failures| !failures.is_empty()) {
            errors.push(composite(format!("\"{at}\" must validate at least one schema (anyOf)")));
            errors.extend(nearest(failures));
        }
    }
    if !values.one_of.is_empty() {
        let failures = failures(&values.one_of, value, at);
        match failures.iter().filter(|failures| failures.is_empty()).count() {
            1 => {}
            0 => {
                let words = "must validate one and only one schema (oneOf). Found none valid";
                errors.push(composite(format!("\"{at}\" {words}")));
                errors.extend(nearest(failures));
            }
            several => {
                let words = "must validate one and only one schema (oneOf). Found";
                errors.push(composite(format!("\"{at}\" {words} {several} valid alternatives")));
            }
        }
    }
    if !values.all_of.is_empty() {
        let failures = failures(&values.all_of, value, at);
        let failed = failures.iter().filter(|failures| !failures.is_empty()).count();
        if failed > 0 {
            let none = if failed == failures.len() { ". None validated" } else { "" };
            errors.extend(failures.into_iter().flatten());
            errors.push(composite(format!("\"{at}\" must validate all the schemas (allOf){none}")));
        }
    }
    if values.not.as_ref().is_some_and(|not| restricted(not, value, at).is_empty()) {
        errors.push(composite(format!("\"{at}\" must not validate the schema (not)")));
    }
}

fn failures(schemas: &[Node], value: &Value, at: &At<'_>) -> Vec<Vec<FieldError>> {
    schemas.iter().map(|schema| restricted(schema, value, at)).collect()
}

/// What is wrong by the schema that fits best.
fn nearest(failures: Vec<Vec<FieldError>>) -> Vec<FieldError> {
    failures.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// Kubernetes does not say the field of these apart from the words.
fn composite(words: String) -> FieldError {
    FieldError::invalid("<nil>", "", words)
}
