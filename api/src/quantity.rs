//! Amounts of resources as Kubernetes writes them: `100m`, `1.5Gi`, `12e6`. Exact to a billionth.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod parse;

const NANOS_PER_UNIT: i128 = 1_000_000_000;
const NANOS_PER_MILLI: i128 = 1_000_000;
/// Ten to the 28th units: beyond every sensible amount, and the sum of two fits in an `i128`.
const LARGEST_NANOS: i128 = 10_i128.pow(37);
/// Amounts written with binary suffixes stop here, as in Kubernetes.
const LARGEST_BINARY_NANOS: i128 = i64::MAX as i128 * NANOS_PER_UNIT;

const DECIMAL_SUFFIXES: [(&str, i64); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// In order: each is 1024 times the one before it, the first is 1024 units.
const BINARY_SUFFIXES: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// How an amount was written, hence how it is written back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Powers of 1000 with a letter: `100m`, `12M`.
    #[default]
    DecimalSi,
    /// Powers of 1024 with two letters: `64Mi`.
    BinarySi,
    /// Powers of ten: `12e6`.
    DecimalExponent,
}

/// The text is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number followed by a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// A number followed by letters that are no suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// An amount of a resource. Compares by value: `1` and `1000m` are equal.
///
/// Anything smaller than a billionth is rounded away from zero to it; amounts stop at 10^28, and at
/// 2^63-1 when they are written with a binary suffix.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// So many whole units.
    pub fn from_units(units: i64, format: Format) -> Self {
        Self { nanos: i128::from(units) * NANOS_PER_UNIT, format }
    }

    /// So many thousandths.
    pub fn from_millis(millis: i64) -> Self {
        Self { nanos: i128::from(millis) * NANOS_PER_MILLI, format: Format::DecimalSi }
    }

    /// The family of suffixes it is written with.
    pub fn format(self) -> Format {
        self.format
    }

    /// Whole units, rounded away from zero; the nearest `i64` if it is beyond.
    pub fn value(self) -> i64 {
        round_away(self.nanos, NANOS_PER_UNIT)
    }

    /// Thousandths, rounded away from zero; the nearest `i64` if it is beyond.
    pub fn millis(self) -> i64 {
        round_away(self.nanos, NANOS_PER_MILLI)
    }

    /// Is it nothing?
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Is it less than nothing?
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The sum, if it is not beyond 10^28. Nothing takes the format of the other.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let nanos = self.nanos + other.nanos;
        (nanos.abs() <= LARGEST_NANOS).then_some(Self { nanos, format: self.joint_format(other) })
    }

    /// The difference, if it is not beyond 10^28. Nothing takes the format of the other.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.negated())
    }

    /// The sum, or the largest amount.
    pub fn saturating_add(self, other: Self) -> Self {
        let nanos = (self.nanos + other.nanos).clamp(-LARGEST_NANOS, LARGEST_NANOS);
        Self { nanos, format: self.joint_format(other) }
    }

    /// The difference, or the largest amount.
    pub fn saturating_sub(self, other: Self) -> Self {
        self.saturating_add(other.negated())
    }

    /// As much, with the other sign.
    pub fn negated(self) -> Self {
        Self { nanos: -self.nanos, format: self.format }
    }

    fn joint_format(self, other: Self) -> Format {
        if self.is_zero() { other.format } else { self.format }
    }

    fn write_decimal(self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mantissa = self.nanos;
        let mut exponent = -9;
        while mantissa % 1000 == 0 {
            mantissa /= 1000;
            exponent += 3;
        }
        let letters = DECIMAL_SUFFIXES.iter().find(|(_, power)| *power == exponent);
        match (self.format, letters) {
            (_, Some(("", _))) => write!(formatter, "{mantissa}"),
            (Format::DecimalExponent, _) | (_, None) => write!(formatter, "{mantissa}e{exponent}"),
            (_, Some((letter, _))) => write!(formatter, "{mantissa}{letter}"),
        }
    }

    fn write_binary(self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mantissa = self.nanos / NANOS_PER_UNIT;
        let mut suffix = "";
        for larger in BINARY_SUFFIXES {
            if mantissa % 1024 != 0 {
                break;
            }
            mantissa /= 1024;
            suffix = larger;
        }
        write!(formatter, "{mantissa}{suffix}")
    }
}

fn round_away(nanos: i128, unit: i128) -> i64 {
    let quotient = nanos / unit;
    let rounded = if nanos % unit == 0 { quotient } else { quotient + nanos.signum() };
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

/// The canonical form: the largest suffix that leaves no fraction.
impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return formatter.write_str("0");
        }
        let whole = self.nanos % NANOS_PER_UNIT == 0;
        let small = self.nanos.abs() < 1024 * NANOS_PER_UNIT;
        match self.format {
            Format::BinarySi if whole && !small => self.write_binary(formatter),
            Format::BinarySi => Self { format: Format::DecimalSi, ..*self }.write_decimal(formatter),
            Format::DecimalSi | Format::DecimalExponent => self.write_decimal(formatter),
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl TryFrom<&ApiQuantity> for Quantity {
    type Error = QuantityError;

    fn try_from(quantity: &ApiQuantity) -> Result<Self, QuantityError> {
        quantity.0.parse()
    }
}

impl From<Quantity> for ApiQuantity {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Reads what users write: a string or a number; null is nothing.
struct Written;

impl Visitor<'_> for Written {
    type Value = Quantity;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a quantity as a string or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Quantity, E> {
        Ok(Quantity::from_units(units, Format::DecimalSi))
    }

    fn visit_u64<E: de::Error>(self, units: u64) -> Result<Quantity, E> {
        Ok(Quantity { nanos: i128::from(units) * NANOS_PER_UNIT, format: Format::DecimalSi })
    }

    fn visit_f64<E: de::Error>(self, units: f64) -> Result<Quantity, E> {
        // The shortest decimal that reads back as this number is what the user wrote.
        self.visit_str(&units.to_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Quantity, E> {
        Ok(Quantity::ZERO)
    }
}

#[cfg(test)]
mod tests;
