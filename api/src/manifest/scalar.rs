//! What a YAML scalar means, by the rules of YAML 1.1 as kubectl's reader has them.

use serde_json::{Number, Value};

use super::Problem;

enum Scalar {
    Null,
    Boolean(bool),
    Integer(Number),
    Float(f64),
    Text,
}

/// The value of a scalar. Only a plain one, without quotes, may be something else than a string,
/// unless a tag says what it is: the name of a tag that YAML itself defines.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Value, Problem> {
    let scalar = match tag {
        None if plain => interpret(text)?,
        Some(tag @ ("null" | "bool" | "int" | "float")) => match (tag, interpret(text)?) {
            ("null", scalar @ Scalar::Null)
            | ("bool", scalar @ Scalar::Boolean(_))
            | ("int", scalar @ Scalar::Integer(_))
            | ("float", scalar @ (Scalar::Integer(_) | Scalar::Float(_))) => scalar,
            _ => {
                return Err(Problem::Tag { text: text.to_owned(), tag: tag.to_owned() });
            }
        },
        Some("binary") => return Err(Problem::Binary),
        _ => Scalar::Text,
    };
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(boolean) => Value::Bool(boolean),
        Scalar::Integer(integer) => Value::Number(integer),
        Scalar::Float(float) => {
            let number = number_of_float(float);
            Value::Number(number.ok_or_else(|| Problem::NotFinite(text.to_owned()))?)
        }
        Scalar::Text => Value::String(text.to_owned()),
    })
}

/// A whole number becomes an integer: JSON as kubectl writes it has `1`, not `1.0`.
fn number_of_float(float: f64) -> Option<Number> {
    // Two to the 63rd, where the integers of JSON's readers end.
    const LARGEST: f64 = 9_223_372_036_854_775_808.0;
    if float.fract() == 0.0 && (-LARGEST..LARGEST).contains(&float) {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

fn interpret(text: &str) -> Result<Scalar, Problem> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Boolean(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Boolean(false)
        }
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes()[0] {
            b'.' => float(text).map_or(Scalar::Text, Scalar::Float),
            b'0'..=b'9' | b'+' | b'-' => number(&text.replace('_', ""))?,
            _ => Scalar::Text,
        },
    })
}

fn number(text: &str) -> Result<Scalar, Problem> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let is_integer = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if is_integer && let Some(integer) = integer(negative, digits, radix) {
        return Ok(Scalar::Integer(integer));
    }
    match float(text) {
        Some(float) => Ok(Scalar::Float(float)),
        None if is_integer && radix != 10 => Err(Problem::IntegerRange(text.to_owned())),
        None => Ok(Scalar::Text),
    }
}

fn integer(negative: bool, digits: &str, radix: u32) -> Option<Number> {
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative { Some(0_i64.checked_sub_unsigned(magnitude)?.into()) } else { Some(magnitude.into()) }
}

/// A decimal fraction, perhaps with an exponent. Beyond the range of floats it stays a text.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_form = [whole, fraction, exponent].into_iter().all(are_digits)
        && !(whole.is_empty() && fraction.is_empty())
        && !exponent.is_empty();
    text.parse().ok().filter(|float: &f64| has_form && float.is_finite())
}

/// The name of the field that a key stands for; none if it cannot stand for one.
pub(super) fn field_name(key: Value) -> Result<String, Value> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(boolean) => Ok(boolean.to_string()),
        Value::Number(number) => Ok(match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => short_float(float as f32),
            None => number.to_string(),
        }),
        other => Err(other),
    }
}

/// As kubectl writes a key that is a fraction: in single precision, with an exponent from 10^6 on.
fn short_float(float: f32) -> String {
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is an integer");
    if (-4..6).contains(&exponent) {
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
