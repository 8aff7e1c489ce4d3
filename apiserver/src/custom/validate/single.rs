//! What one value may be: how long, how great, of what pattern and format.

use api::field::{FieldError, Mistake};
use serde_json::{Number, Value};

use super::super::format;
use super::super::schema::{Bound, Values};
use super::At;
use super::invalid;

/// Checks a text.
pub fn text(values: &Values, text: &str, at: &At<'_>, errors: &mut Vec<FieldError>) {
    let letters = text.chars().count() as u64;
    if let Some(most) = values.max_length.filter(|most| letters > *most) {
        errors.push(FieldError::too_long(at, usize::try_from(most).unwrap_or(usize::MAX)));
    }
    if let Some(least) = values.min_length.filter(|least| letters < *least) {
        errors.push(invalid(at, text, &format!("should be at least {least} chars long")));
    }
    if let Some((pattern, _)) = values.pattern.as_ref().filter(|(_, pattern)| !pattern.is_match(text)) {
        errors.push(invalid(at, text, &format!("should match '{pattern}'")));
    }
    if !format::fits(&values.format, text) {
        let detail = format!("{at} in body must be of type {}: {text:?}", values.format);
        let mistake = Mistake::WrongType(text.into());
        errors.push(FieldError { field: at.into(), mistake, detail });
    }
}

/// Checks a number.
pub fn number(values: &Values, number: &Number, at: &At<'_>, errors: &mut Vec<FieldError>) {
    let mut refuse = |words: String| errors.push(invalid(at, Value::Number(number.clone()), &words));
    let order = |bound: &Number| compare(number, bound);
    if let Some((most, kind)) = &values.maximum {
        match (order(most), kind) {
            (Some(std::cmp::Ordering::Greater), Bound::Inclusive) => {
                refuse(format!("should be less than or equal to {most}"));
            }
            (Some(std::cmp::Ordering::Greater | std::cmp::Ordering::Equal), Bound::Exclusive) => {
                refuse(format!("should be less than {most}"));
            }
            _ => {}
        }
    }
    if let Some((least, kind)) = &values.minimum {
        match (order(least), kind) {
            (Some(std::cmp::Ordering::Less), Bound::Inclusive) => {
                refuse(format!("should be greater than or equal to {least}"));
            }
            (Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal), Bound::Exclusive) => {
                refuse(format!("should be greater than {least}"));
            }
            _ => {}
        }
    }
    if let Some(factor) = values.multiple_of.as_ref().filter(|factor| !is_multiple(number, factor)) {
        refuse(format!("should be a multiple of {factor}"));
    }
}

/// Checks how many items a list has.
pub fn items(values: &Values, count: usize, at: &At<'_>, errors: &mut Vec<FieldError>) {
    if let Some(most) = over(count, values.max_items) {
        errors.push(FieldError::too_many(at, count, most));
    }
    if let Some(least) = values.min_items.filter(|least| (count as u64) < *least) {
        errors.push(invalid(at, count, &format!("should have at least {least} items")));
    }
}

/// Checks how many fields an object has.
pub fn fields(values: &Values, count: usize, at: &At<'_>, errors: &mut Vec<FieldError>) {
    if let Some(most) = over(count, values.max_properties) {
        errors.push(FieldError::too_many(at, count, most));
    }
    if let Some(least) = values.min_properties.filter(|least| (count as u64) < *least) {
        errors.push(invalid(at, count, &format!("should have at least {least} properties")));
    }
}

fn over(count: usize, most: Option<u64>) -> Option<usize> {
    usize::try_from(most?).ok().filter(|most| count > *most)
}

/// Compares exactly where both are whole numbers.
fn compare(one: &Number, other: &Number) -> Option<std::cmp::Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn is_multiple(number: &Number, factor: &Number) -> bool {
    match (number.as_i128(), factor.as_i128()) {
        (_, Some(0)) => false,
        (Some(number), Some(factor)) => number % factor == 0,
        _ => {
            let quotient = number.as_f64().zip(factor.as_f64()).map(|(number, factor)| number / factor);
            quotient.is_some_and(|quotient| quotient.fract() == 0.0)
        }
    }
}
