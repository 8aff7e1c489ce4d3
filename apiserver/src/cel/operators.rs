//! The operators, and the functions that every expression uses.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use kube_cel::cel;
use regex::RegexBuilder;

use super::Failure;
use super::evaluate::failed;
use super::library;
use super::node::Operator;
use super::value::{Key, Value};

const NO_OVERLOAD: &str = "no such overload";

/// A regular expression may take this much memory compiled.
const LARGEST_REGEX: usize = 1 << 20;

/// Texts are walked through ten bytes a step, as in Kubernetes.
const BYTES_A_STEP: u64 = 10;

/// What an operator costs besides its own step.
pub fn cost(operator: Operator, one: &Value<'_>, other: &Value<'_>) -> u64 {
    let (one, other) = (walk(one), walk(other));
    match operator {
        Operator::Add => one + other,
        Operator::Equals | Operator::NotEquals => one.min(other),
        Operator::Less | Operator::LessEquals | Operator::Greater | Operator::GreaterEquals => one.min(other),
        Operator::In => other,
        _ => 0,
    }
}

/// What a call costs besides its own step.
pub fn cost_of_call(name: &str, target: Option<&Value<'_>>, arguments: &[Value<'_>]) -> u64 {
    let target = target.map_or(0, walk);
    let arguments = arguments.iter().map(walk);
    match name {
        // They may look at everything for everything, or write as much.
        "replace" | "join" | "matches" | "find" | "findAll" | "sets.contains" | "sets.equivalent"
        | "sets.intersects" | "distinct" | "sort" => {
            arguments.fold(target + 1, |cost, argument| cost.saturating_mul(argument + 1))
        }
        "size" | "type" | "dyn" | "has" => 0,
        _ => arguments.fold(target, u64::saturating_add),
    }
}

fn walk(value: &Value<'_>) -> u64 {
    let size = value.size() as u64;
    match value {
        Value::Text(_) | Value::Bytes(_) => size / BYTES_A_STEP,
        _ => size,
    }
}

/// A field of a map, or whether it is there.
pub fn select<'a>(operand: &Value<'a>, field: &str, test: bool) -> Result<Value<'a>, Failure> {
    if let Value::Optional(optional) = operand {
        return match (optional, test) {
            (None, true) => Ok(Value::Bool(false)),
            (None, false) => Ok(Value::Optional(None)),
            (Some(inner), true) => select(inner, field, true),
            (Some(inner), false) => Ok(Value::Optional(inner.at(&name(field)).map(Box::new))),
        };
    }
    if let Value::Receiver(receiver) = operand {
        return match (receiver.field(field), test) {
            (found, true) => Ok(Value::Bool(found.is_some())),
            (Some(value), false) => Ok(value),
            (None, false) => failed(format!("no such key: {field}")),
        };
    }
    if !matches!(operand, Value::Object(_) | Value::Map(_)) {
        return failed(NO_OVERLOAD);
    }
    match (operand.at(&name(field)), test) {
        (found, true) => Ok(Value::Bool(found.is_some())),
        (Some(value), false) => Ok(value),
        (None, false) => failed(format!("no such key: {field}")),
    }
}

fn name(field: &str) -> Key<'_> {
    Key::Text(Cow::Borrowed(field))
}

/// An operator with one operand.
pub fn unary<'a>(operator: Operator, one: &Value<'a>) -> Result<Value<'a>, Failure> {
    match (operator, one) {
        (Operator::Not, Value::Bool(bool)) => Ok(Value::Bool(!bool)),
        (Operator::Negate, Value::Int(int)) => {
            int.checked_neg().map_or_else(overflow, |int| Ok(Value::Int(int)))
        }
        (Operator::Negate, Value::Double(double)) => Ok(Value::Double(-double)),
        _ => failed(NO_OVERLOAD),
    }
}

fn overflow<T>() -> Result<T, Failure> {
    failed("integer overflow")
}

