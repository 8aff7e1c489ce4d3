//! Kubernetes' function libraries, as kube-cel has them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr};
use kube_cel::cel::objects::{Key as ForeignKey, Map};
use kube_cel::cel::{self, Context};

use super::Failure;
use super::shown;
use super::value::{Key, Value};

/// The functions that can be called, by name; those with a dot belong to the name before it.
pub const FUNCTIONS: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "base64.decode",
    "base64.encode",
    "bytes",
    "charAt",
    "cidr",
    "compareTo",
    "containsCIDR",
    "containsIP",
    "distinct",
    "double",
    "duration",
    "family",
    "find",
    "findAll",
    "first",
    "flatten",
    "format",
    "format.dns1035Label",
    "format.dns1035LabelPrefix",
    "format.dns1123Label",
    "format.dns1123LabelPrefix",
    "format.dns1123Subdomain",
    "format.dns1123SubdomainPrefix",
    "format.labelValue",
    "format.named",
    "format.qualifiedName",
    "format.uri",
    "format.uuid",
    "format.byte",
    "format.date",
    "format.datetime",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "indexOf",
    "int",
    "ip",
    "ip.isCanonical",
    "isCIDR",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "join",
    "jsonpatch.escapeKey",
    "last",
    "lastIndexOf",
    "lists.range",
    "lowerAscii",
    "major",
    "masked",
    "math.abs",
    "math.bitAnd",
    "math.bitNot",
    "math.bitOr",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "math.bitXor",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.least",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "max",
    "min",
    "minor",
    "patch",
    "prefixLength",
    "quantity",
    "replace",
    "reverse",
    "semver",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "sign",
    "slice",
    "sort",
    "split",
    "string",
    "strings.quote",
    "sub",
    "substring",
    "sum",
    "timestamp",
    "trim",
    "uint",
    "upperAscii",
    "url",
    "validate",
];

/// More items than this are not made of nothing.
const LONGEST_RANGE: i64 = 10_000;

/// More digits than this are not asked for in a format.
const MOST_DIGITS: usize = 3;

static LIBRARY: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// Calls a function of a library.
pub fn call<'a>(
    name: &str,
    target: Option<&Value<'_>>,
    arguments: &[Value<'_>],
) -> Result<Value<'a>, Failure> {
    check(name, target, arguments)?;
    if let ("format", Some(shown)) = (name, shown::arguments(arguments)) {
        return call(name, target, &[shown?]);
    }
    let failed = |error: String| Failure::Failed(error);
    let mut scope = LIBRARY.new_inner_scope();
    let mut bind = |name: String, value: &Value<'_>| {
        let value = foreign(value).ok_or_else(|| failed("no such overload".to_owned()))?;
        scope.add_variable(name.clone(), value).map_err(|_| failed("no such overload".to_owned()))?;
        Ok(IdedExpr { id: 0, expr: Expr::Ident(name) })
    };
    let (space, function) = name.split_once('.').unwrap_or(("", name));
    let target = match target {
        Some(target) => Some(Box::new(bind("@target".to_owned(), target)?)),
        None if space.is_empty() => None,
        None => Some(Box::new(IdedExpr { id: 0, expr: Expr::Ident(space.to_owned()) })),
    };
    let mut args = Vec::with_capacity(arguments.len());
    for (index, argument) in arguments.iter().enumerate() {
        args.push(bind(format!("@{index}"), argument)?);
    }
    let expr = Expr::Call(CallExpr { func_name: function.to_owned(), target, args });
    // What a stranger's expression makes a library do must not end the request of somebody else.
    let result = catch_unwind(AssertUnwindSafe(|| scope.resolve(&IdedExpr { id: 0, expr })));
    match result {
        Ok(Ok(value)) => native(value).ok_or_else(|| failed("no such overload".to_owned())),
        Ok(Err(error)) => Err(failed(words(error))),
        Err(_) => Err(failed(format!("function {name} cannot handle its arguments"))),
    }
}

