//! Reads quantities: a number, a suffix, and their exact product in billionths.

use std::str::FromStr;

use super::{
    BINARY_SUFFIXES, DECIMAL_SUFFIXES, Format, LARGEST_BINARY_NANOS, LARGEST_NANOS, NANOS_PER_UNIT, Quantity,
    QuantityError,
};

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() || !has_form_of_suffix(suffix) {
            return Err(QuantityError::Form);
        }
        let suffix = Suffix::read(suffix).ok_or(QuantityError::Suffix)?;
        let mut nanos = scale(whole, fraction, suffix.decimal_power, suffix.factor);
        let mut format = suffix.format;
        if format == Format::BinarySi {
            nanos = nanos.min(LARGEST_BINARY_NANOS);
            if nanos < NANOS_PER_UNIT {
                format = Format::DecimalSi;
            }
        }
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn has_form_of_suffix(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a suffix multiplies by: ten to a power, times a factor.
struct Suffix {
    decimal_power: i64,
    factor: i128,
    format: Format,
}

impl Suffix {
    fn read(suffix: &str) -> Option<Self> {
        if let Some((_, decimal_power)) = DECIMAL_SUFFIXES.iter().find(|(letter, _)| *letter == suffix) {
            return Some(Self { decimal_power: *decimal_power, factor: 1, format: Format::DecimalSi });
        }
        if let Some(position) = BINARY_SUFFIXES.iter().position(|letters| *letters == suffix) {
            let factor = 1 << (10 * (position + 1));
            return Some(Self { decimal_power: 0, factor, format: Format::BinarySi });
        }
        let power = suffix.strip_prefix(['e', 'E'])?;
        let decimal_power = power.parse::<i32>().ok()?.into();
        Some(Self { decimal_power, factor: 1, format: Format::DecimalExponent })
    }
}

/// `whole.fraction * 10^decimal_power * factor` in billionths, rounded up, at most the largest amount.
fn scale(whole: &str, fraction: &str, decimal_power: i64, factor: i128) -> i128 {
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    let leading_zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[leading_zeros..];
    if digits.is_empty() {
        return 0;
    }
    // Where the point stands in `digits`, counting billionths as units; may be outside on both sides.
    let point = whole.len() as i64 - leading_zeros as i64 + decimal_power + 9;
    let mut nanos: i128 = 0;
    for position in 0..point.max(0) {
        let digit = usize::try_from(position).ok().and_then(|position| digits.get(position));
        let more = i128::from(digit.copied().unwrap_or(0)) * factor;
        nanos = nanos.saturating_mul(10).saturating_add(more);
        if nanos >= LARGEST_NANOS {
            return LARGEST_NANOS;
        }
    }
    let after_point = &digits[digits.len().min(point.max(0) as usize)..];
    (nanos + scale_fraction(after_point, point.min(0).unsigned_abs(), factor)).min(LARGEST_NANOS)
}

/// `0.000digits * factor` with so many zeros before the digits, rounded up.
fn scale_fraction(digits: &[u8], zeros: u64, factor: i128) -> i128 {
    let mut quotient = 0;
    let mut inexact = false;
    // After forty zeros nothing but "more than zero" is left of any factor.
    let zeros = usize::try_from(zeros.min(40)).expect("forty fits");
    for digit in digits.iter().rev().chain(std::iter::repeat_n(&0, zeros)) {
        let dividend = i128::from(*digit) * factor + quotient;
        quotient = dividend / 10;
        inexact |= dividend % 10 != 0;
    }
    quotient + i128::from(inexact)
}