/// An operator with two operands.
pub fn binary<'a>(operator: Operator, one: Value<'a>, other: &Value<'a>) -> Result<Value<'a>, Failure> {
    let order = |is: fn(Ordering) -> bool| match one.compare(other) {
        Some(ordering) => Ok(Value::Bool(is(ordering))),
        None if is_number(&one) && is_number(other) => Ok(Value::Bool(false)),
        None => failed(NO_OVERLOAD),
    };
    match operator {
        Operator::Equals => Ok(Value::Bool(one == *other)),
        Operator::NotEquals => Ok(Value::Bool(one != *other)),
        Operator::Less => order(Ordering::is_lt),
        Operator::LessEquals => order(Ordering::is_le),
        Operator::Greater => order(Ordering::is_gt),
        Operator::GreaterEquals => order(Ordering::is_ge),
        Operator::In => is_in(&one, other),
        Operator::Index => index(&one, other),
        Operator::IndexOptional | Operator::SelectOptional => index_optional(&one, other),
        _ => calculate(operator, one, other),
    }
}

fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

fn is_in<'a>(one: &Value<'a>, other: &Value<'a>) -> Result<Value<'a>, Failure> {
    if let Some(items) = other.items() {
        return Ok(Value::Bool(items.contains(one)));
    }
    match (other, one.to_key()) {
        (Value::Object(_) | Value::Map(_), Some(key)) => Ok(Value::Bool(other.at(&key).is_some())),
        _ => failed(NO_OVERLOAD),
    }
}

fn index<'a>(one: &Value<'a>, other: &Value<'a>) -> Result<Value<'a>, Failure> {
    if let Value::Optional(_) = one {
        return index_optional(one, other);
    }
    let Some(key) = other.to_key() else {
        return failed(NO_OVERLOAD);
    };
    match (one, &key) {
        (Value::Array(_) | Value::List(_), Key::Number(index)) => {
            match usize::try_from(*index).ok().and_then(|at| item(one, at)) {
                Some(value) => Ok(value),
                None => failed(format!("index out of bounds: {index}")),
            }
        }
        (Value::Object(_) | Value::Map(_), key) => match one.at(key) {
            Some(value) => Ok(value),
            None => failed(match key {
                Key::Text(text) => format!("no such key: {text}"),
                Key::Number(number) => format!("no such key: {number}"),
                Key::Bool(bool) => format!("no such key: {bool}"),
            }),
        },
        _ => failed(NO_OVERLOAD),
    }
}

fn item<'a>(list: &Value<'a>, at: usize) -> Option<Value<'a>> {
    match list {
        Value::Array(items) => items.get(at).map(Value::json),
        Value::List(items) => items.get(at).cloned(),
        _ => None,
    }
}

fn index_optional<'a>(one: &Value<'a>, other: &Value<'a>) -> Result<Value<'a>, Failure> {
    let found = match one {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => index(inner, other).ok(),
        Value::Array(_) | Value::List(_) | Value::Object(_) | Value::Map(_) => index(one, other).ok(),
        _ => return failed(NO_OVERLOAD),
    };
    Ok(Value::Optional(found.map(Box::new)))
}

fn calculate<'a>(operator: Operator, one: Value<'a>, other: &Value<'a>) -> Result<Value<'a>, Failure> {
    match (operator, one, other) {
        (_, Value::Int(one), Value::Int(other)) => whole(operator, one, *other),
        (_, Value::Uint(one), Value::Uint(other)) => natural(operator, one, *other),
        (Operator::Add, Value::Double(one), Value::Double(other)) => Ok(Value::Double(one + other)),
        (Operator::Subtract, Value::Double(one), Value::Double(other)) => Ok(Value::Double(one - other)),
        (Operator::Multiply, Value::Double(one), Value::Double(other)) => Ok(Value::Double(one * other)),
        (Operator::Divide, Value::Double(one), Value::Double(other)) => Ok(Value::Double(one / other)),
        (Operator::Add, Value::Text(one), Value::Text(other)) => {
            let mut text = one.into_owned();
            text.push_str(other);
            Ok(Value::Text(Cow::Owned(text)))
        }
        (Operator::Add, Value::Bytes(one), Value::Bytes(other)) => {
            Ok(Value::Bytes(Arc::new([one.as_slice(), other.as_slice()].concat())))
        }
        (Operator::Add, one @ (Value::Array(_) | Value::List(_)), Value::Array(_) | Value::List(_)) => {
            let both = [one.items(), other.items()].into_iter().flatten().flatten();
            Ok(Value::list(both.collect()))
        }
        (Operator::Add, Value::Foreign(one), Value::Foreign(other)) => foreign(one + other.clone()),
        (Operator::Subtract, Value::Foreign(one), Value::Foreign(other)) => foreign(one - other.clone()),
        _ => failed(NO_OVERLOAD),
    }
}