/// Refuses what would cost more than its arguments show.
fn check(name: &str, target: Option<&Value<'_>>, arguments: &[Value<'_>]) -> Result<(), Failure> {
    match (name, target, arguments) {
        ("lists.range", None, [Value::Int(most)]) if *most > LONGEST_RANGE => {
            Err(Failure::Failed(format!("range exceeds {LONGEST_RANGE} items")))
        }
        ("format", Some(Value::Text(form)), _)
            if form
                .split(|letter: char| !letter.is_ascii_digit())
                .any(|digits| digits.len() > MOST_DIGITS) =>
        {
            Err(Failure::Failed("precision in format is too large".to_owned()))
        }
        _ => Ok(()),
    }
}

/// In Kubernetes' words where both say the same.
fn words(error: cel::ExecutionError) -> String {
    use cel::ExecutionError as Error;
    match error {
        Error::NoSuchKey(key) => format!("no such key: {key}"),
        Error::FunctionError { message, .. } => message,
        Error::DivisionByZero(_) => "division by zero".to_owned(),
        Error::RemainderByZero(_) => "modulus by zero".to_owned(),
        Error::Overflow(..) => "integer overflow".to_owned(),
        Error::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        Error::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        _ => "no such overload".to_owned(),
    }
}

/// The value as libraries take it.
pub fn foreign(value: &Value<'_>) -> Option<cel::Value> {
    Some(match value {
        Value::Null => cel::Value::Null,
        Value::Bool(bool) => cel::Value::Bool(*bool),
        Value::Int(int) => cel::Value::Int(*int),
        Value::Uint(uint) => cel::Value::UInt(*uint),
        Value::Double(double) => cel::Value::Float(*double),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::Bytes(bytes) => cel::Value::Bytes(Arc::clone(bytes)),
        Value::Foreign(value) => value.clone(),
        Value::Array(_) | Value::List(_) => {
            let items = value.items()?;
            cel::Value::List(Arc::new(items.iter().map(foreign).collect::<Option<_>>()?))
        }
        Value::Object(_) | Value::Map(_) => {
            let entry = |(key, value): (Key<'_>, Value<'_>)| {
                let key = match key {
                    Key::Bool(bool) => ForeignKey::Bool(bool),
                    Key::Number(number) => ForeignKey::Int(i64::try_from(number).ok()?),
                    Key::Text(text) => ForeignKey::String(Arc::new(text.into_owned())),
                };
                Some((key, foreign(&value)?))
            };
            let map: HashMap<_, _> = value.entries()?.into_iter().map(entry).collect::<Option<_>>()?;
            cel::Value::Map(Map { map: Arc::new(map) })
        }
        Value::Optional(_) | Value::Type(_) | Value::Receiver(_) => return None,
    })
}

/// What a library answered.
pub fn native<'a>(value: cel::Value) -> Option<Value<'a>> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(bool) => Value::Bool(bool),
        cel::Value::Int(int) => Value::Int(int),
        cel::Value::UInt(uint) => Value::Uint(uint),
        cel::Value::Float(double) => Value::Double(double),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::Bytes(bytes) => Value::Bytes(bytes),
        cel::Value::List(items) => {
            Value::list(items.iter().cloned().map(native).collect::<Option<Vec<_>>>()?)
        }
        cel::Value::Map(map) => {
            let entry = |(key, value): (&ForeignKey, &cel::Value)| {
                let key = match key {
                    ForeignKey::Bool(bool) => Key::Bool(*bool),
                    ForeignKey::Int(int) => Key::Number(i128::from(*int)),
                    ForeignKey::Uint(uint) => Key::Number(i128::from(*uint)),
                    ForeignKey::String(text) => Key::Text(Cow::Owned(text.to_string())),
                };
                Some((key, native(value.clone())?))
            };
            Value::Map(Arc::new(map.map.iter().map(entry).collect::<Option<BTreeMap<_, _>>>()?))
        }
        cel::Value::Opaque(opaque) => {
            match <&cel::objects::OptionalValue>::try_from(&cel::Value::Opaque(opaque.clone())) {
                Ok(optional) => {
                    let inner = optional.value().and_then(|inner| native(inner.clone()));
                    Value::Optional(inner.map(Box::new))
                }
                Err(_) => Value::Foreign(cel::Value::Opaque(opaque)),
            }
        }
        cel::Value::Function(..) => return None,
        other => Value::Foreign(other),
    })
}