fn foreign<'a>(result: cel::ResolveResult) -> Result<Value<'a>, Failure> {
    match result.ok().and_then(library::native) {
        Some(value) => Ok(value),
        None => failed(NO_OVERLOAD),
    }
}

fn whole<'a>(operator: Operator, one: i64, other: i64) -> Result<Value<'a>, Failure> {
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide if other == 0 => return failed("division by zero"),
        Operator::Modulo if other == 0 => return failed("modulus by zero"),
        Operator::Divide => one.checked_div(other),
        Operator::Modulo => one.checked_rem(other),
        _ => return failed(NO_OVERLOAD),
    };
    result.map_or_else(overflow, |int| Ok(Value::Int(int)))
}

fn natural<'a>(operator: Operator, one: u64, other: u64) -> Result<Value<'a>, Failure> {
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide if other == 0 => return failed("division by zero"),
        Operator::Modulo if other == 0 => return failed("modulus by zero"),
        Operator::Divide => one.checked_div(other),
        Operator::Modulo => one.checked_rem(other),
        _ => return failed(NO_OVERLOAD),
    };
    result.map_or_else(|| failed("unsigned integer overflow"), |uint| Ok(Value::Uint(uint)))
}

/// The functions that are no libraries'; none if it is one of theirs.
pub fn function<'a>(
    name: &str,
    target: Option<&Value<'a>>,
    arguments: &[Value<'a>],
) -> Option<Result<Value<'a>, Failure>> {
    let all: Vec<&Value<'a>> = target.into_iter().chain(arguments).collect();
    let value = match (name, all.as_slice()) {
        ("size", [Value::Text(text)]) => count(text.chars().count()),
        ("size", [one])
            if one.items().is_some() || one.entries().is_some() || matches!(one, Value::Bytes(_)) =>
        {
            count(one.size())
        }
        ("contains", [Value::Text(one), Value::Text(part)]) => Value::Bool(one.contains(&**part)),
        ("startsWith", [Value::Text(one), Value::Text(part)]) => Value::Bool(one.starts_with(&**part)),
        ("endsWith", [Value::Text(one), Value::Text(part)]) => Value::Bool(one.ends_with(&**part)),
        ("matches", [Value::Text(one), Value::Text(pattern)]) => return Some(matches(one, pattern)),
        ("type", [one]) => Value::Type(one.kind()),
        ("dyn", [one]) => (*one).clone(),
        ("bool", [Value::Bool(bool)]) => Value::Bool(*bool),
        ("bool", [Value::Text(text)]) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Value::Bool(true),
            "false" | "False" | "FALSE" | "f" | "0" => Value::Bool(false),
            _ => return Some(failed("type conversion error from 'string' to 'bool'")),
        },
        ("string", [Value::Bool(bool)]) => Value::text(bool.to_string()),
        ("optional.none", []) => Value::Optional(None),
        ("optional.of", [one]) => Value::Optional(Some(Box::new((*one).clone()))),
        ("optional.ofNonZeroValue", [one]) => {
            Value::Optional((!is_zero(one)).then(|| Box::new((*one).clone())))
        }
        ("hasValue", [Value::Optional(optional)]) => Value::Bool(optional.is_some()),
        ("value", [Value::Optional(Some(inner))]) => (**inner).clone(),
        ("value", [Value::Optional(None)]) => return Some(failed("optional.none() dereference")),
        ("or" | "orValue", [Value::Optional(None), other]) => (*other).clone(),
        (
            "size" | "contains" | "startsWith" | "endsWith" | "matches" | "bool" | "hasValue" | "value"
            | "or" | "orValue",
            _,
        ) => return Some(failed(NO_OVERLOAD)),
        _ => return None,
    };
    Some(Ok(value))
}

fn count<'a>(count: usize) -> Value<'a> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Optional(None) => true,
        Value::Bool(bool) => !bool,
        Value::Int(int) => *int == 0,
        Value::Uint(uint) => *uint == 0,
        Value::Double(double) => *double == 0.0,
        Value::Text(_) | Value::Bytes(_) => value.size() == 0,
        _ => value.size() == 0,
    }
}

fn matches<'a>(text: &str, pattern: &str) -> Result<Value<'a>, Failure> {
    match RegexBuilder::new(pattern).size_limit(LARGEST_REGEX).dfa_size_limit(LARGEST_REGEX).build() {
        Ok(regex) => Ok(Value::Bool(regex.is_match(text))),
        Err(_) => failed(format!("error parsing regexp: {pattern}")),
    }
}
